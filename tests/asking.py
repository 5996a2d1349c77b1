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
    **words: Any,
) -> Request:
    """Return a request; words of the budget, of a likeness and of goals stand beside the others."""

    def taken(names: Sequence[str]) -> dict[str, Any]:
        return {name: words.pop(name) for name in names if name in words}

    if not isinstance(goals, Goals):
        goals = read_goals(
            goals, words.pop("weights", None), None, words.pop("tolerance", TOLERANCE)
        )
    if likeness := taken([field.name for field in fields(Likeness)]):
        words["constraint"] = Likeness(**likeness)
    budget = Budget(**taken([field.name for field in fields(Budget)]))
    return Request(goals, n, budget=budget, seed=seed, **words)
