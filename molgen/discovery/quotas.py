"""Quotas: molecules still to be accepted, in all or for each scaffold, and the next rows to draw.

Row ``i`` is under scaffold ``i mod k``. With a quota for each scaffold, row numbers of scaffolds
whose quota is filled are passed over, so the rows of a scaffold are those of any other run with the
same seed and scaffolds. A round is as large as the acceptance rate so far suggests.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from molgen.utils.arrays import Ids

FIRST_ROUND = 8  # small, for a first molecule early: every length in it costs a forward of its own
LEAST_ROUND = 32  # of all others, which run better in parallel
LARGEST_ROUND = 2048


@dataclass(eq=False)
class Quotas:
    """The state of a run with one quota, or one for each scaffold.

    Attributes:
        n: molecules of each quota.
        budget: rows of each.
        count: quotas.
        drawn: rows so far, shape (quotas,).
        kept: molecules so far, shape (quotas,).
    """

    n: int
    budget: int
    count: int = 1
    drawn: Ids = field(init=False)
    kept: Ids = field(init=False)

    def __post_init__(self) -> None:
        self.drawn, self.kept = np.zeros((2, self.count), dtype=np.int64)

    @property
    def open(self) -> Ids:
        """The quotas with molecules to accept and rows to draw."""
        return np.flatnonzero((self.kept < self.n) & (self.drawn < self.budget))

    def next_rows(self) -> Ids:
        """Return the sample indices of the next round."""
        smallest = LEAST_ROUND if self.drawn.any() else FIRST_ROUND
        least = -(-smallest // max(1, len(self.open)))
        rows: list[Ids] = []
        total = 0
        for quota in self.open:
            size = self._size(int(quota), least)
            rows.append(quota + self.count * (self.drawn[quota] + np.arange(size)))
            total += size
            if total >= LARGEST_ROUND:
                break
        return np.sort(np.concatenate(rows))

    def filled(self, index: int) -> bool:
        """Return whether the quota of a row has all its molecules."""
        return bool(self.kept[index % self.count] >= self.n)

    def add(self, index: int, accepted: bool) -> None:
        """Count a row."""
        self.drawn[index % self.count] += 1
        self.kept[index % self.count] += accepted

    def _size(self, quota: int, least: int) -> int:
        """Return the number of rows of a quota in the next round."""
        drawn, kept = int(self.drawn[quota]), int(self.kept[quota])
        size = least
        if drawn:
            rate = (kept + 1) / (drawn + 1)
            size = min(LARGEST_ROUND, 4 * drawn, math.ceil(1.1 * (self.n - kept) / rate))
        return int(min(max(size, least), self.budget - drawn))
