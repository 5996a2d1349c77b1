"""Search: words or objects -> a request -> the best molecules by an oracle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Unpack

from molgen.api.goals import (
    GoalsLike,
    PropertiesLike,
    announce,
    columns_of,
    filters_of,
    goals_of,
)
from molgen.api.load import ModelLike, loaded
from molgen.api.prepared import Prepared
from molgen.api.progress import Progress, progress_of
from molgen.discovery import search as room
from molgen.discovery.counts import SearchCounts
from molgen.discovery.methods import read_method
from molgen.discovery.objectives import PARETO, SUM
from molgen.discovery.request import Budget, Request
from molgen.discovery.search_state import Method, Search
from molgen.errors import MolgenError
from molgen.molecules.filters import Filters
from molgen.sampling.keywords import UNGUIDED, SettingWords, with_settings
from molgen.sampling.result import Result
from molgen.sampling.settings import Settings
from molgen.utils.numbers import whole


@with_settings
def search(
    model: ModelLike,
    goals: GoalsLike,
    n: int = 100,
    *,
    method: str | Method = "metropolis",
    oracle_calls: int | None = None,
    nfe: int = 400,
    aggregate: str = SUM,
    pareto: bool = False,
    filters: Filters | Sequence[str] | str = (),
    properties: PropertiesLike = (),
    allow_training_molecules: bool = False,
    allow_radicals: bool = False,
    novelty: str = "strict",
    seed: int = 0,
    settings: Settings | None = None,
    progress: Progress | bool | None = None,
    **given: Unpack[SettingWords],
) -> Result[SearchCounts]:
    """Search for the ``n`` best molecules with an oracle: draw, score, and draw from the best.

    Properties are computed while drawing, and the calls are counted: each distinct molecule once.
    Goals may be any property or function; those that the model is conditioned on also guide the
    draws, at gamma 1 unless another is given.

        molgen.search("zinc250k", {"qed": "max"}, n=100, oracle_calls=2000)
        molgen.search(model, {my_function: "max"}, n=50)

    Args:
        model: a loaded model, or its name.
        goals: properties, or functions of a molecule, to ``"max"``, ``"min"``, a number,
            ``"LO..HI"`` or a ``Range``, or a desirability such as ``"sigmoid(-8,-11)"``, from 0 to
            1; or words such as ``"qed=max"``.
        n: molecules to deliver.
        method: ``metropolis``, ``best-of-n``, ``smc``, or for expensive scorers ``surrogate``; with
            parameters as ``metropolis:beta=.1,high=.5``, or an object.
        oracle_calls: budget of distinct molecules to score; None for no limit.
        nfe: budget of forwards of the network for each of the molecules.
        aggregate: of several goals: the weighted ``sum``, ``product`` or ``weighted-mean`` of
            desirabilities, or ``pareto``, the rank by dominance.
        pareto: the same as ``aggregate="pareto"``.
        filters: ``pains``, ``brenk``, ``moses``, ..., ``smarts:PATTERN`` or ``need:PATTERN``.
        properties: further properties to compute: names, or functions of a molecule.
        allow_training_molecules: deliver molecules of the training set, too.
        allow_radicals: deliver molecules with unpaired electrons, too.
        novelty: unique and new by canonical SMILES (``strict``), or by InChIKey (``inchikey``),
            which rejects tautomers of training molecules and of each other.
        seed: the same seed delivers the same molecules.
        settings: of the sampler, to start from in place of the recommended ones.
        progress: False for none, or callbacks.
        **given: settings of sampling.

    Returns:
        The molecules, best first, with the counts of the whole search.

    Raises:
        MolgenError: if an argument is invalid, before anything is drawn.
    """
    progress = progress_of(progress)
    found = prepare_search(
        model,
        goals,
        n,
        progress,
        dict(given),
        method=method,
        aggregate=PARETO if pareto else aggregate,
        budget=Budget(nfe=whole("nfe", nfe), oracle_calls=oracle_calls),
        filters=filters,
        properties=properties,
        allow_training_molecules=allow_training_molecules,
        allow_radicals=allow_radicals,
        novelty=novelty,
        seed=seed,
        settings=settings,
    )
    progress.begin(found.request.count * found.request.budget.nfe, "forward")
    forwards = 0

    def spent(count: int) -> None:
        nonlocal forwards
        forwards += count
        progress.add(count)

    def scored(state: Search) -> None:
        spent(state.counts.forwards - forwards)
        progress.round(state)

    try:
        what = found.model, found.request, found.method
        result = room.search(*what, on_round=scored, on_forwards=spent)
        return replace(result, model=found.model)
    finally:
        progress.end()


def prepare_search(
    model: ModelLike,
    goals: GoalsLike,
    n: int,
    progress: Progress,
    given: dict[str, Any],
    *,
    method: str | Method,
    aggregate: str,
    budget: Budget,
    filters: Filters | Sequence[str] | str,
    properties: PropertiesLike,
    allow_training_molecules: bool,
    allow_radicals: bool,
    novelty: str,
    seed: int,
    settings: Settings | None,
) -> Prepared:
    """Return a request of search that is ready to run; arguments as of :func:`search`.

    Raises:
        MolgenError: if one is invalid.
    """
    weights = given.pop("goal_weights", None)
    wanted = goals_of(goals, weights, model=model, aggregate=aggregate)
    if aggregate == PARETO and (weights or len(wanted) < 2):
        raise MolgenError("aggregate is pareto, expected at least two targets and no weights")
    request = Request(
        wanted,
        whole("n", n),
        filters_of(filters),
        budget=budget,
        seed=seed,
        guided_by={} if given.get("guidance") == UNGUIDED else None,
        allow_training_molecules=allow_training_molecules,
        allow_radicals=allow_radicals,
        novelty=novelty,
    )
    chosen = read_method(method) if isinstance(method, str) else method
    if settings is None and "preset" not in given:
        given.setdefault("gamma", room.GAMMA)
    model = loaded(model, progress)
    request = replace(
        request,
        settings=model.settings_of(given, "design", None, settings),
        properties=columns_of(properties, model),
    )
    announce(model, request, (), progress, scored=True)
    return Prepared(model, request, method=chosen)
