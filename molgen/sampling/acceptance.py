"""Acceptance of rows: the requirements and the check.

A row is parsed and compared with the training-set index, and, if requested, a noisy classifier
predicts its target probability; no property is computed.
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

REQUIREMENTS = ("valid", "unique", "novel")
LIKELY = "likely"


@dataclass(frozen=True)
class CheckResult:
    """The result of the check of one row, independent of the other rows.

    Attributes:
        key: canonical SMILES, equal for duplicates; empty if the row is invalid.
        fate: accepted, or the reason why the row fails.
        log_probability: log target probability, 0 where no classifier is used.
        classifier_forwards: forwards of the classifier.
    """

    key: str
    fate: Fate = Fate.ACCEPTED
    log_probability: float = 0.0
    classifier_forwards: int = 0


Check = Callable[[Ids, Ids], Sequence[CheckResult]]
"""From tokens with shape (rows, longest), and the index of each row in its job, to a result for
each row."""
Keeps = Callable[[int, str], bool]
"""Whether a row, by its index in the job, satisfies its constraint with this SMILES."""


@dataclass(frozen=True)
class MoleculeCheck:
    """Checks validity, constraint, training-set index and target probability.

    Attributes:
        tokenizer: of the model.
        training_index: the training-set index; None to accept molecules of the training set.
        keeps: whether rows satisfy their constraints; None without constraints.
        target_probability: of rows that pass the other checks; None for no such check.
        least: minimum target probability.
    """

    tokenizer: Tokenizer
    training_index: TrainingIndex | None = None
    keeps: Keeps | None = None
    target_probability: TargetProbability | None = None
    least: float = 0.5

    def __call__(self, tokens: Ids, rows: Ids) -> list[CheckResult]:
        """Return a result for each row; see `Check`."""
        texts = [self.tokenizer.decode(row) for row in tokens]
        smiles = [m.smiles for m in interpret_all([self.tokenizer.smiles(text) for text in texts])]
        in_index = (
            np.zeros(len(smiles), bool)
            if self.training_index is None
            else self.training_index.contains(smiles)
        )
        results = [
            CheckResult(text, self._fate(int(row), text, bool(old)))
            for row, text, old in zip(rows, smiles, in_index, strict=True)
        ]
        passing = [i for i, result in enumerate(results) if result.fate is Fate.ACCEPTED]
        if self.target_probability is None or not passing:
            return results
        log_p = self.target_probability(tokens[passing]).tolist()
        for i, value in zip(passing, log_p, strict=True):
            fate = Fate.ACCEPTED if value >= math.log(self.least) else Fate.UNLIKELY
            results[i] = CheckResult(smiles[i], fate, value, 1)
        return results

    def _fate(self, row: int, smiles: str, in_training_set: bool) -> Fate:
        if not smiles:
            return Fate.INVALID
        if self.keeps is not None and not self.keeps(row, smiles):
            return Fate.CONSTRAINT_LOST
        return Fate.IN_TRAINING_SET if in_training_set else Fate.ACCEPTED


RANK: dict[str, int] = {
    Fate.INVALID: 0,
    Fate.CONSTRAINT_LOST: 1,
    Fate.IN_TRAINING_SET: 2,
    Fate.ACCEPTED: 4,
}
"""The attempt with the highest rank is returned for a row, and among equal ranks the one with the
highest target probability."""
OTHER_RANK = 3  # a new molecule that fails for another reason


def rank(fate: str) -> int:
    """Return the rank of an attempt by its fate."""
    return RANK.get(fate, OTHER_RANK)
