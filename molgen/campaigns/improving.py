"""A campaign of lead optimisation: batches of leads, whose results depend on the request alone."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from molgen.campaigns.plan import Improve, Task
from molgen.campaigns.store import Block, Store
from molgen.campaigns.worker import Done
from molgen.errors import MolgenError
from molgen.sampling.result import COMPLETE


@dataclass(eq=False)
class Improving:
    """The tasks of a campaign of leads.

    Attributes:
        store: the file.
        leads: SMILES.
        size: leads of a batch.
    """

    store: Store
    leads: tuple[str, ...]
    size: int
    stopped: str = ""
    _left: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Continue with the batches that the file does not have."""
        stored = self.store.drawn
        blocks = range(self.store.walked, math.ceil(len(self.leads) / self.size))
        self._left = [number for number in reversed(blocks) if number not in stored]

    @property
    def waiting(self) -> int:
        """Number of rows that wait for scores: none."""
        return 0

    @property
    def done(self) -> int:
        """Number of leads that are finished, all before them included."""
        return min(self.store.walked * self.size, len(self.leads))

    def ended(self) -> str:
        """Return the reason of the end; empty before it."""
        return COMPLETE if self.done == len(self.leads) else ""

    def next(self, workers: int) -> Task | None:
        """Return the next batch; None if all are given out."""
        if not self._left:
            return None
        number = self._left.pop()
        first = number * self.size
        return Improve(number, first, self.leads[first : first + self.size])

    def take(self, done: Done) -> None:
        """Store what a task returned; within a transaction."""
        if not isinstance(done.task, Improve):
            raise MolgenError(f"task is {done.task!r}, expected leads")
        costs = done.forwards, done.classifier_forwards, done.seconds, done.worker
        self.store.add_block(Block(done.task.number, done.rows, *costs))
        for name, scores in done.scores.items():
            self.store.add_scores(name, scores, done.seconds, done.worker)
