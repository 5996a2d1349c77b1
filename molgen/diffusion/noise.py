"""The forward process: schedules and corruption.

A clean molecule ``x_0`` is noised token by token. Time ``t`` runs from 0 (clean) to 1 (noise), and
``alpha_t`` is the probability that a token is still the clean one:

    q(x_t | x_0) = alpha_t * onehot(x_0) + (1 - alpha_t) * pi

with ``pi`` all on the mask token (masked noise) or uniform over the vocabulary (uniform noise).
The losses under both are in :mod:`molgen.diffusion.losses`.

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


def corrupt_uniform(x_0: Tensor, alpha: Tensor, vocab: int, generator: torch.Generator) -> Tensor:
    """Replace every token with probability ``1 - alpha`` by one of ``vocab`` drawn uniformly.

    The replacement may be the token itself, as in the uniform-noise marginal of the module's
    equation.

    Args:
        x_0: clean tokens with shape (batch, length).
        alpha: fraction kept, broadcastable to (batch, length).
        vocab: ids below this one are drawn.
        generator: source of randomness.

    Returns:
        Noised tokens with shape (batch, length).
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


def mask_suffix(real: Tensor, counts: Tensor) -> Tensor:
    """Choose the last ``counts`` real positions of every row, those behind a clean prefix.

    Args:
        real: True where a token is not padding, shape (batch, length), padding last.
        counts: positions to choose, shape (batch,).

    Returns:
        True at the chosen positions, shape (batch, length).
    """
    at = torch.arange(real.shape[1], device=real.device)
    return real & (at >= (real.sum(1) - counts)[:, None])
