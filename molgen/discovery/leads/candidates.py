"""Molecules that were drawn at a lead and wait for the oracle, the most promising ones first.

A molecule waits until :class:`molgen.discovery.leads.value_process.ValueProcess`, refitted to what
was scored and to the values of donors, finds it promising; until it has molecules enough, the noisy
classifier does. A molecule that fails a check that is free, such as the similarity to the lead,
never waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from molgen.discovery.goals import Goals
from molgen.discovery.leads.region_scores import Surrogate
from molgen.discovery.leads.starts import plain
from molgen.discovery.leads.value_process import ValueProcess, most_promising
from molgen.discovery.oracle import Oracle
from molgen.utils.arrays import Floats

BATCH = 2  # molecules scored between two rounds


@dataclass(eq=False)
class Candidates:
    """Molecules that wait to be scored.

    Attributes:
        goals: of the molecules.
        oracle: scores molecules; without a budget it never does.
        surrogate: scores them by the noisy classifier; None for none.
        donors: values of the goals' properties of donors, by SMILES.
        waiting: SMILES, in the order in which they were drawn.
    """

    goals: Goals
    oracle: Oracle
    surrogate: Surrogate | None = None
    donors: Mapping[str, Floats] = field(default_factory=dict)
    waiting: dict[str, None] = field(default_factory=dict)
    _process: ValueProcess = field(init=False)

    def __post_init__(self) -> None:
        self._process = ValueProcess(self.goals)

    def add(self, smiles: Iterable[str]) -> None:
        """Add molecules that are not scored yet."""
        self.waiting |= {text: None for text in smiles if text not in self.oracle.scored}

    def take(self, best: float, isomers: bool = False) -> list[str]:
        """Remove and return the most promising molecules.

        Args:
            best: score to improve on.
            isomers: see :meth:`order`.
        """
        smiles = list(self.waiting)
        chosen = [smiles[i] for i in self.order(smiles, BATCH, best, isomers)]
        for text in chosen:
            del self.waiting[text]
        return chosen

    def order(self, smiles: list[str], count: int, best: float, isomers: bool = False) -> list[int]:
        """Return the indices of the most promising of some molecules.

        Args:
            smiles: of the molecules.
            count: at most.
            best: score to improve on.
            isomers: whether to take stereoisomers of molecules that are scored or taken, after the
                others: many properties do not depend on stereochemistry.
        """
        seen = {plain(text) for text in self.oracle.scored}
        first: list[int] = []
        last: list[int] = []
        for i in self._ranked(smiles, best) if len(smiles) > count else range(len(smiles)):
            (last if plain(smiles[i]) in seen else first).append(i)
            seen.add(plain(smiles[i]))
        return [*first, *(last if isomers else [])][:count]

    def _ranked(self, smiles: list[str], best: float) -> list[int]:
        known = {**self.donors, **self.oracle.scored}
        scores = self._process.predict(known, smiles) if self.oracle.budget else None
        if scores is not None:
            return most_promising(scores, best)
        if self.surrogate is not None:
            return [int(i) for i in np.argsort(-self.surrogate(smiles), kind="stable")]
        return list(range(len(smiles)))
