"""Tries at leads, in rounds: open a part, draw it, and with an oracle go on from what is better.

With an oracle, or else a guide in its place (:mod:`molgen.discovery.leads.surrogate`), a few tries
at a time start from where the lead has got to (:mod:`molgen.discovery.leads.state`), until there
are enough molecules that meet everything or no tries left. Without either, one round holds all
tries, each from the lead.

References: see :mod:`molgen.discovery.leads.optimize`; search with an oracle is that of Hoffman et
al., "Optimizing molecules using efficient queries from property evaluations" (2022), with the
network in place of a latent space.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from rdkit import Chem

from molgen.checkpoints.checkpoint import Checkpoint
from molgen.constraints.draw import PRIOR_ROWS, restrained
from molgen.constraints.open_parts import OpenPart, rows
from molgen.data.prior import PriorDraw
from molgen.data.tokenizer import unwritable
from molgen.discovery.goals import Goals
from molgen.discovery.leads.lead import Lead, Refused
from molgen.discovery.leads.masked_regions import masked_regions
from molgen.discovery.leads.region_scores import (
    ByClassifier,
    RegionScores,
    Surrogate,
    region_scores,
)
from molgen.discovery.leads.report import Try
from molgen.discovery.leads.state import LOW, LeadWalk
from molgen.discovery.oracle import Oracle
from molgen.discovery.request import Request
from molgen.molecules.parsing import Molecule, interpret_all, parse
from molgen.sampling.adaptive import AdaptiveSampler
from molgen.sampling.factory import adaptive_sampler
from molgen.sampling.recipe import Recipe
from molgen.sampling.sampler import AnySampler, Samples
from molgen.utils.arrays import Ids
from molgen.utils.randomness import SEGMENT, Use, used
from molgen.utils.threads import Workers

ROUND = 4  # tries of a lead between two looks at what scores them


@dataclass(frozen=True, eq=False)
class LeadSearch:
    """Draws tries at leads.

    Attributes:
        request: what is asked for.
        goals: in units of the training data.
        model: that draws.
        sampler: of the model, guided.
        adaptive: how tries that fail go on; None if they do not.
        region_scores: says of parts how well what stays goes with what is asked for.
        prior_draw: lengths and conditions to choose from.
    """

    request: Request
    goals: Goals
    model: Checkpoint
    sampler: AnySampler
    adaptive: AdaptiveSampler | None
    region_scores: RegionScores
    prior_draw: PriorDraw

    @classmethod
    def over(
        cls, request: Request, goals: Goals, recipe: Recipe, sampler: AnySampler, pool: Workers
    ) -> LeadSearch:
        """Prepare the network.

        Raises:
            ValueError: if guidance has a say in how fast the sampler goes, tries cannot go on
                as asked for, or no guide tells the targets and one is to propose.
        """
        model = recipe.model
        prior_draw = recipe.draw_prior(PRIOR_ROWS, request.seed)
        nothing = rows(model, prior_draw, [], np.zeros(0, np.int64), np.zeros((0, 1)))
        free = restrained(sampler, nothing.rules)
        goes_on = adaptive_sampler(recipe, free) if recipe.settings.adapt else None
        rate = region_scores(recipe, prior_draw, pool)
        if request.n and not isinstance(rate, ByClassifier):
            raise ValueError(
                f"top_k is {request.n}, but nothing is aimed at that a guide of model "
                f"{model.name!r} tells: expected one, which chooses"
            )
        return cls(request, goals, model, sampler, goes_on, rate, prior_draw)

    def run(
        self, leads: Sequence[Lead | Refused], on_tries: Callable[[int], None] | None = None
    ) -> list[tuple[Lead | Refused, Oracle, list[Try]]]:
        """Draw tries at leads.

        Args:
            leads: to work on; those refused get no tries.
            on_tries: told how many tries have ended, as they do, or will not be made.

        Returns:
            For each lead its oracle and its tries.
        """
        budget, objectives = self.request.budget, tuple(self.goals)
        tries, stop_after, calls = budget.attempts, budget.stop_after, budget.oracle_calls or 0
        oracles = [Oracle(objectives, calls) for _ in leads]
        going = {
            lead.index: LeadWalk(
                lead,
                self.goals,
                self.request.likeness.similarity,
                self.request.seed,
                oracle,
                None if calls else self._surrogate(),
            )
            for lead, oracle in zip(leads, oracles, strict=True)
            if isinstance(lead, Lead)
        }
        under_way = list(going.values())
        step = ROUND if any(walk.goes_on for walk in under_way) else tries
        for first in range(0, tries, step):
            self._round(under_way, first, min(step, tries - first), on_tries)
            ahead = [item for item in under_way if not stop_after or len(item.reached) < stop_after]
            if on_tries and len(ahead) < len(under_way):
                on_tries((len(under_way) - len(ahead)) * max(0, tries - first - step))
            under_way = ahead
        if self.request.n:
            for item in going.values():
                item.propose(self.request.n)
        return [
            (lead, oracle, going[lead.index].tries if lead.index in going else [])
            for lead, oracle in zip(leads, oracles, strict=True)
        ]

    def _round(
        self, going: list[LeadWalk], first: int, count: int, on_tries: Callable[[int], None] | None
    ) -> None:
        """Draw ``count`` tries at each lead from number ``first`` on, and go on from the best."""
        if not going:
            return
        costs = self._look_for_parts(going, first)
        opened = [
            (item, number, item.choose(number, self.region_scores.exaggeration))
            for item in going
            for number in range(first, first + count)
        ]
        samples = self._draw(opened, on_tries)
        texts = self.model.texts(samples.tokens)
        molecules = interpret_all([self.model.tokenizer.smiles(text) for text in texts])
        for i, (item, number, part) in enumerate(opened):
            shared = costs.get(item.lead.index, (0, 0)) if number == first else (0, 0)
            cost = int(samples.nfe[i]), shared[0], int(samples.classifier_nfe[i]) + shared[1]
            item.tries.append(self._judged(item, number, part, molecules[i], cost))
        for item in going:
            if item.goes_on:
                item.go_on(count, self._writable)

    def _look_for_parts(self, going: Sequence[LeadWalk], first: int) -> dict[int, tuple[int, int]]:
        """Find parts of starts that are new; return the forwards it took by index of the lead."""
        new = [item for item in going if not item.start.pool]
        if not new:
            return {}
        for item in new:
            item.start.pool = masked_regions(
                self.model,
                self.prior_draw.lengths,
                item.lead,
                item.start.smiles,
                item.start.mol,
                LOW * self.request.likeness.similarity,
                self.region_scores.lengths,
                self.request.seed,
                first,
            )
        found = self.region_scores([part for item in new for part in item.start.pool])
        ends = np.cumsum([len(item.start.pool) for item in new])[:-1]
        for item, own in zip(new, np.split(found, ends), strict=True):
            item.start.rate(own)
        each = self.region_scores.forwards, self.region_scores.classifier_forwards
        return {
            item.lead.index: (each[0] * len(item.start.pool), each[1] * len(item.start.pool))
            for item in new
        }

    def _draw(
        self,
        opened: Sequence[tuple[LeadWalk, int, OpenPart]],
        on_tries: Callable[[int], None] | None,
    ) -> Samples:
        """Draw open parts, given with their lead and the number of the try."""
        several = [(item.lead.index, number) for item, number, _ in opened]
        lead, number = np.array(several, dtype=np.int64).T
        place = np.arange(self.model.denoiser.max_length + 1)
        u = used(self.request.seed, Use.LEAD_SPAN, lead[:, None], number[:, None], place)
        parts = [part for *_, part in opened]
        ready = rows(self.model, self.prior_draw, parts, lead * SEGMENT + number, u)

        def on_done(ended: Ids, _: Samples) -> None:
            if on_tries:
                on_tries(len(ended))

        sampler = restrained(self.sampler, ready.rules)
        if self.adaptive is not None:
            sampler = self.adaptive.around(
                sampler, lambda row, smiles: self._serves(opened[row][0], smiles)
            )
        return sampler.run(ready.job(self.request.seed), on_done)

    def _surrogate(self) -> Surrogate | None:
        if not isinstance(self.region_scores, ByClassifier):
            return None
        return Surrogate(self.region_scores.probability, self.model.tokenizer)

    def _writable(self, smiles: str) -> bool:
        """Return whether the network can go on from a molecule."""
        return not unwritable(smiles, self.model.tokenizer, self.model.denoiser.max_length)

    def _serves(self, item: LeadWalk, smiles: str) -> bool:
        """Return whether a molecule is another one, keeps what must stay and is similar enough."""
        mol = parse(smiles)
        return (
            mol is not None
            and smiles not in (item.start.smiles, item.lead.smiles)
            and item.lead.similarity(mol) >= self.request.likeness.similarity
            and item.lead.keeps(smiles)
            and self.request.filters.reason(mol) is None
        )

    def _judged(
        self, item: LeadWalk, number: int, part: OpenPart, molecule: Molecule, cost: tuple[int, ...]
    ) -> Try:
        """Return a try with everything that needs no oracle."""
        mol = parse(molecule.smiles) if molecule.ok else None
        return Try(
            number + 1,
            molecule.raw,
            molecule.smiles,
            str(molecule.status),
            Chem.MolFragmentToSmiles(item.start.mol, sorted(part.part.atoms)),
            np.nan if mol is None else item.lead.similarity(mol),
            mol is not None and item.lead.keeps(molecule.smiles),
            mol is not None and self.request.filters.reason(mol) is None,
            nfe=cost[0],
            shared_nfe=cost[1],
            classifier_nfe=cost[2],
        )
