"""Guidance: each step's distribution, tilted towards a property.

    p_gamma(x_s | x_t)  ∝  p(x_s | x_t) * tilt^gamma,        normalised per token

*Classifier-free* (D-CFG) takes the tilt from two predictions, with weights ``gamma`` on the
conditional and ``1 - gamma`` on the unconditional log-probabilities. Under masked noise it mixes
``log p(x0 | x_t)`` before the posterior, so the rate at which tokens are revealed is that of the
plan; under uniform noise it mixes ``log q``.

*Classifier-based* (D-CBG) takes it from a classifier of noised states, ``log p(y | x_t with token
l := v)`` for every token ``l`` and value ``v``, as :mod:`molgen.guidance.candidate_scores` finds
it: exactly, to first order, or amortised. Tilting the mask entry too (the published form) also
changes *how fast* tokens are revealed; `ClassifierBased` leaves its mass alone unless asked. On the
clean branch, where a token may stay or be masked again, tilting both entries is *guided remasking*:
the token that holds the property back is the one likeliest taken off. That is a heuristic which
changes the marginals.

At ``gamma = 1`` with the exact classifier or conditional, both rules draw from ``p(x | y)``.

Reference: Schiff et al., "Simple Guidance Mechanisms for Discrete Diffusion Models" (2024).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from molgen.diffusion.posterior import Scalar

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

    def forwards(self, log_q: Tensor, tokens: Tensor) -> Tensor:
        """Return the classifier forwards that each row of such a call takes, shape (batch,)."""
        ...


class CandidateScores(Protocol):
    """A way to score what each token might become."""

    def __call__(self, log_q: Tensor, tokens: Tensor, alpha_t: Scalar) -> Tensor:
        """Return ``log p(y | x_t with token l := v)`` at [row, l, v], with the shape of ``log_q``.

        Entries that ``log_q`` rules out, and tokens to which it leaves no choice, may hold any
        finite number.
        """
        ...

    def forwards(self, log_q: Tensor, tokens: Tensor) -> Tensor:
        """Return the classifier forwards that each row of such a call takes, shape (batch,)."""
        ...


@dataclass(frozen=True)
class Linear:
    """A strength that goes in a straight line with the fraction of tokens kept."""

    start: float
    """Strength at ``alpha_t = 0``, where everything is noise."""
    end: float
    """Strength at ``alpha_t = 1``."""

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            ValueError: if one is not finite.
        """
        for name in ("start", "end"):
            if not math.isfinite(getattr(self, name)):
                raise ValueError(f"{name} is {getattr(self, name)}, expected a finite number")

    def __call__(self, alpha_t: Scalar) -> Scalar:
        """Return gamma, elementwise."""
        return self.start + (self.end - self.start) * alpha_t


def strength(gamma: Strength, alpha_t: Scalar) -> Scalar:
    """Return ``gamma`` at this time."""
    return gamma(alpha_t) if callable(gamma) else gamma


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


def tilt(log_q: Tensor, scores: Tensor, gamma: Scalar, kept: Tensor | None = None) -> Tensor:
    """Return ``log q + gamma * scores``, normalised per token.

    Args:
        log_q: log-probabilities with shape (batch, length, vocab), normalised.
        scores: ``log p(y | x_t with token l := v)`` up to a constant per token, same shape, finite.
        gamma: a float, or one number per row with shape (batch,).
        kept: True at entries whose mass stays as it is (the mask, to keep the reveal rate),
            broadcastable to the shape of ``log_q``; None for no such entry.

    Returns:
        Tilted log-probabilities, same shape; -inf wherever ``log_q`` is.
    """
    tilted = log_q + _scaled(scores, _per_row(gamma, log_q))
    if kept is None:
        return _normalise(tilted)
    total = log_q.masked_fill(kept, -torch.inf).logsumexp(-1, keepdim=True)
    return torch.where(kept, log_q, _normalise(tilted.masked_fill(kept, -torch.inf)) + total)


@dataclass(frozen=True)
class ClassifierFree:
    """D-CFG; under masked noise on ``log p(x0 | x_t)``, under uniform noise on ``log q``."""

    gamma: Strength
    """Weight of the conditional prediction: 0 ignores the condition, more than 1 exaggerates it."""

    def combine(self, log_cond: Tensor, log_uncond: Tensor, alpha_t: Scalar) -> Tensor:
        """Return the guided log-probabilities.

        Args:
            log_cond: conditional log-probabilities with shape (batch, length, vocab).
            log_uncond: unconditional ones, same shape.
            alpha_t: fraction of tokens kept now, a float or with shape (batch,).

        Returns:
            Log-probabilities with the same shape.
        """
        return classifier_free_masked(log_cond, log_uncond, strength(self.gamma, alpha_t))


@dataclass(frozen=True)
class ClassifierBased:
    """D-CBG as a `Guidance`; on ``log p(x0 | x_t)`` it keeps the reveal rate whatever is tilted."""

    scores: CandidateScores
    """Exact, Taylor or amortised: see :mod:`molgen.guidance.candidate_scores`."""
    gamma: Strength
    """Strength; 0 is unguided, 1 is Bayes' rule."""
    mask_id: int | None
    """The mask token, or None under uniform noise."""
    tilt_mask: bool = False
    """Whether the mask entry of masked tokens is tilted too (published): guidance then also
    decides how fast tokens are revealed."""
    guided_remasking: bool = False
    """Whether the mask entry of placed tokens is tilted: ``log(1 - sigma) + gamma log p(y | x_t)``
    against ``log sigma + gamma log p(y | x_t with l := mask)``, so that what holds the property
    back is taken off. A heuristic that changes the marginals: more than ``1 - alpha`` of the tokens
    may be masked, or fewer."""

    def __call__(self, log_q: Tensor, tokens: Tensor, alpha_t: Scalar) -> Tensor:
        """Return the guided step; see `Guidance`."""
        kept = self._kept(tokens, log_q)
        scores = self.scores(_without(log_q, kept), tokens, alpha_t)
        return tilt(log_q, scores, strength(self.gamma, alpha_t), kept)

    def forwards(self, log_q: Tensor, tokens: Tensor) -> Tensor:
        """Return the classifier forwards of each row; see `Guidance`."""
        return self.scores.forwards(_without(log_q, self._kept(tokens, log_q)), tokens)

    def _kept(self, tokens: Tensor, log_q: Tensor) -> Tensor | None:
        """Return True at the mask entries whose mass stays, with shape (batch, length, vocab)."""
        if self.mask_id is None or (self.tilt_mask and self.guided_remasking):
            return None
        entry = torch.arange(log_q.shape[-1], device=log_q.device) == self.mask_id
        masked = tokens == self.mask_id
        tilted = masked & self.tilt_mask | ~masked & self.guided_remasking
        return entry & ~tilted.unsqueeze(-1)


def nest(
    guidances: Sequence[Guidance], log_q: Tensor, tokens: Tensor, alpha_t: Scalar
) -> tuple[Tensor, Tensor]:
    """Apply guidances one after another; arguments are those of `Guidance`.

    Returns:
        The guided step with the shape of ``log_q``, and the classifier forwards of each row with
        shape (batch,).
    """
    forwards = torch.zeros(len(tokens), dtype=torch.int64)
    for classifier in guidances:
        forwards += classifier.forwards(log_q, tokens).to(forwards)
        log_q = classifier(log_q, tokens, alpha_t)
    return log_q, forwards


def _without(log_q: Tensor, kept: Tensor | None) -> Tensor:
    """Return ``log_q`` with the kept entries out of reach: they need no score."""
    return log_q if kept is None else log_q.masked_fill(kept, -torch.inf)


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
