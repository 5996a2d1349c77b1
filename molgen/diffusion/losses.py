"""Losses of a network on noised rows, in nats.

    masked    -log p(x_0 | x_t) of masked tokens, times -alpha' / (1 - alpha)
    uniform   [N / xbar_theta_i - N / xbar_i + sum_j (xbar_j / xbar_i)
              log(xbar_theta_i xbar_j / (xbar_theta_j xbar_i))] / (N alpha), times -alpha'
    none      -log p(next token | tokens so far), the end included

with ``xbar = N alpha x + 1 - alpha`` over ``N`` tokens and ``i = x_t``.

References: Sahoo et al., "Simple and Effective Masked Diffusion Language Models" (2024); Schiff et
al., "Simple Guidance Mechanisms for Discrete Diffusion Models" (2024).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from molgen.nn.denoiser import Denoiser


def masked_nelbo(
    log_p: Tensor, x_0: Tensor, x_t: Tensor, alpha: Tensor, alpha_prime: Tensor, mask_id: int
) -> Tensor:
    """Continuous-time loss of masked diffusion, per token, in nats.

    ``-alpha' / (1 - alpha) * CE`` on masked tokens and zero elsewhere; ``1 / t`` times the
    cross-entropy for ``alpha = 1 - t`` (Sahoo et al. 2024, eq. 8).

    Args:
        log_p: ``log p(x_0 | x_t)`` with shape (batch, length, vocab), normalised.
        x_0: clean tokens with shape (batch, length).
        x_t: noised tokens with shape (batch, length).
        alpha: fraction kept, broadcastable to (batch, length).
        alpha_prime: its time derivative, same shape as ``alpha``.
        mask_id: id of the mask token.

    Returns:
        Losses with shape (batch, length).
    """
    cross_entropy = -log_p.gather(-1, x_0[..., None]).squeeze(-1)
    weight = -alpha_prime / (1 - alpha)
    return torch.where(x_t == mask_id, weight * cross_entropy, torch.zeros_like(cross_entropy))


def uniform_nelbo(
    log_p: Tensor, x_0: Tensor, x_t: Tensor, alpha: Tensor, alpha_prime: Tensor
) -> Tensor:
    """Continuous-time loss of uniform-noise diffusion, per token, in nats.

    With ``xbar = N alpha x + 1 - alpha`` and ``i = x_t`` (Schiff et al. 2024, eq. 17)::

        [ N / xbar_theta_i - N / xbar_i
          + sum_j (xbar_j / xbar_i) log(xbar_theta_i xbar_j / (xbar_theta_j xbar_i)) ]
        * (-alpha') / (N alpha)

    Args:
        log_p: ``log p(x_0 | x_t)`` with shape (batch, length, vocab), normalised.
        x_0: clean tokens with shape (batch, length).
        x_t: noised tokens with shape (batch, length).
        alpha: fraction kept, broadcastable to (batch, length).
        alpha_prime: its time derivative, same shape as ``alpha``.

    Returns:
        Losses with shape (batch, length).
    """
    n = log_p.shape[-1]
    a = torch.as_tensor(alpha, dtype=log_p.dtype, device=log_p.device).expand(x_0.shape)[..., None]
    onehot = torch.nn.functional.one_hot(x_0, n).to(log_p.dtype)
    xbar = n * a * onehot + 1 - a
    xbar_theta = n * a * log_p.exp() + 1 - a
    i = x_t[..., None]
    xbar_i, xbar_theta_i = xbar.gather(-1, i), xbar_theta.gather(-1, i)
    ratio = xbar / xbar_i
    log_terms = ratio * (xbar_theta_i.log() - xbar_theta.log() + xbar.log() - xbar_i.log())
    bracket = (n / xbar_theta_i - n / xbar_i).squeeze(-1) + log_terms.sum(-1)
    return bracket * -alpha_prime / (n * a.squeeze(-1))


LEAST_NOISE = 1e-4  # of uniform noise: a token's loss grows as 1 / t, and ever fewer have one


def alpha_given_counts(real: Tensor, counts: Tensor, generator: torch.Generator) -> Tensor:
    """Draw ``alpha_t = 1 - t`` with ``t`` from Beta(count, length - count + 1), row by row.

    Args:
        real: True where a token is not padding, shape (batch, length).
        counts: masked tokens per row, shape (batch,).
        generator: source of randomness.

    Returns:
        Fractions kept, with shape (batch,).
    """
    u = torch.rand(real.shape, generator=generator, device=real.device)
    ordered = u.masked_fill(~real, 2.0).sort(dim=1).values
    return 1 - ordered.gather(1, counts[:, None] - 1).squeeze(1)


def masked_nll(
    model: Denoiser,
    x_0: Tensor,
    masked: Tensor,
    values: Tensor | None = None,
    alpha: Tensor | None = None,
) -> Tensor:
    """Return ``-log p(x_0 | x_t)`` at masked tokens and zero elsewhere.

    Args:
        model: the network.
        x_0: clean tokens with shape (batch, length), padded.
        masked: True at masked positions, same shape.
        values: conditions with shape (batch, properties), NaN where left out.
        alpha: fraction kept with shape (batch,), for a network with a time input.

    Returns:
        Nats with shape (batch, length).
    """
    x_t = torch.where(masked, model.mask_id, x_0)
    log_p = model.logits(x_t, values, alpha).log_softmax(-1)
    # a padded position is never masked; its own id has log-probability -inf, so choose id 0 there
    target = torch.where(masked, x_0, 0)
    cross_entropy = -log_p.gather(-1, target[..., None]).squeeze(-1)
    return torch.where(masked, cross_entropy, 0.0)


def uniform_nats(
    model: Denoiser, x_0: Tensor, x_t: Tensor, alpha: Tensor, values: Tensor | None = None
) -> Tensor:
    """Return the continuous-time loss of uniform noise at one time per row, for ``alpha = 1 - t``.

    Args:
        model: the network.
        x_0: clean tokens with shape (batch, length), padded.
        x_t: noised tokens, same shape.
        alpha: fraction kept with shape (batch,).
        values: conditions with shape (batch, properties), NaN where left out.

    Returns:
        Nats with shape (batch,); their mean over uniform ``t`` is the bound given the length.
    """
    log_p = model.logits(x_t, values, alpha)[..., : model.pad_id].log_softmax(-1)
    real = x_0 != model.pad_id
    clean, noised = (torch.where(real, x, 0) for x in (x_0, x_t))
    column = alpha[:, None]
    loss = uniform_nelbo(log_p, clean, noised, column, -torch.ones_like(column))
    return torch.where(real, loss, 0.0).sum(1)


def shifted(x_0: Tensor, begin: int) -> Tensor:
    """Return rows moved right by one place with ``begin`` in front: (batch, length + 1)."""
    return F.pad(x_0, (1, 0), value=begin)


def next_token_nats(model: Denoiser, x_0: Tensor, values: Tensor | None = None) -> Tensor:
    """Return ``-log p(x)`` of each row under an autoregressive network, its end included.

    Args:
        model: the network, ``noise="none"``.
        x_0: clean tokens with shape (batch, length), padded.
        values: conditions with shape (batch, properties), NaN where left out.

    Returns:
        Nats with shape (batch,).
    """
    log_p = model.logits(shifted(x_0, model.mask_id), values).log_softmax(-1)
    target = F.pad(x_0, (0, 1), value=model.pad_id)
    nll = -log_p.gather(-1, target[..., None]).squeeze(-1)
    lengths = (x_0 != model.pad_id).sum(1, keepdim=True)
    wanted = torch.arange(target.shape[1], device=x_0.device) <= lengths  # the first padding: end
    return torch.where(wanted, nll, 0.0).sum(1)
