"""Predicted scores of molecules at one lead: Gaussian processes on the molecules scored so far.

    EI(x) = E[max(score(x) - best, 0)]

A process for each goal is refitted after every round to the *values* of the property, since the
gain of a range is flat inside and kinked at its ends. The expectation is a mean over quantiles of
the predicted values, so it serves any goals and any aggregate.

Reference: Jones et al., "Efficient global optimization of expensive black-box functions" (1998).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist

import numpy as np

from molgen.discovery.goals import Goals
from molgen.utils.arrays import Floats
from property_models.learned.features import Features
from property_models.learned.small_process import fitted

LEAST, MOST = 8, 256  # molecules that a process is fitted to: from which number, and the best
DRAWS = 32
QUANTILES = np.array([NormalDist().inv_cdf((i + 0.5) / DRAWS) for i in range(DRAWS)])


@dataclass(eq=False)
class ValueProcess:
    """Predicts the goals' properties from the molecules scored at a lead.

    Attributes:
        goals: to predict the score of.
    """

    goals: Goals
    _features: dict[str, Features] = field(default_factory=dict, repr=False)

    def predict(self, scored: Mapping[str, Floats], smiles: Sequence[str]) -> Floats | None:
        """Return quantiles of the scores of molecules, with shape (quantiles, molecules).

        Args:
            scored: property values of molecules by canonical SMILES, each with shape (goals,).
            smiles: canonical, at least one.

        Returns:
            None if too few molecules have values.
        """
        known = [text for text, values in scored.items() if np.isfinite(values).all()]
        if len(known) < LEAST:
            return None
        values = np.array([scored[text] for text in known])
        best = np.argsort(-self.goals.scores(values), kind="stable")[:MOST]
        there, here = self._of([known[i] for i in best]), self._of(smiles)
        drawn = []
        for j in range(values.shape[1]):
            mean, deviation = fitted(there, values[best, j]).predict(here)
            # another order for each goal: their errors are taken as independent
            z = QUANTILES if j == 0 else np.random.default_rng(j).permutation(QUANTILES)
            drawn.append((mean + z[:, None] * deviation).ravel())
        return self.goals.scores(np.stack(drawn, axis=1)).reshape(DRAWS, len(smiles))

    def _of(self, smiles: Sequence[str]) -> Features:
        new = [text for text in dict.fromkeys(smiles) if text not in self._features]
        if new:
            found = Features.of_smiles(new)
            self._features |= {text: found[np.array([i])] for i, text in enumerate(new)}
        several = [self._features[text] for text in smiles]
        return Features(
            np.concatenate([one.counts for one in several]),
            np.concatenate([one.descriptors for one in several]),
        )


def most_promising(scores: Floats, best: float) -> list[int]:
    """Return the order of molecules by expected improvement, of equal ones by expected score.

    Args:
        scores: quantiles of each molecule's score, shape (quantiles, molecules).
        best: score to improve on.
    """
    improvement = np.maximum(scores - best, 0.0).mean(axis=0)
    return [int(i) for i in np.lexsort((-scores.mean(axis=0), -improvement))]
