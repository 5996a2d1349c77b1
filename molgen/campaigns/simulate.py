"""A simulator of the scheduler: how long a campaign takes with more workers than one has.

Discrete events, with the seconds of a block and of a score drawn from those that the file of a
campaign has measured, and workers that are lost at a rate and replaced:

    worker   starts (model, probe) -> block or batch of scores -> next task, or it is lost
    client   writes all results that are there in one transaction: the single writer

Scores follow their block, and rows are accepted at the measured rate. A transaction takes some
seconds and some for each row and score in it, as measured. The simulation ends when enough
molecules are accepted. It leaves out what differs between machines: transfer, other users.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from molgen.campaigns.designing import AHEAD, MOST, SECONDS, SURPLUS
from molgen.campaigns.scheduler import Line
from molgen.campaigns.store import OK, Store
from molgen.errors import MolgenError
from molgen.molecules.fate import Fate

HOUR = 3600.0
LEAST = 3  # blocks
BUSY = 0.9  # of the time: the client is the limit


@dataclass(frozen=True, eq=False)
class Measured:
    """What the file of a campaign has measured.

    Attributes:
        rows: of a block.
        blocks: seconds of each block.
        scores: molecules and seconds of each batch of scores; none without paid properties.
        scored: share of the rows that are scored.
        accepted: share of the rows that are accepted.
        start: seconds until a new worker begins its first task.
        write: seconds of the client for a transaction.
        write_item: further seconds for each row and each score in it.
    """

    rows: int
    blocks: Sequence[float]
    scores: Sequence[tuple[int, float]]
    scored: float
    accepted: float
    start: float = 0.0
    write: float = 0.0
    write_item: float = 0.0

    @classmethod
    def of(cls, store: Store) -> Measured:
        """Return what a file has measured.

        Raises:
            MolgenError: if it has too little.
        """
        draws, scorings = store.timings()
        facts, fates = store.facts(), store.fates
        drawn = sum(fates.values())
        if len(draws) < LEAST or not fates[OK] or "write" not in facts:
            raise MolgenError(
                f"{store.path} has {len(draws)} blocks and {fates[OK]} molecules, expected at "
                f"least {LEAST} blocks of a design campaign, and a molecule"
            )
        paid = facts["paid"]
        missed = sum(
            fates[why.of(name)] for name in paid for why in (Fate.GOAL_MISSED, Fate.SCORER_FAILED)
        )
        return cls(
            draws[0][0],
            [seconds for _, seconds in draws],
            [pair for own in scorings.values() for pair in own if pair[0]],
            (fates[OK] + missed) / drawn if paid else 0.0,
            fates[OK] / drawn,
            facts.get("start", 0.0),
            *Line(**facts["write"]).fitted,
        )


@dataclass(frozen=True)
class Simulated:
    """A simulated campaign.

    Attributes:
        workers: of it.
        seconds: until enough molecules are accepted.
        drawn: rows, those that were lost included.
        redrawn: of these, rows that were lost with their worker.
        rescored: molecules that were lost likewise.
        busy: share of the time that the client writes.
        idle: share of the workers' time without a task.
    """

    workers: int
    seconds: float
    drawn: int
    redrawn: int
    rescored: int
    busy: float
    idle: float

    @property
    def limited(self) -> bool:
        """Whether the client is the limit."""
        return self.busy >= BUSY


@dataclass(order=True)
class _Event:
    """The end of a task, of a worker's start, or of a transaction.

    Attributes:
        time: of the event.
        number: of the event, for a strict order.
        kind: of what ends.
        worker: that it ends at; none for the client.
        count: rows or molecules.
        began: time at which it began.
        lost: whether the worker is lost.
    """

    time: float
    number: int
    kind: str = field(compare=False)
    worker: int = field(compare=False)
    count: int = field(compare=False)
    began: float = field(compare=False)
    lost: bool = field(compare=False, default=False)


START, DRAW, SCORE, WRITE = "start", "draw", "score", "write"


class Simulation:
    """Events of a campaign.

    Args:
        measured: of a real one.
        molecules: to accept.
        workers: of the simulated one.
        lost_per_hour: workers lost in an hour, of all of them; each is replaced.
        seed: of the events.
    """

    def __init__(
        self, measured: Measured, molecules: int, workers: int, lost_per_hour: float, seed: int = 0
    ) -> None:
        self.measured, self.molecules, self.workers = measured, molecules, workers
        self.slots = workers + max(1, workers // 2)  # as the scheduler's
        self._rate = lost_per_hour / HOUR / workers  # of one worker
        self._rng = np.random.default_rng(seed)
        self._events: list[_Event] = []
        self._number = self._given = 0
        self._free: deque[int] = deque()
        self._inbox: list[tuple[str, int]] = []
        self._transaction: list[tuple[str, int]] = []
        self._queue = self._drawing = self._scoring = 0
        self._owed = self._accepted = self._written = self._working = 0.0
        self._drawn = self._redrawn = self._rescored = 0
        counts = np.array([count for count, _ in measured.scores], dtype=float)
        self._each = np.array([seconds for _, seconds in measured.scores]) / counts
        self._weights = counts / counts.sum() if len(counts) else counts
        self._mean = float(self._each @ self._weights)
        self._batch = int(np.clip(SECONDS / max(self._mean, 1e-9), 1, MOST))

    def run(self) -> Simulated:
        """Run to the end."""
        for worker in range(self.workers):
            self._push(START, worker, 0, 0.0, self.measured.start)
        now = 0.0
        while self._accepted < self.molecules:
            event = heapq.heappop(self._events)
            now = event.time
            self._end(event)
            if self._inbox and not self._transaction:
                self._write(now)
            while self._free and self._given < self.slots and self._give(self._free[0], now):
                self._free.popleft()
        idle = 1 - min(1.0, self._working / (now * self.workers))
        counts = self._drawn, self._redrawn, self._rescored
        return Simulated(self.workers, now, *counts, self._written / now, idle)

    def _end(self, event: _Event) -> None:
        if event.kind == WRITE:
            for kind, count in self._transaction:
                self._stored(kind, count)
            self._given -= len(self._transaction)
            self._transaction = []
            return
        if event.kind != START:
            self._working += event.time - event.began
        if event.lost:
            self._given -= 1
            if event.kind == SCORE:
                self._queue, self._scoring = self._queue + event.count, self._scoring - event.count
                self._rescored += event.count
            else:
                self._drawing -= event.count
                self._drawn, self._redrawn = self._drawn + event.count, self._redrawn + event.count
            self._push(START, event.worker, 0, event.time, self.measured.start)
            return
        if event.kind != START:
            self._inbox.append((event.kind, event.count))
        self._free.append(event.worker)

    def _stored(self, kind: str, count: int) -> None:
        """Take a result that the client has written."""
        scored, accepted = self.measured.scored, self.measured.accepted
        if kind == SCORE:
            self._scoring -= count
            self._accepted += count * accepted / scored
            return
        self._drawing -= count
        self._drawn += count
        self._owed += count * scored
        self._queue, self._owed = self._queue + int(self._owed), self._owed % 1
        if not self.measured.scores:
            self._accepted += count * accepted

    def _write(self, now: float) -> None:
        """Let the client write all results that are there in one transaction."""
        self._transaction, self._inbox = self._inbox, []
        items = sum(count for _, count in self._transaction)
        seconds = self.measured.write + items * self.measured.write_item
        self._written += seconds
        self._push(WRITE, -1, 0, now, seconds)

    def _give(self, worker: int, now: float) -> bool:
        """Give a task to a worker, unless there is none."""
        if self._queue:
            count = min(self._batch, -(-self._queue // self.workers))
            self._queue, self._scoring = self._queue - count, self._scoring + count
            seconds = float(self._rng.choice(self._each, p=self._weights))
            self._push(SCORE, worker, count, now, count * seconds)
        else:
            rows, accepted = self.measured.rows, self.measured.accepted
            expected = self._accepted + self._drawing * accepted
            if self.measured.scores:
                expected += (self._scoring + self._queue) * accepted / self.measured.scored
            if expected >= SURPLUS * self.molecules or self._drawing >= AHEAD * self.workers * rows:
                return False
            self._drawing += rows
            self._push(DRAW, worker, rows, now, float(self._rng.choice(self.measured.blocks)))
        self._given += 1
        return True

    def _push(self, kind: str, worker: int, count: int, began: float, seconds: float) -> None:
        """Let something end, or its worker be lost before."""
        end, lost = began + seconds, False
        if self._rate > 0 and kind in (DRAW, SCORE):
            until = began + float(self._rng.exponential(1 / self._rate))
            end, lost = min(end, until), until < end
        self._number += 1
        heapq.heappush(self._events, _Event(end, self._number, kind, worker, count, began, lost))


def simulate(
    measured: Measured,
    molecules: int,
    workers: Sequence[int],
    lost_per_hour: float = 0.0,
    seed: int = 0,
) -> list[Simulated]:
    """Simulate campaigns of different numbers of workers.

    Args:
        measured: of a real campaign.
        molecules: to accept.
        workers: of each simulated campaign.
        lost_per_hour: workers lost in an hour, of all.
        seed: of the events.

    Raises:
        MolgenError: if a number is out of range.
    """
    if molecules < 1 or any(count < 1 for count in workers) or not 0 <= lost_per_hour < np.inf:
        raise MolgenError("expected molecules and workers of at least 1, and a rate of at least 0")
    return [Simulation(measured, molecules, count, lost_per_hour, seed).run() for count in workers]
