"""One step's tensors: noised rows, and which properties each of them sees.

    n ~ uniform{1..L},   n of L tokens masked,   loss = (L / n) * sum over masked tokens of CE

The expectation of that loss is the negative evidence bound of masked diffusion (Sahoo et al.,
"Simple and Effective Masked Diffusion Language Models", 2024), in nats per molecule given length,
with far less variance than masking each token on its own coin.

A network with a time input is told ``alpha_t = 1 - t`` for a ``t`` that goes with the count: given
``n``, the bound's weight on ``t`` is the density Beta(n, L - n + 1), which is that of the n-th
smallest of L uniforms.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from molgen import noise
from molgen.dataset import TokenDataset
from molgen.denoiser import Denoiser

SEED_STRIDE = 1_000_003  # a prime above any usual number of steps keeps the seeds' streams apart


@dataclass(frozen=True)
class Batch:
    """Tensors of one step.

    Attributes:
        x_0: clean tokens with shape (batch, length), padded.
        masked: True at masked positions, same shape.
        counts: masked tokens per row, shape (batch,).
        values: property values with shape (batch, properties), NaN where left out.
        alpha: what a network with a time input is told, shape (batch,); None for one without.
    """

    x_0: Tensor
    masked: Tensor
    counts: Tensor
    values: Tensor
    alpha: Tensor | None = None

    def __len__(self) -> int:
        return len(self.x_0)

    def to(self, device: str) -> Batch:
        """Return the batch on a device."""
        return self._each(lambda t: t.to(device))

    def shards(self, size: int) -> list[Batch]:
        """Cut into consecutive shards of at most ``size`` rows."""
        places = range(0, len(self), size)
        return [self._each(lambda t, i=i: t[i : i + size]) for i in places]  # type: ignore[misc]

    def _each(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """Return the batch with every tensor changed."""
        alpha = None if self.alpha is None else change(self.alpha)
        rows = (self.x_0, self.masked, self.counts, self.values)
        x_0, masked, counts, values = (change(t) for t in rows)
        return Batch(x_0, masked, counts, values, alpha)


def draw_batch(
    data: TokenDataset,
    rows: NDArray[np.int64],
    step: int,
    seed: int,
    drop_all: float,
    time_input: bool = False,
) -> Batch:
    """Noise the given rows and drop properties; a function of the arguments alone.

    Args:
        data: the data set.
        rows: which of its molecules, shape (batch,).
        step: of the run.
        seed: of the run.
        drop_all: see :func:`drop_properties`.
        time_input: whether the network is told ``alpha_t``.

    Returns:
        The batch, on the CPU.
    """
    generator = torch.Generator().manual_seed(seed * SEED_STRIDE + step)
    lengths = torch.from_numpy(data.lengths[rows])
    x_0 = torch.from_numpy(data.tokens[rows, : int(lengths.max())].astype(np.int64))
    real = x_0 != data.pad_id
    counts = noise.exact_counts(lengths, generator)
    masked = noise.mask_exactly(x_0, real, counts, generator)
    values = drop_properties(torch.from_numpy(data.values[rows]), drop_all, generator)
    alpha = alpha_given_counts(real, counts, generator) if time_input else None
    return Batch(x_0, masked, counts, values, alpha)


def drop_properties(values: Tensor, drop_all: float, generator: torch.Generator) -> Tensor:
    """Leave out property values (as NaN): all of them, or each on its own coin.

    Args:
        values: property values with shape (batch, properties).
        drop_all: probability that a row keeps none; otherwise a keep rate is drawn uniformly for
            the row, and every property is kept independently at that rate.
        generator: source of randomness.

    Returns:
        Values with the same shape.
    """
    batch = values.shape[0]
    u = torch.rand((batch, 2), generator=generator, device=values.device)
    keep_rate = torch.where(u[:, :1] < drop_all, 0.0, u[:, 1:])
    coins = torch.rand(values.shape, generator=generator, device=values.device)
    return torch.where(coins < keep_rate, values, float("nan"))


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


def row_losses(model: Denoiser, batch: Batch) -> Tensor:
    """Return each row's loss in nats, shape (batch,): an unbiased estimate of its bound."""
    nll = masked_nll(model, batch.x_0, batch.masked, batch.values, batch.alpha)
    lengths = (batch.x_0 != model.pad_id).sum(1)
    return nll.sum(1) * lengths / batch.counts


def masked_nll(
    model: Denoiser,
    x_0: Tensor,
    masked: Tensor,
    values: Tensor | None = None,
    alpha: Tensor | None = None,
) -> Tensor:
    """Return ``-log p(x_0 | x_t)`` at masked tokens and zero elsewhere, shape (batch, length).

    Arguments as the attributes of :class:`Batch`.
    """
    x_t = torch.where(masked, model.mask_id, x_0)
    log_p = model.logits(x_t, values, alpha).log_softmax(-1)
    # a padded position is never masked; its own id has log-probability -inf, so choose id 0 there
    target = torch.where(masked, x_0, 0)
    cross_entropy = -log_p.gather(-1, target[..., None]).squeeze(-1)
    return torch.where(masked, cross_entropy, 0.0)
