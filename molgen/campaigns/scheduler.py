"""The loop of a campaign: give tasks to an engine, and store what they return.

The client alone writes. All results that are there are stored in one transaction, so the disk is
waited for once; then the next tasks are given out.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn, Protocol

from molgen.campaigns.engine import Engine, Finished
from molgen.campaigns.plan import Task
from molgen.campaigns.store import Store
from molgen.campaigns.worker import Done
from molgen.errors import MolgenError

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
    running, facts = 0, store.facts()
    line, began = Line(**facts.get(WRITE_FACT, {})), time.monotonic()
    while not (reason := work.ended()):
        slots = engine.workers + max(1, engine.workers // 2)
        while running < slots and (task := work.next(max(1, engine.workers))) is not None:
            engine.submit(task)
            running += 1
        if not running and engine.workers:
            raise MolgenError(f"{store.path}: no task is left before the end")  # cannot happen
        found = engine.finished(PAUSE)
        kept: list[Done] = []
        for one in found:
            running -= 1
            if one.done is None:
                _fail(one)
            probe = one.done.probe
            if probe and probe != facts.setdefault(PROBE_FACT, probe):
                _refuse(engine, one.done.worker)
                engine.submit(one.task)
                running += 1
                continue
            kept.append(one.done)
        if kept:
            written = time.perf_counter()
            if START_FACT not in facts and kept[0].probe:
                facts[START_FACT] = max(0.0, time.monotonic() - began - kept[0].seconds)
                store.set_facts(start=facts[START_FACT])
            with store.transaction():
                store.set_facts(write=vars(line))
                for done in kept:
                    if done.columns and COLUMNS_FACT not in facts:
                        facts[COLUMNS_FACT] = list(done.columns)
                        store.set_facts(
                            **{name: facts[name] for name in (PROBE_FACT, COLUMNS_FACT)}
                        )
                    work.take(done)
            items = sum(len(done.rows) + sum(map(len, done.scores.values())) for done in kept)
            line.add(items, time.perf_counter() - written)
        on_progress()
    return reason


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
