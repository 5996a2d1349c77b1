"""A lead under way: which molecule its next tries start from, and which part of it each opens.

    s_j = low + (high - low) (j phi mod 1),     phi = (sqrt(5) - 1) / 2

is the similarity that try ``j`` aims at; ``phi``'s multiples are spread evenly however many there
are. With an oracle, tries that keep the similarity to the lead are scored, as far as the budget
goes, and tries start from

    argmax_x  score(x) - price rounds(x)

of all that have a score, the lead included: the best molecule, until the rounds of tries that have
started from it put another one first. A surrogate takes the oracle's place where one is given, and
has no budget.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from rdkit import Chem

from molgen.constraints.open_parts import OpenPart
from molgen.discovery.goals import Goals
from molgen.discovery.leads.lead import Lead
from molgen.discovery.leads.region_scores import Surrogate
from molgen.discovery.leads.report import Try
from molgen.discovery.objectives import WeightedSum
from molgen.discovery.oracle import Oracle
from molgen.molecules.parsing import parse
from molgen.utils import randomness
from molgen.utils.arrays import Floats, Ids
from molgen.utils.randomness import Use

AGAIN = 2.5  # nats that a part loses whenever a try opens it, so that tries differ
WIDTH = 0.05  # of the similarities about the one aimed at


@dataclass(eq=False)
class Start:
    """A molecule and the openings of it.

    Attributes:
        smiles: canonical.
        mol: likewise, its atoms in any order.
        score: larger is better; minus infinity until it is known.
        rounds: of tries that have started from it.
        pool: openings, none until they are looked for.
        region_scores: ``log p(y | rest)`` of each.
        opened: how often a try has opened each.
    """

    smiles: str
    mol: Chem.Mol
    score: float = -np.inf
    rounds: int = 0
    pool: list[OpenPart] = field(default_factory=list)
    region_scores: Floats = field(default_factory=lambda: np.zeros(0))
    opened: Ids = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def rate(self, region_scores: Floats) -> None:
        """Take what is said of the openings: ``log p(y | rest)`` with shape (openings,)."""
        self.region_scores, self.opened = (
            region_scores,
            np.zeros(len(region_scores), dtype=np.int64),
        )

    def choose(self, aim: float, exaggeration: float, u: float) -> OpenPart:
        """Choose what a try opens.

        Args:
            aim: similarity to the lead that is aimed at.
            exaggeration: of the prospects, which they are divided by.
            u: uniform in [0, 1).
        """
        expected = np.array(
            [each.part.similarity(each.length / each.template.usual) for each in self.pool]
        )
        log_w = (
            self.region_scores / exaggeration - np.abs(expected - aim) / WIDTH - AGAIN * self.opened
        )
        at = int(randomness.choose(np.exp(log_w - log_w.max()), u))
        self.opened[at] += 1
        return self.pool[at]


LOW, HIGH = 0.75, 0.1
"""Similarities to be expected reach from ``LOW`` times the threshold, since what is drawn is like
the lead in part, to ``HIGH`` of the way from the threshold to 1."""
PRICE, SURROGATE_PRICE = 0.1, 1.0  # of a round: training standard deviations, and nats
GOLDEN = 0.6180339887498949  # phi


@dataclass(eq=False)
class LeadWalk:
    """A lead under way.

    Attributes:
        lead: the lead.
        goals: what it is to become.
        similarity: the least to the lead.
        seed: of every choice.
        oracle: scores molecules on the way.
        surrogate: scores them in its place; None where it does not.
        start: what the next tries start from.
        starts: all that they may start from, by canonical SMILES.
        tries: so far.
        reached: molecules that the oracle knows to meet everything.
    """

    lead: Lead
    goals: Goals
    similarity: float
    seed: int
    oracle: Oracle
    surrogate: Surrogate | None = None
    start: Start = field(init=False)
    starts: dict[str, Start] = field(init=False)
    tries: list[Try] = field(default_factory=list)
    reached: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Start from the lead; where something scores, it is the first that is scored."""
        self.start = Start(self.lead.smiles, self.lead.mol)
        self.starts = {self.lead.smiles: self.start}
        if self.goes_on:
            self.start.score = float(self._scores([self.lead.smiles])[0])

    @property
    def goes_on(self) -> bool:
        """Whether anything scores molecules on the way."""
        return bool(self.oracle.budget) or self.surrogate is not None

    def choose(self, number: int, exaggeration: float) -> OpenPart:
        """Choose the part that a try opens.

        Args:
            number: of the try.
            exaggeration: of the prospects, which they are divided by.
        """
        low, high = LOW * self.similarity, self.similarity + HIGH * (1 - self.similarity)
        aim = low + (high - low) * (number * GOLDEN % 1)
        u = randomness.used(self.seed, Use.LEAD_CHOICE, self.lead.index, number)
        return self.start.choose(aim, exaggeration, float(u))

    def go_on(self, count: int, writable: Callable[[str], bool]) -> None:
        """Score what the last round has drawn, as far as the budget goes, and choose a start.

        Args:
            count: tries of the round.
            writable: whether the network can go on from a molecule.
        """
        last = self.tries[-count:]
        fitting = [each.smiles for each in last if self._fits(each) and writable(each.smiles)]
        costs = self._costs(last, fitting)
        if fitting:
            for text, score in zip(fitting, self._scores(fitting), strict=True):
                self._add(text, float(score))
            if self.surrogate is None:
                self._note(fitting)
        self.start.rounds += 1
        price = PRICE if self.surrogate is None else SURROGATE_PRICE
        self.start = max(self.starts.values(), key=lambda one: one.score - price * one.rounds)
        costs[0] += self.surrogate is not None and len(self.tries) == count  # the lead
        self.tries[-count:] = [
            replace(each, calls=self.oracle.calls, classifier_nfe=each.classifier_nfe + cost)
            for each, cost in zip(last, costs, strict=True)
        ]

    def propose(self, count: int) -> None:
        """Leave only the best ``count`` molecules proposed, of those that a surrogate has scored.

        Raises:
            ValueError: if there is no surrogate.
        """
        if self.surrogate is None:
            raise ValueError("surrogate is None, expected what chooses")
        best = self.surrogate.best(count, self.lead.smiles)
        self.tries = [replace(each, proposed=each.smiles in best) for each in self.tries]

    def _costs(self, tries: list[Try], fitting: list[str]) -> list[int]:
        """Return the forwards of the surrogate that each try is about to take."""
        new = {text for text in fitting if self.surrogate and not self.surrogate.knows(text)}
        costs = []
        for each in tries:
            costs.append(int(each.smiles in new))
            new.discard(each.smiles)
        return costs

    def _fits(self, item: Try) -> bool:
        return item.keeps and item.passes and item.similarity >= self.similarity

    def _scores(self, smiles: list[str]) -> Floats:
        if self.surrogate is not None:
            return self.surrogate(smiles)
        return WeightedSum(tuple(self.goals.weights.values()))(self.oracle(smiles))

    def _note(self, smiles: list[str]) -> None:
        """Keep what meets everything; what the oracle has no answer for meets nothing."""
        own, *values = self.oracle.values([self.lead.smiles, *smiles])
        met = self.goals.reached(np.array(values), own)
        self.reached |= {text for text, hit in zip(smiles, met, strict=True) if hit}
        self.reached.discard(self.lead.smiles)

    def _add(self, smiles: str, score: float) -> None:
        """Let tries start from a molecule, if it is a new one and something of it may change."""
        if smiles in self.starts or not np.isfinite(score):
            return
        mol = parse(smiles)
        if mol is not None and self.lead.free(mol):
            self.starts[smiles] = Start(smiles, mol, score)
