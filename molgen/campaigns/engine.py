"""Engines: where the tasks of a campaign run.

An engine runs tasks in worker processes and returns their results in any order. Tasks are pure, so
one that is lost with its worker is run again elsewhere; a task that ends several workers is the
task's fault, and ends the campaign.
"""

from __future__ import annotations

import queue
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol, Self

from molgen.campaigns.plan import Task
from molgen.campaigns.worker import Done
from molgen.errors import MolgenError

LOST = 3  # workers that a task may end


@dataclass(frozen=True)
class Finished:
    """A task that has ended.

    Attributes:
        task: the task.
        done: its result; None if it failed.
        error: why it failed.
        lost: whether its worker ended.
    """

    task: Task
    done: Done | None = None
    error: BaseException | None = None
    lost: bool = False


class Engine(Protocol):
    """Runs tasks; a context manager."""

    @property
    def workers(self) -> int:
        """Number of worker processes at the moment."""
        ...

    def submit(self, task: Task) -> None:
        """Run a task."""
        ...

    def finished(self, seconds: float) -> list[Finished]:
        """Return tasks that have ended; none if there is none within some seconds."""
        ...

    def refuse(self, worker: str) -> None:
        """Give no more tasks to a worker.

        Raises:
            MolgenError: if no other worker is left.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


class Finishing:
    """Tasks of an engine as they end, in a queue that its threads fill."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Finished] = queue.SimpleQueue()
        self._lost: dict[Task, int] = {}

    def watch(
        self, task: Task, future: Future[Any], is_lost: Callable[[BaseException], bool]
    ) -> None:
        """Put a task into the queue when its future is done."""

        def ended(future: Future[Any]) -> None:
            if future.cancelled():
                return
            error = future.exception()
            if error is None:
                self._queue.put(Finished(task, future.result()))
            else:
                self._queue.put(Finished(task, error=error, lost=is_lost(error)))

        future.add_done_callback(ended)

    def take(self, seconds: float, again: Callable[[Task], None]) -> list[Finished]:
        """Return what has ended; lost tasks are submitted again.

        Args:
            seconds: to wait for the first one.
            again: submits a task.

        Raises:
            MolgenError: if a task has ended several workers.
        """
        found: list[Finished] = []
        try:
            found.append(self._queue.get(timeout=seconds))
            while True:
                found.append(self._queue.get_nowait())
        except queue.Empty:
            pass
        for one in found:
            if one.lost:
                self._lost[one.task] = self._lost.get(one.task, 0) + 1
                if self._lost[one.task] == LOST:
                    raise MolgenError(f"{one.task} has ended {LOST} workers: {one.error}")
                again(one.task)
        return [one for one in found if not one.lost]
