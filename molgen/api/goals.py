"""Goals and filters as a caller gives them: words, mappings, functions, objects."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from molgen.api.load import ModelLike
from molgen.api.progress import Progress
from molgen.checkpoints.hub import locate
from molgen.constraints.scaffolds import Constraint
from molgen.discovery.goals import TOLERANCE, Goals, read_goals
from molgen.discovery.objectives import SUM
from molgen.discovery.part_targets import PartTarget, read_part_targets
from molgen.discovery.request import Request
from molgen.errors import MolgenError
from molgen.model import Model
from molgen.molecules.filters import Filters
from molgen.nn.stored import StoredShape, read_shape
from molgen.targets import Range, Target, split_targets
from property_models import computable, get
from property_models.external import costs
from property_models.registry import PropertyLike, property_name, property_names

GoalsLike: TypeAlias = Goals | Mapping[Any, Target | str] | Sequence[str] | str | None
"""Properties to targets, ``{"qed": ".6..", "sa": "..3"}``, or words such as ``"qed=.6.."``."""
PropertiesLike: TypeAlias = PropertyLike | Iterable[PropertyLike]
"""Names of properties, functions of a molecule, or one of either."""


def targets_of(goals: Mapping[Any, Target | str] | Sequence[str] | str) -> Any:
    """Return targets by the names of their properties, or words as they are.

    Raises:
        MolgenError: if a key is no property, or the goals are of another kind.
    """
    if isinstance(goals, str):
        return [goals]
    if isinstance(goals, Mapping):
        property_names(list(goals))
        return {property_name(key): target for key, target in goals.items()}
    if not (isinstance(goals, Sequence) and all(isinstance(word, str) for word in goals)):
        raise MolgenError(f"goals is {goals!r}, expected properties to targets, {{'qed': '.6..'}}")
    return list(goals)


def goals_of(
    goals: GoalsLike,
    weights: Mapping[Any, float] | None = None,
    tolerance: float = TOLERANCE,
    model: ModelLike | None = None,
    aggregate: str = SUM,
) -> Goals:
    """Return goals; they may be on labels that the model learned from the user's column.

    Args:
        goals: in any form.
        weights: of some of the properties; the others count 1.
        tolerance: around a plain number, in training standard deviations.
        model: or its name; None for properties that can be computed alone.
        aggregate: of the gains of several goals.

    Raises:
        MolgenError: naming the goal or the weight that cannot be read, or the unknown property.
    """
    if isinstance(goals, Goals):
        return goals
    own = {property_name(key): weight for key, weight in (weights or {}).items()}
    targets = targets_of(goals if goals is not None else ())
    targets = targets if isinstance(targets, dict) else split_targets(targets)
    learned = [] if all(map(computable, targets)) else _labels(model)
    return read_goals(targets, own, None, tolerance, learned, aggregate)


def part_targets_of(words: GoalsLike, constraints: Sequence[Constraint]) -> tuple[PartTarget, ...]:
    """Return targets of the parts beside scaffolds.

    Args:
        words: properties, possibly of one part (``R1:mw``), to targets.
        constraints: the scaffolds.

    Raises:
        MolgenError: naming the target that cannot be read, or if there is no scaffold.
    """
    if isinstance(words, Goals):
        words = words.targets
    targets = targets_of(words if words is not None else ())
    targets = targets if isinstance(targets, dict) else split_targets(targets)
    if targets and not constraints:
        raise MolgenError("part-target is given without scaffold or scaffold-file")
    columns = dict.fromkeys(name for each in constraints for name in each.parts)
    return read_part_targets(targets, list(columns))


def _labels(model: ModelLike | None) -> Sequence[str]:
    """Return the properties that a model is conditioned on, without loading it."""
    if model is None:
        return ()
    if not isinstance(model, str | Path):
        return model.properties
    with contextlib.suppress(ValueError, OSError):  # a network of another kind has no labels
        return read_shape(locate(model), StoredShape).properties
    return ()


def not_computed(names: Iterable[str]) -> list[str]:
    """Return notes on targets that the model learned from a column of the user's file."""
    return [
        f"{name} cannot be computed: the model learned it from a column of its training file; "
        f"draws are guided towards it, without values to filter by (`molgen fit-property` makes a "
        "predictor)"
        for name in names
    ]


def filters_of(filters: Filters | Sequence[str] | str) -> Filters:
    """Return filters by their words; one word is one filter.

    Raises:
        MolgenError: naming the word that is none.
    """
    if isinstance(filters, Filters):
        return filters
    return Filters.read([filters] if isinstance(filters, str) else list(filters))


def columns_of(properties: PropertiesLike, model: Model | None = None) -> tuple[str, ...]:
    """Return the names of properties to compute.

    Args:
        properties: in any form.
        model: whose own labels are allowed too: they cannot be computed, as their column states.

    Raises:
        MolgenError: if one is unknown.
    """
    names = property_names(properties)
    if model is not None:
        model.own_labels(names)
    for name in names if model is None else ():
        get(name)
    return names


def remarks(request: Request, survey: bool = False) -> list[str]:
    """Return remarks on goals or weights without effect on the draws of a design.

    Args:
        request: resolved for a model.
        survey: whether rows that miss a goal are delivered too.
    """
    goals, guided_by = request.goals, request.guided_by or {}
    lines = []
    idle = [goal for goal in goals if goal.name not in guided_by]
    if idle:
        role = {True: "counts" if survey else "filters", False: "ranks"}
        only = ", ".join(f"{goal.name} {role[goal.bounds]} only" for goal in idle)
        guides = ", ".join(guided_by) or "no target"
        lines.append(f"guided by {guides}; {only}: the model is not conditioned on it")
    weighted = len(set(goals.weights.values())) > 1
    if weighted and not survey and all(isinstance(goal.target, Range) for goal in goals):
        lines.append("all targets are ranges, so weights do not affect the ranking")
    return lines


def announce(
    model: Model, request: Request, notes: Sequence[str], progress: Progress, scored: bool = False
) -> None:
    """Report costs, notes, and targets outside the training data, before anything is drawn.

    Args:
        model: of the run.
        request: of the run.
        notes: on files.
        progress: receives them.
        scored: whether values of all goals are needed while drawing.

    Raises:
        MolgenError: if a docking experiment cannot be run, or takes too long.
    """
    for line in (
        *costs(request.names),
        *notes,
        *(() if scored else not_computed(request.goals.learned)),
    ):
        progress.note(line)
    for line in model.prior.outside(request.goals.targets):
        progress.warn(line)
