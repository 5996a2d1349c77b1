"""What a sweep asks: a property, what is wanted of it, and from where gains are counted.

    gain(y) = sign * (y - mean of the property over the training data)

The direction is settled here, once: everything after this counts gains, of which more is better.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

TOP = 0.1  # "high" in the papers on guided diffusion: beyond the data's 90th percentile


@dataclass(frozen=True)
class Task:
    """What all points of a folder have in common.

    Attributes:
        property: what the frontier is about.
        target: what was asked of it, as on the command line; empty for nothing.
        n: rows a point.
        data_mean: mean of the property over the training data.
        sign: 1 if more of the property is better here, -1 if less is.
    """

    property: str
    target: str
    n: int
    data_mean: float
    sign: int

    def gain(self, value: float | None) -> float:
        """Return how far a value is above the data mean, or below it where less is better."""
        return math.nan if value is None else self.sign * (value - self.data_mean)
