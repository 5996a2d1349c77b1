"""Lead search in rounds: mask a region, draw it, and continue from improved molecules.

With an oracle, or a noisy classifier as its surrogate
(:class:`molgen.discovery.leads.region_scores.Surrogate`), each round takes a few attempts from the
current start molecule (:mod:`molgen.discovery.leads.state`), until ``stop_after`` molecules meet
every goal or the attempts are used up. Without either, one round makes all attempts from the lead.

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
from molgen.constraints.masked_regions import MaskedRegion, rows
from molgen.data.prior import PriorDraw
from molgen.data.tokenizer import unwritable
from molgen.discovery.leads.lead import Lead, Refused
from molgen.discovery.leads.masked_regions import masked_regions
from molgen.discovery.leads.region_scores import (
    ByClassifier,
    RegionScores,
    Surrogate,
    region_scores,
)
from molgen.discovery.leads.report import Attempt
from molgen.discovery.leads.state import LOW, LeadState
from molgen.discovery.novelty import Novelty
from molgen.discovery.oracle import Oracle
from molgen.discovery.request import Request
from molgen.errors import MolgenError
from molgen.molecules.logs import quiet
from molgen.molecules.parsing import Molecule, interpret_all, parse
from molgen.sampling.adaptive import AdaptiveSampler
from molgen.sampling.factory import adaptive_sampler
from molgen.sampling.finished import finished
from molgen.sampling.recipe import Recipe
from molgen.sampling.sampler import AnySampler, Samples
from molgen.utils import journal
from molgen.utils.arrays import Ids
from molgen.utils.journal import recorded
from molgen.utils.randomness import SEGMENT, Use, used
from molgen.utils.threads import Workers
from property_models import scorers

ROUND = 4  # attempts at a lead between two scorings


@dataclass(frozen=True, eq=False)
class LeadSearch:
    """Draws attempts at leads.

    Attributes:
        request: the request, with goals in units of the training data.
        novelty: which molecules are new.
        model: the model.
        sampler: of the model, guided.
        adaptive: retries failed attempts; None for no retries.
        region_scores: attribution of the targets to regions.
        prior_draw: lengths and conditions from the prior.
    """

    request: Request
    novelty: Novelty
    model: Checkpoint
    sampler: AnySampler
    adaptive: AdaptiveSampler | None
    region_scores: RegionScores
    prior_draw: PriorDraw

    @classmethod
    def over(
        cls,
        request: Request,
        novelty: Novelty,
        recipe: Recipe,
        sampler: AnySampler,
        pool: Workers,
    ) -> LeadSearch:
        """Prepare a search.

        Raises:
            MolgenError: if guidance changes the reveal rate, attempts cannot be retried as
                requested, or a top-k selection lacks a noisy classifier of the targets.
        """
        model = recipe.model
        prior_draw = recipe.draw_prior(PRIOR_ROWS, request.seed)
        nothing = rows(model, prior_draw, [], np.zeros(0, np.int64), np.zeros((0, 1)))
        free = restrained(sampler, nothing.rules)
        adaptive = adaptive_sampler(recipe, free) if recipe.settings.adapt else None
        scores = region_scores(recipe, prior_draw, pool)
        if request.n and not isinstance(scores, ByClassifier):
            raise MolgenError(
                f"top_k is {request.n}, but model {model.name!r} has no noisy classifier of the "
                "targets, expected one for the selection"
            )
        return cls(request, novelty, model, sampler, adaptive, scores, prior_draw)

    def run(
        self, leads: Sequence[Lead | Refused], on_attempts: Callable[[int], None] | None = None
    ) -> tuple[list[tuple[Lead | Refused, Oracle, list[Attempt]]], bool]:
        """Draw attempts at leads.

        Args:
            leads: to improve; rejected leads get no attempts.
            on_attempts: called with the number of attempts that have ended or are skipped.

        Returns:
            For each lead its oracle and its attempts, and whether there was an interrupt
            (Ctrl-C), after which these are the attempts that have ended.
        """
        budget, goals = self.request.budget, self.request.goals.computed
        attempts, stop_after, calls = budget.attempts, budget.stop_after, budget.oracle_calls or 0
        oracles = [Oracle(tuple(goals), calls) for _ in leads]
        states = {
            lead.index: LeadState(
                lead,
                goals,
                self.request.likeness.similarity,
                self.request.seed,
                oracle,
                None if calls else self._surrogate(),
            )
            for lead, oracle in zip(leads, oracles, strict=True)
            if isinstance(lead, Lead)
        }
        active = list(states.values())
        step = ROUND if any(state.scored for state in active) else attempts
        interrupted = False
        for first in range(0, attempts, step):
            try:
                count = min(step, attempts - first)
                interrupted = self._round(active, first, count, on_attempts)
            except KeyboardInterrupt:  # while regions are scored, or molecules
                interrupted = True
            if interrupted:
                journal.keep()
                break
            remaining = [
                state for state in active if not stop_after or len(state.reached) < stop_after
            ]
            if on_attempts and len(remaining) < len(active):
                on_attempts((len(active) - len(remaining)) * max(0, attempts - first - step))
            active = [] if scorers.active().stopped else remaining
        if self.request.n:
            for state in states.values():
                state.select_top(self.request.n)
        return [
            (lead, oracle, states[lead.index].attempts if lead.index in states else [])
            for lead, oracle in zip(leads, oracles, strict=True)
        ], interrupted

    def _round(
        self,
        states: list[LeadState],
        first: int,
        count: int,
        on_attempts: Callable[[int], None] | None,
    ) -> bool:
        """Draw ``count`` attempts at each lead from number ``first`` on, and update the starts.

        Returns:
            Whether it was interrupted.
        """
        if not states:
            return False
        costs = self._score_regions(states, first)
        masked = [
            (state, number, state.choose(number, self.region_scores.overconfidence))
            for state in states
            for number in range(first, first + count)
        ]
        samples, ended = self._draw(masked, on_attempts)
        if ended is not None:
            masked = [masked[i] for i in ended]
        texts = self.model.texts(samples.tokens)
        molecules = interpret_all([self.model.tokenizer.smiles(text) for text in texts])
        for i, (state, number, region) in enumerate(masked):
            shared = costs.get(state.lead.index, (0, 0)) if number == first else (0, 0)
            cost = int(samples.nfe[i]), shared[0], int(samples.classifier_nfe[i]) + shared[1]
            state.attempts.append(self._attempt(state, number, region, molecules[i], cost))
        for state in states:
            new = sum(attempt.number > first for attempt in state.attempts)
            if state.scored and new and (ended is None or state.surrogate is not None):
                state.advance(new, self._writable)
        return ended is not None

    def _score_regions(self, states: Sequence[LeadState], first: int) -> dict[int, tuple[int, int]]:
        """Score the regions of new starts; return the forwards taken, by index of the lead."""
        new = [state for state in states if not state.start.regions]
        if not new:
            return {}
        for state in new:
            state.start.regions = masked_regions(
                self.model,
                self.prior_draw.lengths,
                state.lead,
                state.start,
                LOW * self.request.likeness.similarity,
                self.region_scores.lengths,
                self.request.seed,
                first,
            )
        regions = [region for state in new for region in state.start.regions]
        parts = [(state.lead.index, state.start.smiles) for state in new]
        found = recorded(
            ["regions", first, *parts], lambda: {"scores": self.region_scores(regions)}
        )["scores"]
        ends = np.cumsum([len(state.start.regions) for state in new])[:-1]
        for state, own in zip(new, np.split(found, ends), strict=True):
            state.start.set_scores(own)
        each = self.region_scores.forwards, self.region_scores.classifier_forwards
        return {
            state.lead.index: (
                each[0] * len(state.start.regions),
                each[1] * len(state.start.regions),
            )
            for state in new
        }

    def _draw(
        self,
        masked: Sequence[tuple[LeadState, int, MaskedRegion]],
        on_attempts: Callable[[int], None] | None,
    ) -> tuple[Samples, Ids | None]:
        """Draw masked regions, given with their lead and the number of the attempt.

        Returns:
            The rows, and after an interrupt which of them have ended.
        """
        several = [(state.lead.index, number) for state, number, _ in masked]
        lead, number = np.array(several, dtype=np.int64).T
        place = np.arange(self.model.denoiser.max_length + 1)
        u = used(self.request.seed, Use.LEAD_SPAN, lead[:, None], number[:, None], place)
        regions = [region for *_, region in masked]
        ready = rows(self.model, self.prior_draw, regions, lead * SEGMENT + number, u)

        sampler = restrained(self.sampler, ready.rules)
        if self.adaptive is not None:
            sampler = self.adaptive.around(
                sampler, lambda row, smiles: self._acceptable(masked[row][0], smiles)
            )
        job = ready.job(self.request.seed)
        return finished(lambda on_done: sampler.run(job, on_done), on_attempts)

    def _surrogate(self) -> Surrogate | None:
        if not isinstance(self.region_scores, ByClassifier):
            return None
        return Surrogate(self.region_scores.probability, self.model.tokenizer)

    def _writable(self, smiles: str) -> bool:
        """Return whether the network can represent a molecule."""
        return not unwritable(smiles, self.model.tokenizer, self.model.denoiser.max_length)

    def _known(self, smiles: str) -> str:
        """Return why a molecule is not new; empty for a new one, and for no molecule."""
        return self.novelty.rejected(self.novelty.identities([smiles]))[0] if smiles else ""

    def _acceptable(self, state: LeadState, smiles: str) -> bool:
        """Return whether a molecule is new, similar to the lead, and passes every check."""
        mol = parse(smiles)
        return (
            mol is not None
            and smiles not in (state.start.smiles, state.lead.smiles)
            and state.lead.similarity(mol) >= self.request.likeness.similarity
            and state.lead.keeps(smiles)
            and not self._known(smiles)
            and self.request.filters.reason(mol) is None
        )

    @quiet
    def _attempt(
        self,
        state: LeadState,
        number: int,
        region: MaskedRegion,
        molecule: Molecule,
        cost: tuple[int, ...],
    ) -> Attempt:
        """Return an attempt without the values of the oracle."""
        mol = parse(molecule.smiles) if molecule.ok else None
        return Attempt(
            number + 1,
            molecule.raw,
            molecule.smiles,
            str(molecule.status),
            Chem.MolFragmentToSmiles(state.start.mol, sorted(region.region.atoms)),
            np.nan if mol is None else state.lead.similarity(mol),
            mol is not None and state.lead.keeps(molecule.smiles),
            mol is not None and self.request.filters.reason(mol) is None,
            known=self._known(molecule.smiles),
            nfe=cost[0],
            shared_nfe=cost[1],
            classifier_nfe=cost[2],
        )
