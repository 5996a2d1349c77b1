"""Goals: targets of several properties, each with its weight.

    met_j(x)  =  v_j(x) in [low_j, high_j]        a value is a range of twice its tolerance
    score(x)  =  sum_j w_j gain_j(x)              or another aggregate

with the gains of :mod:`molgen.discovery.objectives`, in standard deviations of the training data:
the distance to a range or a value is a loss; ``max`` and ``min`` have unbounded gains, and are met
by any number, as is a desirability (:mod:`molgen.utils.desirability`), whose gain is from 0 to 1.
Any registered property may be a goal, whether or not a model is conditioned on it. A label that a
model learned from the user's column alone cannot be computed for a molecule: it guides the draws,
and is neither met nor scored.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from molgen.data.prior import Prior
from molgen.discovery.objectives import SUM, Objective, Score, aggregated, read_objectives
from molgen.errors import MolgenError
from molgen.guidance.classifier import label
from molgen.guidance.spec import ClassifierBased
from molgen.model import Model
from molgen.sampling.settings import Settings
from molgen.targets import Range, Target, split_targets
from molgen.utils.arguments import checked
from molgen.utils.arrays import Floats
from molgen.utils.desirability import Desirability
from property_models import get

if TYPE_CHECKING:
    import pandas as pd

TOLERANCE = 0.05  # of the training standard deviation
EXACT = 1e-9  # below the difference of whole numbers
_NOTHING = Prior(np.zeros(0, np.int64), np.zeros((0, 0)), (), np.zeros(0))


@dataclass(frozen=True)
class Goal(Objective):
    """The goal of one property.

    Attributes:
        slack: tolerance around a plain number, in the property's unit; whole-number properties are
            met exactly.
    """

    slack: float = 0.0

    def __str__(self) -> str:
        """Return the goal in the notation of the command line."""
        target = self.desirability or self.target
        shown = f"{target:.12g}" if isinstance(target, float | int) else str(target)
        return f"{self.name}={shown}"

    @property
    def bounds(self) -> bool:
        """Whether the goal has bounds: a value or a range has; the others grade values."""
        return not isinstance(self.target, str) and self.desirability is None

    def met(self, values: Floats) -> NDArray[np.bool_]:
        """Return which values meet the goal; NaN meets none.

        Args:
            values: of the property, shape (molecules,).

        Returns:
            With the same shape.
        """
        target = self.target
        if isinstance(target, str) or not self.bounds:
            return ~np.isnan(values)
        if isinstance(target, Range):
            return (values >= target.low) & (values <= target.high)
        slack = EXACT if get(self.name).integer else self.slack
        return np.abs(values - target) <= slack


@dataclass(frozen=True)
class Goals:
    """Several goals in their given order; possibly none.

    Attributes:
        goals: of different properties.
        tolerance: around a plain number, in training standard deviations.
        aggregate: of the gains; see :mod:`molgen.discovery.objectives`.
    """

    goals: tuple[Goal, ...] = ()
    tolerance: float = TOLERANCE
    aggregate: str = SUM

    def __post_init__(self) -> None:
        """Check the tolerance and the aggregate.

        Raises:
            MolgenError: if it is not a finite number of at least 0, or there is no such aggregate
                of these goals.
        """
        aggregated(self.aggregate, self.goals)
        if not (math.isfinite(self.tolerance) and self.tolerance >= 0):
            raise MolgenError(f"tolerance is {self.tolerance}, expected at least 0")

    def __iter__(self) -> Iterator[Goal]:
        """Iterate over the goals."""
        return iter(self.goals)

    def __len__(self) -> int:
        """Return the number of goals."""
        return len(self.goals)

    @property
    def targets(self) -> dict[str, Target]:
        """The target of each property; of a desirability the values to guide draws towards."""
        return {goal.name: goal.target for goal in self.goals}

    @property
    def words(self) -> dict[str, Target | Desirability]:
        """The desirability, or else the target, of each property."""
        return {goal.name: goal.desirability or goal.target for goal in self.goals}

    @property
    def computed(self) -> Goals:
        """The goals on properties that can be computed for a molecule."""
        return replace(self, goals=tuple(goal for goal in self.goals if goal.computed))

    @property
    def learned(self) -> list[str]:
        """Names of the others."""
        return [goal.name for goal in self.goals if not goal.computed]

    @property
    def weights(self) -> dict[str, float]:
        """The weight of each property."""
        return {goal.name: goal.weight for goal in self.goals}

    def met(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return which rows meet which goal.

        Args:
            table: with a column for each property; NaN meets none.

        Returns:
            Booleans, a column for each computed goal by its property's name, with the table's
            index.
        """
        import pandas as pd

        columns = {goal.name: goal.met(_values(table, goal)) for goal in self.computed}
        return pd.DataFrame(columns, index=table.index)

    def reached(self, values: Floats, start: Floats) -> NDArray[np.bool_]:
        """Return which molecules meet all goals; ``max`` and ``min`` are met by an improvement.

        Args:
            values: with shape (molecules, goals); NaN meets none.
            start: values to improve, shape (goals,).

        Returns:
            With shape (molecules,).
        """
        met = np.ones(len(values), dtype=bool)
        for j, goal in enumerate(self.goals):
            column = values[:, j]
            with np.errstate(invalid="ignore"):
                met &= goal.met(column) if goal.bounds else goal.gain(column) > goal.gain(start[j])
        return met

    def score(self, table: pd.DataFrame) -> Floats:
        """Return the aggregate of the gains.

        Args:
            table: with a column for each property.

        Returns:
            With shape (rows,); larger is better, minus infinity where a value is missing, and 0
            where there are no computed goals.
        """
        goals = self.computed
        if not goals:
            return np.zeros(len(table))
        gains = [goal.gain(_values(table, goal)) for goal in goals]
        return goals.aggregated(np.stack(gains, axis=1))

    @property
    def aggregated(self) -> Score:
        """From gains, with shape (molecules, goals), to a score."""
        return aggregated(self.aggregate, self.goals)

    def scores(self, values: Floats) -> Floats:
        """Return the score of molecules from their properties, shape (molecules,).

        Args:
            values: of the goals' properties, shape (molecules, goals).
        """
        gains = [goal.gain(values[:, j]) for j, goal in enumerate(self.goals)]
        return self.aggregated(np.stack(gains, axis=1))

    def measured(self, prior: Prior) -> Goals:
        """Return the goals in units of the training data.

        Args:
            prior: mean and standard deviation of each property in the training data; other
                properties count in their own unit.

        Raises:
            MolgenError: if the target of a property with real values is a plain number, and its
                standard deviation is unknown.
        """
        how = self.tolerance, self.learned, self.aggregate
        return read_goals(self.words, self.weights, prior, *how)


@checked
def read_goals(
    words: Sequence[str] | Mapping[str, Target | Desirability | str],
    weights: Mapping[str, float] | None = None,
    prior: Prior | None = None,
    tolerance: float = TOLERANCE,
    learned: Collection[str] = (),
    aggregate: str = SUM,
) -> Goals:
    """Read goals.

    Args:
        words: ``PROP=VALUE`` each, where VALUE is ``max``, ``min``, a number, ``LO..HI``, ``LO..``
            or ``..HI``; also ``PROP>=LO`` and ``PROP<=HI``; or a desirability such as
            ``sigmoid(A,B)``. Or property names to these.
        weights: of some of the properties; the others count 1.
        prior: of the training data, for units; None for each property's own unit, and no slack
            around plain numbers.
        tolerance: see :class:`Goals`.
        learned: properties of a model, which may be goals even if they cannot be computed.
        aggregate: see :class:`Goals`.

    Raises:
        MolgenError: naming the goal that cannot be read or whose property is unknown, or the weight
            that is out of range or has no goal.
    """
    targets = words if isinstance(words, Mapping) else split_targets(words)
    if not targets and weights:
        raise MolgenError(f"weight of {next(iter(weights))} is given, expected a goal for it")
    if not targets:
        return Goals(tolerance=tolerance, aggregate=aggregate)
    objectives = read_objectives(targets, prior or _NOTHING, weights, learned)
    goals = [Goal(**vars(objective)) for objective in objectives]
    if prior is not None:
        goals = [replace(goal, slack=_slack(goal, prior, tolerance)) for goal in goals]
    return Goals(tuple(goals), tolerance, aggregate)


def _slack(goal: Goal, prior: Prior, tolerance: float) -> float:
    """Return the tolerance around a plain number; see :meth:`Goals.measured`."""
    std = prior.std.get(goal.name, math.nan)
    if not goal.computed:
        return 0.0
    plain = goal.bounds and not isinstance(goal.target, Range) and not get(goal.name).integer
    if plain and math.isnan(std):
        raise MolgenError(
            f"target {goal}: the standard deviation of {goal.name} in the training data is "
            "unknown, expected a range"
        )
    return tolerance * std if plain else 0.0


def _values(table: pd.DataFrame, goal: Goal) -> Floats:
    """Return the column of a goal's property, shape (rows,)."""
    return table[goal.name].to_numpy(dtype=np.float64)


def weighed(settings: Settings, goals: Goals) -> Settings:
    """Return settings with the weights of the goals, unless goal weights are set already."""
    return settings if settings.goal_weights else replace(settings, goal_weights=goals.weights)


def guided_targets(model: Model, goals: Goals, settings: Settings) -> dict[str, Target]:
    """Return the targets that guide the draws: those of the model, or of its noisy classifier.

    Raises:
        MolgenError: if a required classifier is missing, no goal guides or filters, or one that
            cannot be computed does not guide.
    """
    available = set(model.properties)
    how = settings.guidance
    if isinstance(how, ClassifierBased) and goals:
        classifier = model.classifier_for(goals.targets, how.classifier)
        labelled = {
            goal.name for goal in goals if label(classifier, goal.name) in classifier.properties
        }
        available = labelled & available if how.cfg else labelled
    unused = [goal for goal in goals if goal.name not in available]
    for goal in unused:
        if not goal.computed:
            raise MolgenError(
                f"target {goal.name}: the noisy classifier does not predict it, and it cannot be "
                f"computed, so it has no effect, expected {', '.join(sorted(available)) or 'none'}"
            )
    idle = [goal for goal in unused if not goal.bounds]
    if idle and len(idle) == len(goals):
        raise MolgenError(
            f"target {idle[0].name}: the model is not conditioned on it, so {idle[0].target} has "
            f"no effect, expected {', '.join(sorted(available)) or 'none'}, a range to filter by, "
            "or molgen search"
        )
    guided_by = {name: target for name, target in goals.targets.items() if name in available}
    model.check(guided_by, settings)
    return guided_by
