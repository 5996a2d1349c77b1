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
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from molgen.nn.denoiser import Denoiser
from molgen.nn.trunk import Block

SHARD = 64  # rows of a forward on a CPU; about where larger shards stop paying
SHARD_GPU = 8192
LEAST_TOKENS, WHOLE_ROWS, FEW_ROWS = 256, 32, 8

Network = TypeVar("Network")


def micro_batches(lengths: NDArray[np.int64], device: torch.device) -> list[NDArray[np.int64]]:
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
