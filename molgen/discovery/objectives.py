"""Objectives: the gain of a molecule in each property, and one score from several gains.

    gain_j(x) = (v_j(x) - mean_j) / std_j        for max,
              = (mean_j - v_j(x)) / std_j        for min,
              = -|v_j(x) - [low, high]| / std_j  for a value or a range,
              = d_j(v_j(x))                      for a desirability, from 0 to 1

with the mean and the standard deviation of the training data, so that gains of several properties
are comparable. Directions are applied only here: gains and scores are maximised. Several gains are
combined by an aggregate (:func:`aggregated`):

    sum              sum_j w_j gain_j
    weighted-mean    sum_j w_j d_j / sum_j w_j                  of desirabilities alone
    product          (prod_j d_j^w_j)^(1 / sum_j w_j)           of desirabilities alone
    pareto           rank by dominance (:class:`molgen.utils.pareto.ParetoRank`)

The product, a weighted geometric mean, is 0 if any desirability is 0.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from molgen.data.prior import Prior
from molgen.errors import MolgenError
from molgen.targets import Target, ends, read_targets
from molgen.utils.arrays import Floats
from molgen.utils.desirability import FORMS, Desirability, read_desirability
from molgen.utils.hints import hint
from molgen.utils.pareto import ParetoRank
from property_models import computable, get


@dataclass(frozen=True)
class Objective:
    """The objective of one property.

    Attributes:
        name: of the property.
        target: ``"max"``, ``"min"``, a number, or a range.
        weight: in a sum of several, above 0.
        centre: value of gain 0 for ``max`` and ``min``, in the property's unit.
        unit: difference of gain 1, in the property's unit.
        computed: whether the property can be computed for a molecule; a label that a model learned
            from the user's column cannot.
        desirability: of the values, which is the gain in place of the one by the target.
    """

    name: str
    target: Target
    weight: float = 1.0
    centre: float = 0.0
    unit: float = 1.0
    computed: bool = True
    desirability: Desirability | None = None

    def __post_init__(self) -> None:
        """Check the property and the numbers.

        Raises:
            MolgenError: naming the number that is out of range.
        """
        if self.computed:
            get(self.name)
        for name in ("weight", "unit"):
            value = getattr(self, name)
            if not (value > 0 and math.isfinite(value)):
                raise MolgenError(f"{name} of {self.name} is {value}, expected more than 0")

    def gain(self, values: Floats) -> Floats:
        """Return the gains of values of the property; NaN stays NaN, same shape."""
        if self.desirability is not None:
            return self.desirability(values)
        if isinstance(self.target, str):
            sign = 1.0 if self.target == "max" else -1.0
            return sign * (values - self.centre) / self.unit
        low, high = ends(self.target)
        return -np.maximum(np.maximum(low - values, values - high), 0.0) / self.unit


def read_objectives(
    targets: Mapping[str, Target | Desirability | str],
    prior: Prior,
    weights: Mapping[str, float] | None = None,
    learned: Collection[str] = (),
) -> tuple[Objective, ...]:
    """Return objectives in training standard deviations.

    A property without training statistics counts in its own unit, from zero.

    Args:
        targets: property names to targets or desirabilities, at least one.
        prior: mean and standard deviation of each property in the training data.
        weights: of some of the properties in a sum; the others count 1.
        learned: further names that may be targets, though they cannot be computed.

    Raises:
        MolgenError: if there is no target, one is invalid, or a weight has no target.
    """
    if not targets:
        raise MolgenError("targets is empty, expected at least one property to search for")
    weights = dict(weights or {})
    stray = [name for name in weights if name not in targets]
    if stray:
        raise MolgenError(
            f"weight of {stray[0]} is given, expected one of the targets {', '.join(targets)}"
            f"{hint(stray[0], targets)}"
        )
    std, mean = prior.std, prior.mean
    spread = {name: value for name, value in std.items() if value > 0}  # without NaN and 0
    graded = {name: _desirability(name, value) for name, value in targets.items()}
    plain = {name: one.target if (one := graded[name]) else targets[name] for name in targets}
    return tuple(
        Objective(
            name,
            target,
            weights.get(name, 1.0),
            mean[name] if name in spread else 0.0,
            spread.get(name, 1.0),
            name not in learned or computable(name),
            graded[name],
        )
        for name, target in read_targets(plain).items()  # type: ignore[arg-type]
    )


def _desirability(name: str, value: Target | Desirability | str) -> Desirability | None:
    try:
        return read_desirability(value) if isinstance(value, str) else _only(value)
    except MolgenError as error:
        raise MolgenError(f"target {name}: {error}") from error


def _only(value: Target | Desirability) -> Desirability | None:
    return value if isinstance(value, Desirability) else None


class Score(Protocol):
    """One score from several gains."""

    def __call__(self, gains: Floats, best: int | None = None) -> Floats:
        """Return scores with shape (molecules,); larger is better.

        Args:
            gains: with shape (molecules, objectives); a row with a NaN scores minus infinity.
            best: number of molecules to rank; others may score minus infinity. None for all.
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


@dataclass(frozen=True)
class WeightedMean:
    """The weighted mean of desirabilities.

    Attributes:
        weights: of the objectives.
    """

    weights: tuple[float, ...]

    def __call__(self, gains: Floats, best: int | None = None) -> Floats:
        """Return ``sum_j w_j d_j / sum_j w_j``; see :class:`Score`."""
        return WeightedSum(self.weights)(gains) / sum(self.weights)


@dataclass(frozen=True)
class Product:
    """The weighted geometric mean of desirabilities.

    Attributes:
        weights: of the objectives.
    """

    weights: tuple[float, ...]

    def __call__(self, gains: Floats, best: int | None = None) -> Floats:
        """Return ``(prod_j d_j^w_j)^(1 / sum_j w_j)``; see :class:`Score`."""
        powers = np.array(self.weights) / sum(self.weights)
        total = np.prod(gains**powers, axis=1)
        return np.where(np.isnan(total), -np.inf, total)


SUM, PRODUCT, MEAN, PARETO = "sum", "product", "weighted-mean", "pareto"
AGGREGATES = {SUM: WeightedSum, PRODUCT: Product, MEAN: WeightedMean, PARETO: ParetoRank}


def aggregated(how: str, objectives: Sequence[Objective]) -> Score:
    """Return the score from the gains of several objectives.

    Args:
        how: one of :data:`AGGREGATES`.
        objectives: of the gains.

    Raises:
        MolgenError: if there is no such aggregate, or it needs desirabilities and an objective has
            none.
    """
    if how not in AGGREGATES:
        raise MolgenError(f"aggregate is {how!r}, expected {', '.join(AGGREGATES)}")
    if how == PARETO:
        return ParetoRank()
    for each in objectives if how in (PRODUCT, MEAN) else ():
        if each.desirability is None:
            raise MolgenError(
                f"aggregate {how} combines values from 0 to 1, and target {each.name}="
                f"{each.target} has none, expected one of {FORMS}"
            )
    score: Score = AGGREGATES[how](tuple(each.weight for each in objectives))
    return score
