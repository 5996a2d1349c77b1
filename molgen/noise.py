"""The forward process: schedules, corruption and the training losses.

A clean molecule ``x_0`` is noised token by token. Time ``t`` runs from 0 (clean) to 1 (noise), and
``alpha_t`` is the probability that a token is still the clean one:

    q(x_t | x_0) = alpha_t * onehot(x_0) + (1 - alpha_t) * pi

with ``pi`` all on the mask token (masked noise) or uniform over the vocabulary (uniform noise).
The continuous-time negative evidence bound is an integral over ``t`` of a per-token loss; both
forms are here.

References: Sahoo et al., "Simple and Effective Masked Diffusion Language Models" (2024);
Schiff et al., "Simple Guidance Mechanisms for Discrete Diffusion Models" (2024).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class Schedule(Protocol):
    """A noise schedule: the fraction of tokens kept at time ``t``."""

    def alpha(self, t: Tensor) -> Tensor:
        """Return ``alpha_t`` for times in [0, 1], same shape."""
        ...

    def alpha_prime(self, t: Tensor) -> Tensor:
        """Return ``d alpha / d t`` (negative), same shape."""
        ...

    def time(self, alpha: Tensor) -> Tensor:
        """Return the time at which ``alpha`` is reached, same shape."""
        ...


@dataclass(frozen=True)
class LogLinear:
    """``alpha_t = 1 - t``: every token is lost at a constant rate."""

    def alpha(self, t: Tensor) -> Tensor:
        """Return ``1 - t``."""
        return 1 - t

    def alpha_prime(self, t: Tensor) -> Tensor:
        """Return ``-1``."""
        return -torch.ones_like(t)

    def time(self, alpha: Tensor) -> Tensor:
        """Return ``1 - alpha``."""
        return 1 - alpha


@dataclass(frozen=True)
class Cosine:
    """``alpha_t = 1 - cos(pi (1 - t) / 2)``: slow near the noise end, fast near the clean end."""

    def alpha(self, t: Tensor) -> Tensor:
        """Return ``1 - cos(pi (1 - t) / 2)``."""
        return 1 - torch.cos(math.pi / 2 * (1 - t))

    def alpha_prime(self, t: Tensor) -> Tensor:
        """Return ``-(pi / 2) sin(pi (1 - t) / 2)``."""
        return -math.pi / 2 * torch.sin(math.pi / 2 * (1 - t))

    def time(self, alpha: Tensor) -> Tensor:
        """Return the inverse of :meth:`alpha`."""
        return 1 - torch.acos(1 - alpha) * 2 / math.pi


SCHEDULES: dict[str, Schedule] = {"log-linear": LogLinear(), "cosine": Cosine()}


def corrupt_masked(x_0: Tensor, alpha: Tensor, mask_id: int, generator: torch.Generator) -> Tensor:
    """Mask every token independently with probability ``1 - alpha``.

    Args:
        x_0: clean tokens with shape (batch, length).
        alpha: fraction kept, broadcastable to (batch, length).
        mask_id: id of the mask token.
        generator: source of randomness.

    Returns:
        Noised tokens with shape (batch, length).
    """
    u = torch.rand(x_0.shape, generator=generator, device=x_0.device)
    return torch.where(u < alpha, x_0, mask_id)


def corrupt_uniform(x_0: Tensor, alpha: Tensor, vocab: int, generator: torch.Generator) -> Tensor:
    """Replace every token with probability ``1 - alpha`` by one of ``vocab`` drawn uniformly.

    The replacement may be the token itself, as in the uniform-noise marginal of the module's
    equation. Shapes as in :func:`corrupt_masked`.
    """
    u = torch.rand(x_0.shape, generator=generator, device=x_0.device)
    noise = torch.randint(vocab, x_0.shape, generator=generator, device=x_0.device)
    return torch.where(u < alpha, x_0, noise)


def exact_counts(lengths: Tensor, generator: torch.Generator) -> Tensor:
    """Draw how many tokens of each row to mask: uniform in 1..length, stratified over the batch.

    Under ``alpha_t = 1 - t`` the number masked is uniform in 0..length, and rows with none carry no
    loss. Drawing the count first, and giving each row its own stratum of the unit interval, leaves
    the objective as it is and lowers its variance.

    Args:
        lengths: tokens per row with shape (batch,).
        generator: source of randomness.

    Returns:
        Counts with shape (batch,), each between 1 and its row's length.
    """
    batch, device = lengths.shape[0], lengths.device
    strata = torch.randperm(batch, generator=generator, device=device)
    u = (strata + torch.rand(batch, generator=generator, device=device)) / batch
    return (1 + (u * lengths).long()).clamp(max=lengths)


def mask_exactly(x_0: Tensor, real: Tensor, counts: Tensor, generator: torch.Generator) -> Tensor:
    """Choose exactly ``counts`` real positions of every row, uniformly at random.

    Args:
        x_0: clean tokens with shape (batch, length); only its shape and device matter.
        real: True where a token is not padding, shape (batch, length).
        counts: positions to choose, shape (batch,).
        generator: source of randomness.

    Returns:
        True at the chosen positions, shape (batch, length).
    """
    u = torch.rand(x_0.shape, generator=generator, device=x_0.device).masked_fill(~real, 2.0)
    rank = u.argsort(dim=1).argsort(dim=1)
    return rank < counts[:, None]


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
