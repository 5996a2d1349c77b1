"""The input and the result of a sampler: a job in, samples out, with a row for each length."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from molgen.errors import MolgenError
from molgen.sampling.trajectory import Trajectory
from molgen.utils.arrays import Floats, Ids, Mask

Condition = NDArray[np.float32] | None
"""Property values with shape (molecules, properties), NaN where left out; None for none."""


@dataclass(frozen=True)
class Samples:
    """The result of a job: one row for each requested row, in order.

    Attributes:
        tokens: ids with shape (molecules, longest), padded.
        nfe: forwards of the network for each row, guidance included, shape (molecules,).
        trajectory: every event of every row, if recorded.
        classifier_nfe: forwards of classifiers for each row, shape (molecules,); zeros if left out.
        quality: probability that each token is right, with the shape of ``tokens``: the last output
            of the quality head, or without one the probability when it was placed; ones if left
            out.
    """

    tokens: Ids
    nfe: Ids
    trajectory: Trajectory | None = None
    classifier_nfe: Ids = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    quality: Floats = field(default_factory=lambda: np.zeros((0, 0)))

    def __post_init__(self) -> None:
        """Fill in the defaults."""
        if not len(self.classifier_nfe):
            object.__setattr__(self, "classifier_nfe", np.zeros_like(self.nfe))
        if not self.quality.size:
            object.__setattr__(self, "quality", np.ones(self.tokens.shape))


@dataclass(frozen=True)
class Given:
    """Partially given rows: masked tokens are to be drawn, the others are given.

    Attributes:
        tokens: ids with shape (molecules, longest), padded, with masks at missing tokens.
        psi: probability that each placed token is right, same shape; ones if left out.
        fixed: tokens that must not be remasked, same shape; none if left out.
        step: the first step of the plan for each row, shape (molecules,); 0 if left out. In
            continuous time it is the progress, in [0, 1). With blocks, every block begins there.
            A plan without remasking places tokens in a random order wherever it begins.
    """

    tokens: Ids
    psi: Floats | None = None
    fixed: Mask | None = None
    step: Ids | Floats | None = None

    def __post_init__(self) -> None:
        """Check the shapes against that of the tokens.

        Raises:
            MolgenError: naming the array with another shape.
        """
        shapes = {"psi": self.tokens.shape, "fixed": self.tokens.shape}
        shapes |= {"step": self.tokens.shape[:1]}
        for name, expected in shapes.items():
            found = getattr(self, name)
            if found is not None and found.shape != expected:
                raise MolgenError(f"{name} has shape {found.shape}, expected {expected}")


@dataclass(frozen=True, eq=False)
class Job:
    """The input of a sampler: a row for each length.

    Attributes:
        lengths: tokens of each row, shape (molecules,).
        condition: property values with shape (molecules, properties), NaN where left out.
        seed: of the draw; a row depends on the seed and its sample index alone.
        first: sample index of the first row, to continue an earlier job.
        rows: sample index of each row, shape (molecules,), if they are not consecutive.
        given: partially given rows, if they do not start as all masks.
        record: whether to record every event.
    """

    lengths: Ids
    condition: Condition = None
    seed: int = 0
    first: int = 0
    rows: Ids | None = None
    given: Given | None = None
    record: bool = False

    def __post_init__(self) -> None:
        """Check that conditions and indices have one entry for every row.

        Raises:
            MolgenError: if they do not.
        """
        for name in ("condition", "rows"):
            value = getattr(self, name)
            if value is not None and len(value) != len(self.lengths):
                raise MolgenError(f"{name} has {len(value)} rows, expected {len(self.lengths)}")

    def conditions(self, molecules: Ids) -> Condition:
        """Return the conditions of some molecules."""
        return None if self.condition is None else self.condition[molecules]

    def indices(self, molecules: Ids) -> Ids:
        """Return the sample indices of some molecules."""
        return self.first + molecules if self.rows is None else self.rows[molecules]


@dataclass(frozen=True)
class Info:
    """The rows that have ended in a step.

    Attributes:
        rows: indices in the job, shape (rows,).
        samples: their result.
    """

    rows: Ids
    samples: Samples


OnDone = Callable[[Ids, Samples], None]
"""Called with rows that have ended: their indices, with shape (rows,), and their result."""
