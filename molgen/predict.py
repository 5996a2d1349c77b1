"""Predictors: the network, its guidance and the shape of its distribution, as the sampler asks.

The sampler hands over the rows that are about to have a token placed, and which positions; it gets
back float64 probabilities of just those positions. Rows are run in shards of one length, so nothing
is padded and a row's numbers do not depend on its neighbours, and shards run side by side on worker
threads.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from molgen.denoiser import Block, Denoiser
from molgen.guidance import ClassifierFree
from molgen.threads import Workers, resolve_dtype

SHARD = 64  # rows of a forward on a CPU; about where larger shards stop paying
SHARD_GPU = 8192
# On a CPU a shard is filled up, so that a row's result is the same in any company: matrix kernels
# switch to another order of summation for a handful of tokens, and what is left over behind whole
# vectors (two of 16 floats) is worked out by another exp than the rest. What remains: in fp32, with
# heads in no multiple of four, attention's products round by how a row lies in memory (1e-7).
LEAST_TOKENS, WHOLE_ROWS = 256, 32


class Predictor(Protocol):
    """What the sampler needs: see :class:`NetworkPredictor`."""

    forwards: int
    mask_id: int
    pad_id: int
    max_length: int

    def __call__(
        self,
        tokens: NDArray[np.int64],
        wanted: NDArray[np.bool_],
        condition: NDArray[np.float32] | None,
        alpha_t: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Return ``p(x_0 | x_t)`` at the wanted positions.

        Args:
            tokens: noised ids with shape (rows, longest), padded.
            wanted: True at positions whose distribution is needed, same shape.
            condition: property values with shape (rows, properties), NaN where left out.
            alpha_t: fraction kept at each row's own clock, shape (rows,).

        Returns:
            Probabilities with shape (wanted positions in row-major order, vocab).
        """
        ...


@dataclass(frozen=True)
class Shaping:
    """What is done to a distribution before a token is drawn from it.

    Attributes:
        temperature: divides the log-probabilities; below 1 sharpens.
        top_p: the smallest set of likeliest tokens with at least this mass is kept (nucleus
            sampling, Holtzman et al. 2020); 1 keeps all.
    """

    temperature: float = 1.0
    top_p: float = 1.0

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            ValueError: if either is out of range.
        """
        if not 0 < self.temperature < math.inf:
            raise ValueError(f"temperature is {self.temperature}, expected more than 0 and finite")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p is {self.top_p}, expected more than 0 and at most 1")

    def __call__(self, log_p: Tensor) -> Tensor:
        """Return float64 probabilities from log-probabilities, both (positions, vocab).

        Raises:
            ValueError: if what comes out are no numbers.
        """
        log_p = log_p.double()
        # with the largest at 0, a temperature near 0 cannot make all of them overflow
        p = ((log_p - log_p.amax(-1, keepdim=True)) / self.temperature).softmax(-1)
        if p.isnan().any():
            raise ValueError(
                "the network's probabilities are not numbers: its weights are damaged, or gamma "
                "is too large"
            )
        if self.top_p < 1:
            ordered, order = p.sort(dim=-1, descending=True, stable=True)
            beyond = ordered.cumsum(-1) - ordered >= self.top_p
            p = p.masked_fill(torch.zeros_like(beyond).scatter(-1, order, beyond), 0.0)
            p = p / p.sum(-1, keepdim=True)
        return p


class NetworkPredictor:
    """A denoiser with optional classifier-free guidance and shaping."""

    def __init__(
        self,
        denoiser: Denoiser,
        workers: Workers,
        guidance: ClassifierFree | None = None,
        shaping: Shaping = Shaping(),
        device: str = "cpu",
        dtype: str = "auto",
    ) -> None:
        """Prepare the network.

        Args:
            denoiser: the network.
            workers: threads to run shards on.
            guidance: mixes the conditional and the unconditional prediction; each row then costs
                two forwards. None uses the condition as it is, or none at all.
            shaping: temperature and nucleus.
            device: where to run.
            dtype: ``"bf16"``, ``"fp32"`` or ``"auto"``: of the matrix products.
        """
        self.device, self.dtype = torch.device(device), resolve_dtype(dtype, device)
        self.denoiser = _prepared(denoiser, self.device, self.dtype)
        self.guidance, self.shaping, self.workers = guidance, shaping, workers
        self.mask_id, self.pad_id = denoiser.mask_id, denoiser.pad_id
        self.max_length = denoiser.max_length
        self.forwards = 1 if guidance is None else 2

    def __call__(
        self,
        tokens: NDArray[np.int64],
        wanted: NDArray[np.bool_],
        condition: NDArray[np.float32] | None,
        alpha_t: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Return ``p(x_0 | x_t)`` at the wanted positions; see :class:`Predictor`.

        Raises:
            ValueError: if there is guidance and no condition to guide by.
        """
        if self.guidance is not None and condition is None:
            raise ValueError("condition is None, but guidance needs one")
        lengths = (tokens != self.pad_id).sum(1)
        shards = []
        for length in np.unique(lengths):
            rows = np.flatnonzero(lengths == length)
            size = SHARD if self.device.type == "cpu" else SHARD_GPU
            shards += [rows[i : i + size] for i in range(0, len(rows), size)]

        def run(rows: NDArray[np.int64]) -> Tensor:
            length = int(lengths[rows[0]])
            return self._shard(
                torch.from_numpy(tokens[rows, :length]),
                torch.from_numpy(wanted[rows, :length]),
                None if condition is None else torch.from_numpy(condition[rows]),
                torch.from_numpy(alpha_t[rows]),
            )

        place = np.zeros(wanted.shape, dtype=np.int64)
        place[wanted] = np.arange(wanted.sum())
        p = np.empty((int(wanted.sum()), self.denoiser.vocab_size))
        for rows, found in zip(shards, self.workers.map(run, shards), strict=True):
            p[place[rows][wanted[rows]]] = found.numpy()
        return p

    @torch.inference_mode()
    def _shard(
        self, tokens: Tensor, wanted: Tensor, condition: Tensor | None, alpha_t: Tensor
    ) -> Tensor:
        """Return probabilities at the wanted positions of rows of one length."""
        rows, length = tokens.shape
        fill = max(rows, LEAST_TOKENS // length)
        fill = -(-fill // WHOLE_ROWS) * WHOLE_ROWS if self.device.type == "cpu" else rows
        if rows < fill:
            index = torch.arange(fill).clamp(max=rows - 1)
            tokens, alpha_t = tokens[index], alpha_t[index]
            condition = None if condition is None else condition[index]
        if self.guidance is not None and condition is not None:
            tokens = torch.cat([tokens, tokens])
            alpha_t = torch.cat([alpha_t, alpha_t])
            condition = torch.cat([condition, torch.full_like(condition, float("nan"))])
        log_p = self._log_p(tokens, condition, alpha_t)
        if self.guidance is not None and condition is not None:
            half = len(log_p) // 2
            log_p = self.guidance.combine(
                log_p[:half].double(), log_p[half:].double(), alpha_t[:half]
            )
        return self.shaping(log_p[:rows][wanted])

    def _log_p(self, tokens: Tensor, condition: Tensor | None, alpha_t: Tensor) -> Tensor:
        """Return ``log p(x_0 | x_t)`` on the CPU, shape (rows, length, vocab)."""
        tokens = tokens.to(self.device)
        alpha = alpha_t.float().to(self.device) if self.denoiser.time_input else None
        condition = None if condition is None else condition.to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, self.dtype is torch.bfloat16):
            logits = self.denoiser.logits(tokens, condition, alpha)
        return logits.float().log_softmax(-1).cpu()


def _prepared(denoiser: Denoiser, device: torch.device, dtype: torch.dtype) -> Denoiser:
    """Return the network in evaluation mode on a device, its block matrices already in ``dtype``.

    Autocast would round them anew at every forward.
    """
    if not isinstance(denoiser, nn.Module):
        return denoiser
    ready = copy.deepcopy(denoiser).eval().requires_grad_(False).to(device)
    for block in ready.modules():
        if isinstance(block, Block):
            block.to(dtype)
    return ready
