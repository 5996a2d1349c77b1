"""Micro-batches: rows of one length in one forward of a network.

The padding of a row depends on its own length alone (:func:`padded_lengths`), so its numbers do not
depend on its neighbours; micro-batches run in parallel on worker threads. On a CPU a micro-batch is
filled with copies of its last row, for batch invariance: matrix kernels change the order of
summation for few rows or tokens, and the remainder after whole vectors (of 16 floats) is computed
by another exp. One exception remains: in fp32, with a number of heads that is not a multiple of
four, the rounding of attention's products depends on a row's memory alignment (1e-7).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from molgen.nn.denoiser import Denoiser
from molgen.nn.trunk import Block

MICRO_BATCH = 64  # rows of a forward on a CPU; larger micro-batches are hardly faster
MICRO_BATCH_GPU = 8192
LEAST_TOKENS, LEAST_ROWS = 256, 4
WHOLE_ROWS = 32  # whole vectors, whatever a row has
WHOLE_TOKENS, FEW_TOKENS = 32, 16  # whole vectors of one number a token, and of many
LENGTH_STEP = 4  # rows of similar length share a micro-batch; more pads more than it fills less

Network = TypeVar("Network")


def padded_lengths(lengths: NDArray[np.int64], longest: int) -> NDArray[np.int64]:
    """Return the padded length of each row, at most that of the longest row of a network."""
    return np.minimum(-(-lengths // LENGTH_STEP) * LENGTH_STEP, longest)


def micro_batches(lengths: NDArray[np.int64], device: torch.device) -> list[NDArray[np.int64]]:
    """Return the rows of each micro-batch, where ``lengths`` has shape (rows,)."""
    size = MICRO_BATCH if device.type == "cpu" else MICRO_BATCH_GPU
    found = []
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        found += [rows[i : i + size] for i in range(0, len(rows), size)]
    return found


def filling(rows: int, length: int, device: torch.device, whole: int = WHOLE_ROWS) -> Tensor:
    """Return row indices of a filled micro-batch, the last repeated; shape (at least rows,).

    Args:
        rows: of the micro-batch.
        length: of each row.
        device: to run on.
        whole: rows that fill whole vectors; see :func:`whole_rows`.
    """
    full = rows
    if device.type == "cpu":
        full = max(rows, -(-LEAST_TOKENS // length))
        full = -(-full // whole) * whole
    return torch.arange(full).clamp(max=rows - 1)


def whole_tokens(network: Denoiser) -> int:
    """Return the number of tokens that fills whole vectors.

    A quality head computes one number a token; all other layers compute many.
    """
    has_quality = getattr(network, "quality_head", None) is not None
    return WHOLE_TOKENS if has_quality else FEW_TOKENS


def whole_rows(length: int, tokens: int = FEW_TOKENS) -> int:
    """Return the number of rows of a length that fills whole vectors; see :func:`whole_tokens`."""
    return max(LEAST_ROWS, tokens // math.gcd(tokens, length))


def prepared(network: Network, device: torch.device, dtype: torch.dtype) -> Network:
    """Return a copy in evaluation mode on a device, with its block matrices in ``dtype``.

    Autocast would round them again at every forward; in float64 the whole network is converted. An
    object that is not a module is returned unchanged.
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
    """Compute matrix products in ``dtype`` within the context."""
    with torch.autocast(device.type, torch.bfloat16, enabled=dtype is torch.bfloat16):
        yield
