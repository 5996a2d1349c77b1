"""The kernel of the property predictor: similarity in substructures and in descriptors.

    k(m, m') = a T(c, c') + b / (1 + |d - d'|^2 / (2 l^2 D))
    T = sum min(c, c') / sum max(c, c')

with counts c and standard scores d of D descriptors (:mod:`property_models.learned.features`). T on
counts is a kernel (Ralaivola et al., "Graph kernels for chemical informatics", 2005); the second
term is the rational quadratic kernel of exponent one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from molgen.utils.arrays import Floats
from property_models.learned.features import Features, Scaler, unary, unary_columns


@dataclass(frozen=True)
class Kernel:
    """The kernel's four hyperparameters, all above 0, in units of the standardised property."""

    substructures: float
    """Variance ``a`` of the term of substructures."""
    descriptors: float
    """Variance ``b`` of the term of descriptors."""
    length: float
    """Length scale ``l`` of descriptors, in standard scores."""
    noise: float
    """Variance ``s`` of the noise."""

    def __call__(self, tanimoto: Floats, distance: Floats) -> Floats:
        """Return the kernel, given both tables with shape (molecules, others)."""
        return self.substructures * tanimoto + self.descriptors * self.rational(distance)

    def rational(self, distance: Floats) -> Floats:
        """Return the rational quadratic of squared distances."""
        return 1.0 / (1.0 + distance / (2.0 * self.length**2))

    @property
    def variance(self) -> float:
        """Variance of the prior, noise included."""
        return self.substructures + self.descriptors + self.noise


@dataclass(frozen=True)
class Inputs:
    """Molecules as inputs of the kernel.

    Attributes:
        counts: of substructures, with shape (molecules, bits).
        scores: standard scores of the descriptors, shape (molecules, descriptors), float32.
    """

    counts: NDArray[np.uint8]
    scores: NDArray[np.float32]

    @classmethod
    def of(cls, features: Features, scaler: Scaler) -> Inputs:
        """Scale features."""
        return cls(features.counts, scaler(features.descriptors).astype(np.float32))

    def __len__(self) -> int:
        return len(self.counts)

    def __getitem__(self, rows: NDArray[np.int64] | slice) -> Inputs:
        return Inputs(self.counts[rows], self.scores[rows])

    def tables(self, others: Inputs) -> tuple[Floats, Floats]:
        """Return Tanimoto similarities and mean squared distances, shape (molecules, others)."""
        columns = unary_columns(others.counts)
        common = (unary(self.counts, columns) @ unary(others.counts, columns).T).astype(np.float64)
        sizes = (x.counts.sum(axis=1, dtype=np.float64) for x in (self, others))
        union = np.add.outer(*sizes) - common
        tanimoto = np.divide(common, union, out=np.ones_like(common), where=union > 0)
        a, b = self.scores.astype(np.float64), others.scores.astype(np.float64)
        squares = np.add.outer((a**2).sum(1), (b**2).sum(1)) - 2.0 * (a @ b.T)
        return tanimoto, squares.clip(min=0.0) / max(a.shape[1], 1)


BOUNDS = ((1e-3, 1e2), (1e-3, 1e2), (0.05, 50.0), (1e-4, 2.0))
