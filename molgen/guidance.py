"""Guidance: each step's distribution, tilted towards a property.

    p_gamma(x_s | x_t)  ∝  p(x_s | x_t) * tilt^gamma,        normalised per token

*Classifier-free* (D-CFG) takes the tilt from two predictions, with weights ``gamma`` on the
conditional and ``1 - gamma`` on the unconditional log-probabilities. Under masked noise it mixes
``log p(x0 | x_t)`` before the posterior, so the rate at which tokens are revealed is that of the
plan; under uniform noise it mixes ``log q``.

*Classifier-based* (D-CBG) takes it from a classifier of noised states, ``log p(y | x_t with token
l := v)`` for every token ``l`` and value ``v``: exactly, one row per candidate, or by one
backward pass (first-order Taylor). Tilting the mask entry too (the published form) also changes
*how fast* tokens are revealed; `ClassifierBased` leaves its mass alone unless asked. On the clean
branch, where a token may stay or be masked again, tilting both entries is *guided remasking*: the
token that holds the property back is the one likeliest taken off. That is a heuristic which
changes the marginals.

At ``gamma = 1`` with the exact classifier or conditional, both rules draw from ``p(x | y)``.

Reference: Schiff et al., "Simple Guidance Mechanisms for Discrete Diffusion Models" (2024).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from molgen.posterior import Scalar

Classifier = Callable[[Tensor], Tensor]
"""``log p(y | x_t)`` with shape (batch,) from tokens with shape (batch, length)."""

SoftClassifier = Callable[[Tensor], Tensor]
"""The same from one-hot tokens, floats with shape (batch, length, vocab); differentiable."""

Strength = float | Callable[[Scalar], Scalar]
"""``gamma``, or a function of ``alpha_t``: strong guidance hurts early, and works late."""


class Guidance(Protocol):
    """A reweighting of one step; guidances nest, since what one returns the next may take."""

    def __call__(self, log_q: Tensor, tokens: Tensor, alpha_t: Scalar) -> Tensor:
        """Return the guided step.

        Args:
            log_q: ``log q(x_s | x_t)``, or ``log p(x0 | x_t)``, with shape (batch, length,
                vocab), normalised.
            tokens: the noised state x_t, with shape (batch, length).
            alpha_t: fraction of tokens kept now, a float or with shape (batch,).

        Returns:
            Log-probabilities of the same kind, shape and dtype, normalised.
        """
        ...


class CandidateScores(Protocol):
    """A way to score what each token might become."""

    def __call__(self, log_q: Tensor, tokens: Tensor) -> Tensor:
        """Return ``log p(y | x_t with token l := v)`` at [row, l, v], with the shape of ``log_q``.

        Entries that ``log_q`` rules out, and tokens to which it leaves no choice, may hold any
        finite number.
        """
        ...


def classifier_free_masked(log_p_cond: Tensor, log_p_uncond: Tensor, gamma: Scalar) -> Tensor:
    """Return ``gamma log p(x0 | x_t, y) + (1 - gamma) log p(x0 | x_t)``, normalised over tokens.

    A value that either prediction rules out (-inf) stays ruled out, unless its weight is 0.

    Args:
        log_p_cond: conditional prediction with shape (batch, length, vocab), as ``subs`` gives it.
        log_p_uncond: unconditional prediction, same shape.
        gamma: a float, or one number per row with shape (batch,).

    Returns:
        Guided ``log p(x0 | x_t)`` with the same shape, for the masked posterior.
    """
    weight = _per_row(gamma, log_p_cond)
    return _normalise(_scaled(log_p_cond, weight) + _scaled(log_p_uncond, 1 - weight))


def classifier_free_uniform(log_q_cond: Tensor, log_q_uncond: Tensor, gamma: Scalar) -> Tensor:
    """Return ``gamma log q(x_s | x_t, y) + (1 - gamma) log q(x_s | x_t)``, normalised over tokens.

    The same mixture as `classifier_free_masked`, taken of the posteriors; arguments and result
    have the shape (batch, length, vocab).
    """
    return classifier_free_masked(log_q_cond, log_q_uncond, gamma)


def tilt(log_q: Tensor, scores: Tensor, gamma: Scalar, keep: int | None = None) -> Tensor:
    """Return ``log q + gamma * scores``, normalised per token.

    Args:
        log_q: log-probabilities with shape (batch, length, vocab), normalised.
        scores: ``log p(y | x_t with token l := v)`` up to a constant per token, same shape, finite.
        gamma: a float, or one number per row with shape (batch,).
        keep: an entry whose mass stays as it is (the mask, to keep the reveal rate), or None.

    Returns:
        Tilted log-probabilities, same shape; -inf wherever ``log_q`` is.
    """
    tilted = log_q + _scaled(scores, _per_row(gamma, log_q))
    if keep is None:
        return _normalise(tilted)
    kept = torch.arange(log_q.shape[-1], device=log_q.device) == keep
    total = log_q.masked_fill(kept, -torch.inf).logsumexp(-1, keepdim=True)
    return torch.where(kept, log_q, _normalise(tilted.masked_fill(kept, -torch.inf)) + total)


@dataclass(frozen=True)
class ClassifierFree:
    """D-CFG under masked noise."""

    gamma: Strength
    """Weight of the conditional prediction: 0 ignores the condition, more than 1 exaggerates it."""

    def combine(self, log_p_cond: Tensor, log_p_uncond: Tensor, alpha_t: Scalar) -> Tensor:
        """Return the guided ``log p(x0 | x_t)``.

        Args:
            log_p_cond: conditional prediction (batch, length, vocab), as ``subs`` gives it.
            log_p_uncond: unconditional prediction, same shape.
            alpha_t: fraction of tokens kept now, a float or with shape (batch,).

        Returns:
            Log-probabilities with the same shape.
        """
        return classifier_free_masked(log_p_cond, log_p_uncond, _strength(self.gamma, alpha_t))


@dataclass(frozen=True)
class ExactScores:
    """Candidate scores by one classifier row per candidate that is within reach."""

    classifier: Classifier
    """Log-probability of the wanted property, from tokens."""
    chunk: int = 4096
    """Classifier rows evaluated at a time."""

    def __call__(self, log_q: Tensor, tokens: Tensor) -> Tensor:
        """Return the scores; see `CandidateScores`."""
        reachable = log_q > -torch.inf
        current = F.one_hot(tokens, log_q.shape[-1]).bool()
        choice = reachable.sum(-1, keepdim=True) > 1
        row, place, value = (reachable & choice & ~current).nonzero(as_tuple=True)
        scores = self.classifier(tokens).to(log_q.dtype)[:, None, None].expand_as(log_q).clone()
        for part in torch.arange(row.numel(), device=row.device).split(self.chunk):
            candidates = tokens[row[part]]
            candidates[torch.arange(part.numel(), device=row.device), place[part]] = value[part]
            scores[row[part], place[part], value[part]] = self.classifier(candidates).to(scores)
        return scores


@dataclass(frozen=True)
class TaylorScores:
    """Candidate scores to first order, ``log p(y | x_t) + grad . (onehot(v) - onehot(x_t))``.

    One forward and one backward pass, whatever the vocabulary. Exact for a classifier whose
    log-probability is linear in the one-hot tokens; far from linear ones it overshoots, hence the
    clamp.
    """

    classifier: SoftClassifier
    """Log-probability of the wanted property, from one-hot tokens."""
    clamp: float = torch.inf
    """Largest change of log-probability, up or down, that one token is credited with, in nats."""

    def __call__(self, log_q: Tensor, tokens: Tensor) -> Tensor:
        """Return the scores; see `CandidateScores`."""
        with torch.inference_mode(False), torch.enable_grad():
            onehot = F.one_hot(tokens, log_q.shape[-1]).to(log_q.dtype).requires_grad_()
            log_y = self.classifier(onehot)
            (slope,) = torch.autograd.grad(log_y.sum(), onehot)
        change = slope - slope.gather(-1, tokens.unsqueeze(-1))
        return log_y.detach()[:, None, None] + change.clamp(-self.clamp, self.clamp)


@dataclass(frozen=True)
class ClassifierBased:
    """D-CBG as a `Guidance`; on ``log p(x0 | x_t)`` it keeps the reveal rate whatever is tilted."""

    scores: CandidateScores
    """`ExactScores`, `TaylorScores`, or a head that predicts every candidate at once."""
    gamma: Strength
    """Strength; 0 is unguided, 1 is Bayes' rule."""
    mask_id: int | None
    """The mask token, or None under uniform noise."""
    tilt_mask: bool = False
    """Whether the mask entry is tilted too (published), which changes the rate of revealing."""

    def __call__(self, log_q: Tensor, tokens: Tensor, alpha_t: Scalar) -> Tensor:
        """Return the guided step; see `Guidance`."""
        keep = None if self.tilt_mask else self.mask_id
        scores = self.scores(log_q, tokens)
        return tilt(log_q, scores, _strength(self.gamma, alpha_t), keep)


def _strength(gamma: Strength, alpha_t: Scalar) -> Scalar:
    return gamma(alpha_t) if callable(gamma) else gamma


def _per_row(gamma: Scalar, like: Tensor) -> Tensor:
    """Return gamma with shape (1, 1, 1) or (batch, 1, 1), in the dtype of ``like``."""
    return torch.as_tensor(gamma, dtype=like.dtype, device=like.device).reshape(-1, 1, 1)


def _scaled(log_p: Tensor, weight: Tensor) -> Tensor:
    """Return ``weight * log_p``, where ruled out (-inf) stays ruled out unless the weight is 0."""
    ruled_out = (log_p == -torch.inf) & (weight != 0)
    return (weight * log_p).masked_fill(ruled_out, -torch.inf).masked_fill(weight == 0, 0.0)


def _normalise(log_p: Tensor) -> Tensor:
    """Return ``log_p`` normalised over the vocabulary; a token with no support stays all -inf."""
    total = log_p.logsumexp(-1, keepdim=True)
    return log_p - total.masked_fill(total == -torch.inf, 0.0)
