"""A Gaussian process on some hundred molecules, for a search that refits it every few scores.

The kernel is that of :mod:`property_models.learned.kernel`. Its length and its noise are those of a
grid with the highest marginal likelihood,

    log p(y) = -1/2 y K^-1 y - log |L| + const,    K + s I = L L'

which takes milliseconds where the fit of :mod:`property_models.learned.fitting` takes seconds and
scikit-learn.
"""

from __future__ import annotations

import itertools

import numpy as np

from molgen.errors import MolgenError
from molgen.utils.arrays import Floats
from property_models.learned.features import Features, Scaler
from property_models.learned.gaussian_process import LARGEST, Expert, GaussianProcess
from property_models.learned.kernel import Inputs, Kernel

SHARES = (0.2, 0.5, 0.8)  # of the variance: the term of substructures
LENGTHS = (1.0, 2.0, 4.0)  # of descriptors, in standard scores
NOISES = (0.05, 0.2, 0.5)  # share of the variance that is noise


def fitted(features: Features, values: Floats) -> GaussianProcess:
    """Return a Gaussian process conditioned on molecules.

    Args:
        features: of the molecules.
        values: of their property, finite, shape (molecules,).

    Raises:
        MolgenError: for fewer than two molecules, or more than one expert takes.
    """
    if not 2 <= len(values) <= LARGEST:
        raise MolgenError(f"{len(values)} molecules, expected 2 to {LARGEST}")
    scaler = Scaler.fit(features.descriptors)
    inputs = Inputs.of(features, scaler)
    mean, std = float(values.mean()), float(values.std()) or 1.0
    y = (values - mean) / std
    tables = inputs.tables(inputs)
    grid = itertools.product(SHARES, LENGTHS, NOISES)
    kernels = [Kernel((1 - s) * a, (1 - s) * (1 - a), length, s) for a, length, s in grid]
    found = [_conditioned(kernel, tables, y) for kernel in kernels]
    best = max(range(len(kernels)), key=lambda i: found[i][0])
    expert = Expert(inputs, found[best][1])
    return GaussianProcess(kernels[best], scaler, mean, std, (expert,))


def _conditioned(kernel: Kernel, tables: tuple[Floats, Floats], y: Floats) -> tuple[float, Floats]:
    """Return the logarithm of the marginal likelihood, without its constant, and ``K^-1 y``."""
    matrix = kernel(*tables)
    matrix[np.diag_indices_from(matrix)] += kernel.noise
    lower = np.linalg.cholesky(matrix)
    weights = np.linalg.solve(lower.T, np.linalg.solve(lower, y))
    return float(-0.5 * y @ weights - np.log(np.diag(lower)).sum()), weights
