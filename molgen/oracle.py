"""An oracle: properties of finished molecules, of which every new molecule asked about counts.

    gain_j(x) = (v_j(x) - mean_j) / std_j      where the property is to be large,
              = (mean_j - v_j(x)) / std_j      where it is to be small,
              = -|v_j(x) - [low, high]| / std_j  for a value or a range

with the mean and the standard deviation of the training data, so that gains of several properties
can be added up. Directions are applied here and nowhere else: whatever follows maximises. A call is
one molecule not asked about before, by its canonical SMILES, whatever the number of properties;
asking again costs nothing.

Several gains become one score as a weighted sum, or by non-dominated rank with crowding distance.

Reference: Deb et al., "A fast and elitist multiobjective genetic algorithm: NSGA-II" (2002).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from molgen.data.prior import Prior
from molgen.targets import Range, Target, read_targets
from molgen.utils.arrays import Floats
from molgen.utils.pareto import nondominated
from property_models import compute, get


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


@dataclass
class Oracle:
    """Scores molecules, counts what it is asked, and remembers.

    Attributes:
        objectives: what it computes.
        budget: molecules it may score; None for any number.
    """

    objectives: tuple[Objective, ...]
    budget: int | None = None
    _known: dict[str, Floats] = field(default_factory=dict, repr=False)

    @property
    def calls(self) -> int:
        """How many distinct molecules it has scored."""
        return len(self._known)

    @property
    def spent(self) -> bool:
        """Whether it answers no more about new molecules."""
        return self.budget is not None and self.calls >= self.budget

    def values(self, smiles: Sequence[str]) -> Floats:
        """Return the properties of molecules.

        Where the budget ends among them, those that come first are scored.

        Args:
            smiles: canonical SMILES, empty where there is no molecule.

        Returns:
            With shape (molecules, objectives); NaN where there is no molecule, where a property is
            not defined, and where the budget has ended.
        """
        new = [text for text in dict.fromkeys(smiles) if text and text not in self._known]
        if self.budget is not None:
            new = new[: max(0, self.budget - self.calls)]
        found = compute([objective.name for objective in self.objectives], new)
        rows = np.stack([found[objective.name] for objective in self.objectives], axis=1)
        self._known.update(zip(new, rows, strict=True))
        nothing = np.full(len(self.objectives), np.nan)
        answers = [self._known.get(text, nothing) for text in smiles]
        return np.array(answers).reshape(len(smiles), len(self.objectives))

    def __call__(self, smiles: Sequence[str]) -> Floats:
        """Return the gains of molecules; arguments and shape as of :meth:`values`."""
        values = self.values(smiles)
        columns = [o.gain(values[:, j]) for j, o in enumerate(self.objectives)]
        return np.stack(columns, axis=1)


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


@dataclass(frozen=True)
class ParetoRank:
    """Minus the non-dominated rank, from 0, plus up to a half for standing apart.

    A score says how a molecule ranks among those it is scored with, and means nothing elsewhere.
    """

    def __call__(self, gains: Floats, best: int | None = None) -> Floats:
        """Return ``-rank + d / (2 + 2 d)`` with crowding distance ``d``; see :class:`Score`."""
        scores = np.full(len(gains), -np.inf)
        left = np.flatnonzero(~np.isnan(gains).any(1))
        unwanted = 0 if best is None else max(0, len(left) - best)
        rank = 0
        while len(left) > unwanted:
            front = nondominated(gains[left])
            distance = crowding(gains[left[front]])
            scores[left[front]] = (1.0 - 1.0 / (1.0 + distance)) / 2 - rank
            left, rank = left[~front], rank + 1
        return scores


def crowding(front: Floats) -> Floats:
    """Return the crowding distance of the points of one front.

    That is the sum over objectives of the gap between a point's two neighbours, over the front's
    extent; infinite at its ends, and zero for one of several equal points between equals.

    Args:
        front: gains with shape (points, objectives).

    Returns:
        With shape (points,).
    """
    distance = np.zeros(len(front))
    for column in front.T:
        order = np.argsort(column, kind="stable")
        ordered = column[order]
        extent = ordered[-1] - ordered[0]
        distance[order[[0, -1]]] = np.inf
        if extent > 0:
            distance[order[1:-1]] += (ordered[2:] - ordered[:-2]) / extent
    return distance
