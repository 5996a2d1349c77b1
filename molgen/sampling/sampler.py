"""What every sampler takes, and what it returns: a row for each length, in order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from molgen.sampling.trajectory import Trajectory
from molgen.utils.arrays import Floats, Ids, Mask

Condition = NDArray[np.float32] | None
"""Property values with shape (molecules, properties), NaN where left out; None for none."""


@dataclass(frozen=True)
class Samples:
    """What came out: one row for each row asked for, in order.

    Attributes:
        tokens: ids with shape (molecules, longest), padded.
        nfe: forwards of the network each row took, guidance included, shape (molecules,).
        trajectory: every event of every row, where it was recorded.
        classifier_nfe: forwards of classifiers each row took, shape (molecules,); zeros if left
            out.
        quality: how probable each token is to be right, with the shape of ``tokens``: what a
            quality head said of it last, else its probability when it was placed; ones if left
            out.
    """

    tokens: Ids
    nfe: Ids
    trajectory: Trajectory | None = None
    classifier_nfe: Ids = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    quality: Floats = field(default_factory=lambda: np.zeros((0, 0)))

    def __post_init__(self) -> None:
        """Fill in what was left out."""
        if not len(self.classifier_nfe):
            object.__setattr__(self, "classifier_nfe", np.zeros_like(self.nfe))
        if not self.quality.size:
            object.__setattr__(self, "quality", np.ones(self.tokens.shape))


@dataclass(frozen=True)
class Given:
    """Rows that are there in part: what is masked is to be written, the rest stands.

    Attributes:
        tokens: ids with shape (molecules, longest), padded, masks where something is missing.
        psi: how probable each placed token is to be right, same shape; ones if left out.
        fixed: tokens that no step may take off again, same shape; none if left out.
        step: the step of the plan that each row begins at, shape (molecules,); the first if left
            out. A plan without remasking takes masks off in a random order wherever it begins.
    """

    tokens: Ids
    psi: Floats | None = None
    fixed: Mask | None = None
    step: Ids | None = None

    def __post_init__(self) -> None:
        """Check that everything has the shape of the tokens.

        Raises:
            ValueError: naming what has not.
        """
        shapes = {"psi": self.tokens.shape, "fixed": self.tokens.shape}
        shapes |= {"step": self.tokens.shape[:1]}
        for name, expected in shapes.items():
            found = getattr(self, name)
            if found is not None and found.shape != expected:
                raise ValueError(f"{name} has shape {found.shape}, expected {expected}")


@dataclass(frozen=True, eq=False)
class Job:
    """What a sampler is asked for: a row for each length.

    Attributes:
        lengths: tokens of each row, shape (molecules,).
        condition: property values with shape (molecules, properties), NaN where left out.
        seed: of the draw; a row depends on the seed and its sample index alone.
        first: sample index of the first row, to go on from an earlier job.
        rows: sample index of each row, shape (molecules,), where they are not consecutive.
        given: what rows start from, where that is not all masks.
        record: whether every event is kept.
    """

    lengths: Ids
    condition: Condition = None
    seed: int = 0
    first: int = 0
    rows: Ids | None = None
    given: Given | None = None
    record: bool = False

    def __post_init__(self) -> None:
        """Check that there is a condition, and an index, for every row.

        Raises:
            ValueError: if there is not.
        """
        for name in ("condition", "rows"):
            value = getattr(self, name)
            if value is not None and len(value) != len(self.lengths):
                raise ValueError(f"{name} has {len(value)} rows, expected {len(self.lengths)}")

    def conditions(self, molecules: Ids) -> Condition:
        """Return the conditions of some molecules."""
        return None if self.condition is None else self.condition[molecules]

    def indices(self, molecules: Ids) -> Ids:
        """Return the sample indices of some molecules."""
        return self.first + molecules if self.rows is None else self.rows[molecules]


@dataclass(frozen=True)
class Info:
    """What a step came to.

    Attributes:
        rows: that have ended: indices of the job's, shape (rows,).
        samples: what came out of them.
    """

    rows: Ids
    samples: Samples


OnDone = Callable[[Ids, Samples], None]
"""Told of rows that have ended: their indices, with shape (rows,), and what came out of them."""

AnyState = TypeVar("AnyState", bound="RunState")


class RunState(Protocol):
    """What the next step of a sampler needs."""

    @property
    def over(self) -> bool:
        """Whether every row has ended."""
        ...

    def result(self) -> Samples:
        """Return all rows, in order."""
        ...


class Stepping(ABC, Generic[AnyState]):
    """A sampler by its two functions: :meth:`run` is the loop over them."""

    @abstractmethod
    def init(self, job: Job) -> AnyState:
        """Return the state before the first step.

        Raises:
            ValueError: if the job is none that this sampler does.
        """

    @abstractmethod
    def step(self, state: AnyState) -> tuple[AnyState, Info]:
        """Take a step; return the state after it, and which rows it ended."""

    def run(self, job: Job, on_done: OnDone | None = None) -> Samples:
        """Draw one row for each length.

        Args:
            job: what is asked for.
            on_done: told of rows as they end.

        Raises:
            ValueError: if the job is none that this sampler does; nothing has been drawn then.
        """
        state = self.init(job)
        while not state.over:
            state, info = self.step(state)
            if on_done and len(info.rows):
                on_done(info.rows, info.samples)
        return state.result()


class AnySampler(Protocol):
    """What every sampler does."""

    def run(self, job: Job, on_done: OnDone | None = None) -> Samples:
        """Draw one row for each length; see :meth:`Stepping.run`."""
        ...


Redraw = Callable[[int], tuple[Ids, Condition]]
"""From a seed to other lengths and conditions for all the rows asked for: those of a restart."""


@dataclass(frozen=True)
class AdaptiveSamples(Samples):
    """What came out; every count is over all tries.

    Attributes:
        tries: draws each row took, shape (molecules,).
    """

    tries: Ids = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
