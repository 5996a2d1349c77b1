"""A molecule that tries at a lead start from: the lead, or what an earlier try has made of it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from rdkit import Chem

from molgen.constraints.open_parts import OpenPart
from molgen.utils import randomness
from molgen.utils.arrays import Floats, Ids

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
        prospects: ``log p(y | rest)`` of each.
        opened: how often a try has opened each.
    """

    smiles: str
    mol: Chem.Mol
    score: float = -np.inf
    rounds: int = 0
    pool: list[OpenPart] = field(default_factory=list)
    prospects: Floats = field(default_factory=lambda: np.zeros(0))
    opened: Ids = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def judge(self, prospects: Floats) -> None:
        """Take what is said of the openings: ``log p(y | rest)`` with shape (openings,)."""
        self.prospects, self.opened = prospects, np.zeros(len(prospects), dtype=np.int64)

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
        log_w = self.prospects / exaggeration - np.abs(expected - aim) / WIDTH - AGAIN * self.opened
        at = int(randomness.choose(np.exp(log_w - log_w.max()), u))
        self.opened[at] += 1
        return self.pool[at]
