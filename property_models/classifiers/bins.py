"""Bins: the range of a property divided for a histogram of predicted probabilities.

A property of few whole numbers has one bin each; for any other the edges are quantiles of the
training data, finer towards both tails, where targets are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from molgen.data.prior import TAIL
from molgen.errors import MolgenError
from molgen.targets import Range, Target

QUANTILES = (0, 1, 2.5, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 97.5, 99, 100)
WHOLE_AT_MOST = 20  # distinct whole numbers that each get a bin


class Bins:
    """The bins of one property.

    Attributes:
        edges: with shape (bins + 1,), increasing; values outside belong to the first or last bin.
        mass: fraction of the training molecules in each bin, shape (bins,).
    """

    def __init__(self, edges: ArrayLike, mass: ArrayLike) -> None:
        self.edges = np.asarray(edges, dtype=np.float64)
        self.mass = np.asarray(mass, dtype=np.float64)
        if len(self.edges) != len(self.mass) + 1 or not (np.diff(self.edges) > 0).all():
            raise MolgenError(
                f"edges must increase and be one more than the bins, got {len(self.edges)} for "
                f"{len(self.mass)} bins"
            )

    @classmethod
    def of(cls, values: NDArray[np.floating]) -> Bins:
        """Divide the range of the values, without NaN.

        Raises:
            MolgenError: if there is no value.
        """
        finite = np.asarray(values, dtype=np.float64)
        finite = finite[np.isfinite(finite)]
        if not len(finite):
            raise MolgenError("values has no number, expected at least one to make bins")
        distinct = np.unique(finite)
        if len(distinct) <= WHOLE_AT_MOST and np.array_equal(distinct, distinct.round()):
            edges = np.arange(distinct[0], distinct[-1] + 2) - 0.5
        else:
            edges = np.unique(np.percentile(finite, QUANTILES))
        if len(edges) < 2:
            edges = np.array([distinct[0] - 0.5, distinct[0] + 0.5])
        counts = np.histogram(finite, edges)[0]
        return cls(edges, counts / counts.sum())

    def __len__(self) -> int:
        return len(self.mass)

    def index(self, values: NDArray[np.floating]) -> NDArray[np.int64]:
        """Return the bin of each value, same shape; -1 for NaN."""
        found = np.searchsorted(self.edges[1:-1], values, side="right")
        return np.where(np.isnan(values), -1, found).astype(np.int64)

    def share(self, target: Target) -> NDArray[np.float64]:
        """Return the fraction of each bin that meets a target, in [0, 1], with shape (bins,).

        A number is met by its bin; ``max`` and ``min`` by the bins at that end with the fraction
        ``TAIL`` of the training molecules in all, the last of them in part.
        """
        if isinstance(target, Range):
            low = np.maximum(self.edges[:-1], target.low)
            high = np.minimum(self.edges[1:], target.high)
            if self._whole():  # each bin is one number
                centres = self._centres()
                return ((centres >= target.low) & (centres <= target.high)).astype(np.float64)
            return np.asarray((high - low).clip(min=0) / np.diff(self.edges))
        if isinstance(target, str):
            return self._extreme(target)
        share = np.zeros(len(self))
        if self.edges[0] <= target <= self.edges[-1]:
            share[self.index(np.array([float(target)]))[0]] = 1.0
        return share

    def _extreme(self, word: str) -> NDArray[np.float64]:
        order: Sequence[int] = range(len(self))
        if word == "max":
            order = order[::-1]
        share, left = np.zeros(len(self)), TAIL
        for i in order:
            if left <= 1e-12:
                break
            share[i] = 1.0 if self.mass[i] <= left else left / self.mass[i]
            left -= share[i] * self.mass[i]
        return share

    def _centres(self) -> NDArray[np.float64]:
        return (self.edges[:-1] + self.edges[1:]) / 2

    def _whole(self) -> bool:
        centres = self._centres()
        return bool(np.allclose(np.diff(self.edges), 1) and np.allclose(centres, centres.round()))
