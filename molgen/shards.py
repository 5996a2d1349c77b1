"""Shards: rows of one length that cross a network together.

Rows are run in shards of one length, so nothing is padded and a row's numbers do not depend on its
neighbours; shards run side by side on worker threads. On a CPU a shard is filled up with copies of
its last row, so that a row's result is the same in any company: matrix kernels switch to another
order of summation for a handful of tokens, and what is left over behind whole vectors (two of 16
floats) is worked out by another exp than the rest. What remains: in fp32, with heads in no multiple
of four, attention's products round by how a row lies in memory (1e-7).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from molgen.denoiser import Denoiser, MoleculeDenoiser
from molgen.emphasis import Emphasis, parts, readings
from molgen.trunk import Block
from molgen.utils.threads import resolve_dtype, wide

SHARD = 64  # rows of a forward on a CPU; about where larger shards stop paying
SHARD_GPU = 8192
LEAST_TOKENS, WHOLE_ROWS, FEW_ROWS = 256, 32, 8

Network = TypeVar("Network")


def shards(lengths: NDArray[np.int64], device: torch.device) -> list[NDArray[np.int64]]:
    """Return the rows of each shard, where ``lengths`` has shape (rows,)."""
    size = SHARD if device.type == "cpu" else SHARD_GPU
    found = []
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        found += [rows[i : i + size] for i in range(0, len(rows), size)]
    return found


def filling(rows: int, length: int, device: torch.device, whole: int = WHOLE_ROWS) -> Tensor:
    """Return the rows of the filled shard as indices, the last repeated; shape (at least rows,).

    Args:
        rows: of the shard.
        length: of each.
        device: where it will run.
        whole: rows that fill whole vectors; see :func:`whole_rows`.
    """
    full = rows
    if device.type == "cpu":
        full = max(rows, LEAST_TOKENS // length)
        full = -(-full // whole) * whole
    return torch.arange(full).clamp(max=rows - 1)


def whole_rows(network: Denoiser) -> int:
    """Return how many rows of a network fill whole vectors, whatever their length.

    A quality head has one number a token to work out; everything else has far more, so that its
    vectors end where rows do.
    """
    judges = getattr(network, "quality_head", None) is not None
    return WHOLE_ROWS if judges else FEW_ROWS


def prepared(network: Network, device: torch.device, dtype: torch.dtype) -> Network:
    """Return a copy in evaluation mode on a device, its block matrices already in ``dtype``.

    Autocast would round them anew at every forward; in float64 it is the whole network. What is no
    module is returned as it is.
    """
    if not isinstance(network, nn.Module):
        return network
    ready: Any = copy.deepcopy(network).eval().requires_grad_(False).to(device)
    if dtype is torch.float64:
        return ready.to(dtype)  # type: ignore[no-any-return]
    for block in ready.modules():
        if isinstance(block, Block):
            block.to(dtype)
    return ready  # type: ignore[no-any-return]


@contextmanager
def precision(device: torch.device, dtype: torch.dtype) -> Iterator[None]:
    """Matrix products in ``dtype`` for the length of a block."""
    with torch.autocast(device.type, torch.bfloat16, enabled=dtype is torch.bfloat16):
        yield


@dataclass(frozen=True)
class Answered:
    """What a network said of a shard; tensors on the CPU.

    Attributes:
        log_p: ``log p(x_0 | x_t, y)`` and, where it was asked for, ``log p(x_0 | x_t)``, each with
            shape (rows, length, classes).
        log_quality: likewise, the log-probability that each placed token is right given the
            others, each with shape (rows, length); empty from a network without a quality head.
    """

    log_p: tuple[Tensor, ...]
    log_quality: tuple[Tensor, ...]


class ShardedDenoiser:
    """A denoiser on its device, asked for ``log p(x_0 | x_t)`` with and without the condition."""

    def __init__(
        self,
        denoiser: Denoiser,
        device: str = "cpu",
        dtype: str = "auto",
        classes: int | None = None,
        emphasis: Emphasis | None = None,
    ) -> None:
        """Prepare the network.

        Args:
            denoiser: the network.
            device: where to run.
            dtype: ``"bf16"``, ``"fp32"`` or ``"auto"``: of the matrix products.
            classes: how many ids, from the first on, a token may have; None for all of them.
            emphasis: makes the conditional prediction a mixture, a forward for each of its parts.
        """
        self.device, self.dtype = torch.device(device), resolve_dtype(dtype, device)
        self.denoiser = prepared(denoiser, self.device, self.dtype)
        self.classes = classes or denoiser.vocab_size
        self.mask_id, self.pad_id = denoiser.mask_id, denoiser.pad_id
        self.max_length = denoiser.max_length
        self.judges = getattr(denoiser, "quality_head", None) is not None
        self.emphasis = emphasis
        self.forwards = parts(emphasis)
        """That a conditional prediction takes of each row; the unconditional one is one more."""

    def answer(
        self, tokens: Tensor, condition: Tensor | None, alpha_t: Tensor, both: bool = False
    ) -> Answered:
        """Return ``log p(x_0 | x_t, y)`` and, where both are asked for, ``log p(x_0 | x_t)``.

        Everything is one batch of as many times the rows.

        Args:
            tokens: ids of a filled shard, shape (rows, length).
            condition: property values with shape (rows, properties), NaN where left out, or None.
            alpha_t: fraction kept at each row's clock, shape (rows,).
            both: whether the unconditional prediction is asked for too.

        Raises:
            ValueError: if both are asked for without a condition.
        """
        rows = len(tokens)
        if both and condition is None:
            raise ValueError("condition is None, but guidance needs one")
        asked = 1
        if condition is not None:
            asked, told = self.forwards, readings(self.emphasis, condition, both)
            tokens, alpha_t = tokens.repeat(len(told), 1), alpha_t.repeat(len(told))
            condition = torch.cat(told)
        alpha = alpha_t.float().to(self.device) if self.denoiser.time_input else None
        condition = None if condition is None else condition.to(self.device)
        with precision(self.device, self.dtype):
            logits, quality = self._ask(tokens.to(self.device), condition, alpha)
        log_p = wide(logits)[..., : self.classes].log_softmax(-1).cpu().split(rows)
        if self.emphasis is not None and asked > 1:
            log_p = (self.emphasis.combine(log_p[:asked]), *log_p[asked:])
        if quality is None:
            return Answered(log_p, ())
        log_quality = F.logsigmoid(quality).cpu().split(rows)
        return Answered(log_p, (log_quality[0], *log_quality[asked:]))

    def _ask(
        self, tokens: Tensor, condition: Tensor | None, alpha: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """Return logits and what a quality head says, if there is one."""
        if isinstance(self.denoiser, MoleculeDenoiser):
            found = self.denoiser.answer(tokens, condition, alpha)
            return found.logits, found.quality
        return self.denoiser.logits(tokens, condition, alpha), None
