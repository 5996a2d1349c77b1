"""A lead under way: which part its next try opens, and what it goes on from.

    s_j = low + (high - low) (j phi mod 1),     phi = (sqrt(5) - 1) / 2

is the similarity that try ``j`` aims at; ``phi``'s multiples are spread evenly however many there
are. With an oracle, tries that keep the similarity to the lead are scored, as far as the budget
goes, and the best of them is taken as a Metropolis step takes it, at temperature 0: if it is no
worse.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from rdkit import Chem

from molgen import randomness
from molgen.goals import Goals
from molgen.lead import Lead
from molgen.lead_report import Try
from molgen.lead_rows import OpenPart
from molgen.molecules import parse
from molgen.oracle import Floats, Oracle, WeightedSum
from molgen.rows import Ids
from molgen.walkers import accepted

LOW, HIGH = 0.75, 0.1
"""Similarities to be expected reach from ``LOW`` times the threshold, since what is drawn is like
the lead in part, to ``HIGH`` of the way from the threshold to 1."""
AGAIN = 2.5  # nats that a part loses whenever a try opens it, so that tries differ
WIDTH = 0.05  # of the similarities about the one aimed at
GOLDEN = 0.6180339887498949  # phi
CHOICE, ACCEPT = (2**41 + 2**20 * use for use in (2, 4))  # in place of a position


@dataclass(eq=False)
class LeadWalk:
    """A lead under way.

    Attributes:
        lead: the lead.
        goals: what it is to become.
        similarity: the least to the lead.
        seed: of every choice.
        oracle: scores molecules on the way.
        smiles: where it has got to, canonical.
        mol: likewise.
        score: of that, minus infinity until it is known.
        pool: parts of it, none until they are looked for.
        prospects: ``log p(y | rest)`` of each.
        opened: how often a try has opened each.
        tries: so far.
        reached: molecules that the oracle knows to meet everything.
    """

    lead: Lead
    goals: Goals
    similarity: float
    seed: int
    oracle: Oracle
    smiles: str = field(init=False)
    mol: Chem.Mol = field(init=False)
    score: float = -np.inf
    pool: list[OpenPart] = field(default_factory=list)
    prospects: Floats = field(default_factory=lambda: np.zeros(0))
    opened: Ids = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    tries: list[Try] = field(default_factory=list)
    reached: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Start from the lead; where there is an oracle, it is the first that is scored."""
        self.smiles, self.mol = self.lead.smiles, self.lead.mol
        if self.oracle.budget:
            self.score = float(self._scores([self.smiles])[0])

    def choose(self, number: int, exaggeration: float) -> OpenPart:
        """Choose the part that a try opens.

        Args:
            number: of the try.
            exaggeration: of the prospects, which they are divided by.
        """
        low, high = LOW * self.similarity, self.similarity + HIGH * (1 - self.similarity)
        aim = low + (high - low) * (number * GOLDEN % 1)
        expected = np.array(
            [each.part.similarity(each.length / each.template.usual) for each in self.pool]
        )
        log_w = self.prospects / exaggeration - np.abs(expected - aim) / WIDTH - AGAIN * self.opened
        u = randomness.uniform(self.seed, randomness.SHUFFLE, self.lead.index, number, CHOICE)
        at = int(randomness.choose(np.exp(log_w - log_w.max()), u))
        self.opened[at] += 1
        return self.pool[at]

    def go_on(self, first: int, count: int, writable: Callable[[str], bool]) -> None:
        """Score what the last round has drawn, as far as the budget goes, and take the best.

        Args:
            first: number of the round's first try.
            count: tries of the round.
            writable: whether the network can go on from a molecule.
        """
        last = self.tries[-count:]
        fitting = [
            each.smiles
            for each in last
            if each.keeps
            and each.passes
            and each.similarity >= self.similarity
            and writable(each.smiles)
        ]
        if fitting:
            scores = self._scores(fitting)
            self._note(fitting)
            at = int(scores.argmax())
            mol = parse(fitting[at])
            u = randomness.uniform(self.seed, randomness.SHUFFLE, [self.lead.index], first, ACCEPT)
            takes = accepted(np.array([self.score]), scores[[at]], 0.0, u)[0]
            movable = mol is not None and bool(self.lead.free(mol))
            if fitting[at] != self.smiles and np.isfinite(scores[at]) and takes and movable:
                self._move(fitting[at], mol, float(scores[at]))
        self.tries[-count:] = [replace(each, calls=self.oracle.calls) for each in last]

    def _scores(self, smiles: list[str]) -> Floats:
        return WeightedSum(tuple(self.goals.weights.values()))(self.oracle(smiles))

    def _note(self, smiles: list[str]) -> None:
        """Keep what meets everything; what the oracle has no answer for meets nothing."""
        own, *values = self.oracle.values([self.lead.smiles, *smiles])
        met = self.goals.reached(np.array(values), own)
        self.reached |= {text for text, hit in zip(smiles, met, strict=True) if hit}
        self.reached.discard(self.lead.smiles)

    def _move(self, smiles: str, mol: Chem.Mol, score: float) -> None:
        self.smiles, self.mol, self.score, self.pool = smiles, mol, score, []
