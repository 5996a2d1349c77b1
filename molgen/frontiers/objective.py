"""The objective of a sweep: a property, its target, and the mean from which gains are counted.

    gain(y) = sign * (y - mean of the property over the training data)

The direction is fixed here, once: all later code compares gains, of which more is better.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

TOP = 0.1  # "high" in the papers on guided diffusion: beyond the data's 90th percentile


@dataclass(frozen=True)
class Objective:
    """What all runs of a folder have in common.

    Attributes:
        property: on the vertical axis of the frontier.
        target: its target, as on the command line; empty for none.
        n: rows a run.
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
