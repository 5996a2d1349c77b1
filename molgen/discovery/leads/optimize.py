"""Lead optimisation: take off the part of a lead that holds the goal back, and redraw it.

    part S  ~  p(y | rest)^(1 / tau) exp(-|T(rest) - s| / width),      x' ~ p_gamma(x_S | rest, y)

A try is one completed draw: a part of the molecule is opened, what stays is clamped, and the open
part is drawn under guidance. Which part holds the goal back is told by the network
(:mod:`molgen.discovery.leads.prospects`), and how large it may be by the similarity ``T`` that what
stays lets one expect (:mod:`molgen.constraints.parts`). Small changes keep the similarity, large
ones reach the goal, so the ``s`` that is aimed at is spread over the tries. Two tiers, told apart
everywhere:

- *no oracle*: nothing is computed of the property while drawing. Where the model has a guide, that
  says what the property may be (:mod:`molgen.discovery.leads.surrogate`), tries go on from what it
  finds best, and it may *propose* some of them: the others are not selected. All start from the
  lead otherwise.
- *oracle*: up to so many distinct molecules a lead are scored on the way, and tries go on from the
  best (:mod:`molgen.discovery.leads.search`).

Every try is a row, with what became of it. Try ``j`` of lead ``i`` depends on the seed, ``i``,
``j`` and the lead alone, so fewer tries are a prefix of more, and fewer leads too - but for tries
that are to be unique under ``settings.adapt``: they depend on those drawn with them. Which
tries are proposed depends on all of the lead's.

References: Jin et al., "Hierarchical Generation of Molecular Graphs using Structural Motifs"
(2020), for the task; Gruver et al., "Protein design with guided discrete diffusion" (2023), for
choosing what to redraw by what holds a goal back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from molgen.discovery.goals import Goals, guided_targets, weighed
from molgen.discovery.leads.counts import LeadCounts
from molgen.discovery.leads.lead import read
from molgen.discovery.leads.report import Optimized, frame
from molgen.discovery.leads.search import LeadSearch
from molgen.discovery.request import Request, Resolved
from molgen.guidance.spec import ClassifierFree
from molgen.model import Model
from molgen.nn.denoiser import noise_of
from molgen.sampling import factory
from molgen.sampling.recipe import resolve as recipe_of
from molgen.sampling.settings import Settings
from molgen.targets import Target
from molgen.utils.threads import workers

if TYPE_CHECKING:
    import pandas as pd

AT_ONCE = 64  # leads whose rows are drawn together; what is finished is handed out as often


def optimize(
    model: Model,
    leads: Sequence[str],
    request: Request,
    on_tries: Callable[[int], None] | None = None,
    on_leads: Callable[[pd.DataFrame], None] | None = None,
) -> Optimized:
    """Improve leads.

    Args:
        model: that writes SMILES by taking masks off.
        leads: SMILES, at least one.
        request: what each is to become. A range or a number is met or missed; ``max`` and ``min``
            are met by whatever is better than the lead. Properties that the model knows guide the
            draws and say which parts to redraw, unless the request says otherwise. The constraint
            is a :class:`molgen.discovery.leads.lead.Likeness`. Settings are by default the model's
            own; a try is one draw, and under ``adapt`` it goes on while its molecule is none, the
            lead's own, not similar enough, or what else ``adapt`` demands.
        on_tries: told how many tries have ended, as they do, or will not be made.
        on_leads: told of the rows of leads that are finished.

    Returns:
        The rows, in order of lead and try. An interrupt (Ctrl-C) ends the run with the leads that
        are finished.

    Raises:
        ValueError: if anything asked for is out of line; nothing has been drawn then.
    """
    _check(model, leads, request)
    found = resolve(model, request)
    recipe = recipe_of(model, found.settings, found.guided_by)
    tables: list[pd.DataFrame] = []
    counts = LeadCounts(request=request)
    reason = "complete"
    with factory.sampler(recipe) as sampler, workers(found.settings.device) as pool:
        search = LeadSearch.over(request, found.goals, recipe, sampler, pool)
        try:
            for start in range(0, len(leads), AT_ONCE):
                several = [
                    read(start + i, text, model, request.likeness)
                    for i, text in enumerate(leads[start : start + AT_ONCE])
                ]
                drawn = search.run(several, on_tries)
                tables.append(frame(drawn, found.goals, request))
                counts.add(tables[-1])
                if on_leads:
                    on_leads(tables[-1])
        except KeyboardInterrupt:
            reason = "interrupted"
    import pandas as pd

    table = pd.concat(tables, ignore_index=True) if tables else frame([], found.goals, request)
    return Optimized(table, counts, len(leads), reason)


def resolve(model: Model, request: Request) -> Resolved:
    """Return what a request means for a model.

    Raises:
        ValueError: if a goal is none, or nothing acts on what is drawn.
    """
    goals = request.goals.measured(model.prior)
    settings = weighed(request.settings or model.settings(), goals)
    guided_by = request.guided_by
    if guided_by is None:
        guided_by = _guided_targets(model, goals, settings, request.budget.oracle_calls or 0)
    return Resolved(goals, settings, guided_by)


def _check(model: Model, leads: Sequence[str], request: Request) -> None:
    """Check what is asked for.

    Raises:
        ValueError: naming what is out of line.
    """
    budget = request.budget
    if not leads:
        raise ValueError("leads is empty, expected at least one")
    if not len(request.goals):
        raise ValueError("targets is empty, expected at least one property to improve")
    _ = request.likeness  # it must be one
    if budget.stop_after is not None and not budget.oracle_calls:
        raise ValueError(
            f"stop_after is {budget.stop_after}, expected oracle calls beside it: without them "
            "nobody knows while drawing what a molecule meets"
        )
    if request.n is not None and budget.oracle_calls:
        raise ValueError(
            f"top_k is {request.n}, expected no oracle calls beside it: the oracle says by itself "
            "what is good"
        )
    if noise_of(model.denoiser) != "masked":
        raise ValueError(
            f"model {model.name!r} does not write by taking masks off, expected one that does: "
            "only a part of a lead is redrawn"
        )
    if model.tokenizer.representation != "smiles":
        raise ValueError(
            f"the model writes {model.tokenizer.representation}, expected smiles: what stays of a "
            "lead is text"
        )


def _guided_targets(
    model: Model, goals: Goals, settings: Settings, oracle_calls: int
) -> dict[str, Target]:
    """Return the targets that steer; the others are filters, and an oracle scores them, too.

    Raises:
        ValueError: if there is neither such a target nor an oracle.
    """
    if not isinstance(settings.guidance, ClassifierFree):
        return guided_targets(model, goals, settings)
    guided_by = {name: goal for name, goal in goals.targets.items() if name in model.properties}
    if not guided_by and not oracle_calls:
        raise ValueError(
            f"target {', '.join(goals.targets)}: the model is not conditioned on it; it knows "
            f"{', '.join(model.properties) or 'none'}. Allow oracle calls, or draw unguided"
        )
    return guided_by
