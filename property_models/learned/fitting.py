"""Fitting the property predictor's Gaussian process with scikit-learn.

The kernel's four hyperparameters are fitted by scikit-learn's ``GaussianProcessRegressor``, from
the marginal likelihood and its gradient, on at most :data:`SEARCHED` molecules; then each expert is
conditioned on all of its molecules. Similarities do not depend on the hyperparameters, so they are
computed once: scikit-learn's inputs are row numbers of two tables.
"""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from molgen.errors import MolgenError
from molgen.utils.imports import install
from property_models.learned.features import Features, Scaler
from property_models.learned.gaussian_process import LARGEST, Expert, GaussianProcess
from property_models.learned.kernel import Inputs, Kernel

if TYPE_CHECKING:
    from sklearn.gaussian_process import (  # type: ignore[import-untyped]
        GaussianProcessRegressor,
    )

SEARCHED = 1000
START = Kernel(substructures=0.5, descriptors=1.0, length=2.0, noise=0.1)
MISSING = f"a property model needs scikit-learn: {install('learn')}"


def check_library() -> None:
    """Check that scikit-learn is installed, before any long work.

    Raises:
        MolgenError: if it is not.
    """
    try:
        import sklearn.gaussian_process  # type: ignore[import-untyped]  # noqa: F401
    except ImportError as error:
        raise MolgenError(MISSING) from error


def fit(
    features: Features, y: NDArray[np.float64], seed: int = 0, largest: int = LARGEST
) -> GaussianProcess:
    """Fit a Gaussian process.

    Args:
        features: of the training molecules.
        y: their values, shape (molecules,), all finite.
        seed: of the molecules for hyperparameters, and of the division among experts.
        largest: molecules of one expert.

    Raises:
        MolgenError: if scikit-learn is missing, or all values are equal or too large.
    """
    check_library()
    with np.errstate(over="ignore", invalid="ignore"):
        mean, std = float(y.mean()), float(y.std())
    if not math.isfinite(std):
        raise MolgenError(f"values reach {np.abs(y).max():g}: too large to compute their variance")
    if not std > 0:
        raise MolgenError(f"all {len(y)} training values are {mean:g}, expected different values")
    z = (y - mean) / std
    scaler = Scaler.fit(features.descriptors)
    inputs = Inputs.of(features, scaler)
    order = np.random.default_rng(seed).permutation(len(y))
    subset = order[:SEARCHED]
    kernel = regressor(inputs[subset], z[subset]).kernel_.kernel
    shares = np.array_split(order, math.ceil(len(y) / largest))
    experts = [_expert(inputs[rows], z[rows], kernel) for rows in map(np.sort, shares)]
    return GaussianProcess(kernel, scaler, mean, std, tuple(experts))


def regressor(
    inputs: Inputs, z: NDArray[np.float64], kernel: Kernel | None = None
) -> GaussianProcessRegressor:
    """Return scikit-learn's regressor, fitted to molecules by their row numbers.

    Args:
        inputs: of the molecules.
        z: their standardised values, shape (molecules,).
        kernel: with fixed hyperparameters; None to fit them.
    """
    from sklearn.exceptions import ConvergenceWarning  # type: ignore[import-untyped]
    from sklearn.gaussian_process import GaussianProcessRegressor

    from property_models.learned.table_kernel import TableKernel, Tables

    tables = Tables(*inputs.tables(inputs))
    options: dict[str, Any] = {"optimizer": None} if kernel is not None else {}
    start = TableKernel.of(tables, kernel or START)
    model = GaussianProcessRegressor(start, alpha=1e-10, copy_X_train=False, **options)
    with warnings.catch_warnings():  # a hyperparameter at its bound is accepted
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(np.arange(len(z))[:, None], z)


def _expert(inputs: Inputs, z: NDArray[np.float64], kernel: Kernel) -> Expert:
    fitted = regressor(inputs, z, kernel)
    return Expert(inputs, np.asarray(fitted.alpha_, dtype=np.float64))
