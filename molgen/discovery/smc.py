"""Sequential Monte Carlo: groups of particles, weighted by guidance's own normaliser or an oracle.

The particles are those of :mod:`molgen.discovery.particles`. They are complete only at the end, and
what the twists of an oracle drew on the way is complete, too: all of it is looked at. Copies of a
molecule hand their weight to one of them, so the weightiest molecules, each once, meet the oracle
first, which is what counts where its calls are few.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from molgen.discovery.objectives import WeightedSum
from molgen.discovery.particles import (
    Logarithms,
    ParticleFilter,
    Particles,
    Unnormalised,
    merged,
    normalised,
)
from molgen.discovery.search import Search
from molgen.guidance.predictor import NetworkPredictor
from molgen.guidance.spec import ClassifierFree
from molgen.molecules.parsing import interpret_all
from molgen.sampling.sampler import Samples
from molgen.utils.arrays import Floats, Ids
from molgen.utils.threads import Workers, workers

ROUND = 256  # particles between two looks at the budgets
FLOOR = -3.0
"""What a row that may not be delivered scores in a twist: three training deviations below par."""


@dataclass(frozen=True)
class SequentialMonteCarlo:
    """Groups of particles until a budget ends.

    Rows are written one token at a time, whatever the settings say of steps and remasking; their
    strength of guidance, temperature and nucleus hold.

    Attributes:
        particles: of a group.
        every: tokens from one look at the weights to the next.
        normaliser: whether weights correct guidance towards the tilted joint distribution.
        twist: strength of the oracle in the weights, for each training standard deviation; 0
            leaves it out until the end. Several objectives twist by their weighted sum.
        draws: molecules drawn, and asked about, for each particle at each look.
    """

    particles: int = 8
    every: int = 4
    normaliser: bool = True
    twist: float = 0.0
    draws: int = 4

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            ValueError: naming what is out of line.
        """
        for name in ("particles", "every", "draws"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} is {value!r}, expected a whole number of at least 1")
        if not (self.twist >= 0 and math.isfinite(self.twist)):
            raise ValueError(f"twist is {self.twist}, expected at least 0 and finite")

    def run(self, search: Search) -> str:
        """Draw and judge until a budget ends; return why it stopped.

        Raises:
            ValueError: if the model's noise is not masks, or its guidance is no mixture.
        """
        guidance = search.recipe.settings.guidance
        search.check_masks()
        if search.recipe.targets and not (
            isinstance(guidance, ClassifierFree) and guidance.mix == "clean"
        ):
            raise ValueError("particles are guided by cfg alone, which gives the normaliser")
        first = 0
        with workers(search.recipe.settings.device) as pool:
            filter = self._filter(search, pool)
            while not (reason := search.ended()):
                asked = search.recipe.draw_prior(
                    max(1, ROUND // self.particles), search.seed, first
                )
                cost = np.cumsum(asked.lengths) * self.particles * filter.predictor.forwards
                groups = int((cost <= search.left).sum())
                if groups < 1:
                    return search.out_of_forwards()
                condition = None if asked.condition is None else asked.condition[:groups]
                found = filter.run(asked.lengths[:groups], condition, search.seed, first)
                self._judge(search, found)
                first += groups
        return reason

    def _filter(self, search: Search, pool: Workers) -> ParticleFilter:
        """Return the filter with its network."""
        settings = search.recipe.settings
        predictor = NetworkPredictor(
            search.model.denoiser,
            pool,
            Unnormalised(settings.gamma) if search.mixes else None,
            Logarithms(),
            settings.device,
            settings.dtype,
            goal_weights=search.recipe.goal_weights,
        )
        score = WeightedSum(tuple(objective.weight for objective in search.oracle.objectives))

        def reward(tokens: Ids, nfe: Ids) -> Floats:
            judged = search.score_rows(Samples(tokens, np.zeros_like(nfe)), nfe)
            return np.where(judged.fits, score(judged.gains), FLOOR)

        shaping = settings.shaping
        k, every, twist = self.particles, self.every, self.twist
        return ParticleFilter(
            predictor, shaping, k, every, self.normaliser, twist, self.draws, reward
        )

    def _judge(self, search: Search, found: Particles) -> None:
        """Have particles judged, the weightiest molecule of all groups first."""
        groups = found.log_weights.reshape(-1, self.particles)
        weights = np.log(np.concatenate([normalised(group) for group in groups]).clip(1e-300))
        texts = search.model.texts(found.tokens)
        raw = [search.model.tokenizer.smiles(text) for text in texts]
        one, _ = merged([molecule.smiles for molecule in interpret_all(raw)], weights)
        rest = np.setdiff1d(np.arange(len(raw)), one)
        order = np.concatenate([one, rest])
        search.score_rows(Samples(found.tokens[order], found.nfe[order]))
