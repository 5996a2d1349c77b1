"""Errors of predictions, and calibrated prediction intervals.

Conformal prediction (Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World", 2005;
scaled by a model's own spread: Papadopoulos et al., "Inductive Confidence Machines for Regression",
2002). On ``n`` held-out molecules,

    r_i = |y_i - mean_i| / spread_i,    q = the ceil((n + 1) c)-th smallest of r_1 .. r_n

and ``mean ± q spread`` contains the value of a new molecule with probability at least ``c``, and
below ``c + 1 / (n + 1)`` if no two scores are equal, provided that it is exchangeable with the
``n``. With a scaffold split this holds approximately: the calibration and test molecules have other
ring systems than the training molecules and than each other, so the coverage is measured on the
test part too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from molgen.errors import MolgenError
from molgen.utils.arrays import Floats

LEVELS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
ONE_SIGMA = 0.6827  # probability of a normal distribution within one standard deviation


@dataclass(frozen=True)
class Conformal:
    """Sorted scores of the calibration molecules, with shape (molecules,)."""

    scores: Floats

    @classmethod
    def fit(cls, y: Floats, mean: Floats, spread: Floats) -> Conformal:
        """Compute the scores of calibration molecules.

        Args:
            y: their values, shape (molecules,).
            mean: predicted values, same shape.
            spread: the model's own standard deviations, all above 0, same shape.

        Raises:
            MolgenError: if there are no molecules, or a spread is not above 0.
        """
        if not len(y):
            raise MolgenError("no molecules to calibrate on")
        if not (spread > 0).all():
            raise MolgenError("spread must be above 0 for every molecule")
        return cls(np.sort(np.abs(y - mean) / spread))

    def factor(self, coverage: float) -> float:
        """Return the factor of the spread for an interval of that coverage.

        Infinite if there are too few calibration molecules for that coverage.

        Raises:
            MolgenError: if the coverage is not between 0 and 1.
        """
        if not 0 < coverage < 1:
            raise MolgenError(f"coverage is {coverage}, expected a number between 0 and 1")
        rank = math.ceil((len(self.scores) + 1) * coverage - 1e-9)
        return math.inf if rank > len(self.scores) else float(self.scores[max(rank, 1) - 1])

    def interval(self, mean: Floats, spread: Floats, coverage: float) -> tuple[Floats, Floats]:
        """Return the lower and the upper bound, both with shape (molecules,)."""
        half = self.factor(coverage) * spread
        return mean - half, mean + half


def coverage_curve(
    conformal: Conformal, y: Floats, mean: Floats, spread: Floats, levels: Sequence[float] = LEVELS
) -> dict[str, float]:
    """Return for each nominal level the fraction of values within its interval."""
    found = {}
    for level in levels:
        low, high = conformal.interval(mean, spread, level)
        found[f"{level:g}"] = float(np.mean((low <= y) & (y <= high)))
    return found


def errors(y: Floats, predicted: Floats) -> dict[str, float]:
    """Return the errors of predictions.

    Args:
        y: measured values, shape (molecules,).
        predicted: same shape.

    Returns:
        ``rmse`` and ``mae`` in the property's unit; ``r2``, the fraction of the variance explained
        (below 0 is worse than the mean); ``spearman``, the correlation of ranks. The last two are
        NaN if the values, or the predictions, are all equal.
    """
    residual = predicted - y
    total = float(((y - y.mean()) ** 2).sum())
    return {
        "rmse": float(np.sqrt((residual**2).mean())),
        "mae": float(np.abs(residual).mean()),
        "r2": 1.0 - float((residual**2).sum()) / total if total > 0 else math.nan,
        "spearman": _correlation(_ranks(y), _ranks(predicted)),
    }


def _ranks(values: Floats) -> Floats:
    """Return ranks from 0; equal values have their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts) - 1.0
    return (last - (counts - 1) / 2)[inverse]


def _correlation(a: Floats, b: Floats) -> float:
    a, b = a - a.mean(), b - b.mean()
    scale = math.sqrt(float((a**2).sum() * (b**2).sum()))
    return float((a * b).sum()) / scale if scale > 0 else math.nan
