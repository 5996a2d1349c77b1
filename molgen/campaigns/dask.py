"""The Dask engine: workers of a cluster, on this machine by default, or anywhere by address.

A cluster by address may be one of dask-jobqueue (SLURM, PBS, LSF) or of Kubernetes; its workers
need molgen, the model and the user's functions under the same names. A task whose worker is lost is
run elsewhere by Dask's scheduler, which also gives tasks to workers that come later.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import Any, Self

import cloudpickle

from molgen.campaigns import worker
from molgen.campaigns.engine import Finished, Finishing
from molgen.campaigns.plan import Plan, Task
from molgen.errors import MolgenError
from molgen.utils.imports import install, installed
from molgen.utils.parallel import cores

COUNT_SECONDS = 2.0  # between two counts of the workers
CONNECT_SECONDS = 30.0


class Dask:
    """Workers of a Dask cluster; see :class:`molgen.campaigns.engine.Engine`.

    Args:
        plan: of the campaign.
        workers: processes of a cluster on this machine; None for one for each core.
        address: of the scheduler of a running cluster; None for one on this machine.

    Raises:
        MolgenError: if Dask is not installed, or there is no scheduler at the address.
    """

    def __init__(self, plan: Plan, workers: int | None = None, address: str | None = None) -> None:
        if not installed("distributed"):
            raise MolgenError(f"engine dask without distributed: {install('dask')}")
        from distributed import Client, LocalCluster

        self._cluster = None
        if address is None:
            self._cluster = LocalCluster(
                n_workers=workers or cores(),
                threads_per_worker=1,
                dashboard_address=None,
                silence_logs=logging.CRITICAL,
            )
        elif workers is not None:
            raise MolgenError(f"workers is {workers} with address, expected one of them")
        try:
            self.client = Client(self._cluster or address, timeout=CONNECT_SECONDS)
        except (OSError, ValueError) as error:
            raise MolgenError(
                f"address is {address!r}, expected a Dask scheduler: {error}"
            ) from error
        self._packed = cloudpickle.dumps(plan)
        self._finishing, self._refused = Finishing(), set[str]()
        self._futures: dict[Task, Any] = {}
        self._count, self._counted = 0, 0.0

    @property
    def workers(self) -> int:
        """Number of workers at the moment, those that are refused left out."""
        if time.monotonic() >= self._counted + COUNT_SECONDS or not self._count:
            self._count, self._counted = len(self._allowed()), time.monotonic()
        return self._count

    def submit(self, task: Task) -> None:
        """Run a task."""
        where = {"workers": self._allowed(), "allow_other_workers": False} if self._refused else {}
        future = self.client.submit(_run, self._packed, task, pure=False, **where)
        self._futures[task] = future  # Dask cancels a task that nobody refers to
        self._finishing.watch(task, future, lambda _: False)

    def finished(self, seconds: float) -> list[Finished]:
        """Return tasks that have ended."""
        found = self._finishing.take(seconds, self.submit)
        for one in found:
            self._futures.pop(one.task, None)
        return found

    def refuse(self, worker: str) -> None:
        """Give no more tasks to a worker.

        Raises:
            MolgenError: if no other worker is left.
        """
        self._refused.add(worker)
        self._counted = 0.0
        if not self._allowed():
            raise MolgenError(f"worker {worker} draws other rows than the file has")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.cancel(list(self._futures.values()))
        self._futures.clear()
        self.client.close()
        if self._cluster is not None:
            self._cluster.close()

    def _allowed(self) -> list[str]:
        return [address for address in self.client.nthreads() if address not in self._refused]


def _run(packed: bytes, task: Task) -> worker.Done:
    """Run a task in a worker of the cluster."""
    from distributed import get_worker

    return replace(worker.run(packed, task), worker=get_worker().address)
