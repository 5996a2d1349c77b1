"""Guidance: the distribution of each step, tilted towards a property.

    p_gamma(x_s | x_t)  ∝  p(x_s | x_t) * tilt^gamma,        normalised per token

*Classifier-free* (D-CFG) takes the tilt from two predictions, with weights ``gamma`` on the
conditional and ``1 - gamma`` on the unconditional log-probabilities. Under masked noise it mixes
``log p(x0 | x_t)`` before the posterior, so the rate at which tokens are revealed is that of the
plan; under uniform noise it mixes ``log q``.

*Classifier-based* (D-CBG) takes it from a classifier of noised states, ``log p(y | x_t with token
l := v)`` for every token ``l`` and value ``v``, computed by :mod:`molgen.guidance.candidate_scores`
exactly, to first order, or amortised. Tilting the mask entry too (the published form) also changes
*how fast* tokens are revealed; `ClassifierBased` keeps its mass by default. On the clean branch,
where a token may stay or be remasked, tilting both entries is *guided remasking*: the token that
lowers the predicted property most is the likeliest to be remasked. This is a heuristic that changes
the marginals.

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
from molgen.errors import MolgenError

Strength = float | Callable[[Scalar], Scalar]
"""``gamma``, or a function of ``alpha_t``: strong guidance is better late than early."""


class Guidance(Protocol):
    """A reweighting of one step; guidances compose, since input and output are of one kind."""

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
        """Return the classifier forwards of each row in such a call, shape (batch,)."""
        ...


class CandidateScores(Protocol):
    """A score for every possible value of each token."""

    def __call__(self, log_q: Tensor, tokens: Tensor, alpha_t: Scalar) -> Tensor:
        """Return ``log p(y | x_t with token l := v)`` at [row, l, v], with the shape of ``log_q``.

        Entries of probability zero in ``log_q``, and tokens with a single possible value, may have
        any finite score.
        """
        ...

    def forwards(self, log_q: Tensor, tokens: Tensor) -> Tensor:
        """Return the classifier forwards of each row in such a call, shape (batch,)."""
        ...


@dataclass(frozen=True)
class Linear:
    """A strength that is linear in the fraction of tokens kept."""

    start: float
    """Strength at ``alpha_t = 0``, all noise."""
    end: float
    """Strength at ``alpha_t = 1``."""

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            MolgenError: if one is not finite.
        """
        for name in ("start", "end"):
            if not math.isfinite(getattr(self, name)):
                raise MolgenError(f"{name} is {getattr(self, name)}, expected a finite number")

    def __call__(self, alpha_t: Scalar) -> Scalar:
        """Return gamma, elementwise."""
        return self.start + (self.end - self.start) * alpha_t


def strength(gamma: Strength, alpha_t: Scalar) -> Scalar:
    """Return ``gamma`` at this time."""
    return gamma(alpha_t) if callable(gamma) else gamma


def classifier_free(log_p_cond: Tensor, log_p_uncond: Tensor, gamma: Scalar) -> Tensor:
    """Return ``gamma log p(x0 | x_t, y) + (1 - gamma) log p(x0 | x_t)``, normalised over tokens.

    Of masked noise the predictions are mixed, of uniform noise the posteriors.

    A value that is impossible (-inf) in either prediction stays impossible, unless the weight of
    that prediction is 0.

    Args:
        log_p_cond: conditional prediction with shape (batch, length, vocab), as from ``subs``.
        log_p_uncond: unconditional prediction, same shape.
        gamma: a float, or one number per row with shape (batch,).

    Returns:
        Guided ``log p(x0 | x_t)`` with the same shape, for the masked posterior.
    """
    weight = _per_row(gamma, log_p_cond)
    return _normalise(_scaled(log_p_cond, weight) + _scaled(log_p_uncond, 1 - weight))


def tilt(log_q: Tensor, scores: Tensor, gamma: Scalar, kept: Tensor | None = None) -> Tensor:
    """Return ``log q + gamma * scores``, normalised per token.

    Args:
        log_q: log-probabilities with shape (batch, length, vocab), normalised.
        scores: ``log p(y | x_t with token l := v)`` up to a constant per token, same shape, finite.
        gamma: a float, or one number per row with shape (batch,).
        kept: True at entries whose mass is not changed (the mask, to keep the reveal rate),
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
        return classifier_free(log_cond, log_uncond, strength(self.gamma, alpha_t))


@dataclass(frozen=True)
class ClassifierBased:
    """D-CBG as a `Guidance`; on ``log p(x0 | x_t)`` it always keeps the reveal rate."""

    scores: CandidateScores
    """Exact, Taylor or amortised: see :mod:`molgen.guidance.candidate_scores`."""
    gamma: Strength
    """Strength; 0 is unguided, 1 is Bayes' rule."""
    mask_id: int | None
    """The mask token, or None under uniform noise."""
    tilt_mask: bool = False
    """Whether the mask entry of masked tokens is tilted too (published): guidance then also
    changes how fast tokens are revealed."""
    guided_remasking: bool = False
    """Whether the mask entry of placed tokens is tilted: ``log(1 - sigma) + gamma log p(y | x_t)``
    against ``log sigma + gamma log p(y | x_t with l := mask)``, so that tokens that lower the
    predicted property are remasked. A heuristic that changes the marginals: more than ``1 - alpha``
    of the tokens may be masked, or fewer."""

    def __call__(self, log_q: Tensor, tokens: Tensor, alpha_t: Scalar) -> Tensor:
        """Return the guided step; see `Guidance`."""
        kept = self._kept(tokens, log_q)
        scores = self.scores(_without(log_q, kept), tokens, alpha_t)
        return tilt(log_q, scores, strength(self.gamma, alpha_t), kept)

    def forwards(self, log_q: Tensor, tokens: Tensor) -> Tensor:
        """Return the classifier forwards of each row; see `Guidance`."""
        return self.scores.forwards(_without(log_q, self._kept(tokens, log_q)), tokens)

    def _kept(self, tokens: Tensor, log_q: Tensor) -> Tensor | None:
        """Return True at mask entries whose mass is kept, with shape (batch, length, vocab)."""
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
    for guidance in guidances:
        forwards += guidance.forwards(log_q, tokens).to(forwards)
        log_q = guidance(log_q, tokens, alpha_t)
    return log_q, forwards


def _without(log_q: Tensor, kept: Tensor | None) -> Tensor:
    """Return ``log_q`` with -inf at the kept entries, which need no score."""
    return log_q if kept is None else log_q.masked_fill(kept, -torch.inf)


def _per_row(gamma: Scalar, like: Tensor) -> Tensor:
    """Return gamma with shape (1, 1, 1) or (batch, 1, 1), in the dtype of ``like``."""
    return torch.as_tensor(gamma, dtype=like.dtype, device=like.device).reshape(-1, 1, 1)


def _scaled(log_p: Tensor, weight: Tensor) -> Tensor:
    """Return ``weight * log_p``, where -inf stays -inf unless the weight is 0."""
    impossible = (log_p == -torch.inf) & (weight != 0)
    return (weight * log_p).masked_fill(impossible, -torch.inf).masked_fill(weight == 0, 0.0)


def _normalise(log_p: Tensor) -> Tensor:
    """Return ``log_p`` normalised over the vocabulary; a token with no support stays all -inf."""
    total = log_p.logsumexp(-1, keepdim=True)
    return log_p - total.masked_fill(total == -torch.inf, 0.0)
