"""Tries at leads, in rounds: open a part, draw it, and with an oracle go on from what is better.

    s_j = low + (high - low) (j phi mod 1),     phi = (sqrt(5) - 1) / 2

is the similarity that try ``j`` aims at; ``phi``'s multiples are spread evenly however many there
are. Without an oracle one round holds all tries, each from the lead. With one, a few tries at a
time start from where the lead has got to; those that keep the similarity to the lead are scored, as
far as the budget goes, and the best of them is taken as a Metropolis step takes it, at temperature
0: if it is no worse.

References: see :mod:`molgen.lead_optimization`; search with an oracle is that of Hoffman et al.,
"Optimizing molecules using efficient queries from property evaluations" (2022), with the network in
place of a latent space.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from rdkit import Chem

from molgen import randomness
from molgen.adaptive import AdaptiveSampler, adaptive_sampler
from molgen.constrained import restrained
from molgen.goals import Goals
from molgen.lead import Lead, Refused, unwritable
from molgen.lead_openings import openings
from molgen.lead_prospects import Prospects, prospects
from molgen.lead_report import Try
from molgen.lead_rows import OpenPart, rows
from molgen.model import Model, Request
from molgen.molecules import Molecule, interpret_all, parse
from molgen.oracle import Floats, Oracle, WeightedSum
from molgen.rows import Ids, Samples
from molgen.samplers import AnySampler
from molgen.screens import Screens
from molgen.settings import Settings
from molgen.spans import numbered
from molgen.targets import Target
from molgen.threads import Workers
from molgen.walkers import accepted

ROUND = 4  # tries of a lead between two looks at the oracle
LOW, HIGH = 0.75, 0.1
"""Similarities to be expected reach from ``LOW`` times the threshold, since what is drawn is like
the lead in part, to ``HIGH`` of the way from the threshold to 1."""
AGAIN = 1.0  # nats that a part loses whenever a try opens it, so that tries differ
WIDTH = 0.05  # of the similarities about the one aimed at
GOLDEN = 0.6180339887498949  # phi
APART = 2**32  # rows of the endless table from one lead to the next
CHOICE, LENGTH, ACCEPT = (2**41 + 2**20 * use for use in range(2, 5))  # in place of a position


@dataclass(eq=False)
class _Going:
    """A lead under way.

    Attributes:
        lead: the lead.
        oracle: scores molecules on the way.
        smiles: where it has got to, canonical.
        mol: likewise.
        score: of that, minus infinity until it is known.
        pool: parts of it, none until they are looked for.
        prospects: ``log p(y | rest)`` of each.
        opened: how often a try has opened each.
        tries: so far.
    """

    lead: Lead
    oracle: Oracle
    smiles: str
    mol: Chem.Mol
    score: float = -np.inf
    pool: list[OpenPart] = field(default_factory=list)
    prospects: Floats = field(default_factory=lambda: np.zeros(0))
    opened: Ids = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    tries: list[Try] = field(default_factory=list)

    def move(self, smiles: str, mol: Chem.Mol, score: float) -> None:
        """Go on from another molecule."""
        self.smiles, self.mol, self.score, self.pool = smiles, mol, score, []


@dataclass(frozen=True, eq=False)
class LeadSearch:
    """Draws tries at leads.

    Attributes:
        model: that draws.
        sampler: of the model, guided.
        adaptive: how tries that fail go on; None if they do not.
        prospects: says of parts how well what stays goes with what is asked for.
        request: lengths and conditions to choose from.
        goals: what is asked for.
        screens: hard filters.
        similarity: the least to the lead.
        seed: of every draw.
    """

    model: Model
    sampler: AnySampler
    adaptive: AdaptiveSampler | None
    prospects: Prospects
    request: Request
    goals: Goals
    screens: Screens
    similarity: float
    seed: int

    @classmethod
    def over(
        cls,
        model: Model,
        sampler: AnySampler,
        pool: Workers,
        settings: Settings,
        steer: Mapping[str, Target],
        request: Request,
        goals: Goals,
        screens: Screens,
        similarity: float,
        seed: int,
    ) -> LeadSearch:
        """Prepare the network.

        Raises:
            ValueError: if guidance has a say in how fast the sampler goes, or tries cannot go on
                as asked for.
        """
        nothing = rows(model, request, [], np.zeros(0, np.int64), np.zeros((0, 1)))
        free = restrained(sampler, nothing.rules)
        goes_on = adaptive_sampler(model, free, settings, steer) if settings.adapt else None
        judge = prospects(model, settings, steer, request, pool)
        return cls(model, sampler, goes_on, judge, request, goals, screens, similarity, seed)

    def run(
        self,
        leads: Sequence[Lead | Refused],
        tries: int,
        oracle_calls: int,
        on_tries: Callable[[int], None] | None = None,
    ) -> list[tuple[Lead | Refused, Oracle, list[Try]]]:
        """Draw tries at leads.

        Args:
            leads: to work on; those refused get no tries.
            tries: of each.
            oracle_calls: molecules of each that may be scored while drawing.
            on_tries: told how many tries have ended, as they do.

        Returns:
            For each lead its oracle and its tries.
        """
        objectives = tuple(self.goals)
        oracles = [Oracle(objectives, oracle_calls) for _ in leads]
        going = {
            lead.index: _Going(lead, oracle, lead.smiles, lead.mol)
            for lead, oracle in zip(leads, oracles, strict=True)
            if isinstance(lead, Lead)
        }
        under_way = list(going.values())
        for item in under_way if oracle_calls else []:
            item.score = float(self._scores(item.oracle, [item.smiles])[0])
        step = ROUND if oracle_calls else tries
        for first in range(0, tries, step):
            self._round(under_way, first, min(step, tries - first), on_tries)
        return [
            (lead, oracle, going[lead.index].tries if lead.index in going else [])
            for lead, oracle in zip(leads, oracles, strict=True)
        ]

    def _round(
        self, going: list[_Going], first: int, count: int, on_tries: Callable[[int], None] | None
    ) -> None:
        """Draw ``count`` tries at each lead from number ``first`` on, and go on from the best."""
        if not going:
            return
        costs = self._look_for_parts(going, first)
        opened = [
            (item, number, self._choose(item, number))
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
            if item.oracle.budget:
                self._go_on(item, first, count)

    def _look_for_parts(self, going: Sequence[_Going], first: int) -> dict[int, tuple[int, int]]:
        """Find parts of those that have moved; return the forwards it took by index of the lead."""
        moved = [item for item in going if not item.pool]
        if not moved:
            return {}
        for item in moved:
            item.pool = openings(
                self.model,
                self.request.lengths,
                item.lead,
                item.smiles,
                item.mol,
                LOW * self.similarity,
                self.prospects.lengths,
                self.seed,
                first,
            )
        found = self.prospects([part for item in moved for part in item.pool])
        ends = np.cumsum([len(item.pool) for item in moved])[:-1]
        for item, own in zip(moved, np.split(found, ends), strict=True):
            item.prospects, item.opened = own, np.zeros(len(own), dtype=np.int64)
        each = self.prospects.forwards, self.prospects.classifier_forwards
        return {
            item.lead.index: (each[0] * len(item.pool), each[1] * len(item.pool)) for item in moved
        }

    def _choose(self, item: _Going, number: int) -> OpenPart:
        """Choose the part that a try opens."""
        low, high = LOW * self.similarity, self.similarity + HIGH * (1 - self.similarity)
        aim = low + (high - low) * (number * GOLDEN % 1)
        expected = np.array(
            [each.part.similarity(each.length / each.template.usual) for each in item.pool]
        )
        log_w = (
            item.prospects / self.prospects.exaggeration
            - np.abs(expected - aim) / WIDTH
            - AGAIN * item.opened
        )
        u = randomness.uniform(self.seed, randomness.SHUFFLE, item.lead.index, number, CHOICE)
        at = int(randomness.choose(np.exp(log_w - log_w.max()), u))
        item.opened[at] += 1
        return item.pool[at]

    def _draw(
        self,
        opened: Sequence[tuple[_Going, int, OpenPart]],
        on_tries: Callable[[int], None] | None,
    ) -> Samples:
        """Draw open parts, given with their lead and the number of the try."""
        several = [(item.lead.index, number) for item, number, _ in opened]
        lead, number = np.array(several, dtype=np.int64).T
        u = randomness.uniform(
            self.seed,
            randomness.SHUFFLE,
            lead[:, None],
            number[:, None],
            LENGTH + np.arange(self.model.denoiser.max_length + 1),
        )
        ready = rows(
            self.model, self.request, [part for *_, part in opened], lead * APART + number, u
        )

        def on_done(ended: Ids, _: Samples) -> None:
            if on_tries:
                on_tries(len(ended))

        sampler = restrained(self.sampler, ready.rules)
        if self.adaptive is not None:
            sampler = self.adaptive.around(
                sampler, lambda row, smiles: self._serves(opened[row][0], smiles)
            )
        return sampler.run(
            ready.lengths,
            numbered(ready.condition, len(opened)),
            self.seed,
            given=ready.given,
            on_done=on_done,
        )

    def _serves(self, item: _Going, smiles: str) -> bool:
        """Return whether a molecule is another one, keeps what must stay and is similar enough."""
        mol = parse(smiles)
        return (
            mol is not None
            and smiles not in (item.smiles, item.lead.smiles)
            and item.lead.similarity(mol) >= self.similarity
            and item.lead.keeps(smiles)
            and self.screens.reason(mol) is None
        )

    def _judged(
        self, item: _Going, number: int, part: OpenPart, molecule: Molecule, cost: tuple[int, ...]
    ) -> Try:
        """Return a try with everything that needs no oracle."""
        mol = parse(molecule.smiles) if molecule.ok else None
        return Try(
            number + 1,
            molecule.raw,
            molecule.smiles,
            str(molecule.status),
            Chem.MolFragmentToSmiles(item.mol, sorted(part.part.atoms)),
            np.nan if mol is None else item.lead.similarity(mol),
            mol is not None and item.lead.keeps(molecule.smiles),
            mol is not None and self.screens.reason(mol) is None,
            *cost,
        )

    def _go_on(self, item: _Going, first: int, count: int) -> None:
        """Score what a round has drawn, as far as the budget goes, and take the best."""
        last, longest = item.tries[-count:], self.model.denoiser.max_length
        fitting = [
            each.smiles
            for each in last
            if each.keeps
            and each.passes
            and each.similarity >= self.similarity
            and not unwritable(each.smiles, self.model.tokenizer, longest)
        ]
        if fitting:
            scores = self._scores(item.oracle, fitting)
            at = int(scores.argmax())
            mol = parse(fitting[at])
            u = randomness.uniform(self.seed, randomness.SHUFFLE, [item.lead.index], first, ACCEPT)
            takes = accepted(np.array([item.score]), scores[[at]], 0.0, u)[0]
            movable = mol is not None and bool(item.lead.free(mol))
            if fitting[at] != item.smiles and np.isfinite(scores[at]) and takes and movable:
                item.move(fitting[at], mol, float(scores[at]))
        item.tries[-count:] = [replace(each, calls=item.oracle.calls) for each in last]

    def _scores(self, oracle: Oracle, smiles: list[str]) -> Floats:
        return WeightedSum(tuple(self.goals.weights.values()))(oracle(smiles))
