"""A design campaign: which tasks are next, and when it has ended.

Blocks are drawn in any order; molecules that pass the checks of their own row and are no duplicates
are scored by the paid properties, one after another, so that a molecule that misses one goal is not
scored by the next. The molecules of the campaign are the first ``n`` accepted ones by sample index,
which depend on the request alone.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

from molgen.campaigns.plan import Draw, Plan, Scoring, Task
from molgen.campaigns.store import OK, Block, Store
from molgen.campaigns.worker import Done
from molgen.errors import MolgenError
from molgen.molecules.fate import Fate
from molgen.sampling.result import COMPLETE
from property_models.failures import Failures
from property_models.registry import get
from property_models.scorers import STOPPED, Scorer

SECONDS = 2.0  # of a batch of scores, which a kill may lose
FIRST, MOST, MOST_BATCHED = 4, 64, 100  # molecules of the first batch, and of any
AHEAD = 8  # blocks for each worker that may be drawn before their turn
SURPLUS = 1.1  # expected molecules, of those needed, for which blocks are drawn


@dataclass(eq=False)
class Designing:
    """The tasks of a design campaign.

    Attributes:
        store: the file.
        plan: of the campaign.
        n: molecules to accept.
        budget: most rows.
        size: rows of a block.
    """

    store: Store
    plan: Plan
    n: int
    budget: int
    size: int
    failures: dict[str, Failures] = field(default_factory=dict)
    stopped: str = ""
    _waiting: dict[int, tuple[str, float]] = field(default_factory=dict)
    _rows: dict[str, int] = field(default_factory=dict)
    _queues: dict[str, deque[int]] = field(default_factory=dict)
    _drawing: set[int] = field(default_factory=set)
    _speed: dict[str, tuple[int, float]] = field(default_factory=dict)
    _counted: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        """Continue where the file ends."""
        self.store.staged = bool(self.plan.paid)
        self._queues = {name: deque() for name in self.plan.paid}
        self._next = self.store.walked
        self._drawn = self.store.drawn
        with self.store.transaction():
            self._await(self.store.waiting())

    @property
    def blocks(self) -> int:
        """Number of blocks within the budget."""
        return math.ceil(self.budget / self.size)

    @property
    def done(self) -> int:
        """Number of molecules accepted so far, by any row."""
        return self.store.fates[OK]

    @property
    def waiting(self) -> int:
        """Number of rows that wait for scores."""
        return len(self._waiting)

    @property
    def decided(self) -> int:
        """The number of rows from the first one on whose fate is known."""
        return min(self._waiting, default=self.store.walked * self.size)

    def ended(self) -> str:
        """Return the reason of the end; empty before it."""
        if self.stopped:
            return STOPPED
        end = min(self.decided, self.budget)
        first, count = self._counted
        if end > first:
            self._counted = end, count + self.store.accepted(first, end)
        if self._counted[1] >= self.n:
            return COMPLETE
        return f"the budget of {self.budget} draws ended" if end == self.budget else ""

    def next(self, workers: int) -> Task | None:
        """Return the next task; None if the running ones may be enough."""
        for name in reversed(self.plan.paid):
            if own := self._queues[name]:
                count = min(self._batch(name), math.ceil(len(own) / workers))
                rows = [own.popleft() for _ in range(count)]
                return Scoring(name, tuple(self._waiting[row][0] for row in rows))
        while self._next in self._drawn:
            self._drawn.discard(self._next)
            self._next += 1
        number = self._next
        if number >= self.blocks or number >= self.store.walked + AHEAD * workers:
            return None
        if self._expected() >= SURPLUS * self.n:
            return None
        self._next += 1
        self._drawing.add(number)
        return Draw(number, number * self.size, self.size)

    def take(self, done: Done) -> None:
        """Store what a task returned; within a transaction."""
        task = done.task
        if isinstance(task, Draw):
            self._drawing.discard(task.number)
            costs = done.forwards, done.classifier_forwards, done.seconds, done.worker
            self._await(self.store.add_block(Block(task.number, done.rows, *costs)))
        elif isinstance(task, Scoring):
            found = done.scores.get(task.name, {})
            self.store.add_scores(task.name, found, done.seconds, done.worker)
            count, seconds = self._speed.get(task.name, (0, 0.0))
            self._speed[task.name] = count + len(task.smiles), seconds + done.seconds
            self._score(task, found)
        else:
            raise MolgenError(f"task is {task!r}, expected one of a design")

    def _score(self, task: Scoring, found: dict[str, float | str]) -> None:
        """Decide rows by new scores; too many failures stop the campaign."""
        failures = self.failures.setdefault(task.name, Failures())
        rows = {text: self._rows[text] for text in task.smiles}
        for text in task.smiles:
            if text in found:
                failures.add(text, found[text])
                self._advance(rows[text], task.name, found[text])
            else:  # the worker stopped before it
                self._queues[task.name].appendleft(rows[text])
            if failures.too_many and not self.stopped:
                self.stopped = f"property {task.name!r}: {failures}; stopped"
        if self.stopped:  # failures may be due to the moment
            self.store.forget_failures(task.name)

    def _await(self, rows: list[tuple[int, str]]) -> None:
        """Let rows wait for their first score, or take those that are stored."""
        for row, text in rows:
            self._waiting[row], self._rows[text] = (text, 0.0), row
            self._enqueue(row, 0)

    def _enqueue(self, row: int, stage: int) -> None:
        name = self.plan.paid[stage]
        known = self.store.score(name, self._waiting[row][0])
        if known is None:
            self._queues[name].append(row)
        else:
            self._advance(row, name, known)

    def _advance(self, row: int, name: str, outcome: float | str) -> None:
        """Move a row on to its next score, or decide it."""
        text, total = self._waiting[row]
        missed, gain = self.plan.decide(name, outcome)
        stage = self.plan.paid.index(name) + 1
        if missed or stage == len(self.plan.paid):
            self.store.decide(row, missed or OK, total + gain)
            del self._waiting[row], self._rows[text]
        else:
            self._waiting[row] = text, total + gain
            self._enqueue(row, stage)

    def _batch(self, name: str) -> int:
        """Return the number of molecules that take :data:`SECONDS`."""
        function = get(name).function
        batched = isinstance(function, Scorer) and function.batched
        count, seconds = self._speed.get(name, (0, 0.0))
        if batched:
            return MOST_BATCHED
        if not count:
            return FIRST
        return max(1, min(MOST, int(SECONDS * count / max(seconds, 1e-9))))

    def _expected(self) -> float:
        """Return how many molecules there will be, if no further block is drawn."""
        fates, waiting = self.store.fates, len(self._waiting)
        walked = self.store.walked * self.size
        drawing = (len(self._drawing) + len(self._drawn)) * self.size
        kept = fates[OK]
        missed = sum(
            fates[why.of(name)]
            for name in self.plan.paid
            for why in (Fate.GOAL_MISSED, Fate.SCORER_FAILED)
        )
        of_waiting = (kept + 0.5) / (kept + missed + 1)
        rate = (kept + 0.5) / (walked - waiting + 1)
        return kept + of_waiting * waiting + rate * drawing
