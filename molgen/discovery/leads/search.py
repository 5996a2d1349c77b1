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
from molgen.discovery.leads.staleness import Exploration
from molgen.discovery.leads.state import LeadState
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
from molgen.utils.arrays import Floats, Ids
from molgen.utils.journal import recorded
from molgen.utils.randomness import SEGMENT, Use, used
from molgen.utils.threads import Workers
from property_models import scorers


@dataclass(frozen=True, eq=False)
class LeadSearch:
    """Draws attempts at leads.

    Attributes:
        request: the request, with goals in units of the training data.
        novelty: which molecules are new.
        model: the model.
        samplers: from a factor of the temperature to a sampler of the model, guided.
        adaptive: retries failed attempts; None for no retries.
        region_scores: attribution of the targets to regions.
        prior_draw: lengths and conditions from the prior.
    """

    request: Request
    novelty: Novelty
    model: Checkpoint
    samplers: Callable[[float], AnySampler]
    adaptive: AdaptiveSampler | None
    region_scores: RegionScores
    prior_draw: PriorDraw

    @classmethod
    def over(
        cls,
        request: Request,
        novelty: Novelty,
        recipe: Recipe,
        samplers: Callable[[float], AnySampler],
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
        free = restrained(samplers(1.0), nothing.rules)
        adaptive = adaptive_sampler(recipe, free) if recipe.settings.adapt else None
        scores = region_scores(recipe, prior_draw, pool)
        if request.n and not isinstance(scores, ByClassifier):
            raise MolgenError(
                f"top_k is {request.n}, but model {model.name!r} has no noisy classifier of the "
                "targets, expected one for the selection"
            )
        if request.donors and not (request.budget.oracle_calls or isinstance(scores, ByClassifier)):
            raise MolgenError(
                f"donors is given without oracle_calls, and model {model.name!r} has no noisy "
                "classifier of the targets, expected one of them: it ranks what is made of donors"
            )
        return cls(request, novelty, model, samplers, adaptive, scores, prior_draw)

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
                self._surrogate(),
                donors=self._donors(lead),
            )
            for lead, oracle in zip(leads, oracles, strict=True)
            if isinstance(lead, Lead)
        }
        active = list(states.values())
        interrupted = False
        while active and not interrupted:
            try:
                for exploration, alike in _together(active):
                    interrupted = self._round(alike, attempts, exploration, on_attempts)
                    if interrupted:
                        break
            except KeyboardInterrupt:  # while regions are scored, or molecules
                interrupted = True
            if interrupted:
                journal.keep()
                break
            remaining = [
                state
                for state in active
                if len(state.attempts) < attempts
                and not (stop_after and len(state.reached) >= stop_after)
            ]
            if on_attempts:
                ended = sum(len(one.attempts) for one in active if one not in remaining)
                skipped = attempts * (len(active) - len(remaining)) - ended
                if skipped:
                    on_attempts(skipped)
            active = [] if scorers.active().stopped else remaining
        for state in states.values():
            if not interrupted and not scorers.active().stopped:
                state.finish(stop_after)
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
        attempts: int,
        exploration: Exploration,
        on_attempts: Callable[[int], None] | None,
    ) -> bool:
        """Draw attempts at each lead, and update the starts.

        Args:
            states: of equally stale searches.
            attempts: at each lead in all.
            exploration: of these searches.
            on_attempts: see :meth:`run`.

        Returns:
            Whether it was interrupted.
        """
        scored = any(state.scored for state in states)
        first = {state.lead.index: len(state.attempts) for state in states}
        costs = self._score_regions(states, exploration)
        masked = [
            (state, number, state.choose(number, self.region_scores.overconfidence))
            for state in states
            for number in range(
                len(state.attempts),
                min(attempts, len(state.attempts) + exploration.attempts) if scored else attempts,
            )
        ]
        samples, ended = self._draw(masked, exploration, on_attempts)
        if ended is not None:
            masked = [masked[i] for i in ended]
        texts = self.model.texts(samples.tokens)
        molecules = interpret_all([self.model.tokenizer.smiles(text) for text in texts])
        for i, (state, number, region) in enumerate(masked):
            begins = number == first[state.lead.index]
            shared = costs.get(state.lead.index, (0, 0)) if begins else (0, 0)
            cost = int(samples.nfe[i]), shared[0], int(samples.classifier_nfe[i]) + shared[1]
            part = Chem.MolFragmentToSmiles(state.start.mol, sorted(region.region.atoms))
            state.attempts.append(self._attempt(state, number, part, molecules[i], cost))
        if ended is None:
            for state in states:
                left = attempts - len(state.attempts)
                new = self._add_children(state, min(exploration.children, left))
                if on_attempts and new:
                    on_attempts(new)
        for state in states:
            new = len(state.attempts) - first[state.lead.index]
            if state.scored and new and (ended is None or not state.paid):
                state.advance(new, self._writable)
        return ended is not None

    def _score_regions(
        self, states: Sequence[LeadState], exploration: Exploration
    ) -> dict[int, tuple[int, int]]:
        """Score the regions of new starts; return the forwards taken, by index of the lead."""
        new = [one for one in states if one.start.needs_regions(exploration)]
        if not new:
            return {}
        for state in new:
            state.start.exploration = exploration
            state.start.regions = masked_regions(
                self.model,
                self.prior_draw.lengths,
                state.lead,
                state.start,
                exploration.low * self.request.likeness.similarity,
                self.region_scores.lengths,
                self.request.seed,
                len(state.attempts),
            )
        regions = [region for state in new for region in state.start.regions]
        parts = [(one.lead.index, len(one.attempts), one.start.smiles) for one in new]
        narrow = ["narrow"] if exploration.narrow else []
        found = recorded(
            ["regions", exploration.level, *narrow, *parts],
            lambda: {"scores": self.region_scores(regions)},
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
        exploration: Exploration,
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

        sampler = restrained(self.samplers(exploration.temperature), ready.rules)
        if self.adaptive is not None:
            sampler = self.adaptive.around(
                sampler, lambda row, smiles: self._acceptable(masked[row][0], smiles)
            )
        job = ready.job(self.request.seed)
        return finished(lambda on_done: sampler.run(job, on_done), on_attempts)

    def _donors(self, lead: Lead) -> dict[str, tuple[float, Floats]]:
        """Return the donors of a lead that the network can represent."""
        donors, goals = self.request.donors, self.request.goals.computed
        if donors is None or not goals:
            return {}
        found = donors.near(lead.smiles, goals, self.request.likeness.similarity)
        return {text: each for text, each in found.items() if self._writable(text)}

    def _add_children(self, state: LeadState, count: int) -> int:
        """Add attempts that join parts of the current molecule and of donors; return how many."""
        if not state.donors or count < 1:
            return 0
        found = state.children(
            count, lambda text: self._writable(text) and self._acceptable(state, text)
        )
        for molecule, part in zip(interpret_all(list(found)), found.values(), strict=True):
            number = len(state.attempts)
            state.attempts.append(self._attempt(state, number, part, molecule, (0, 0, 0)))
        return len(found)

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
        part: str,
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
            part,
            np.nan if mol is None else state.lead.similarity(mol),
            mol is not None and state.lead.keeps(molecule.smiles),
            mol is not None and self.request.filters.reason(mol) is None,
            known=self._known(molecule.smiles),
            nfe=cost[0],
            shared_nfe=cost[1],
            classifier_nfe=cost[2],
        )


def _together(states: Sequence[LeadState]) -> list[tuple[Exploration, list[LeadState]]]:
    """Return leads by the exploration of their next round."""
    found: dict[Exploration, list[LeadState]] = {}
    for state in states:
        found.setdefault(state.exploration, []).append(state)
    return sorted(found.items(), key=lambda pair: (pair[0].level, pair[0].narrow))
