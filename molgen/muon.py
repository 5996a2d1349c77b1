"""Muon: momentum whose singular values are set to about one, for matrices between activations.

    B <- mu B + g,    W <- W - lr (0.2 sqrt(max(rows, columns)) NewtonSchulz(g + mu B) + decay W)

As ``torch.optim.Muon``, with one difference that decides whether a machine can train at all: its
five iterations multiply matrices in bfloat16, which a processor without native bfloat16 does a
hundred times slower than in float32. Here the number format is an argument.

References: Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024); Liu et
al., "Muon is scalable for LLM training" (2025), for the step's size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # steepest at zero of the odd quintics that stay near one
ITERATIONS = 5
SMALLEST = 1e-7  # norm of a gradient below which it is not scaled up
MATCHED_RMS = 0.2  # of an update's entries, as of AdamW


class Muon(torch.optim.Optimizer):
    """Muon with Nesterov momentum, decoupled weight decay and updates of AdamW's size."""

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        weight_decay: float = 0.0,
        momentum: float = 0.95,
        dtype: torch.dtype = torch.bfloat16,
    ) -> None:
        """Prepare.

        Args:
            params: matrices.
            lr: learning rate.
            weight_decay: part of a weight taken off per unit of learning rate.
            momentum: of the gradient's moving average.
            dtype: of the iterations' matrix products.

        Raises:
            ValueError: if a parameter is no matrix.
        """
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})
        self.dtype = dtype
        for group in self.param_groups:
            for p in group["params"]:
                if p.ndim != 2:
                    raise ValueError(f"Muon takes matrices, got shape {tuple(p.shape)}")

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """Take one step."""
        if closure is not None:
            raise ValueError("closure is given, but gradients are expected to be there")
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                slots = self.state[p]
                if not slots:
                    slots["momentum_buffer"] = torch.zeros_like(p)
                buffer = slots["momentum_buffer"].lerp_(p.grad, 1 - group["momentum"])
                update = orthogonalised(p.grad.lerp(buffer, group["momentum"]), self.dtype)
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(update, alpha=-group["lr"] * MATCHED_RMS * math.sqrt(max(p.shape)))


def orthogonalised(matrix: Tensor, dtype: torch.dtype) -> Tensor:
    """Return a matrix with the same singular vectors and singular values of about one.

    Args:
        matrix: with shape (rows, columns).
        dtype: of the matrix products.

    Returns:
        In the matrix's own format and shape; singular values within about 0.7 to 1.2.
    """
    a, b, c = COEFFICIENTS
    tall = matrix.shape[0] > matrix.shape[1]
    x = (matrix.T if tall else matrix).to(dtype)
    x = x / x.norm().clamp(min=SMALLEST)
    for _ in range(ITERATIONS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.T if tall else x).to(matrix.dtype)
