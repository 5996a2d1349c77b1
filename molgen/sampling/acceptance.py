"""What a row must be to stop: the words for it, and the check.

A row is parsed and looked up, and, where that is asked for, a noisy classifier tells how probable
it is to meet the targets; no property is computed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from molgen.data.tokenizer import Tokenizer
from molgen.guidance.target_probability import TargetProbability
from molgen.molecules.fate import Fate
from molgen.molecules.parsing import interpret_all
from molgen.molecules.training_index import TrainingIndex
from molgen.utils.arrays import Ids

DEMANDS = ("valid", "unique", "novel")
LIKELY = "likely"


@dataclass(frozen=True)
class Verdict:
    """What is said of a row by itself.

    Attributes:
        key: what makes it the same as another: canonical SMILES, empty if it is no molecule.
        fate: why it fails, or that it is accepted.
        log_odds: log-probability to meet what is asked for, where a guide was asked, else 0.
        classifier_forwards: of the guide.
    """

    key: str
    fate: Fate = Fate.ACCEPTED
    log_odds: float = 0.0
    classifier_forwards: int = 0


Check = Callable[[Ids, Ids], Sequence[Verdict]]
"""From tokens with shape (rows, longest), and the index that each row has in its call, to a verdict
a row, each on its own."""
Keeps = Callable[[int, str], bool]
"""Whether a row, by its index in the call, keeps its constraint as this molecule."""


@dataclass(frozen=True)
class MoleculeCheck:
    """Parses rows and looks them up.

    Attributes:
        tokenizer: of the model.
        known: what counts as known; None to let known molecules pass.
        keeps: whether rows keep their constraints; None where there are none.
        target_probability: what a guide says of rows that pass otherwise; None if nobody asks.
        least: probability that a row must have by it.
    """

    tokenizer: Tokenizer
    training_index: TrainingIndex | None = None
    keeps: Keeps | None = None
    target_probability: TargetProbability | None = None
    least: float = 0.5

    def __call__(self, tokens: Ids, rows: Ids) -> list[Verdict]:
        """Return a verdict a row; see `Judge`."""
        texts = [self.tokenizer.decode(row) for row in tokens]
        smiles = [m.smiles for m in interpret_all([self.tokenizer.smiles(text) for text in texts])]
        known = (
            np.zeros(len(smiles), bool)
            if self.training_index is None
            else self.training_index.contains(smiles)
        )
        verdicts = [
            Verdict(text, self._fate(int(row), text, bool(old)))
            for row, text, old in zip(rows, smiles, known, strict=True)
        ]
        passing = [i for i, verdict in enumerate(verdicts) if verdict.fate is Fate.ACCEPTED]
        if self.target_probability is None or not passing:
            return verdicts
        for i, log_odds in zip(
            passing, self.target_probability(tokens[passing]).tolist(), strict=True
        ):
            likely = log_odds >= math.log(self.least)
            fate = Fate.ACCEPTED if likely else Fate.UNLIKELY
            verdicts[i] = Verdict(smiles[i], fate, log_odds, 1)
        return verdicts

    def _fate(self, row: int, smiles: str, known: bool) -> Fate:
        if not smiles:
            return Fate.INVALID
        if self.keeps is not None and not self.keeps(row, smiles):
            return Fate.CONSTRAINT_LOST
        return Fate.IN_TRAINING_SET if known else Fate.ACCEPTED


RANK: dict[str, int] = {
    Fate.INVALID: 0,
    Fate.CONSTRAINT_LOST: 1,
    Fate.IN_TRAINING_SET: 2,
    Fate.ACCEPTED: 4,
}
"""Which state of a row is kept: a molecule before none, a new one before one of the training set,
and of two like states the one with better odds."""
OTHER_RANK = 3  # a new molecule that fails for another reason


def rank(fate: str) -> int:
    """Return how good a state of a row is."""
    return RANK.get(fate, OTHER_RANK)
