"""The interface of samplers: a job in, samples out, with a row for each length, in order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import numpy as np

from molgen.sampling.job import Condition as Condition
from molgen.sampling.job import Given as Given
from molgen.sampling.job import Info as Info
from molgen.sampling.job import Job as Job
from molgen.sampling.job import OnDone as OnDone
from molgen.sampling.job import Samples as Samples
from molgen.sampling.recorded import recorded
from molgen.utils.arrays import Ids

AnyState = TypeVar("AnyState", bound="RunState")


class RunState(Protocol):
    """The state of a sampler between steps."""

    @property
    def over(self) -> bool:
        """Whether every row has ended."""
        ...

    def result(self) -> Samples:
        """Return all rows, in order."""
        ...


class Stepping(ABC, Generic[AnyState]):
    """A sampler defined by :meth:`init` and :meth:`step`; :meth:`run` is the loop over them.

    In a run with a journal, rows that have ended are stored, and stored rows are not drawn again
    (:mod:`molgen.sampling.recorded`).
    """

    @abstractmethod
    def init(self, job: Job) -> AnyState:
        """Return the state before the first step.

        Raises:
            MolgenError: if the sampler does not support the job.
        """

    @abstractmethod
    def step(self, state: AnyState) -> tuple[AnyState, Info]:
        """Take a step; return the state after it, and the rows that have ended."""

    def run(self, job: Job, on_done: OnDone | None = None) -> Samples:
        """Draw one row for each length.

        Args:
            job: the rows to draw.
            on_done: called with rows as they end.

        Raises:
            MolgenError: if the sampler does not support the job, before anything is drawn.
        """
        state = self.init(job)
        with recorded(job, state) as record:
            if on_done:
                for info in record.stored:
                    on_done(info.rows, info.samples)
            while not state.over:
                state, info = self.step(state)
                record.add(info)
                if on_done and len(info.rows):
                    on_done(info.rows, info.samples)
        return state.result()


class AnySampler(Protocol):
    """Any sampler."""

    def run(self, job: Job, on_done: OnDone | None = None) -> Samples:
        """Draw one row for each length; see :meth:`Stepping.run`."""
        ...


Redraw = Callable[[int], tuple[Ids, Condition]]
"""From a seed to new lengths and conditions of all requested rows, for a restart."""


@dataclass(frozen=True)
class AdaptiveSamples(Samples):
    """The result of adaptive sampling; every count is over all attempts.

    Attributes:
        tries: attempts of each row, shape (molecules,).
    """

    tries: Ids = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
