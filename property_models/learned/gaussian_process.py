"""Gaussian process regression on substructure counts and descriptors, stored as plain arrays.

    y(m) = mean + std f(m),    f ~ GP(0, k),    plus noise of variance s

with the kernel of :mod:`property_models.learned.kernel`, its hyperparameters by maximum marginal
likelihood (Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006). The fit is
scikit-learn's (:mod:`property_models.learned.fitting`); prediction needs numpy only:

    mean = k_m K^-1 y,    variance = k(m, m) + s - |L^-1 k_m|^2,    K + s I = L L'

More than :data:`LARGEST` molecules, which would take minutes and gigabytes, are divided equally
among several experts, whose predictions are weighted by their information on a molecule (Deisenroth
and Ng, "Distributed Gaussian Processes", 2015: the robust Bayesian committee machine).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from molgen.errors import MolgenError
from molgen.utils.array_files import Array
from molgen.utils.arrays import Floats
from property_models.learned.features import BITS, DESCRIPTORS, Features, Scaler
from property_models.learned.kernel import Inputs, Kernel

LARGEST = 4000  # molecules of one expert: its matrix takes 128 MB
BLOCK = 1024  # molecules predicted at a time
MOST = 500_000  # molecules of all experts: their counts take a gigabyte
STORED = {
    "descriptor_mean": Array("f", len(DESCRIPTORS)),
    "descriptor_std": Array("f", len(DESCRIPTORS)),
    "property": Array("f", 2),
    "sizes": Array("iu", "experts"),
    "bits_per_molecule": Array("u", "molecules"),
    "bits": Array("u", "bits"),
    "counts": Array("u", "bits"),
    "scores": Array("f", "molecules", "varying"),
    "weights": Array("f", "molecules"),
}


@dataclass(frozen=True)
class Expert:
    """A Gaussian process and the molecules it was conditioned on.

    Attributes:
        inputs: the molecules.
        weights: ``K^-1 y`` of the standardised property, shape (molecules,).
    """

    inputs: Inputs
    weights: Floats

    def predict(self, inputs: Inputs, kernel: Kernel, variance: bool) -> tuple[Floats, Floats]:
        """Return mean and variance, both with shape (molecules,); the latter empty if not needed.

        Args:
            inputs: molecules to predict.
            kernel: of the process.
            variance: whether to compute the variance.
        """
        cross = kernel(*inputs.tables(self.inputs))
        mean = cross @ self.weights
        if not variance:
            return mean, np.empty(0)
        explained = ((cross @ self._inverse(kernel).T) ** 2).sum(axis=1)
        return mean, (kernel.variance - explained).clip(min=1e-12)

    def _inverse(self, kernel: Kernel) -> Floats:
        """Return ``L^-1``, computed once: it is too large to store with a model."""
        if kernel not in self._inverses:
            matrix = kernel(*self.inputs.tables(self.inputs))
            matrix[np.diag_indices_from(matrix)] += kernel.noise
            self._inverses[kernel] = np.linalg.inv(np.linalg.cholesky(matrix))
        return self._inverses[kernel]

    @cached_property
    def _inverses(self) -> dict[Kernel, Floats]:
        return {}


@dataclass(frozen=True)
class GaussianProcess:
    """One expert, or a committee of several.

    Attributes:
        kernel: shared by all experts.
        scaler: of the descriptors.
        mean: of the property over the training molecules.
        std: of the property over the training molecules.
        experts: each conditioned on a part of the training molecules.
    """

    kernel: Kernel
    scaler: Scaler
    mean: float
    std: float
    experts: tuple[Expert, ...]

    def predict(self, features: Features, variance: bool = True) -> tuple[Floats, Floats]:
        """Return the mean and standard deviation of the property.

        Args:
            features: of the molecules.
            variance: whether to compute the deviation; without it one expert is much faster.

        Returns:
            Both with shape (molecules,), in the property's unit; the second is empty without
            ``variance``.
        """
        blocks = [self._block(features[rows], variance) for rows in _blocks(len(features))]
        mean, spread = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
        return self.mean + self.std * mean, self.std * np.sqrt(spread)

    def _block(self, features: Features, variance: bool) -> tuple[Floats, Floats]:
        inputs = Inputs.of(features, self.scaler)
        if len(self.experts) == 1:
            return self.experts[0].predict(inputs, self.kernel, variance)
        prior = self.kernel.variance
        precision, total = np.full(len(inputs), 1.0 / prior), np.zeros(len(inputs))
        for expert in self.experts:
            mean, var = expert.predict(inputs, self.kernel, variance=True)
            information = 0.5 * np.log(prior / var)  # nats from this expert's molecules
            precision += information * (1.0 / var - 1.0 / prior)
            total += information * mean / var
        return total / precision, 1.0 / precision if variance else np.empty(0)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return all parameters except the kernel's as arrays, counts in sparse form."""
        counts = np.concatenate([expert.inputs.counts for expert in self.experts])
        rows, bits = np.nonzero(counts)
        return {
            "descriptor_mean": self.scaler.mean,
            "descriptor_std": self.scaler.std,
            "property": np.array([self.mean, self.std]),
            "sizes": np.array([len(expert.inputs) for expert in self.experts]),
            "bits_per_molecule": np.bincount(rows, minlength=len(counts)).astype(np.uint16),
            "bits": bits.astype(np.uint16),
            "counts": counts[rows, bits],
            "scores": np.concatenate([expert.inputs.scores for expert in self.experts]),
            "weights": np.concatenate([expert.weights for expert in self.experts]),
        }

    @classmethod
    def from_arrays(cls, kernel: Kernel, arrays: dict[str, NDArray[np.generic]]) -> GaussianProcess:
        """Return the model of arrays from :meth:`arrays`.

        Args:
            kernel: shared by all experts.
            arrays: with the layout of :data:`STORED`.

        Raises:
            MolgenError: if the arrays do not fit together.
        """
        _check(arrays)
        weights, per = arrays["weights"].astype(np.float64), arrays["bits_per_molecule"]
        counts = np.zeros((len(weights), BITS), np.uint8)
        counts[np.repeat(np.arange(len(per)), per.astype(int)), arrays["bits"]] = arrays["counts"]
        inputs = Inputs(counts, arrays["scores"].astype(np.float32))
        sizes = arrays["sizes"].astype(int)
        edges = np.concatenate([[0], np.cumsum(sizes)])
        parts = [slice(a, b) for a, b in itertools.pairwise(edges)]
        scaler = Scaler(
            arrays["descriptor_mean"].astype(np.float64),
            arrays["descriptor_std"].astype(np.float64),
        )
        mean, std = arrays["property"].astype(np.float64).tolist()
        experts = tuple(Expert(inputs[part], weights[part]) for part in parts)
        return cls(kernel, scaler, mean, std, experts)


def _check(arrays: dict[str, NDArray[np.generic]]) -> None:
    """Check that arrays of a file are consistent.

    Raises:
        MolgenError: with the name of an array that is not.
    """
    sizes, per = arrays["sizes"].astype(np.float64), arrays["bits_per_molecule"].astype(np.float64)
    numbers = ("scores", "weights", "property", "descriptor_mean", "descriptor_std")
    spread = arrays["descriptor_std"].astype(np.float64)
    faults = {
        "sizes": not 0 < sizes.min(initial=1) <= sizes.max(initial=0) <= LARGEST
        or sizes.sum() != len(arrays["weights"]),
        "bits_per_molecule": per.min(initial=0) < 0 or per.sum() != len(arrays["bits"]),
        "bits": bool((arrays["bits"].astype(np.int64) >= BITS).any()),
        "descriptors": arrays["scores"].shape[1] != (spread > 0).sum(),
        "molecules": len(arrays["weights"]) > MOST,
        **{name: not np.isfinite(arrays[name].astype(np.float64)).all() for name in numbers},
    }
    if wrong := [name for name, fault in faults.items() if fault]:
        raise MolgenError(f"its {wrong[0]} do not fit the other arrays")


def _blocks(count: int) -> Sequence[NDArray[np.int64]]:
    rows = np.arange(count)
    return [rows[i : i + BLOCK] for i in range(0, max(count, 1), BLOCK)]
