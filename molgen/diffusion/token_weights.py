"""Remasking weights: which of the placed tokens are remasked.

A plan sets the probability ``sigma`` that a placed token is remasked; weights distribute it,

    sigma_l = min(sigma * w_l, sigma_max)

with ``w_l = 0`` at masked tokens and padding. Under ``normalise="sum"`` the weights of a row sum
to one, so with ``sigma = sigma_max`` about one token a step is remasked (the published form); under
``"mean"`` they average to one, so the expected number is that of uniform weights.

    uniform      the same for all
    confidence   softmax(-psi)                        psi: probability when placed (published form)
    sharpened    softmax(-log psi / tau)
    quality      softmax(-log q / tau + gamma delta)  q: probability to be right given the others
    property     softmax(gamma delta)

``q`` and ``delta`` come from the quality head of a network trained by
:mod:`molgen.training.self_correction`, without further forwards. It is evaluated under the
condition ``y`` and, for classifier-free guidance, without it:

    delta_l = log q_l(no condition) - log q_l(y)

This is attribution: a token that is plausible in general but not in a molecule with the target
property has ``delta > 0`` and lowers the predicted property. By Bayes' rule
``p(x_l | rest, y) / p(x_l | rest)`` equals ``p(y | x) / p(y | rest)``, so ``delta_l`` estimates the
gain in ``log p(y)`` from remasking the token: guided remasking without a classifier.

Weights that depend on the row no longer keep the marginals exactly: they are heuristics. A masked
token of weight 0 is placed at the ancestral rate, which does not compensate for the remasking:
after a step from the right marginal, the masked fraction of rows exceeds ``1 - alpha_s`` by
``alpha_t`` times the mean ``sigma_l``. Samplers therefore place masked tokens at the rate of the
plan's own ``sigma``, which keeps the masked fraction on average under weights of mean one that are
not capped.

References: Wang et al., "Remasking Discrete Diffusion Models with Inference-Time Scaling" (2025),
section 4; Kim et al., "Fine-tuning masked diffusion for provable self-correction" (2025), for
``q``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from molgen.errors import MolgenError
from molgen.utils.arrays import Floats, Mask
from molgen.utils.options import UNBOUNDED

Normalise = Literal["sum", "mean"]


def confidence_weights(psi: Tensor, is_clean: Tensor, normalise: Normalise = "sum") -> Tensor:
    """Return ``softmax(-psi)`` over a row's clean tokens: the published confidence weights.

    Since ``psi`` is in [0, 1], no weight is more than ``e`` times another.

    Args:
        psi: probability each token had when it was placed, with shape (batch, length); ignored
            elsewhere.
        is_clean: True at tokens that are placed and no padding, with shape (batch, length).
        normalise: whether a row's weights sum to one or average to one over its clean tokens.

    Returns:
        Weights with shape (batch, length), 0 where ``is_clean`` is False.
    """
    return softmax_over(-psi, is_clean, normalise)


def sharpened_weights(
    psi: Tensor, is_clean: Tensor, tau: float = 1.0, normalise: Normalise = "mean"
) -> Tensor:
    """Return ``softmax(-log psi / tau)``, in proportion to ``psi ** (-1 / tau)``.

    A token placed with probability 0.01 is a hundred times as likely to be remasked as a certain
    one at ``tau = 1``.

    Args:
        psi: probability each token had when it was placed, with shape (batch, length); ignored
            elsewhere.
        is_clean: True at tokens that are placed and no padding, with shape (batch, length).
        tau: temperature above 0; lower is sharper, infinity is uniform.
        normalise: whether a row's weights sum to one or average to one over its clean tokens.

    Returns:
        Weights with shape (batch, length), 0 where ``is_clean`` is False.

    Raises:
        MolgenError: if ``tau`` is not above 0.
    """
    if not tau > 0.0:
        raise MolgenError(f"tau must be above 0, got {tau}")
    smallest = torch.finfo(psi.dtype).tiny
    return softmax_over(-psi.clamp(min=smallest).log() / tau, is_clean, normalise)


def token_sigma(sigma: Floats, weights: Floats, bound: Floats) -> Floats:
    """Return ``min(sigma * weights, sigma_max)``: the sigma of each token.

    Args:
        sigma: of the plan, broadcastable to the shape of ``weights``.
        weights: of tokens, shape (..., length).
        bound: ``sigma_max`` of the step, likewise broadcastable.

    Returns:
        Chances with the shape of ``weights``.
    """
    return np.minimum(sigma * weights, bound)


def softmax_over(scores: Tensor, is_clean: Tensor, normalise: Normalise) -> Tensor:
    """Return the softmax over the clean tokens of each row; a row with none gets zeros."""
    check_normalise(normalise)
    weights = scores.masked_fill(~is_clean, -torch.inf).softmax(-1)
    weights = weights.masked_fill(~is_clean, 0.0)
    return weights if normalise == "sum" else weights * is_clean.sum(-1, keepdim=True)


def check_normalise(normalise: str) -> None:
    """Check the normalisation of weights.

    Raises:
        MolgenError: if it is neither ``"sum"`` nor ``"mean"``.
    """
    if normalise not in ("sum", "mean"):
        raise MolgenError(f"normalise must be 'sum' or 'mean', got {normalise!r}")


PSI, QUALITY, PROPERTY = "psi", "quality", "property"


@dataclass(frozen=True)
class Evidence:
    """Scores of placed tokens, each with shape (rows, length); ignored elsewhere.

    Attributes:
        psi: probability each had when it was placed.
        quality: probability to be right given the other tokens; ``psi`` without a quality head.
        delta: attribution: how much the token lowers the target property, in nats; 0 without a
            quality head.
    """

    psi: Floats
    quality: Floats
    delta: Floats


class TokenWeights(Protocol):
    """Remasking weights, as used by the samplers."""

    @property
    def reads(self) -> str:
        """The scores that they depend on: ``"psi"``, ``"quality"`` or ``"property"``.

        The last compares both forwards of classifier-free guidance.
        """
        ...

    def __call__(self, evidence: Evidence, is_clean: Mask) -> Floats:
        """Return factors with shape (rows, length).

        Args:
            evidence: scores of the tokens.
            is_clean: True at tokens that are placed and may be remasked, shape (rows, length).
        """
        ...


@dataclass(frozen=True)
class Confidence:
    """The published weights: ``softmax(-psi)``, summing to one, masked tokens not compensated."""

    normalise: Normalise = "sum"
    reads = PSI

    def __post_init__(self) -> None:
        """Check ``normalise``."""
        check_normalise(self.normalise)

    def __call__(self, evidence: Evidence, is_clean: Mask) -> Floats:
        """Return the factors; see `TokenWeights`."""
        psi = torch.from_numpy(evidence.psi)
        weights = confidence_weights(psi, torch.from_numpy(is_clean), self.normalise)
        return _compensated(weights, is_clean, self.normalise)


@dataclass(frozen=True)
class Sharpened:
    """``softmax(-log psi / tau)`` with mean one: improbable tokens are remasked more often."""

    tau: float = field(default=1.0, metadata=UNBOUNDED)
    normalise: Normalise = "mean"
    reads = PSI

    def __post_init__(self) -> None:
        """Check the parameters.

        Raises:
            MolgenError: if ``tau`` is not positive or ``normalise`` is unknown.
        """
        _check_tau(self.tau)
        check_normalise(self.normalise)

    def __call__(self, evidence: Evidence, is_clean: Mask) -> Floats:
        """Return the factors; see `TokenWeights`."""
        psi = torch.from_numpy(evidence.psi)
        weights = sharpened_weights(psi, torch.from_numpy(is_clean), self.tau, self.normalise)
        return _compensated(weights, is_clean, self.normalise)


@dataclass(frozen=True)
class Quality:
    """``softmax(-log q / tau + gamma delta)`` with mean one; ``gamma = 0`` is quality alone."""

    tau: float = field(default=1.0, metadata=UNBOUNDED)
    gamma: float = field(default=0.0, metadata=UNBOUNDED)

    def __post_init__(self) -> None:
        """Check the parameters.

        Raises:
            MolgenError: if ``tau`` is not positive.
        """
        _check_tau(self.tau)

    @property
    def reads(self) -> str:
        """See `TokenWeights`."""
        return PROPERTY if self.gamma else QUALITY

    def __call__(self, evidence: Evidence, is_clean: Mask) -> Floats:
        """Return the factors; see `TokenWeights`."""
        smallest = np.finfo(np.float64).tiny
        doubt = -np.log(np.maximum(evidence.quality, smallest)) / self.tau
        return _softmax(doubt + self.gamma * evidence.delta, is_clean)


@dataclass(frozen=True)
class Attribution:
    """``softmax(gamma delta)`` with mean one: tokens that lower the target property come first."""

    gamma: float = field(default=1.0, metadata=UNBOUNDED)
    reads = PROPERTY

    def __call__(self, evidence: Evidence, is_clean: Mask) -> Floats:
        """Return the factors; see `TokenWeights`."""
        return _softmax(self.gamma * evidence.delta, is_clean)


def _check_tau(tau: float) -> None:
    if not tau > 0:
        raise MolgenError(f"tau is {tau}, expected more than 0")


def _softmax(scores: Floats, is_clean: Mask) -> Floats:
    weights = softmax_over(torch.from_numpy(scores), torch.from_numpy(is_clean), "mean")
    return _compensated(weights, is_clean, "mean")


def _compensated(weights: Tensor, is_clean: Mask, normalise: Normalise) -> Floats:
    """Use the plan's own sigma for masked tokens under mean-one weights, 0 otherwise."""
    elsewhere = 1.0 if normalise == "mean" else 0.0
    return np.where(is_clean, weights.double().numpy(), elsewhere)


WEIGHTS: dict[str, type[TokenWeights] | None] = {
    "uniform": None,
    "confidence": Confidence,
    "sharpened": Sharpened,
    "quality": Quality,
    "property": Attribution,
}
