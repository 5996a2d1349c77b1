"""Engines that run the tasks of a campaign in the test's own process, in an order of a seed."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Self

import cloudpickle

from molgen.campaigns import worker
from molgen.campaigns.engine import Finished
from molgen.campaigns.plan import Plan, Task


class Shuffled:
    """Runs tasks one by one, in any order; some are lost with their worker and run again.

    Args:
        plan: of the campaign.
        workers: as many tasks are given out, and more.
        seed: of the order.
        lost: probability that a task runs twice, because its first result is lost.
        last: number of results after which the power is cut; None for no cut.
    """

    def __init__(
        self,
        plan: Plan,
        workers: int = 3,
        seed: int = 0,
        lost: float = 0.0,
        last: int | None = None,
    ) -> None:
        self.workers, self.lost, self.last = workers, lost, last
        self.refused: list[str] = []
        self.ran: list[Task] = []
        self._rng, self._tasks = random.Random(seed), list[Task]()
        self._packed = cloudpickle.dumps(plan)

    def submit(self, task: Task) -> None:
        self._tasks.append(task)

    def finished(self, seconds: float) -> list[Finished]:
        if self.last is not None and len(self.ran) >= self.last:
            raise OSError("power cut")
        if not self._tasks:
            time.sleep(seconds)
            return []
        task = self._tasks.pop(self._rng.randrange(len(self._tasks)))
        if self._rng.random() < self.lost:
            worker.run(self._packed, task)
        self.ran.append(task)
        return [Finished(task, worker.run(self._packed, task))]

    def refuse(self, worker: str) -> None:
        self.refused.append(worker)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...


def shuffled(
    workers: int = 3, seed: int = 0, lost: float = 0.0, last: int | None = None
) -> Callable[[Plan], Shuffled]:
    """Return a maker of such an engine."""
    return lambda plan: Shuffled(plan, workers, seed, lost, last)
