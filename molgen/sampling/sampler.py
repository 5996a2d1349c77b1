"""What every sampler takes, and what it returns: a row for each length, in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from molgen.sampling.trajectory import Trajectory
from molgen.utils.arrays import Floats, Ids, Mask


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
        rows: which row of the endless table each is, as far as its random numbers go, shape
            (molecules,); consecutive rows if left out.
    """

    tokens: Ids
    psi: Floats | None = None
    fixed: Mask | None = None
    step: Ids | None = None
    rows: Ids | None = None

    def __post_init__(self) -> None:
        """Check that everything has the shape of the tokens.

        Raises:
            ValueError: naming what has not.
        """
        shapes = {"psi": self.tokens.shape, "fixed": self.tokens.shape}
        shapes |= {"step": self.tokens.shape[:1], "rows": self.tokens.shape[:1]}
        for name, expected in shapes.items():
            found = getattr(self, name)
            if found is not None and found.shape != expected:
                raise ValueError(f"{name} has shape {found.shape}, expected {expected}")


OnDone = Callable[[Ids, Samples], None]
"""Told of rows that have ended: their indices, with shape (rows,), and what came out of them."""


class AnySampler(Protocol):
    """What every sampler does."""

    def run(
        self,
        lengths: Ids,
        condition: NDArray[np.float32] | None = None,
        seed: int = 0,
        first: int = 0,
        record: bool = False,
        on_done: OnDone | None = None,
        given: Given | None = None,
    ) -> Samples:
        """Draw one row for each length; see :meth:`molgen.sampling.event_sampler.Sampler.run`."""
        ...


Condition = NDArray[np.float32] | None


Redraw = Callable[[int], tuple[Ids, Condition]]
"""From a seed to other lengths and conditions for all the rows asked for: those of a restart."""


@dataclass(frozen=True)
class AdaptiveSamples(Samples):
    """What came out; every count is over all tries.

    Attributes:
        tries: draws each row took, shape (molecules,).
    """

    tries: Ids = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
