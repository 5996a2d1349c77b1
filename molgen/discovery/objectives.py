"""Objectives: what a molecule gains of each property, and one score out of several gains.

    gain_j(x) = (v_j(x) - mean_j) / std_j      where the property is to be large,
              = (mean_j - v_j(x)) / std_j      where it is to be small,
              = -|v_j(x) - [low, high]| / std_j  for a value or a range

with the mean and the standard deviation of the training data, so that gains of several properties
can be added up. Directions are applied here and nowhere else: whatever follows maximises. Several
gains become one score as a weighted sum, or by non-dominated rank with crowding distance
(:class:`molgen.utils.pareto.ParetoRank`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from molgen.data.prior import Prior
from molgen.targets import Range, Target, read_targets
from molgen.utils.arrays import Floats
from property_models import get


@dataclass(frozen=True)
class Objective:
    """What is asked of one property.

    Attributes:
        name: of the property.
        target: ``"max"``, ``"min"``, a number, or a range.
        weight: in a sum of several, above 0.
        centre: what counts as no gain for ``max`` and ``min``, in the property's unit.
        unit: what counts as a gain of one, in the property's unit.
    """

    name: str
    target: Target
    weight: float = 1.0
    centre: float = 0.0
    unit: float = 1.0

    def __post_init__(self) -> None:
        """Check the property and the numbers.

        Raises:
            ValueError: naming what is out of line.
        """
        get(self.name)
        for name in ("weight", "unit"):
            value = getattr(self, name)
            if not (value > 0 and math.isfinite(value)):
                raise ValueError(f"{name} of {self.name} is {value}, expected more than 0")

    def gain(self, values: Floats) -> Floats:
        """Return how much is gained by values of the property; NaN stays NaN, same shape."""
        if isinstance(self.target, str):
            sign = 1.0 if self.target == "max" else -1.0
            return sign * (values - self.centre) / self.unit
        wanted = self.target
        low, high = (wanted.low, wanted.high) if isinstance(wanted, Range) else (wanted, wanted)
        return -np.maximum(np.maximum(low - values, values - high), 0.0) / self.unit


def read_objectives(
    targets: Mapping[str, Target | str],
    prior: Prior,
    weights: Mapping[str, float] | None = None,
) -> tuple[Objective, ...]:
    """Return objectives in training standard deviations.

    A property that the training data does not tell of counts in its own unit, from zero.

    Args:
        targets: property names to what is asked of them, at least one.
        prior: mean and standard deviation of each property in the training data.
        weights: of some of the properties in a sum; the others count 1.

    Raises:
        ValueError: if there is no target, one is none, or a weight belongs to none of them.
    """
    if not targets:
        raise ValueError("targets is empty, expected at least one property to search for")
    weights = dict(weights or {})
    stray = [name for name in weights if name not in targets]
    if stray:
        raise ValueError(
            f"weight of {stray[0]}: there is no target of that name; there are {', '.join(targets)}"
        )
    std, mean = prior.std, prior.mean
    spread = {name: value for name, value in std.items() if value > 0}  # NaN and 0 are no unit
    return tuple(
        Objective(
            name,
            target,
            weights.get(name, 1.0),
            mean[name] if name in spread else 0.0,
            spread.get(name, 1.0),
        )
        for name, target in read_targets(targets).items()
    )


class Score(Protocol):
    """One number in place of several gains."""

    def __call__(self, gains: Floats, best: int | None = None) -> Floats:
        """Return scores with shape (molecules,); larger is better.

        Args:
            gains: with shape (molecules, objectives); a row with a NaN scores minus infinity.
            best: how many of the best are wanted; others may score minus infinity, too. None for
                all.
        """
        ...


@dataclass(frozen=True)
class WeightedSum:
    """The weighted sum of the gains.

    Attributes:
        weights: of the objectives.
    """

    weights: tuple[float, ...]

    def __call__(self, gains: Floats, best: int | None = None) -> Floats:
        """Return ``sum_j w_j gain_j``; see :class:`Score`."""
        total = gains @ np.array(self.weights)
        return np.where(np.isnan(total), -np.inf, total)
