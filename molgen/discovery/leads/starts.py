"""Start molecules of a search at a lead, and their masked regions.

The next attempts start from

    argmax_x  score(x) - price rounds(x)

over all scored molecules, the lead included: the best molecule, until the number of rounds started
from it lowers it below another one. A stale search starts from the best three and the lead in turn:
the best may be too near the least similarity for most of what is drawn from them.
"""

from __future__ import annotations

import functools
import heapq
from dataclasses import dataclass, field

import numpy as np
from rdkit import Chem

from molgen.constraints.masked_regions import MaskedRegion
from molgen.discovery.leads.lead import Lead
from molgen.discovery.leads.staleness import Exploration
from molgen.molecules.parsing import flat, parse
from molgen.utils import randomness
from molgen.utils.arrays import Floats, Ids

AGAIN = 2.5  # penalty in nats for each earlier use of a region, so that attempts differ
WIDTH = 0.05  # of the similarities around the target
BEST = 3  # molecules that a stale search starts from in turn

plain = functools.lru_cache(maxsize=65_536)(flat)
"""From SMILES to SMILES without stereochemistry."""


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
        exploration: that the regions are for.
    """

    smiles: str
    mol: Chem.Mol
    score: float = -np.inf
    rounds: int = 0
    regions: list[MaskedRegion] = field(default_factory=list)
    region_scores: Floats = field(default_factory=lambda: np.zeros(0))
    uses: Ids = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    exploration: Exploration = field(default_factory=Exploration)

    def needs_regions(self, exploration: Exploration) -> bool:
        """Return whether regions are to be drawn: the first, others, or when used up."""
        used_up = self.uses.sum() >= len({one.region for one in self.regions})
        other = exploration != self.exploration or (exploration.level > 0 and used_up)
        return not self.regions or other

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


@dataclass(eq=False)
class Starts:
    """The molecules that attempts at a lead may start from.

    Attributes:
        lead: the lead.
        price: of a round, in the unit of the scores.
        donors: SMILES of starts from a file.
        found: the lead and further starts, by SMILES without stereochemistry: isomers are too much
            alike to be starts in turn.
    """

    lead: Lead
    price: float
    donors: frozenset[str] = frozenset()
    found: dict[str, Start] = field(init=False)

    def __post_init__(self) -> None:
        """Start from the lead."""
        self.found = {plain(self.lead.smiles): Start(self.lead.smiles, self.lead.mol)}

    @property
    def best(self) -> float:
        """The highest score of a molecule that is no donor."""
        own = [one.score for one in self.found.values() if one.smiles not in self.donors]
        return max(own, default=-np.inf)

    def add(self, smiles: str, score: float) -> None:
        """Add a molecule if it has atoms that may change; of stereoisomers the best one."""
        there = self.found.get(key := plain(smiles))
        if not np.isfinite(score) or (there is not None and there.score >= score):
            return
        mol = parse(smiles)
        if mol is not None and self.lead.free(mol):
            self.found[key] = Start(smiles, mol, score, there.rounds if there else 0)

    def next(self, stale: bool) -> Start:
        """Return the start of the next round."""
        if stale:
            best = heapq.nlargest(BEST, self.found.values(), key=lambda one: one.score)
            lead = self.found[plain(self.lead.smiles)]
            return min([*best, lead], key=lambda one: one.rounds)
        return max(self.found.values(), key=lambda one: one.score - self.price * one.rounds)
