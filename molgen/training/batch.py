"""The batch of a training step: its rows, their noise and their dropped conditions.

A batch is a function of ``(seed, step)``, so that a resumed run equals an uninterrupted one. The
objective adds the noise (:mod:`molgen.training.objective`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from molgen.data.dataset import TokenDataset

SEED_STRIDE = 1_000_003  # a prime above any usual number of steps separates the seeds' streams


@dataclass(frozen=True)
class Noised:
    """Noised rows of an objective.

    Attributes:
        x_t: noised tokens with shape (batch, length), padded.
        alpha: time input of the network, shape (batch,); None for a network without.
        x_s: a less noised state from which ``x_t`` is drawn, same shape, if the objective has one.
        u: quantiles in [0, 1) of draws made by the loss, same shape, if it makes any.
    """

    x_t: Tensor
    alpha: Tensor | None = None
    x_s: Tensor | None = None
    u: Tensor | None = None


class Corruption(Protocol):
    """The part of an objective that noises rows: see :mod:`molgen.training.objective`."""

    drops_values: bool

    def corrupt(self, x_0: Tensor, real: Tensor, generator: torch.Generator) -> Noised:
        """Noise clean rows.

        Args:
            x_0: clean tokens with shape (batch, length), padded.
            real: True where a token is not padding, same shape.
            generator: source of randomness.
        """
        ...


@dataclass(frozen=True)
class Batch:
    """Tensors of one step.

    Attributes:
        x_0: clean tokens with shape (batch, length), padded.
        x_t: noised tokens, same shape.
        values: property values with shape (batch, properties), NaN where absent.
        alpha: see :class:`Noised`.
        x_s: see :class:`Noised`.
        u: see :class:`Noised`.
    """

    x_0: Tensor
    x_t: Tensor
    values: Tensor
    alpha: Tensor | None = None
    x_s: Tensor | None = None
    u: Tensor | None = None

    def __len__(self) -> int:
        return len(self.x_0)

    def to(self, device: str) -> Batch:
        """Return the batch on a device."""
        return self._each(lambda t: t.to(device))

    def micro_batches(self, size: int) -> list[Batch]:
        """Split into consecutive micro-batches of at most ``size`` rows."""
        places = range(0, len(self), size)
        return [self._each(lambda t, i=i: t[i : i + size]) for i in places]  # type: ignore[misc]

    def _each(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """Return the batch with every tensor changed."""
        changed: dict[str, Any] = {
            name: None if tensor is None else change(tensor) for name, tensor in vars(self).items()
        }
        return Batch(**changed)


def draw_batch(
    data: TokenDataset,
    rows: NDArray[np.int64],
    step: int,
    seed: int,
    drop_all: float,
    objective: Corruption,
) -> Batch:
    """Noise the given rows and drop properties; a function of the arguments only.

    Args:
        data: the data set.
        rows: indices of its molecules, shape (batch,).
        step: of the run.
        seed: of the run.
        drop_all: see :func:`drop_properties`.
        objective: noises the rows, and defines whether property values are conditions to drop.

    Returns:
        The batch, on the CPU.
    """
    generator = torch.Generator().manual_seed(seed * SEED_STRIDE + step)
    x_0, real, values = clean_rows(data, rows)
    noised = objective.corrupt(x_0, real, generator)
    if objective.drops_values:
        values = drop_properties(values, drop_all, generator)
    return Batch(x_0, noised.x_t, values, noised.alpha, noised.x_s, noised.u)


def clean_rows(data: TokenDataset, rows: NDArray[np.int64]) -> tuple[Tensor, Tensor, Tensor]:
    """Return tokens (batch, longest of them), the mask of real ones, and property values."""
    longest = int(data.lengths[rows].max())
    x_0 = torch.from_numpy(data.tokens[rows, :longest].astype(np.int64))
    return x_0, x_0 != data.pad_id, torch.from_numpy(data.values[rows])


def drop_properties(values: Tensor, drop_all: float, generator: torch.Generator) -> Tensor:
    """Drop property values (as NaN): all of them, or each independently.

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
