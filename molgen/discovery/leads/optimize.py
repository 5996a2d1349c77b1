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

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from molgen.constraints.draw import PRIOR_ROWS
from molgen.discovery.goals import TOLERANCE, Goals, read_goals, steering, weighed
from molgen.discovery.leads.counts import Tally
from molgen.discovery.leads.lead import Atoms, read
from molgen.discovery.leads.report import Optimized, frame
from molgen.discovery.leads.search import LeadSearch
from molgen.guidance.spec import ClassifierFree
from molgen.model import Model
from molgen.molecules.filters import Screens
from molgen.nn.denoiser import noise_of
from molgen.sampling.settings import Settings
from molgen.targets import Target
from molgen.utils.threads import workers

if TYPE_CHECKING:
    import pandas as pd

AT_ONCE = 64  # leads whose rows are drawn together; what is finished is handed out as often


def optimize(
    model: Model,
    leads: Sequence[str],
    targets: Mapping[str, Target | str],
    similarity: float = 0.4,
    tries: int = 20,
    oracle_calls: int = 0,
    seed: int = 0,
    settings: Settings | None = None,
    *,
    enough: int | None = None,
    propose: int | None = None,
    keep: Atoms | None = None,
    change: Atoms | None = None,
    weights: Mapping[str, float] | None = None,
    tolerance: float = TOLERANCE,
    screens: Screens | None = None,
    guided: bool = True,
    on_tries: Callable[[int], None] | None = None,
    on_leads: Callable[[pd.DataFrame], None] | None = None,
) -> Optimized:
    """Improve leads.

    Args:
        model: that writes SMILES by taking masks off.
        leads: SMILES, at least one.
        targets: what each is to become. A range or a number is met or missed; ``max`` and ``min``
            are met by whatever is better than the lead. Properties that the model knows steer.
        similarity: least Tanimoto similarity to the lead, in [0, 1].
        tries: rows a lead.
        oracle_calls: distinct molecules a lead, itself included, that are scored while drawing.
        seed: see this module.
        settings: how to draw; the model's own by default. A try is one draw; under ``adapt`` it
            goes on while its molecule is none, the lead's own, not similar enough, or what else
            ``adapt`` demands.
        enough: molecules that meet everything, after which a lead gets no more tries; needs an
            oracle, which tells.
        propose: molecules a lead at most, of all that its tries draw, that the model's guide
            proposes; the others are not selected. None for every try.
        keep: atoms of every lead that stay; see :func:`molgen.constraints.scaffolds.read_lead`.
        change: atoms that may change, in place of ``keep``.
        weights: of targets in the gain.
        tolerance: for plain numbers, in training standard deviations.
        screens: hard filters.
        guided: whether targets steer the draws and say which parts to redraw.
        on_tries: told how many tries have ended, as they do, or will not be made.
        on_leads: told of the rows of leads that are finished.

    Returns:
        The rows, in order of lead and try. An interrupt (Ctrl-C) ends the run with the leads that
        are finished.

    Raises:
        ValueError: if anything asked for is out of line; nothing has been drawn then.
    """
    goals = read_goals(targets, weights, model.prior, tolerance)
    _check(model, leads, goals, similarity, tries, oracle_calls, enough, propose)
    if keep is not None and change is not None:
        raise ValueError("keep and change are both given, expected at most one of them")
    settings = weighed(settings or model.settings(), goals)
    steer = _steered(model, goals, settings, oracle_calls) if guided else {}
    request = model.request(PRIOR_ROWS, steer, seed, 0, settings)
    found: list[pd.DataFrame] = []
    tally = Tally(
        similarity=similarity,
        calls_allowed=oracle_calls,
        names=tuple(goals.targets),
        propose=propose,
    )
    reason = "complete"
    asked = similarity, tries, oracle_calls
    with model.sampler(settings, steer) as sampler, workers(settings.device) as pool:
        search = LeadSearch.over(
            model,
            sampler,
            pool,
            settings,
            steer,
            request,
            goals,
            screens or Screens(),
            similarity,
            seed,
            propose,
        )
        try:
            for start in range(0, len(leads), AT_ONCE):
                several = [
                    read(start + i, text, model.tokenizer, model.denoiser.max_length, keep, change)
                    for i, text in enumerate(leads[start : start + AT_ONCE])
                ]
                drawn = search.run(several, tries, oracle_calls, enough, on_tries)
                found.append(frame(drawn, goals, *asked))
                tally.add(found[-1])
                if on_leads:
                    on_leads(found[-1])
        except KeyboardInterrupt:
            reason = "interrupted"
    import pandas as pd

    table = pd.concat(found, ignore_index=True) if found else frame([], goals, *asked)
    return Optimized(table, tally, len(leads), reason)


def _check(
    model: Model,
    leads: Sequence[str],
    goals: Goals,
    similarity: float,
    tries: int,
    oracle_calls: int,
    enough: int | None,
    propose: int | None,
) -> None:
    """Check what is asked for.

    Raises:
        ValueError: naming what is out of line.
    """
    if not leads:
        raise ValueError("leads is empty, expected at least one")
    if not len(goals):
        raise ValueError("targets is empty, expected at least one property to improve")
    if not 0 <= similarity <= 1:
        raise ValueError(f"similarity is {similarity}, expected a number in [0, 1]")
    for name, value, least in (("tries", tries, 1), ("oracle_calls", oracle_calls, 0)):
        if value < least:
            raise ValueError(f"{name} is {value}, expected at least {least}")
    if enough is not None and (enough < 1 or not oracle_calls):
        raise ValueError(
            f"enough is {enough}, expected at least 1, and oracle calls: without them nobody knows "
            "while drawing what a molecule meets"
        )
    if propose is not None and (propose < 1 or oracle_calls):
        raise ValueError(
            f"propose is {propose}, expected at least 1, and no oracle calls: the oracle says by "
            "itself what is good"
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


def _steered(
    model: Model, goals: Goals, settings: Settings, oracle_calls: int
) -> dict[str, Target]:
    """Return the targets that steer; the others are filters, and an oracle scores them, too.

    Raises:
        ValueError: if there is neither such a target nor an oracle.
    """
    if not isinstance(settings.steering, ClassifierFree):
        return steering(model, goals, settings)
    steer = {name: goal for name, goal in goals.targets.items() if name in model.properties}
    if not steer and not oracle_calls:
        raise ValueError(
            f"target {', '.join(goals.targets)}: the model is not conditioned on it; it knows "
            f"{', '.join(model.properties) or 'none'}. Allow oracle calls, or draw unguided"
        )
    return steer
