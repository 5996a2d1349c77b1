"""The state of the search at a lead: attempts, start molecules and molecules that wait.

    s_j = low + (high - low) (j phi mod 1),     phi = (sqrt(5) - 1) / 2

is the target similarity of attempt ``j``; multiples of ``phi`` are evenly spread for any number of
attempts. With an oracle, attempts that keep the similarity to the lead wait to be scored within the
budget (:mod:`molgen.discovery.leads.candidates`), and the next attempts start from the best
(:mod:`molgen.discovery.leads.starts`). Without an oracle a surrogate, if given, takes its place,
without a budget; it counts molecules that more likely than not meet every goal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from molgen.constraints.masked_regions import MaskedRegion
from molgen.discovery.donors import children, reduced
from molgen.discovery.goals import Goals
from molgen.discovery.leads.candidates import Candidates
from molgen.discovery.leads.lead import Lead
from molgen.discovery.leads.region_scores import Surrogate
from molgen.discovery.leads.report import Attempt
from molgen.discovery.leads.staleness import PATIENCE, Exploration
from molgen.discovery.leads.starts import Start, Starts, plain
from molgen.discovery.oracle import Oracle
from molgen.errors import MolgenError
from molgen.molecules.parsing import parse
from molgen.utils import randomness
from molgen.utils.arrays import Floats
from molgen.utils.randomness import Use

HIGH = 0.1
"""Target similarities range up to ``HIGH`` of the way from the threshold to 1."""
CHILDREN = 64  # of donors, tried in a round
PRICE, SURROGATE_PRICE = 0.1, 1.0  # of a round: in training standard deviations, and in nats
LIKELY = float(np.log(0.5))  # least log-probability of a molecule that counts as reached
GOLDEN = 0.6180339887498949  # phi


@dataclass(eq=False)
class LeadState:
    """The state of the search at one lead.

    Attributes:
        lead: the lead.
        goals: of the molecules.
        similarity: least similarity to the lead.
        seed: of every choice.
        oracle: scores molecules between rounds.
        surrogate: ranks molecules, and without a budget of the oracle replaces it; None for none.
        donors: their scores, and the values of the goals' properties, by SMILES.
        start: the molecule that the next attempts start from.
        starts: all candidate start molecules.
        candidates: molecules that wait to be scored.
        attempts: so far.
        reached: molecules that meet every goal by the oracle's values; without an oracle, those
            that the surrogate finds likely to, stereoisomers once.
        improved_at: number of attempts when the best molecule was last improved.
        charged: forwards of the surrogate that attempts have been charged for.
    """

    lead: Lead
    goals: Goals
    similarity: float
    seed: int
    oracle: Oracle
    surrogate: Surrogate | None = None
    donors: dict[str, tuple[float, Floats]] = field(default_factory=dict)
    start: Start = field(init=False)
    starts: Starts = field(init=False)
    candidates: Candidates = field(init=False)
    attempts: list[Attempt] = field(default_factory=list)
    reached: set[str] = field(default_factory=set)
    improved_at: int = 0
    charged: int = 0

    def __post_init__(self) -> None:
        """Start from the lead, which is scored first, or from a donor."""
        price = PRICE if self.paid else SURROGATE_PRICE
        self.starts = Starts(self.lead, price, frozenset(self.donors))
        values = {text: values for text, (_, values) in self.donors.items()}
        self.candidates = Candidates(self.goals, self.oracle, self.surrogate, values)
        self.start = self.starts.next(stale=False)
        if self.scored:
            self.start.score = float(self._scores([self.lead.smiles])[0])
        for text, (score, _) in self.donors.items():
            self.starts.add(text, score if self.paid else self._guessed(text))
        if self.donors:
            self.start = self.starts.next(stale=False)

    @property
    def paid(self) -> bool:
        """Whether an oracle scores molecules between rounds."""
        return bool(self.oracle.budget)

    @property
    def scored(self) -> bool:
        """Whether molecules are scored between rounds."""
        return self.paid or self.surrogate is not None

    @property
    def exploration(self) -> Exploration:
        """How widely the next round explores."""
        if not self.paid:
            return Exploration()
        last = self.attempts[-PATIENCE:]
        short = sum(each.similarity < self.similarity for each in last)
        return Exploration.after(len(self.attempts) - self.improved_at, short / max(1, len(last)))

    def choose(self, number: int, overconfidence: float) -> MaskedRegion:
        """Sample the region of an attempt.

        Args:
            number: of the attempt.
            overconfidence: divisor of the region scores.
        """
        low = self.exploration.low * self.similarity
        high = self.similarity + HIGH * (1 - self.similarity)
        similarity = low + (high - low) * (number * GOLDEN % 1)
        u = randomness.used(self.seed, Use.LEAD_CHOICE, self.lead.index, number)
        return self.start.choose(similarity, overconfidence, float(u))

    def advance(self, count: int, writable: Callable[[str], bool]) -> None:
        """Score the molecules of the last round within the budget, and choose the next start.

        Args:
            count: attempts of the round.
            writable: whether the network can represent a molecule.
        """
        last = self.attempts[-count:]
        fitting = [each.smiles for each in last if self._fits(each) and writable(each.smiles)]
        costs = self._costs(last, [] if self.paid else fitting)
        if self.paid:
            self.candidates.add(fitting)
            fitting = self.candidates.take(self.starts.best)
        before = self.starts.best
        if fitting:
            for text, score in zip(fitting, self._scores(fitting), strict=True):
                self.starts.add(text, float(score))
                if not self.paid and score >= LIKELY and text != self.lead.smiles:
                    self.reached.add(plain(text))
            if self.paid:
                self._note(fitting)
        if self.starts.best > before:
            self.improved_at = len(self.attempts)
        self.start.rounds += 1
        self.start = self.starts.next(stale=self.exploration.level > 0)
        if self.surrogate is not None:  # the lead, donors, and what was ordered by it
            costs[0] += self.surrogate.forwards - self.charged - sum(costs)
            self.charged = self.surrogate.forwards
        self.attempts[-count:] = [
            replace(each, calls=self.oracle.calls, classifier_nfe=each.classifier_nfe + cost)
            for each, cost in zip(last, costs, strict=True)
        ]

    def finish(self, stop_after: int | None) -> None:
        """Score what waits, the most promising molecules first, until the budget ends.

        Args:
            stop_after: number of molecules that meet every goal, after which none is scored.
        """
        while self.candidates.waiting and not self.oracle.spent:
            if stop_after and len(self.reached) >= stop_after:
                break
            fitting = self.candidates.take(self.starts.best, isomers=True)
            self._scores(fitting)
            self._note(fitting)
        if self.paid and self.attempts:
            self.attempts[-1] = replace(self.attempts[-1], calls=self.oracle.calls)

    def _guessed(self, smiles: str) -> float:
        """Return the surrogate's score of a donor, reduced for its similarity to the lead."""
        mol = parse(smiles)
        like = np.array([0.0 if mol is None else self.lead.similarity(mol)])
        return float(reduced(self._scores([smiles]), like, self.similarity)[0])

    def children(self, count: int, able: Callable[[str], bool]) -> dict[str, str]:
        """Return the most promising children of the current molecule and of donors.

        Args:
            count: at most.
            able: whether a molecule may be scored.

        Returns:
            The replaced part by child.
        """
        place = np.arange(CHILDREN)[:, None], np.arange(2)
        u = randomness.used(self.seed, Use.LEAD_DONOR, self.lead.index, len(self.attempts), *place)
        found = children(self.start.smiles, self.donors, u)
        seen = {each.smiles for each in self.attempts} | {self.lead.smiles}
        smiles = [text for text in found if text not in seen and able(text)]
        return {
            smiles[i]: found[smiles[i]]
            for i in self.candidates.order(smiles, count, self.starts.best)
        }

    def select_top(self, count: int) -> None:
        """Select the ``count`` molecules with the highest surrogate scores.

        Raises:
            MolgenError: if there is no surrogate.
        """
        if self.surrogate is None:
            raise MolgenError("surrogate is None, expected one for the top-k selection")
        drawn = [each.smiles for each in self.attempts if self._fits(each)]
        able = [s for s in drawn if s != self.lead.smiles and self.surrogate.has_scored(s)]
        best = self.surrogate.best(count, able)
        self.attempts = [replace(each, selected=each.smiles in best) for each in self.attempts]

    def _costs(self, attempts: list[Attempt], fitting: list[str]) -> list[int]:
        """Return the forwards of the surrogate that each attempt will take."""
        new = {text for text in fitting if self.surrogate and not self.surrogate.has_scored(text)}
        costs = []
        for each in attempts:
            costs.append(int(each.smiles in new))
            new.discard(each.smiles)
        return costs

    def _fits(self, item: Attempt) -> bool:
        keeps = item.keeps and item.passes and not item.known
        return keeps and item.similarity >= self.similarity

    def _scores(self, smiles: list[str]) -> Floats:
        if self.paid:
            return self.goals.aggregated(self.oracle(smiles))
        if self.surrogate is None:
            raise MolgenError("surrogate is None, expected one, or an oracle")
        return self.surrogate(smiles)

    def _note(self, smiles: list[str]) -> None:
        """Record molecules that meet every goal; those without values meet none."""
        own, *values = self.oracle.values([self.lead.smiles, *smiles])
        met = self.goals.reached(np.array(values), own)
        self.reached |= {text for text, hit in zip(smiles, met, strict=True) if hit}
        self.reached.discard(self.lead.smiles)
