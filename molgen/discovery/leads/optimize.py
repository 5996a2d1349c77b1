"""Lead optimisation: mask the region of a lead that lowers the target probability, and redraw it.

    region S  ~  p(y | rest)^(1 / tau) exp(-|T(rest) - s| / width),      x' ~ p_gamma(x_S | rest, y)

An attempt is one completed draw: a region of the molecule is masked, the rest is clamped, and the
masks are filled under guidance. The network or a noisy classifier scores the regions
(:mod:`molgen.discovery.leads.region_scores`); the expected similarity ``T`` of the rest limits
their size (:mod:`molgen.constraints.candidate_regions`). Small changes keep the similarity, large
ones reach the goal, so the target similarity ``s`` is spread over the attempts. There are two
tiers, reported separately:

- *no oracle*: the property is not computed while drawing. A noisy classifier, if the model has one,
  serves as surrogate (:class:`molgen.discovery.leads.region_scores.Surrogate`): attempts continue
  from its best molecule, and it may select the top k of them. Otherwise all start from the lead.
- *oracle*: a limited number of distinct molecules a lead is scored between rounds, and attempts
  continue from the best (:mod:`molgen.discovery.leads.search`).

Every attempt is a row with its outcome. Attempt ``j`` of lead ``i`` depends on the seed, ``i``,
``j`` and the lead alone, so fewer attempts are a prefix of more, and fewer leads too. Two
exceptions: attempts that must be unique under ``settings.adapt`` depend on those drawn with them,
and the top-k selection depends on all attempts at the lead.

References: Jin et al., "Hierarchical Generation of Molecular Graphs using Structural Motifs"
(2020), for the task; Gruver et al., "Protein design with guided discrete diffusion" (2023), for
attribution of the goal to the positions that are redrawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from molgen.discovery.goals import Goals, guided_targets
from molgen.discovery.leads.counts import LeadCounts
from molgen.discovery.leads.lead import read
from molgen.discovery.leads.report import frame
from molgen.discovery.leads.search import LeadSearch
from molgen.discovery.request import Request, Resolved
from molgen.errors import MolgenError
from molgen.guidance.spec import ClassifierFree
from molgen.model import Model
from molgen.nn.denoiser import noise_of
from molgen.sampling import factory
from molgen.sampling.recipe import Recipe, resolve
from molgen.sampling.result import COMPLETE, INTERRUPTED, Result
from molgen.sampling.sampler import AnySampler
from molgen.sampling.settings import Settings
from molgen.targets import Target
from molgen.utils import journal
from molgen.utils.arguments import checked
from molgen.utils.interrupts import uninterrupted
from molgen.utils.threads import workers
from property_models.scorers import STOPPED, active, joined

if TYPE_CHECKING:
    import pandas as pd

AT_ONCE = 64  # leads whose rows are drawn together, and reported together


@joined()
@checked
def optimize(
    model: Model,
    leads: Sequence[str],
    request: Request,
    on_attempts: Callable[[int], None] | None = None,
    on_leads: Callable[[pd.DataFrame], None] | None = None,
    first: int = 0,
) -> Result[LeadCounts]:
    """Improve leads.

    Args:
        model: a masked diffusion model of SMILES.
        leads: SMILES, at least one.
        request: goals and budgets. A range or a number is met or missed; ``max`` and ``min`` are
            met by any improvement over the lead. Properties that the model is conditioned on guide
            the draws and score the regions, unless ``guided_by`` is given. The constraint is a
            :class:`molgen.constraints.likeness.Likeness`. A label that the model learned from the
            user's column guides only, and needs draws without an oracle. Settings default to the
            model's own. Molecules of the training set are no improvement unless they are allowed.
            An attempt is one draw; under ``adapt`` it is retried while its molecule is
            invalid, equal to the lead, not similar enough, or fails another check of ``adapt``.
        on_attempts: called with the number of attempts that have ended or are skipped.
        on_leads: called with the rows of finished leads.
        first: index of the first lead, of several calls for parts of a list.

    Returns:
        A row for each attempt, in order of lead and attempt, and one for each rejected lead, with
        the reason as its outcome and attempt number 0. An interrupt (Ctrl-C) ends the run with the
        attempts that have ended.

    Raises:
        MolgenError: if any part of the request is out of range; nothing has been drawn.
    """
    _check(model, leads, request)
    guide = partial(_guided_targets, request.budget.oracle_calls or 0)
    found = Resolved.of(request, model, request.settings or model.settings(), guide)
    request = replace(request, goals=found.goals)
    novelty = request.novelty_for(model)
    recipe = resolve(model, found.settings, found.guided_by)
    tables: list[pd.DataFrame] = []
    counts = LeadCounts(request=request, asked=len(leads))
    reason = COMPLETE
    with ExitStack() as stack:
        pool = stack.enter_context(workers(found.settings.device))
        samplers = partial(_sampler, stack, {}, recipe)
        search = LeadSearch.over(request, novelty, recipe, samplers, pool)
        try:
            for start in range(0, len(leads), AT_ONCE):
                several = [
                    read(first + start + i, text, model, request.likeness)
                    for i, text in enumerate(leads[start : start + AT_ONCE])
                ]
                drawn, interrupted = search.run(several, on_attempts)
                rows = frame(drawn, request)
                with uninterrupted():
                    tables.append(rows)
                    counts.add(rows)
                if on_leads and len(rows):
                    on_leads(tables[-1])
                if interrupted or active().stopped:
                    reason = INTERRUPTED if interrupted else STOPPED
                    break
        except KeyboardInterrupt:
            journal.keep()
            reason = INTERRUPTED
    import pandas as pd

    table = pd.concat(tables, ignore_index=True) if tables else frame([], request)
    return Result(table, counts, len(leads), reason, request)


def _sampler(
    stack: ExitStack, found: dict[float, AnySampler], recipe: Recipe, factor: float
) -> AnySampler:
    """Return the sampler of a recipe with a multiple of its temperature.

    Args:
        stack: closes it.
        found: samplers by their factor.
        recipe: of the draws.
        factor: of the temperature.
    """
    if factor not in found:
        temperature = recipe.settings.shaping.temperature * factor
        settings = recipe.settings.changed(temperature=temperature)
        found[factor] = stack.enter_context(factory.sampler(replace(recipe, settings=settings)))
    return found[factor]


def _check(model: Model, leads: Sequence[str], request: Request) -> None:
    """Check a request.

    Raises:
        MolgenError: naming the argument that is out of range.
    """
    budget = request.budget
    if not leads:
        raise MolgenError("leads is empty, expected at least one")
    if not len(request.goals):
        raise MolgenError("targets is empty, expected at least one property to improve")
    if budget.oracle_calls:
        model.check_computable(list(request.goals.targets), "an oracle")
    _ = request.likeness  # raises for a constraint of scaffolds
    if request.donors is not None:
        request.donors.check(request.goals)
    if budget.stop_after is not None and not (budget.oracle_calls or request.n):
        raise MolgenError(
            f"stop_after is {budget.stop_after} without oracle calls, expected oracle_calls or "
            "top_k of at least 1"
        )
    if request.n is not None and budget.oracle_calls:
        raise MolgenError(
            f"top_k is {request.n} with oracle calls, expected oracle_calls 0: the selection is by "
            "the noisy classifier"
        )
    if noise_of(model.denoiser) != "masked":
        raise MolgenError(
            f"model {model.name!r} is not a masked diffusion model, expected one: only the masked "
            "region of a lead is redrawn"
        )
    if model.tokenizer.representation != "smiles":
        raise MolgenError(
            f"representation of the model is {model.tokenizer.representation}, expected smiles: "
            "the rest of a lead is clamped as SMILES tokens"
        )


def _guided_targets(
    oracle_calls: int, model: Model, goals: Goals, settings: Settings
) -> dict[str, Target]:
    """Return the targets that guide the draws; the others only filter, and the oracle scores all.

    Raises:
        MolgenError: if there is neither such a target nor an oracle.
    """
    if not isinstance(settings.guidance, ClassifierFree):
        return guided_targets(model, goals, settings)
    guided_by = {name: goal for name, goal in goals.targets.items() if name in model.properties}
    if not guided_by and not oracle_calls:
        raise MolgenError(
            f"target {', '.join(goals.targets)}: the model is not conditioned on it, expected "
            f"{', '.join(model.properties) or 'none'}, oracle calls, or unguided draws"
        )
    return guided_by
