"""Posteriors: the distribution of the less noisy state x_s given x_t and a prediction of x0.

Masked noise. With ``p = p(x0 | x_t)``, one-hot where ``x_t`` is clean, and the probability
``sigma`` that a placed token is remasked,

    clean token z :  (1 - sigma) onehot(z)  +  sigma mask
    masked token  :  [alpha_s - (1 - sigma) alpha_t] / (1 - alpha_t) p
                     + [1 - alpha_s - sigma alpha_t] / (1 - alpha_t) mask

so both are ``keep * p + (1 - keep) * mask``, with ``keep`` the probability that the token is
clean at s. Every remasking strategy is this kernel with its own ``sigma`` (Wang et al., "Remasking
Discrete Diffusion Models with Inference-Time Scaling", 2025); ``sigma = 0`` is plain masked
diffusion (Sahoo et al., "Simple and Effective Masked Diffusion Language Models", 2024).

Uniform noise. With ``N`` tokens and ``z = onehot(x_t)``,

    q = [ N a_t z p + (a_t/a_s - a_t) z + (a_s - a_t) p + (1 - a_t/a_s)(1 - a_s)/N ]
        / [ N a_t <z, p> + 1 - a_t ]

(Schiff et al., "Simple Guidance Mechanisms for Discrete Diffusion Models", 2024).

In the kernels ``alpha_t``, ``alpha_s`` and ``sigma`` are floats, tensors with shape (batch,) for
rows at different steps, or tensors that broadcast to (batch, length). They are used in their own
precision (floats in float64); only the final probability is rounded to the dtype of the prediction.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from molgen.errors import MolgenError
from molgen.utils.arrays import Floats, Mask

ROUNDING = 1e-12
"""Tolerance above a bound in float64; larger for coarser dtypes."""

Scalar = float | Tensor
"""A float, or a tensor of one number, of one per row or of one per token."""


def subs(logits: Tensor, tokens: Tensor, mask_id: int) -> Tensor:
    """Turn a network's output into ``log p(x0 | x_t)``: never the mask, clean tokens unchanged.

    Args:
        logits: raw network output, with shape (batch, length, vocab).
        tokens: the noised state x_t, with shape (batch, length).
        mask_id: id of the mask token.

    Returns:
        Log-probabilities with shape (batch, length, vocab), -inf at the mask, one-hot where
        ``tokens`` is clean.
    """
    ids = torch.arange(logits.shape[-1], device=logits.device)
    log_p = logits.masked_fill(ids == mask_id, -torch.inf).log_softmax(-1)
    token = tokens.unsqueeze(-1)
    known = torch.zeros_like(log_p).masked_fill(ids != token, -torch.inf)
    return torch.where(token == mask_id, log_p, known)


def sigma_max(alpha_t: Scalar, alpha_s: Scalar) -> Tensor:
    """Return ``min(1, (1 - alpha_s) / alpha_t)``, the largest sigma that keeps the marginals.

    It is 0 where ``alpha_t = 0``, where no token is placed yet. Elementwise;
    ``molgen.diffusion.remasking_rates.sigma_max`` is the same for plain floats.
    """
    alpha_t, alpha_s = _tensor(alpha_t), _tensor(alpha_s)
    return torch.where(alpha_t > 0, ((1 - alpha_s) / alpha_t).clamp(max=1), 0.0)


def reveal_rate(alpha_t: Scalar, alpha_s: Scalar, sigma: Scalar) -> Tensor:
    """Return the probability that a masked token is placed in the step.

    ``[alpha_s - (1 - sigma) alpha_t] / (1 - alpha_t)``, elementwise, in [0, 1], and 1 where
    ``alpha_t = 1``, where no token may stay masked.
    """
    alpha_t, alpha_s, sigma = _tensor(alpha_t), _tensor(alpha_s), _tensor(sigma)
    rate = (alpha_s - (1 - sigma) * alpha_t) / (1 - alpha_t)
    return torch.where(alpha_t < 1, rate.clamp(0, 1), 1.0)


def masked_posterior(
    p: Tensor, tokens: Tensor, alpha_t: Scalar, alpha_s: Scalar, sigma: Scalar, mask_id: int
) -> Tensor:
    """Return ``q(x_s | x_t)`` under masked noise.

    Args:
        p: prediction ``p(x0 | x_t)`` with shape (batch, length, vocab), as ``subs(...).exp()``.
        tokens: the noised state x_t, with shape (batch, length).
        alpha_t: fraction of tokens kept now.
        alpha_s: fraction of tokens kept after the step, at least ``alpha_t``.
        sigma: probability that a placed token is remasked, within [0, `sigma_max`].
        mask_id: id of the mask token.

    Returns:
        Probabilities with shape (batch, length, vocab).

    Raises:
        MolgenError: if the alphas or ``sigma`` are out of range by more than rounding.
    """
    keep = _keep(tokens, alpha_t, alpha_s, sigma, mask_id)
    q = keep.to(p.dtype) * p
    q[..., mask_id] += (1 - keep).to(p.dtype).squeeze(-1)
    return q


def log_masked_posterior(
    log_p: Tensor, tokens: Tensor, alpha_t: Scalar, alpha_s: Scalar, sigma: Scalar, mask_id: int
) -> Tensor:
    """Return ``log q(x_s | x_t)``, for guidance: `masked_posterior` from ``log p``."""
    keep = _keep(tokens, alpha_t, alpha_s, sigma, mask_id)
    log_q = log_p + keep.log().to(log_p.dtype)
    log_q[..., mask_id] = (-keep).log1p().to(log_p.dtype).squeeze(-1)
    return log_q


def uniform_posterior(p: Tensor, tokens: Tensor, alpha_t: Scalar, alpha_s: Scalar) -> Tensor:
    """Return ``q(x_s | x_t)`` under uniform noise.

    Args:
        p: for each token, its distribution at time 0 given the *other* noised tokens, with shape
            (batch, length, vocab). The loss trains this quantity; a prediction that also depends
            on the token's own noised value counts it twice.
        tokens: the noised state x_t, with shape (batch, length).
        alpha_t: fraction of tokens kept now, below 1.
        alpha_s: fraction of tokens kept after the step, at least ``alpha_t`` and above 0.

    Returns:
        Probabilities with shape (batch, length, vocab).

    Raises:
        MolgenError: if the alphas are out of range.
    """
    check_step(alpha_t, alpha_s, 0.0)
    a_t, a_s = (_column(a, tokens).unsqueeze(-1).to(p.dtype) for a in (alpha_t, alpha_s))
    n = p.shape[-1]
    z = F.one_hot(tokens.long(), n).to(p.dtype)
    ratio = a_t / a_s
    joint = n * a_t * z * p + (ratio - a_t) * z + (a_s - a_t) * p + (1 - ratio) * (1 - a_s) / n
    return joint / (n * a_t * (z * p).sum(-1, keepdim=True) + 1 - a_t)


def check_step(alpha_t: Scalar, alpha_s: Scalar, sigma: Scalar) -> None:
    """Check that a step goes forward and that sigma keeps the marginals.

    Raises:
        MolgenError: unless ``0 <= alpha_t <= alpha_s <= 1`` and ``0 <= sigma <= sigma_max``, up to
            rounding.
    """
    alpha_t, alpha_s, sigma = _tensor(alpha_t), _tensor(alpha_s), _tensor(sigma)
    excess = sigma - sigma_max(alpha_t, alpha_s)
    rounding = max(ROUNDING, 8 * torch.finfo(excess.dtype).eps)
    if not ((alpha_t >= 0) & (alpha_s - alpha_t >= -rounding) & (alpha_s <= 1)).all():
        raise MolgenError(
            f"need 0 <= alpha_t <= alpha_s <= 1, got alpha_t={_range(alpha_t)} "
            f"and alpha_s={_range(alpha_s)}"
        )
    if not ((sigma >= 0) & (excess <= rounding)).all():
        raise MolgenError(
            f"sigma must lie in [0, sigma_max], got {_range(sigma)} where sigma_max is "
            f"{_range(sigma_max(alpha_t, alpha_s))}"
        )


def _keep(tokens: Tensor, alpha_t: Scalar, alpha_s: Scalar, sigma: Scalar, mask_id: int) -> Tensor:
    """Return the probability that each token is clean at s, with shape (batch, length, 1)."""
    alpha_t, alpha_s, sigma = (_column(v, tokens) for v in (alpha_t, alpha_s, sigma))
    check_step(alpha_t, alpha_s, sigma)
    rate = reveal_rate(alpha_t, alpha_s, sigma)
    return torch.where(tokens == mask_id, rate, 1 - sigma).unsqueeze(-1)


def _tensor(value: Scalar) -> Tensor:
    return value if isinstance(value, Tensor) else torch.tensor(value, dtype=torch.float64)


def _column(value: Scalar, tokens: Tensor) -> Tensor:
    """Return ``value`` where the tokens are, broadcastable to (batch, length)."""
    value = _tensor(value).to(tokens.device)
    return value.unsqueeze(-1) if value.ndim < 2 else value


def _range(value: Tensor) -> str:
    low, high = value.min().item(), value.max().item()
    return f"{low:.6g}" if low == high else f"{low:.6g}..{high:.6g}"


def chance_to_change(masked: Mask, alpha_t: Floats, alpha_s: Floats, sigma: Floats) -> Floats:
    """Return the probability that each token changes in a step under masked noise.

    That is ``reveal_rate`` for masked tokens and ``sigma`` for placed ones; arguments broadcast
    against each other.
    """
    # at the end of the schedule (alpha_t = 1) no token may stay masked
    rest = np.where(alpha_t < 1, 1 - alpha_t, 1.0)
    reveal = np.where(alpha_t < 1, (alpha_s - (1 - sigma) * alpha_t) / rest, 1.0)
    return np.where(masked, reveal, sigma)
