"""An estimate of the duration of a sweep, from some rows of each method, before anything is kept.

    seconds of a run = seconds of the timed rows x (n + fixed) / (timed + fixed)

A draw has a fixed part, the forwards of nearly empty batches: it is as long as the drawing of about
1,700 tokens, the same for all sizes (QM9, gamma 3, 32 steps, one core: 64, 128, 256 and 512 rows of
15 tokens took 9.9, 12.2, 19.3 and 34.4 s). Each method is timed at its fewest steps and greatest
strength. Without remasking the forwards of a row do not grow with the steps, since a step without a
change costs none; with it they grow in proportion. Classifier-free guidance at strength 1 is a
plain draw: half the forwards.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from molgen.frontiers.method import METHOD, Method
from molgen.frontiers.plan import Sweep, guided_targets, plan, settings_at
from molgen.frontiers.store import Record, Store, check_compatible
from molgen.utils.locks import locked

if TYPE_CHECKING:
    from molgen.model import Model

TIMED = 64  # rows of each method: fewer would leave cores idle, which the runs do not
FIXED_TOKENS = 1700
LEAST = 4  # times as many rows as are timed, below which a sweep is over sooner than its estimate


@dataclass(frozen=True)
class Duration:
    """The size of a sweep.

    Attributes:
        runs: to be drawn.
        finished: runs that were drawn before.
        rows: to be drawn.
        seconds: about how long; None for a sweep too short to be timed.
    """

    runs: int
    finished: int
    rows: int
    seconds: float | None

    def __str__(self) -> str:
        before = f" ({self.finished} more are finished)" if self.finished else ""
        size = f"{self.runs} runs, {self.rows:,} rows to draw{before}"
        if self.seconds is None:
            return size
        return f"{size}: about {words(self.seconds)}, by the time of {TIMED} rows of each method"


def duration(sweep: Sweep, models: Mapping[str, Model], folder: str | Path) -> Duration:
    """Return the size of what is missing of a sweep, and about how long it takes.

    Args:
        sweep: the request.
        models: by the names in the methods.
        folder: of the sweep.

    Raises:
        MolgenError: if the request is out of range, or not comparable with the folder's runs, or
            another run writes to the folder.
    """
    wanted = plan(sweep, models)
    with locked(folder):  # another run of it is reported before anything is timed
        stored = Store(Path(folder)).records()
    check_compatible(stored, wanted)
    have = {record.name for record in stored}
    missing = [record for record in wanted if record.name not in have]
    rows = len(missing) * sweep.objective.n
    methods = {record.run.label for record in missing}
    seconds = None
    if rows >= LEAST * TIMED * len(methods) and sweep.objective.n >= TIMED:
        seconds = _seconds(sweep, models, missing)
    return Duration(len(missing), len(wanted) - len(missing), rows, seconds)


def _seconds(sweep: Sweep, models: Mapping[str, Model], missing: list[Record]) -> float:
    total = 0.0
    for label in dict.fromkeys(record.run.label for record in missing):
        runs = [record.run for record in missing if record.run.label == label]
        timed = max(runs, key=lambda run: (-run.steps, _forwards(run.gamma)))
        method = Method(**timed.method)
        model = models[method.model]
        settings = settings_at(model, method, timed, **sweep.speed)
        targets = guided_targets(sweep.objective, method)
        model.draw(2, targets, timed.seed, settings=settings)  # what is set up once is not timed
        start = time.perf_counter()
        samples = model.draw(TIMED, targets, timed.seed, settings=settings)
        model.table(samples, [sweep.objective.property])
        seconds = time.perf_counter() - start
        tokens = (samples.tokens != model.tokenizer.pad_id).sum() / TIMED
        fixed = FIXED_TOKENS / max(float(tokens), 1.0)  # in rows
        seconds *= (sweep.objective.n + fixed) / (TIMED + fixed)
        for run in runs:
            longer = run.steps / timed.steps if _revises(method) else 1.0
            total += seconds * longer * _forwards(run.gamma) / _forwards(timed.gamma)
    return total


def _forwards(gamma: float) -> int:
    return 1 if gamma == 1 else 2


def _revises(method: Method) -> bool:
    """Return whether a method replaces tokens that it has placed."""
    return any(getattr(method, key) != METHOD[key] for key in ("remask", "corrector"))


def words(seconds: float) -> str:
    """Return a duration in words, in two digits at most."""
    if seconds < 90:
        return f"{max(5, round(seconds / 5) * 5)} seconds"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} minutes"
    return f"{seconds / 3600:.1f} hours" if seconds < 36_000 else f"{round(seconds / 3600)} hours"
