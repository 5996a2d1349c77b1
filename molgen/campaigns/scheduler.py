"""The loop of a campaign: give tasks to an engine, and store what they return.

The client alone writes. All results of a moment are stored in one transaction, so that the disk is
waited for once.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NoReturn, Protocol

from molgen.campaigns.engine import Engine, Finished
from molgen.campaigns.plan import Task
from molgen.campaigns.store import Store
from molgen.campaigns.worker import Done
from molgen.errors import MolgenError

TOGETHER = 0.1  # seconds whose results are one transaction: the disk takes some time for each
PAUSE = 0.5  # seconds between two calls of ``on_progress``, at most
PROBE_FACT, COLUMNS_FACT, START_FACT, WRITE_FACT = "probe", "columns", "start", "write"


@dataclass
class Line:
    """A least-squares line of seconds over items, from sums.

    Attributes:
        count: of the points.
        items: their sum.
        seconds: their sum.
        squares: sum of the squares of items.
        products: sum of items times seconds.
    """

    count: int = 0
    items: int = 0
    seconds: float = 0.0
    squares: int = 0
    products: float = 0.0

    def add(self, items: int, seconds: float) -> None:
        """Add a point."""
        self.count, self.items, self.seconds = (
            self.count + 1,
            self.items + items,
            self.seconds + seconds,
        )
        self.squares, self.products = self.squares + items**2, self.products + items * seconds

    @property
    def fitted(self) -> tuple[float, float]:
        """The seconds at no item, and for each item; neither is below 0."""
        if not self.count:
            return 0.0, 0.0
        spread = self.count * self.squares - self.items**2
        slope = self.count * self.products - self.items * self.seconds
        slope = max(0.0, slope / spread) if spread else 0.0
        return max(0.0, (self.seconds - slope * self.items) / self.count), slope


class Work(Protocol):
    """The tasks of a campaign."""

    def next(self, workers: int) -> Task | None:
        """Return the next task; None if the running ones may be enough."""
        ...

    def take(self, done: Done) -> None:
        """Store what a task returned; within a transaction."""
        ...

    def ended(self) -> str:
        """Return the reason of the end; empty before it."""
        ...


def run(store: Store, work: Work, engine: Engine, on_progress: Callable[[], None]) -> str:
    """Run tasks until the campaign ends.

    Args:
        store: the file.
        work: its tasks.
        engine: runs them.
        on_progress: called after results are stored, and while there are none.

    Returns:
        The reason of the end.

    Raises:
        MolgenError: if a task fails, a worker draws other rows than the file has and there is no
            other one, or the file cannot be written.
    """
    loop = _Loop(store, work, engine)
    try:
        while not (reason := work.ended()):
            loop.give()
            loop.collect()
            if loop.due:
                loop.write()
            on_progress()
    except BaseException:
        with suppress(MolgenError):  # the first error is raised
            loop.write()
        raise
    return reason


@dataclass(eq=False)
class _Loop:
    """The state of :func:`run`: tasks that were given out, and results that are to be written."""

    store: Store
    work: Work
    engine: Engine
    running: int = 0
    found: list[Done] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.facts = self.store.facts()
        self.line = Line(**self.facts.get(WRITE_FACT, {}))
        self.began, self.written = time.monotonic(), -math.inf

    @property
    def due(self) -> bool:
        """Whether there are results, and the last transaction is not a moment ago."""
        return bool(self.found) and time.monotonic() >= self.written + TOGETHER

    def give(self) -> None:
        """Give out tasks: one for each worker, and some that wait."""
        workers = self.engine.workers
        slots = workers + max(1, workers // 2)
        while self.running < slots and (task := self.work.next(max(1, workers))) is not None:
            self.engine.submit(task)
            self.running += 1
        if not (self.running or self.found) and workers:
            raise MolgenError(f"{self.store.path}: no task is left before the end")

    def collect(self) -> None:
        """Take results that are there; those of a worker that draws other rows are dropped."""
        wait = self.written + TOGETHER - time.monotonic() if self.found else PAUSE
        for one in self.engine.finished(max(0.0, wait)):
            if one.done is None:
                _fail(one)
            probe = one.done.probe
            if probe and probe != self.facts.setdefault(PROBE_FACT, probe):
                _refuse(self.engine, one.done.worker)
                self.engine.submit(one.task)
            else:
                self.running -= 1
                self.found.append(one.done)

    def write(self) -> None:
        """Write all results in one transaction."""
        if not self.found:
            return
        found, self.found = self.found, []
        started, first = time.perf_counter(), found[0]
        with self.store.transaction():
            if first.probe and START_FACT not in self.facts:
                self.facts[START_FACT] = max(0.0, time.monotonic() - self.began - first.seconds)
            if first.columns:
                self.facts.setdefault(COLUMNS_FACT, list(first.columns))
            names = (PROBE_FACT, COLUMNS_FACT, START_FACT)
            known = {name: self.facts[name] for name in names if name in self.facts}
            self.store.set_facts(**known, write=vars(self.line))
            for done in found:
                self.work.take(done)
        items = sum(len(done.rows) + sum(map(len, done.scores.values())) for done in found)
        self.line.add(items, time.perf_counter() - started)
        self.written = time.monotonic()


def _fail(finished: Finished) -> NoReturn:
    """Raise the error of a task, as one of the request or the machine if it is another."""
    error = finished.error
    if isinstance(error, ValueError | OSError | MemoryError):
        raise error
    text = f"{type(error).__name__}: {error}"
    raise MolgenError(f"{type(finished.task).__name__} failed: {text}") from error


def _refuse(engine: Engine, worker: str) -> None:
    """Refuse a worker whose probe differs.

    Raises:
        MolgenError: if no other worker is left.
    """
    try:
        engine.refuse(worker)
    except MolgenError as error:
        raise MolgenError(
            f"{error}: last bits differ between processors; begin the campaign with --dtype fp32, "
            "or fp64, under which they agree more often"
        ) from error
