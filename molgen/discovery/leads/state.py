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

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from rdkit import Chem

from molgen.constraints.masked_regions import MaskedRegion
from molgen.discovery.goals import Goals
from molgen.discovery.leads.lead import Lead
from molgen.discovery.leads.region_scores import Surrogate
from molgen.discovery.leads.report import Attempt
from molgen.discovery.oracle import Oracle
from molgen.errors import MolgenError
from molgen.molecules.parsing import parse
from molgen.utils import randomness
from molgen.utils.arrays import Floats, Ids
from molgen.utils.randomness import Use

AGAIN = 2.5  # penalty in nats for each earlier use of a region, so that attempts differ
WIDTH = 0.05  # of the similarities around the target


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
    """

    smiles: str
    mol: Chem.Mol
    score: float = -np.inf
    rounds: int = 0
    regions: list[MaskedRegion] = field(default_factory=list)
    region_scores: Floats = field(default_factory=lambda: np.zeros(0))
    uses: Ids = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

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


LOW, HIGH = 0.75, 0.1
"""Target similarities range from ``LOW`` times the threshold, since redrawn tokens add similarity,
to ``HIGH`` of the way from the threshold to 1."""
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
        starts: all candidate start molecules, by canonical SMILES.
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

    def __post_init__(self) -> None:
        """Start from the lead, which is scored first."""
        self.start = Start(self.lead.smiles, self.lead.mol)
        self.starts = {self.lead.smiles: self.start}
        if self.scored:
            self.start.score = float(self._scores([self.lead.smiles])[0])

    @property
    def scored(self) -> bool:
        """Whether molecules are scored between rounds."""
        return bool(self.oracle.budget) or self.surrogate is not None

    def choose(self, number: int, overconfidence: float) -> MaskedRegion:
        """Sample the region of an attempt.

        Args:
            number: of the attempt.
            overconfidence: divisor of the region scores.
        """
        low, high = LOW * self.similarity, self.similarity + HIGH * (1 - self.similarity)
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
        costs = self._costs(last, fitting)
        if fitting:
            for text, score in zip(fitting, self._scores(fitting), strict=True):
                self._add(text, float(score))
            if self.surrogate is None:
                self._note(fitting)
        self.start.rounds += 1
        price = PRICE if self.surrogate is None else SURROGATE_PRICE
        self.start = max(self.starts.values(), key=lambda one: one.score - price * one.rounds)
        costs[0] += self.surrogate is not None and len(self.attempts) == count  # the lead
        self.attempts[-count:] = [
            replace(each, calls=self.oracle.calls, classifier_nfe=each.classifier_nfe + cost)
            for each, cost in zip(last, costs, strict=True)
        ]

    def select_top(self, count: int) -> None:
        """Select the ``count`` molecules with the highest surrogate scores.

        Raises:
            MolgenError: if there is no surrogate.
        """
        if self.surrogate is None:
            raise MolgenError("surrogate is None, expected one for the top-k selection")
        best = self.surrogate.best(count, self.lead.smiles)
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
        if self.surrogate is not None:
            return self.surrogate(smiles)
        return self.goals.aggregated(self.oracle(smiles))

    def _note(self, smiles: list[str]) -> None:
        """Record molecules that meet every goal; those without values meet none."""
        own, *values = self.oracle.values([self.lead.smiles, *smiles])
        met = self.goals.reached(np.array(values), own)
        self.reached |= {text for text, hit in zip(smiles, met, strict=True) if hit}
        self.reached.discard(self.lead.smiles)

    def _add(self, smiles: str, score: float) -> None:
        """Add a start molecule if it is new and has atoms that may change."""
        if smiles in self.starts or not np.isfinite(score):
            return
        mol = parse(smiles)
        if mol is not None and self.lead.free(mol):
            self.starts[smiles] = Start(smiles, mol, score)
