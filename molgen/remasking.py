"""Token weights: which of the placed tokens go back to the mask.

A plan says how likely a placed token is to be masked again, ``sigma``; weights share it out,

    sigma_l = min(sigma * w_l, sigma_max)

with ``w_l = 0`` at masked tokens and padding. Under ``normalise="sum"`` the weights of a row sum
to one, so with ``sigma = sigma_max`` about one token a step goes back (the published form); under
``"mean"`` they average to one, so the expected number is that of uniform weights.

Weights that look at the row no longer keep the marginals exactly. A masked token of weight 0 is
placed at the ancestral rate, which does not make up for what was taken off: after a step from the
right marginal, rows are more masked than ``1 - alpha_s`` by ``alpha_t`` times the mean ``sigma_l``.
Placing masked tokens at the rate of the plan's own ``sigma`` instead keeps the average masked
fraction, under ``"mean"`` weights that are nowhere capped.

Reference: Wang et al., "Remasking Discrete Diffusion Models with Inference-Time Scaling" (2025),
section 4.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from molgen.posterior import Scalar, sigma_max

Normalise = Literal["sum", "mean"]


def uniform_weights(is_clean: Tensor, normalise: Normalise = "mean") -> Tensor:
    """Return equal weights on a row's clean tokens; the dtype is torch's default.

    Args:
        is_clean: True at tokens that are placed and no padding, with shape (batch, length).
        normalise: whether a row's weights sum to one or average to one over its clean tokens.

    Returns:
        Weights with shape (batch, length), 0 where ``is_clean`` is False.
    """
    scores = torch.zeros(is_clean.shape, device=is_clean.device)
    return softmax_over(scores, is_clean, normalise)


def confidence_weights(psi: Tensor, is_clean: Tensor, normalise: Normalise = "sum") -> Tensor:
    """Return ``softmax(-psi)`` over a row's clean tokens: the published confidence weights.

    Since ``psi`` lies in [0, 1] no weight is more than ``e`` times another.

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

    A token placed with probability 0.01 is a hundred times as likely to go back as a certain one
    at ``tau = 1``.

    Args:
        psi: probability each token had when it was placed, with shape (batch, length); ignored
            elsewhere.
        is_clean: True at tokens that are placed and no padding, with shape (batch, length).
        tau: temperature above 0; lower is sharper, infinity is uniform.
        normalise: whether a row's weights sum to one or average to one over its clean tokens.

    Returns:
        Weights with shape (batch, length), 0 where ``is_clean`` is False.

    Raises:
        ValueError: if ``tau`` is not above 0.
    """
    if not tau > 0.0:
        raise ValueError(f"tau must be above 0, got {tau}")
    smallest = torch.finfo(psi.dtype).tiny
    return softmax_over(-psi.clamp(min=smallest).log() / tau, is_clean, normalise)


def token_sigma(sigma: Scalar, weights: Tensor, alpha_t: Scalar, alpha_s: Scalar) -> Tensor:
    """Return ``min(sigma * weights, sigma_max)``: what each token's own sigma comes to.

    Args:
        sigma: the plan's sigma, a float or with shape (batch, 1).
        weights: token weights with shape (batch, length).
        alpha_t: fraction of tokens kept now, a float or with shape (batch, 1).
        alpha_s: fraction of tokens kept after the step, likewise.

    Returns:
        Chances with shape (batch, length).
    """
    return torch.minimum(sigma * weights, sigma_max(alpha_t, alpha_s).to(weights))


def softmax_over(scores: Tensor, is_clean: Tensor, normalise: Normalise) -> Tensor:
    """Return the softmax over the clean tokens of each row; a row with none gets zeros."""
    check_normalise(normalise)
    weights = scores.masked_fill(~is_clean, -torch.inf).softmax(-1)
    weights = weights.masked_fill(~is_clean, 0.0)
    return weights if normalise == "sum" else weights * is_clean.sum(-1, keepdim=True)


def check_normalise(normalise: str) -> None:
    """Check how weights are normalised.

    Raises:
        ValueError: if it is neither ``"sum"`` nor ``"mean"``.
    """
    if normalise not in ("sum", "mean"):
        raise ValueError(f"normalise must be 'sum' or 'mean', got {normalise!r}")
