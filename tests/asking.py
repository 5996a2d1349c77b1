"""Requests of design, search and optimize in a line, for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from molgen.constraints.likeness import Likeness
from molgen.discovery.goals import TOLERANCE, Goals, read_goals
from molgen.discovery.request import Budget, Request
from molgen.targets import Target


def request(
    goals: Goals | Sequence[str] | Mapping[str, Target | str],
    n: int | None = None,
    seed: int = 0,
    **options: Any,
) -> Request:
    """Return a request; options may include fields of the budget, the likeness and the goals."""

    def taken(names: Sequence[str]) -> dict[str, Any]:
        return {name: options.pop(name) for name in names if name in options}

    if not isinstance(goals, Goals):
        goals = read_goals(
            goals, options.pop("weights", None), None, options.pop("tolerance", TOLERANCE)
        )
    if likeness := taken([field.name for field in fields(Likeness)]):
        options["constraint"] = Likeness(**likeness)
    budget = Budget(**taken([field.name for field in fields(Budget)]))
    return Request(goals, n, budget=budget, seed=seed, **options)
