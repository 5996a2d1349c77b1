"""The commands that may run as a campaign, and how their stored arguments become requests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from molgen.api.design import design, prepare
from molgen.api.load import ModelLike
from molgen.api.optimize import optimize, prepare_leads
from molgen.api.prepared import Prepared
from molgen.api.progress import Progress
from molgen.api.search import prepare_search, search
from molgen.discovery.objectives import PARETO
from molgen.discovery.request import Budget
from molgen.errors import MolgenError
from molgen.utils.numbers import whole


def _design(
    model: ModelLike, goals: Any, n: int, progress: Progress, words: dict[str, Any]
) -> Prepared:
    parts = ("scaffold", "scaffold_file", "superstructure", "keep", "change")
    scaffolds = tuple(words.pop(name) for name in parts)
    own = _taken(
        words, *ALLOWED, "tolerance", "allow_training_molecules", "novelty", "part_targets"
    )
    own["diversity"] = words.pop("diversity", None)  # none in campaigns of earlier releases
    more: dict[str, Any] = {"scaffolds": scaffolds, "settings": None}
    if words.pop("per_scaffold") is not None:
        raise MolgenError("per-scaffold is given with campaign, expected a campaign for each")
    more |= {"max_draws": None, "no_filter": False, "per_scaffold": None}
    return prepare(model, goals, n, progress, words, **own, **more)


def _leads(
    model: ModelLike, goals: Any, _: int, progress: Progress, words: dict[str, Any]
) -> Prepared:
    budget = Budget(**_taken(words, "oracle_calls", "attempts", "stop_after"))
    likeness = words.pop("similarity"), words.pop("keep"), words.pop("change")
    own = _taken(words, *ALLOWED, "tolerance", "aggregate", "top_k", "column")
    # a campaign of an earlier release is one in which they are
    own["allow_training_molecules"] = words.pop("allow_training_molecules", True)
    more: dict[str, Any] = {"budget": budget, "likeness": likeness, "settings": None}
    leads, own["donors"] = words.pop("leads"), words.pop("donors", None)
    return prepare_leads(model, leads, goals, progress, words, **own, **more)


def _search(
    model: ModelLike, goals: Any, n: int, progress: Progress, words: dict[str, Any]
) -> Prepared:
    budget = Budget(nfe=whole("nfe", words.pop("nfe")), oracle_calls=words.pop("oracle_calls"))
    own = _taken(words, *ALLOWED, "allow_training_molecules", "novelty", "method", "aggregate")
    if words.pop("pareto"):
        own["aggregate"] = PARETO
    return prepare_search(model, goals, n, progress, words, budget=budget, settings=None, **own)


def _taken(words: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: words.pop(name) for name in names}


ALLOWED = ("filters", "properties", "allow_radicals", "seed")
COMMANDS: dict[str, tuple[Callable[..., Any], Callable[..., Prepared], int]] = {
    "design": (design, _design, 64),
    "search": (search, _search, 64),
    "optimize": (optimize, _leads, 8),
}
"""For each command the function, what prepares its request, and rows or leads of a block."""
