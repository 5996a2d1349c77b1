"""Rows of a job that have ended: counted as they end, and kept if the job is interrupted.

samples, rows = finished(lambda on_done: sampler.run(job, on_done), counted)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from molgen.sampling.sampler import AdaptiveSamples, Info, OnDone, Samples
from molgen.utils import journal
from molgen.utils.arrays import Ids

OnRows = Callable[[int], None]
"""Called with the number of rows that have ended."""


@dataclass(eq=False)
class Finished:
    """Collects rows as they end.

    Attributes:
        on_rows: called with their number.
        ended: so far.
    """

    on_rows: OnRows | None = None
    ended: list[Info] = field(default_factory=list)

    def add(self, rows: Ids, samples: Samples) -> None:
        """Take rows that have ended."""
        self.ended.append(Info(rows, samples))
        if self.on_rows is not None:
            self.on_rows(len(rows))

    def result(self) -> tuple[Samples, Ids]:
        """Return the rows in order, without their events, and their indices in the job."""
        if not self.ended:
            nothing = np.zeros(0, np.int64)
            return Samples(np.zeros((0, 0), np.int64), nothing), nothing
        rows = np.concatenate([info.rows for info in self.ended])
        order = np.argsort(rows)
        several = [info.samples for info in self.ended]
        columns: dict[str, Any] = {
            name: np.concatenate([getattr(samples, name) for samples in several])[order]
            for name in ("tokens", "nfe", "classifier_nfe", "quality", "tries")
            if all(hasattr(samples, name) for samples in several)
        }
        kind = AdaptiveSamples if "tries" in columns else Samples
        return kind(**columns), rows[order]


def finished(
    run: Callable[[OnDone], Samples], on_rows: OnRows | None = None
) -> tuple[Samples, Ids | None]:
    """Draw rows, or after an interrupt (Ctrl-C) those that have ended.

    Args:
        run: draws them; it is given what to call with rows as they end.
        on_rows: called with their number.

    Returns:
        The rows, and their indices in the job if it was interrupted.
    """
    kept = Finished(on_rows)
    try:
        return run(kept.add), None
    except KeyboardInterrupt:
        journal.keep()
        return kept.result()
