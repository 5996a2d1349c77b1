"""Rows in the journal of a run: those that have ended are stored, and are not drawn again.

A row depends on its job and its sample index alone, not on the rows drawn beside it, so a sampler
can start from a state in which the rows of an earlier run have ended, and draw the others. (On a
GPU the last bits of a prediction depend on the batch, so there a row may rarely differ.) A sampler
that draws by another one, as retries do, is not recorded itself: it is repeated over recorded rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from molgen.errors import MolgenError
from molgen.sampling.job import Info, Job, Samples
from molgen.sampling.trajectory import COLUMNS, Recorder
from molgen.utils.array_files import Array, Layout, check_layout
from molgen.utils.arrays import Ids
from molgen.utils.journal import Call, active, digest
from molgen.utils.journal_file import Arrays


@runtime_checkable
class Restorable(Protocol):
    """A state of a sampler in which rows of an earlier run can end before they begin.

    Attributes:
        tokens: of all rows, shape (molecules, longest).
        recorder: records events, or None.
    """

    tokens: Ids
    recorder: Recorder | None

    def restore(self, rows: Ids, samples: Samples) -> None:
        """Take rows as ended.

        Args:
            rows: indices in the job, shape (rows,).
            samples: their result, with the columns of ``tokens``.
        """
        ...


@dataclass(eq=False)
class Record:
    """The rows of a job in the journal, if there is one.

    Attributes:
        call: of the journal.
        stored: rows of an earlier run.
    """

    call: Call | None = None
    stored: tuple[Info, ...] = ()

    def add(self, info: Info) -> None:
        """Store rows that have ended."""
        if self.call is None or not len(info.rows):
            return
        samples = info.samples
        self.call.add(
            {
                "rows": info.rows,
                "tokens": samples.tokens.astype(np.int32),
                "nfe": samples.nfe,
                "classifier_nfe": samples.classifier_nfe,
                "quality": samples.quality,
            }
        )


@contextmanager
def recorded(job: Job, state: object) -> Iterator[Record]:
    """Record the rows of a job within the block, and restore those of an earlier run.

    Args:
        job: the input.
        state: before the first step; not recorded unless it is :class:`Restorable`.

    Raises:
        MolgenError: if stored rows are damaged, or the journal cannot be written.
    """
    journal = active()
    if journal is None or not isinstance(state, Restorable) or not len(job.lengths):
        yield Record()
        return
    recorder = state.recorder

    def with_events(block: Arrays) -> Arrays:
        return block if recorder is None else {**block, "events": recorder.of(block["rows"])}

    with journal.call(_digest(job), with_events) as call:
        stored = [_info(block, state, str(journal.path)) for block in call.stored]
        for info, block in zip(stored, call.stored, strict=True):
            state.restore(info.rows, info.samples)
            if recorder is not None:
                recorder.restore(block["events"])
        yield Record(call, tuple(stored))


def _digest(job: Job) -> bytes:
    given = job.given and (job.given.tokens, job.given.psi, job.given.fixed, job.given.step)
    numbers = job.seed, job.first, job.record
    return digest("rows", *numbers, job.lengths, job.condition, job.rows, *(given or ()))


def _info(block: Arrays, state: Restorable, source: str) -> Info:
    """Return the rows of a block.

    Raises:
        MolgenError: if they are not those of this job.
    """
    count, width = state.tokens.shape
    wanted = {
        "rows": Array("i", "rows"),
        "tokens": Array("i", "rows", width),
        "nfe": Array("i", "rows"),
        "classifier_nfe": Array("i", "rows"),
        "quality": Array("f", "rows", width),
        "events": Array("f", "events", COLUMNS, optional=state.recorder is None),
    }
    check_layout({k: Layout(x.dtype.kind, x.shape) for k, x in block.items()}, wanted, source)
    if len(block["rows"]) and not 0 <= block["rows"].min() <= block["rows"].max() < count:
        raise MolgenError(f"{source} is damaged: rows are outside of 0..{count - 1}")
    costs = block["nfe"], None, block["classifier_nfe"]
    return Info(block["rows"], Samples(block["tokens"].astype(np.int64), *costs, block["quality"]))
