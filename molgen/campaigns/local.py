"""The local engine: worker processes on this machine, started afresh (spawn).

They end with the process that started them, in whatever way it ends.
"""

from __future__ import annotations

import os
import sys
from concurrent.futures.process import BrokenProcessPool
from typing import Self

import cloudpickle
from pebble import ProcessExpired, ProcessPool

from molgen.campaigns.engine import Finished, Finishing
from molgen.campaigns.plan import Plan, Task
from molgen.campaigns.worker import Done
from molgen.errors import MolgenError
from molgen.utils.interrupts import ignore_ctrl_c
from molgen.utils.parallel import cores
from property_models.processes import Context, end_with_parent


class Local:
    """Worker processes on this machine; see :class:`molgen.campaigns.engine.Engine`.

    Args:
        plan: of the campaign.
        workers: processes; None for one for each core.
    """

    def __init__(self, plan: Plan, workers: int | None = None) -> None:
        self.workers = workers or cores()
        self._packed = cloudpickle.dumps(plan)
        self._finishing = Finishing()
        self._pool = self._started()

    def submit(self, task: Task) -> None:
        """Run a task."""
        try:
            future = self._pool.schedule(_run, (task,))
        except RuntimeError:  # it is broken
            self._pool.stop()
            self._pool.join()
            self._pool = self._started()
            future = self._pool.schedule(_run, (task,))
        self._finishing.watch(task, future, _is_lost)

    def finished(self, seconds: float) -> list[Finished]:
        """Return tasks that have ended.

        Raises:
            MolgenError: if a task has ended several workers.
        """
        return self._finishing.take(seconds, self.submit)

    def refuse(self, worker: str) -> None:
        """Refuse a worker: all others are on the same machine.

        Raises:
            MolgenError: always.
        """
        raise MolgenError(f"worker {worker} draws other rows than the file has")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.stop()
        self._pool.join()

    def _started(self) -> ProcessPool:
        threads = max(1, cores() // self.workers)
        return ProcessPool(
            self.workers,
            initializer=_start,
            initargs=(self._packed, threads),
            context=Context(),
        )


def _is_lost(error: BaseException) -> bool:
    return isinstance(error, ProcessExpired | BrokenProcessPool)


_packed = b""


def _start(packed: bytes, threads: int) -> None:
    """Prepare a new process; what its tasks print goes to stderr."""
    global _packed
    ignore_ctrl_c()
    end_with_parent()
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    import torch

    torch.set_num_threads(threads)
    _packed = packed


def _run(task: Task) -> Done:
    from molgen.campaigns import worker

    return worker.run(_packed, task)
