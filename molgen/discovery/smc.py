"""Sequential Monte Carlo: groups of particles, weighted by the normaliser of guidance or an oracle.

The particles are those of :mod:`molgen.discovery.particles`. They are complete only at the end; the
molecules drawn for the twists are complete too, and all of them are scored. The weights of copies
of a molecule are added up, and distinct molecules are scored in order of weight, which matters with
few oracle calls.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from molgen.discovery.objectives import SUM, aggregated
from molgen.discovery.particles import (
    Logarithms,
    ParticleFilter,
    Particles,
    Unnormalised,
    merged,
    normalised,
)
from molgen.discovery.search_state import Search
from molgen.errors import MolgenError
from molgen.guidance.predictor import NetworkPredictor
from molgen.guidance.spec import ClassifierFree
from molgen.molecules.parsing import interpret_all
from molgen.sampling.sampler import Samples
from molgen.utils.arguments import check_fields
from molgen.utils.arrays import Floats, Ids
from molgen.utils.journal import recorded
from molgen.utils.pareto import ParetoRank
from molgen.utils.threads import Workers, workers

ROUND = 256  # particles between two checks of the budgets
FLOOR = -3.0
"""Score in a twist of a row that may not be delivered: three standard deviations below the mean."""


@dataclass(frozen=True)
class SequentialMonteCarlo:
    """Groups of particles until a budget ends.

    Tokens are revealed one at a time: steps and remasking of the settings are ignored, guidance
    strength, temperature and nucleus are used.

    Attributes:
        particles: of a group.
        every: tokens between two resampling steps.
        normaliser: whether weights correct guidance towards the tilted joint distribution.
        twist: strength of the oracle in the weights, for each training standard deviation; at 0 it
            scores complete rows only. Several objectives twist by their weighted sum.
        draws: molecules drawn and scored for each particle at each twist.
    """

    particles: int = 8
    every: int = 4
    normaliser: bool = True
    twist: float = 0.0
    draws: int = 4

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            MolgenError: naming the number that is out of range.
        """
        check_fields(self)
        for name in ("particles", "every", "draws"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise MolgenError(f"{name} is {value!r}, expected a whole number of at least 1")
        if not (self.twist >= 0 and math.isfinite(self.twist)):
            raise MolgenError(f"twist is {self.twist}, expected at least 0 and finite")

    def run(self, search: Search) -> str:
        """Draw and score until a budget ends; return the reason of the end.

        Raises:
            MolgenError: if the model is not a masked diffusion model, or its guidance is not a
                mixture.
        """
        guidance = search.recipe.settings.guidance
        search.check_masks()
        if search.recipe.targets and not (
            isinstance(guidance, ClassifierFree) and guidance.mix == "clean"
        ):
            raise MolgenError("guidance of particles must have a normaliser, expected cfg")
        first = 0
        with workers(search.recipe.settings.device) as pool:
            filter = self._filter(search, pool)
            while not (reason := search.ended()):
                prior_draw = search.recipe.draw_prior(
                    max(1, ROUND // self.particles), search.seed, first
                )
                cost = np.cumsum(prior_draw.lengths) * self.particles * filter.predictor.forwards
                groups = int((cost <= search.left).sum())
                if groups < 1:
                    return search.out_of_forwards()
                condition = None if prior_draw.condition is None else prior_draw.condition[:groups]
                lengths = prior_draw.lengths[:groups]
                found = recorded_particles(filter, lengths, condition, search.seed, first)
                self._score_particles(search, found)
                first += groups
        return reason

    def _filter(self, search: Search, pool: Workers) -> ParticleFilter:
        """Return the particle filter of a search."""
        settings = search.recipe.settings
        predictor = NetworkPredictor(
            search.recipe.network(search.recipe.goal_weights),
            pool,
            Unnormalised(settings.gamma) if search.mixes else None,
            Logarithms(),
        )
        score = search.score
        if isinstance(score, ParetoRank):  # a rank among the rows of one call has no exponential
            score = aggregated(SUM, search.oracle.objectives)

        def reward(tokens: Ids, nfe: Ids) -> Floats:
            scored = search.score_rows(Samples(tokens, np.zeros_like(nfe)), nfe)
            return np.where(scored.fits, score(scored.gains), FLOOR)

        shaping = settings.shaping
        k, every, twist = self.particles, self.every, self.twist
        return ParticleFilter(
            predictor, shaping, k, every, self.normaliser, twist, self.draws, reward
        )

    def _score_particles(self, search: Search, found: Particles) -> None:
        """Score particles, distinct molecules of all groups first, in order of weight."""
        groups = found.log_weights.reshape(-1, self.particles)
        weights = np.log(np.concatenate([normalised(group) for group in groups]).clip(1e-300))
        texts = search.model.texts(found.tokens)
        raw = [search.model.tokenizer.smiles(text) for text in texts]
        one, _ = merged([molecule.smiles for molecule in interpret_all(raw)], weights)
        rest = np.setdiff1d(np.arange(len(raw)), one)
        order = np.concatenate([one, rest])
        search.score_rows(Samples(found.tokens[order], found.nfe[order]))


def recorded_particles(
    filter: ParticleFilter,
    lengths: Ids,
    condition: NDArray[np.float32] | None,
    seed: int,
    first: int,
) -> Particles:
    """Return the particles of :meth:`ParticleFilter.run`, from the journal of a run if it has them.

    The journal has complete groups, with the molecules drawn for the twists, which are then scored
    again: by the same calls of the oracle as in the first run.
    """
    drawn: list[tuple[Ids, Ids]] = []
    reward = filter.reward

    def noted(tokens: Ids, nfe: Ids) -> Floats:
        drawn.append((tokens.copy(), nfe.copy()))
        return reward(tokens, nfe) if reward else np.zeros(len(nfe))

    def run() -> dict[str, NDArray[Any]]:
        own = filter if reward is None else replace(filter, reward=noted)
        found = own.run(lengths, condition, seed, first)
        tokens, nfe = zip(*drawn, strict=True) if drawn else ((found.tokens[:0],), (found.nfe[:0],))
        return {
            **vars(found),
            "drawn": np.concatenate(tokens),
            "drawn_nfe": np.concatenate(nfe),
            "ends": np.cumsum([len(each) for each in nfe]),
        }

    found = recorded(["particles", lengths, condition, seed, first], run)
    if reward is not None and not drawn:
        ends = found["ends"][:-1]
        for parts in zip(
            np.split(found["drawn"], ends), np.split(found["drawn_nfe"], ends), strict=True
        ):
            if len(parts[0]):
                reward(*parts)
    return Particles(found["tokens"], found["log_weights"], found["nfe"])
