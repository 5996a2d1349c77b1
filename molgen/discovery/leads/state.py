"""The state of the search at a lead: its start molecules, and the regions that attempts mask.

    s_j = low + (high - low) (j phi mod 1),     phi = (sqrt(5) - 1) / 2

is the target similarity of attempt ``j``; multiples of ``phi`` are evenly spread for any number of
attempts. With an oracle, attempts that keep the similarity to the lead are scored within the
budget, and the next attempts start from

    argmax_x  score(x) - price rounds(x)

over all scored molecules, the lead included: the best molecule, until the number of rounds started
from it lowers it below another one. A surrogate, if given, replaces the oracle, without a budget.
"""

from __future__ import annotations

import functools
import heapq
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from rdkit import Chem

from molgen.constraints.masked_regions import MaskedRegion
from molgen.discovery.donors import children, reduced
from molgen.discovery.goals import Goals
from molgen.discovery.leads.lead import Lead
from molgen.discovery.leads.region_scores import Surrogate
from molgen.discovery.leads.report import Attempt
from molgen.discovery.leads.staleness import Exploration
from molgen.discovery.leads.value_process import ValueProcess, most_promising
from molgen.discovery.oracle import Oracle
from molgen.errors import MolgenError
from molgen.molecules.parsing import flat, parse
from molgen.utils import randomness
from molgen.utils.arrays import Floats, Ids
from molgen.utils.randomness import Use

AGAIN = 2.5  # penalty in nats for each earlier use of a region, so that attempts differ
WIDTH = 0.05  # of the similarities around the target

_plain = functools.lru_cache(maxsize=65_536)(flat)  # SMILES without stereochemistry


@dataclass(eq=False)
class Start:
    """A molecule that attempts start from, and its masked regions.

    Attributes:
        smiles: canonical.
        mol: the same molecule, atoms in any order.
        score: larger is better; minus infinity until scored.
        rounds: of attempts that started from it.
        regions: masked regions, none until computed.
        region_scores: ``log p(y | rest)`` of each.
        uses: number of attempts at each.
        level: of the exploration that the regions are for.
    """

    smiles: str
    mol: Chem.Mol
    score: float = -np.inf
    rounds: int = 0
    regions: list[MaskedRegion] = field(default_factory=list)
    region_scores: Floats = field(default_factory=lambda: np.zeros(0))
    uses: Ids = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    level: int = 0

    def needs_regions(self, level: int) -> bool:
        """Return whether regions are to be drawn: the first, wider ones, or when used up."""
        used_up = level > 0 and self.uses.sum() >= len({one.region for one in self.regions})
        return not self.regions or level != self.level or used_up

    def set_scores(self, region_scores: Floats) -> None:
        """Set ``log p(y | rest)`` of the regions, shape (regions,), and reset their uses."""
        self.region_scores = region_scores
        self.uses = np.zeros(len(region_scores), dtype=np.int64)

    def choose(self, similarity: float, overconfidence: float, u: float) -> MaskedRegion:
        """Sample the region of an attempt.

        Args:
            similarity: target similarity to the lead.
            overconfidence: divisor of the region scores.
            u: uniform in [0, 1).
        """
        expected = np.array(
            [each.region.similarity(each.length / each.template.usual) for each in self.regions]
        )
        log_w = (
            self.region_scores / overconfidence
            - np.abs(expected - similarity) / WIDTH
            - AGAIN * self.uses
        )
        at = int(randomness.choose(np.exp(log_w - log_w.max()), u))
        self.uses[at] += 1
        return self.regions[at]


HIGH = 0.1
"""Target similarities range up to ``HIGH`` of the way from the threshold to 1."""
BATCH = 2  # molecules scored between two rounds: the most promising of those that wait
BEST = 3  # molecules that a stale search starts from in turn
CHILDREN = 64  # of donors, tried in a round
PRICE, SURROGATE_PRICE = 0.1, 1.0  # of a round: in training standard deviations, and in nats
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
        surrogate: replaces the oracle; None for none.
        start: the molecule that the next attempts start from.
        starts: all candidate start molecules, by SMILES without stereochemistry: isomers are too
            much alike to be starts in turn.
        attempts: so far.
        reached: molecules that meet every goal by the oracle's values.
    """

    lead: Lead
    goals: Goals
    similarity: float
    seed: int
    oracle: Oracle
    surrogate: Surrogate | None = None
    start: Start = field(init=False)
    starts: dict[str, Start] = field(init=False)
    attempts: list[Attempt] = field(default_factory=list)
    reached: set[str] = field(default_factory=set)
    waiting: dict[str, None] = field(default_factory=dict)
    donors: dict[str, tuple[float, Floats]] = field(default_factory=dict)
    improved_at: int = 0
    charged: int = 0
    process: ValueProcess = field(init=False)

    def __post_init__(self) -> None:
        """Start from the lead, which is scored first."""
        self.start = Start(self.lead.smiles, self.lead.mol)
        self.starts = {_plain(self.lead.smiles): self.start}
        self.process = ValueProcess(self.goals)
        if self.scored:
            self.start.score = float(self._scores([self.lead.smiles])[0])
        for text, (score, _) in self.donors.items():
            self._add(text, score if self.paid else self._guessed(text))
        if self.donors:
            self.start = self._next()

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
        return Exploration.after(len(self.attempts) - self.improved_at if self.paid else 0)

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
            self.waiting |= {t: None for t in fitting if t not in self.oracle.scored}
            fitting = self._promising()
        before = self._best
        if fitting:
            for text, score in zip(fitting, self._scores(fitting), strict=True):
                self._add(text, float(score))
            if self.paid:
                self._note(fitting)
        if self._best > before:
            self.improved_at = len(self.attempts)
        self.start.rounds += 1
        self.start = self._next()
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
        while self.waiting and not self.oracle.spent:
            if stop_after and len(self.reached) >= stop_after:
                break
            fitting = self._promising(isomers=True)
            self._scores(fitting)
            self._note(fitting)
        if self.paid and self.attempts:
            self.attempts[-1] = replace(self.attempts[-1], calls=self.oracle.calls)

    def _guessed(self, smiles: str) -> float:
        """Return the surrogate's score of a donor, reduced for its similarity to the lead."""
        mol = parse(smiles)
        like = np.array([0.0 if mol is None else self.lead.similarity(mol)])
        return float(reduced(self._scores([smiles]), like, self.similarity)[0])

    def _next(self) -> Start:
        if self.exploration.level:
            best = heapq.nlargest(BEST, self.starts.values(), key=lambda one: one.score)
            return min(best, key=lambda one: one.rounds)
        price = PRICE if self.paid else SURROGATE_PRICE
        return max(self.starts.values(), key=lambda one: one.score - price * one.rounds)

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
        return {smiles[i]: found[smiles[i]] for i in self._order(smiles, count)}

    def _promising(self, isomers: bool = False) -> list[str]:
        """Remove and return the most promising of the molecules that wait to be scored."""
        smiles = list(self.waiting)
        chosen = [smiles[i] for i in self._order(smiles, BATCH, isomers)]
        for text in chosen:
            del self.waiting[text]
        return chosen

    def _order(self, smiles: list[str], count: int, isomers: bool = False) -> list[int]:
        """Return the indices of the most promising molecules, at most a number of them.

        Args:
            smiles: of the molecules.
            count: at most.
            isomers: whether to take stereoisomers of molecules that are scored or taken, after the
                others: many properties do not depend on stereochemistry.
        """
        seen = {_plain(text) for text in self.oracle.scored}
        first, last = [], []
        for i in self._ranked(smiles) if len(smiles) > count else range(len(smiles)):
            (last if _plain(smiles[i]) in seen else first).append(i)
            seen.add(_plain(smiles[i]))
        return [*first, *(last if isomers else [])][:count]

    def _ranked(self, smiles: list[str]) -> list[int]:
        """Return the indices of molecules, the most promising first."""
        known = {text: values for text, (_, values) in self.donors.items()}
        known |= self.oracle.scored
        scores = self.process.predict(known, smiles) if self.paid else None
        if scores is not None:
            return most_promising(scores, self._best)
        if self.surrogate is not None:
            return [int(i) for i in np.argsort(-self.surrogate(smiles), kind="stable")]
        return list(range(len(smiles)))

    @property
    def _best(self) -> float:
        own = [one.score for one in self.starts.values() if one.smiles not in self.donors]
        return max(own, default=-np.inf)

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

    def _add(self, smiles: str, score: float) -> None:
        """Add a start molecule if it has atoms that may change; of stereoisomers the best one."""
        there = self.starts.get(plain := _plain(smiles))
        if not np.isfinite(score) or (there is not None and there.score >= score):
            return
        mol = parse(smiles)
        if mol is not None and self.lead.free(mol):
            self.starts[plain] = Start(smiles, mol, score, there.rounds if there else 0)
