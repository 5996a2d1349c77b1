"""What a sweep asks: a property, what is wanted of it, and from where gains are counted.

    gain(y) = sign * (y - mean of the property over the training data)

The direction is settled here, once: everything after this counts gains, of which more is better.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from molgen.targets import Range, parse_target

if TYPE_CHECKING:
    from molgen.model import Model

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


def task_for(model: Model, name: str, target: str | None, n: int) -> Task:
    """Return the task of a property.

    More is better unless the target says otherwise: it is ``min``, or a number or a range whose
    middle lies below the data's mean. The default target is the top tenth of the data.

    Args:
        model: lends the data's mean and, for the default, its extremes.
        name: of the property.
        target: ``max``, ``min``, a number, ``LO..HI``, ``none`` for unguided draws, or None for
            the default.
        n: rows a point.

    Raises:
        ValueError: if the model does not know the property, or the target cannot be read.
    """
    from property_models import get

    get(name)
    model.prior.check({name: "max"})
    mean = model.prior.mean[name]
    words = top_tenth(model, name) if target is None else target.strip()
    if words == "none":
        return Task(name, "", n, mean, -1 if get(name).direction == "min" else 1)
    try:
        aim = parse_target(words)
    except ValueError as error:
        raise ValueError(f"target {name}: {error}") from error
    if isinstance(aim, str):
        sign = 1 if aim == "max" else -1
    else:
        middle = (aim.low + aim.high) / 2 if isinstance(aim, Range) else aim
        sign = -1 if middle < mean else 1
    return Task(name, words, n, mean, sign)


def top_tenth(model: Model, name: str) -> str:
    """Return the range of the best tenth of the training data, or of what is nearest below it.

    This is the condition of Schiff et al., "Simple guidance mechanisms for discrete diffusion
    models" (2025): beyond the 90th percentile. Of whole numbers it is strictly beyond, so that it
    is less than a tenth: four rings and more in QM9.
    """
    from property_models import get

    sign = -1 if get(name).direction == "min" else 1
    column = model.prior.values[:, model.prior.properties.index(name)]
    known = ~np.isnan(column)
    levels, level = np.unique(sign * column[known], return_inverse=True)
    weight = np.bincount(level, model.prior.weight[known])
    share = np.cumsum(weight[::-1])[::-1] / weight.sum()  # of the data at this level or beyond
    within = np.flatnonzero(share <= TOP)
    low, high = levels[within[0] if len(within) else -1], levels[-1]
    return f"{low:g}..{high:g}" if sign == 1 else f"{-high:g}..{-low:g}"
