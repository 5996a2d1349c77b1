"""The property predictor's kernel for scikit-learn, from two tables. Imports scikit-learn.

    k = a T + b R + s I,    R = 1 / (1 + D / (2 l^2))

    dk/dlog a = a T    dk/dlog b = b R    dk/dlog l = 2 b R (1 - R)    dk/dlog s = s I

since ``dR/dlog l = R^2 D / l^2`` and ``D / (2 l^2) = (1 - R) / R``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.gaussian_process.kernels import Hyperparameter  # type: ignore[import-untyped]
from sklearn.gaussian_process.kernels import Kernel as Base

from property_models.learned.kernel import BOUNDS, Kernel


@dataclass(frozen=True)
class Tables:
    """Tanimoto similarities and squared distances, both with shape (molecules, molecules)."""

    tanimoto: NDArray[np.float64]
    distance: NDArray[np.float64]

    def __deepcopy__(self, memo: dict[int, Any]) -> Tables:
        """Return itself: scikit-learn copies a kernel at every step of the optimisation."""
        return self


def _hyperparameter(place: int, name: str) -> Callable[[Any], Hyperparameter]:
    return lambda self: Hyperparameter(name, "numeric", BOUNDS[place])


class TableKernel(Base):
    """The kernel between rows of the tables; inputs are row numbers with shape (rows, 1)."""

    def __init__(
        self,
        tables: Tables,
        substructures: float = 1.0,
        descriptors: float = 1.0,
        length: float = 1.0,
        noise: float = 1.0,
    ) -> None:
        self.tables = tables
        self.substructures, self.descriptors = substructures, descriptors
        self.length, self.noise = length, noise

    hyperparameter_substructures = property(_hyperparameter(0, "substructures"))
    hyperparameter_descriptors = property(_hyperparameter(1, "descriptors"))
    hyperparameter_length = property(_hyperparameter(2, "length"))
    hyperparameter_noise = property(_hyperparameter(3, "noise"))

    @classmethod
    def of(cls, tables: Tables, kernel: Kernel) -> TableKernel:
        """Return the kernel with the hyperparameters of another."""
        return cls(tables, kernel.substructures, kernel.descriptors, kernel.length, kernel.noise)

    @property
    def kernel(self) -> Kernel:
        """The four hyperparameters."""
        numbers = (self.substructures, self.descriptors, self.length, self.noise)
        return Kernel(*(float(number) for number in numbers))

    @property
    def hyperparameters(self) -> list[Hyperparameter]:
        """The four hyperparameters in the order of ``Kernel`` and of the gradient."""
        names = ("substructures", "descriptors", "length", "noise")
        return [getattr(self, f"hyperparameter_{name}") for name in names]

    @property
    def theta(self) -> NDArray[np.float64]:
        """Logarithms of the four hyperparameters."""
        return np.log([getattr(self, h.name) for h in self.hyperparameters])

    @theta.setter
    def theta(self, values: NDArray[np.float64]) -> None:
        for hyperparameter, value in zip(self.hyperparameters, values, strict=True):
            setattr(self, hyperparameter.name, float(np.exp(value)))

    def __call__(
        self,
        X: NDArray[np.int64],
        Y: NDArray[np.int64] | None = None,
        eval_gradient: bool = False,
    ) -> Any:
        """Return the kernel, with noise on the diagonal if Y is None; optionally its gradient."""
        at = np.ix_(X[:, 0], (X if Y is None else Y)[:, 0])
        tanimoto, kernel = self.tables.tanimoto[at], self.kernel
        rational = kernel.rational(self.tables.distance[at])
        value = kernel.substructures * tanimoto + kernel.descriptors * rational
        if Y is not None:
            return value
        noise = kernel.noise * np.eye(len(X))
        if not eval_gradient:
            return value + noise
        stretch = 2.0 * kernel.descriptors * rational * (1.0 - rational)
        parts = (kernel.substructures * tanimoto, kernel.descriptors * rational, stretch, noise)
        return value + noise, np.stack(parts, axis=-1)

    def diag(self, X: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the kernel of each row with itself, noise included."""
        return np.full(len(X), self.kernel.variance)

    def is_stationary(self) -> bool:
        """Return False: Tanimoto similarity is not a function of a difference."""
        return False
