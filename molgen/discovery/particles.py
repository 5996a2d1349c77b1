"""Particles: partially masked rows, weighted and resampled while tokens are revealed.

The tokens of a particle are revealed one at a time, in its own random order, by normalised D-CFG

    q_l(v) = f_l(v) / Z_l,      f_l(v) = p(v | x_t, y)^gamma p(v | x_t)^(1 - gamma)

Normalising every token does not give the tilted joint distribution. The weights

    w = product over revealed tokens of Z_l

do, without extra forwards: with a consistent denoiser the product of ``q_l Z_l`` is
``p(x | y)^gamma p(x)^(1 - gamma)`` for any order of the tokens. An oracle may twist the
distribution further: molecules are drawn from ``p(x_0 | x_t)``, which the next forward computes
anyway,

    r_t = log mean exp(lambda score(x_0)),      w <- w exp(r_t - r_(t-1))

and since ``r`` of a complete row is ``lambda score(x)``, the product is ``exp(lambda score)``.
Particles form groups; a group is resampled when its effective sample size, ``1 / sum w^2``, falls
below half of its size.

References: Del Moral et al., "Sequential Monte Carlo samplers" (2006); Schiff et al., "Simple
guidance mechanisms for discrete diffusion models" (2024); Singhal et al., "A general framework for
inference-time scaling and steering of diffusion models" (2025).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from molgen.diffusion.posterior import Scalar
from molgen.guidance.kernels import ClassifierFree, strength
from molgen.guidance.predictor import Predictor
from molgen.guidance.shaping import Shaping
from molgen.utils import randomness
from molgen.utils.arrays import Floats, Ids, Mask
from molgen.utils.randomness import Use, inverse_cdf, used

LEAST_ESS = 0.5  # of the particles of a group

Reward = Callable[[Ids, Ids], Floats]
"""From complete rows, with shape (rows, longest), and their forwards, to their scores."""


class Unnormalised(ClassifierFree):
    """D-CFG without normalisation."""

    def combine(self, log_cond: Tensor, log_uncond: Tensor, alpha_t: Scalar) -> Tensor:
        """Return ``log f``; see :class:`molgen.guidance.kernels.ClassifierFree`."""
        gamma = torch.as_tensor(strength(self.gamma, alpha_t)).to(log_cond).reshape(-1, 1, 1)
        impossible = (log_cond == -torch.inf) | (log_uncond == -torch.inf)
        mixed = gamma * log_cond + (1 - gamma) * log_uncond
        return mixed.masked_fill(impossible, -torch.inf)


class Logarithms(Shaping):
    """No shaping: a predictor with it returns log-probabilities, normalised or not."""

    def __call__(self, log_p: Tensor) -> Tensor:
        """Return the same in float64."""
        return log_p.double()


@dataclass(frozen=True)
class Particles:
    """Complete particles; group ``g`` of size ``k`` has the rows from ``g k`` on.

    Attributes:
        tokens: ids with shape (rows, longest), padded.
        log_weights: up to a constant for each group, shape (rows,).
        nfe: forwards of each, shape (rows,).
    """

    tokens: Ids
    log_weights: Floats
    nfe: Ids


@dataclass
class _State:
    """The state of incomplete particles.

    Attributes:
        tokens: ids with shape (rows, longest), padded.
        log_w: log-weights so far, shape (rows,).
        log_r: ``r`` of the last twist, shape (rows,).
        nfe: forwards so far, shape (rows,).
        row: sample index of each, for its random numbers, shape (rows,).
        condition: property values with shape (rows, properties), or None.
    """

    tokens: Ids
    log_w: Floats
    log_r: Floats
    nfe: Ids
    row: Ids
    condition: NDArray[np.float32] | None


@dataclass(frozen=True)
class ParticleFilter:
    """Draws groups of particles.

    Attributes:
        predictor: of ``log f``: see :class:`Unnormalised` and :class:`Logarithms`.
        shaping: temperature and nucleus of the proposal; the weights correct for it.
        particles: of a group.
        every: tokens between two resampling steps.
        normaliser: whether weights correct normalised guidance.
        twist: ``lambda``; at 0 no rewards are computed.
        draws: molecules drawn for each particle at each twist.
        reward: scores of complete rows.
    """

    predictor: Predictor
    shaping: Shaping = field(default_factory=Shaping)
    particles: int = 8
    every: int = 4
    normaliser: bool = True
    twist: float = 0.0
    draws: int = 4
    reward: Reward | None = None

    def run(
        self,
        lengths: Ids,
        condition: NDArray[np.float32] | None = None,
        seed: int = 0,
        first: int = 0,
    ) -> Particles:
        """Draw groups.

        Args:
            lengths: tokens of the particles of each group, shape (groups,).
            condition: property values with shape (groups, properties), or None.
            seed: of the draw; group ``i`` depends on the seed and ``first + i`` alone.
            first: index of the first group.
        """
        state, real = self._begin(lengths, condition, first)
        for step in range(real.shape[1]):
            rows = np.flatnonzero(real[:, step])  # longer rows, which have a mask left
            log_f = self._forward(state, rows)
            if step and step % self.every == 0:
                self._twist(state, rows, log_f, seed, step)
                chosen = self._resample(state, rows, seed, step)
                log_f = log_f[chosen]
            self._reveal(state, rows, log_f, seed, step)
        if self.reward is not None and self.twist:
            state.log_w += self.twist * self.reward(state.tokens, state.nfe) - state.log_r
        return Particles(state.tokens, state.log_w, state.nfe)

    def _begin(
        self, lengths: Ids, condition: NDArray[np.float32] | None, first: int
    ) -> tuple[_State, Mask]:
        """Return fully masked particles, and which of their positions are not padding."""
        k = self.particles
        rows = len(lengths) * k
        real = np.arange(int(lengths.max(initial=0))) < np.repeat(lengths, k)[:, None]
        tokens = np.where(real, self.predictor.mask_id, self.predictor.pad_id)
        given = None if condition is None else np.repeat(condition, k, axis=0)
        number = first * k + np.arange(rows)
        log_w, log_r = np.zeros((2, rows))
        return _State(tokens, log_w, log_r, np.zeros(rows, dtype=np.int64), number, given), real

    def _forward(self, state: _State, rows: Ids) -> Floats:
        """Return ``log f`` at the masks of some rows, (rows, longest, vocab), -inf elsewhere."""
        tokens = state.tokens[rows]
        masked = tokens == self.predictor.mask_id
        kept = 1 - masked.sum(1) / (tokens != self.predictor.pad_id).sum(1)
        given = None if state.condition is None else state.condition[rows]
        found = self.predictor(tokens, masked, given, kept).p
        log_f = np.full((*tokens.shape, found.shape[1]), -np.inf)
        log_f[masked] = found
        state.nfe[rows] += self.predictor.forwards
        return log_f

    def _reveal(self, state: _State, rows: Ids, log_f: Floats, seed: int, step: int) -> None:
        """Reveal one token of each row, and multiply the weights by its normaliser."""
        tokens, number = state.tokens[rows], state.row[rows]
        place = np.arange(tokens.shape[1])
        order = used(seed, Use.PARTICLE_POSITION, number[:, None], place)
        position = np.where(tokens == self.predictor.mask_id, order, 2.0).argmin(1)
        at = np.arange(len(rows))
        log_f = log_f[at, position]
        p = self.shaping(torch.from_numpy(log_f)).numpy()
        u = randomness.uniform(seed, randomness.STEP, number, step, position)
        token = inverse_cdf(p, u)
        state.tokens[rows, position] = token
        if self.normaliser:
            state.log_w[rows] += log_f[at, token] - np.log(p[at, token])

    def _twist(self, state: _State, rows: Ids, log_f: Floats, seed: int, step: int) -> None:
        """Update weights by the scores of molecules drawn from the predictions."""
        if self.reward is None or not self.twist:
            return
        tokens = state.tokens[rows]
        i, position = np.nonzero(tokens == self.predictor.mask_id)
        p = self.shaping(torch.from_numpy(log_f[i, position])).numpy()
        drawn = np.repeat(tokens[None], self.draws, axis=0)
        for draw, filled in enumerate(drawn):
            u = used(seed, Use.PARTICLE_OUTLOOK, state.row[rows[i]], step, position, draw)
            filled[i, position] = inverse_cdf(p, u)
        nfe = np.tile(state.nfe[rows], self.draws)
        scores = self.reward(drawn.reshape(-1, tokens.shape[1]), nfe)
        scores = self.twist * scores.reshape(self.draws, -1)
        log_r = np.logaddexp.reduce(scores, axis=0) - np.log(self.draws)
        state.log_w[rows] += log_r - state.log_r[rows]
        state.log_r[rows] = log_r

    def _resample(self, state: _State, rows: Ids, seed: int, step: int) -> Ids:
        """Resample groups with a low effective sample size; return the ancestors in ``rows``."""
        chosen = np.arange(len(rows))
        for start in range(0, len(rows), self.particles):
            group = chosen[start : start + self.particles].copy()
            weights = normalised(state.log_w[rows[group]])
            if 1 / (weights**2).sum() >= LEAST_ESS * self.particles:
                continue
            number = state.row[rows[start]]
            u = used(seed, Use.RESAMPLE, number, step)
            chosen[group] = group[systematic(weights, float(u))]
            state.log_w[rows[group]] = 0.0
        state.tokens[rows], state.log_r[rows] = (
            state.tokens[rows[chosen]],
            state.log_r[rows[chosen]],
        )
        return chosen


def normalised(log_w: Floats) -> Floats:
    """Return weights that sum to one from their logarithms; equal ones if all are zero."""
    top = log_w.max()
    if top == -np.inf:
        return np.full(len(log_w), 1 / len(log_w))
    weights = np.exp(log_w - top)
    return np.asarray(weights / weights.sum())


def systematic(weights: Floats, u: float) -> Ids:
    """Return ancestors: weight ``w`` yields ``floor`` or ``ceil`` of ``k w`` copies.

    Args:
        weights: that sum to one, shape (particles,).
        u: a uniform in [0, 1).

    Returns:
        Indices in ascending order, shape (particles,).
    """
    k = len(weights)
    return randomness.choose(weights, (np.arange(k) + u) / k)


def merged(keys: Sequence[str], log_w: Floats) -> tuple[Ids, Floats]:
    """Add up the weights of all copies of a molecule at the first of them.

    Args:
        keys: identity of each particle, empty to leave it out.
        log_w: logarithms of weights, shape (particles,).

    Returns:
        Indices of one particle for each key, heaviest first, and their log-weights.
    """
    first: dict[str, int] = {}
    total = np.full(len(keys), -np.inf)
    for i, key in enumerate(keys):
        if key:
            copy = first.setdefault(key, i)
            total[copy] = np.logaddexp(total[copy], log_w[i])
    kept = np.array(list(first.values()), dtype=np.int64)
    kept = kept[np.argsort(-total[kept], kind="stable")]
    return kept, total[kept]
