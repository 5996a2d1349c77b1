"""Search with an oracle: draw, score, and draw again from the best.

    found = search(model, Request(read_goals({"qed": "max"}), 100), Metropolis())

Sampling and design compute no property while drawing; in a search an oracle does, and its calls are
counted beside the forwards. For every method, each molecule drawn that is valid, not in the
training set and not a duplicate is scored, and the ``n`` best are delivered. Two budgets end a
search: forwards for each requested molecule, and oracle calls. Rows compete with each other, so
fewer are not a prefix of more, unlike in sampling; the same seed delivers the same molecules.

The methods are :class:`molgen.discovery.best_of.BestOf`,
:class:`molgen.discovery.metropolis.Metropolis`,
:class:`molgen.discovery.smc.SequentialMonteCarlo` and, for expensive oracles,
:class:`molgen.discovery.surrogate.Surrogate`, which scores a selection.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from molgen.discovery.counts import SearchCounts
from molgen.discovery.objectives import PARETO, aggregated, read_objectives
from molgen.discovery.oracle import Oracle
from molgen.discovery.request import Request
from molgen.discovery.search_state import Method, Search
from molgen.errors import MolgenError
from molgen.guidance.spec import ClassifierFree
from molgen.model import Model
from molgen.sampling.recipe import resolve
from molgen.sampling.result import INTERRUPTED, Result
from molgen.sampling.settings import Settings
from molgen.utils import journal
from molgen.utils.arguments import checked
from property_models.scorers import joined

if TYPE_CHECKING:
    pass

GAMMA = 1.0
"""Default strength of the guidance: one forward a step instead of two, and fewer molecules of the
training set; the oracle selects (``docs/experiments.md``)."""


@joined()
@checked
def search(
    model: Model,
    request: Request,
    method: Method,
    pareto: bool = False,
    on_round: Callable[[Search], None] | None = None,
    on_forwards: Callable[[int], None] | None = None,
) -> Result[SearchCounts]:
    """Search for molecules with an oracle.

    Args:
        model: a loaded model.
        request: the request. Goals may be on any property that can be computed, and are weighted in
            the aggregate of the gains; those that the model is conditioned on also guide the draws,
            unless ``guided_by`` is given. Settings are by default the model's recommendation for
            design, at :data:`GAMMA`.
        method: of the search.
        pareto: rank by non-dominated rank instead of the aggregate of the goals.
        on_round: called with the search after each scoring.
        on_forwards: called with the forwards of rows as they end, within a round.

    Returns:
        The ``n`` best molecules, or fewer, best first: the columns of
        :meth:`molgen.model.Model.sample`, one for each objective, and ``nfe``, the forwards of the
        draw, chain or particle up to the molecule. The forwards of the counts, of the whole search,
        are many times their sum. An interrupt (Ctrl-C) ends the search with the molecules accepted
        so far.

    Raises:
        MolgenError: if a target or budget is out of range, novelty is required without a
            training-set index, or the method does not fit the model.
    """
    calls, n = request.budget.oracle_calls, request.count
    if calls is not None and calls < 1:
        raise MolgenError(f"oracle_calls is {calls}, expected at least 1")
    model.check_computable(list(request.goals.targets), "a search")
    novelty = request.novelty_for(model)
    objectives = read_objectives(request.goals.words, model.prior, request.goals.weights)
    settings = request.settings or model.settings("design", gamma=GAMMA)
    guided_by = request.guided_by
    if guided_by is None:
        guided_by = {o.name: o.target for o in objectives if _guides(model, o.name, settings)}
    recipe = resolve(model, settings, guided_by)
    score = aggregated(PARETO if pareto else request.goals.aggregate, objectives)
    oracle, calling = Oracle(objectives, calls), (on_round, on_forwards)
    state = Search(model, request, recipe, oracle, score, novelty, *calling)
    try:
        reason = method.run(state)
    except KeyboardInterrupt:
        journal.keep()
        reason = INTERRUPTED
    table = state.table()
    state.counts.delivered = len(table)
    return Result(table, state.counts, n, reason, request)


def _guides(model: Model, name: str, settings: Settings) -> bool:
    """Return whether a property can guide the draws; others are used by the oracle alone."""
    return name in model.properties or not isinstance(settings.guidance, ClassifierFree)
