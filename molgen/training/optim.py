"""Optimisers, learning-rate schedule and weight average for training.

Matrices inside the blocks are trained by Muon: momentum with singular values set to about one,

    B <- mu B + g,    W <- W - lr (0.2 sqrt(max(rows, columns)) NewtonSchulz(g + mu B) + decay W)

as in ``torch.optim.Muon``, with one difference: its five iterations multiply matrices in bfloat16,
which is a hundred times slower than float32 on a processor without native bfloat16. Here the number
format is an argument. All other parameters are trained by AdamW. The learning rate has a linear
warm-up, a plateau and a linear decay to zero, so a resumed run can be lengthened until the decay
starts.

References: Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024); Liu et
al., "Muon is scalable for LLM training" (2025), for the step's size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from molgen.errors import MolgenError
from molgen.utils.threads import Workers

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the odd quintic near one that is steepest at zero
ITERATIONS = 5
SMALLEST = 1e-7  # lower limit of a gradient's norm in scaling
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
            weight_decay: fraction of a weight subtracted per unit of learning rate.
            momentum: of the gradient's moving average.
            dtype: of the iterations' matrix products.

        Raises:
            MolgenError: if a parameter is not a matrix.
        """
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})
        self.dtype = dtype
        for group in self.param_groups:
            for p in group["params"]:
                if p.ndim != 2:
                    raise MolgenError(f"params has shape {tuple(p.shape)}, expected matrices")

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """Take one step."""
        if closure is not None:
            raise MolgenError("closure is given, expected None and computed gradients")
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


MUON_MOMENTUM = 0.95
ADAM_BETAS = (0.9, 0.98)
MUON_SLOTS = {"momentum_buffer"}
ADAM_SLOTS = {"step", "exp_avg", "exp_avg_sq"}
WARMUP_LIMIT = 0.1  # of the run: a short run would otherwise never reach its learning rate
EMA_WARMUP = 10  # of the average: its decay is at most (step + 1) / (step + 10)


class Optimizers:
    """Muon on the block matrices, in groups that step in parallel, and AdamW on the rest."""

    def __init__(
        self,
        model: nn.Module,
        weight_decay: float,
        groups: int = 1,
        use_muon: bool = True,
        dtype: torch.dtype = torch.bfloat16,
    ) -> None:
        """Assign every parameter.

        Args:
            model: a network whose blocks are named ``blocks.*``.
            weight_decay: of the block matrices.
            groups: Muon optimisers to split the matrices over (one per worker thread).
            use_muon: whether to use Muon at all.
            dtype: of Muon's matrix products.
        """
        named = dict(model.named_parameters())
        matrices = [p for name, p in named.items() if use_muon and is_block_matrix(name, p)]
        chosen = {id(p) for p in matrices}
        rest = [p for p in named.values() if id(p) not in chosen]
        self.parts: list[torch.optim.Optimizer] = [
            Muon(
                matrices[i::groups],
                weight_decay=weight_decay,
                momentum=MUON_MOMENTUM,
                dtype=dtype,
            )
            for i in range(groups)
            if matrices[i::groups]
        ]
        self.parts.append(AdamW(rest, betas=ADAM_BETAS, weight_decay=0.0, fused=True))
        self.names = {id(p): name for name, p in named.items()}

    def step(self, learning_rate: float, pool: Workers) -> None:
        """Step every optimiser on the threads of ``pool``."""
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = learning_rate
        list(pool.map(lambda part: part.step(), self.parts))

    def state(self) -> dict[str, Tensor]:
        """Return the optimisers' tensors by ``parameter|key``, independent of the grouping."""
        return {
            f"{self.names[id(p)]}|{key}": torch.as_tensor(value)
            for part in self.parts
            for p, slots in part.state.items()
            for key, value in slots.items()
        }

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Restore a state of :meth:`state`.

        Raises:
            MolgenError: if it is the state of other optimisers.
        """
        found: dict[str, dict[str, Tensor]] = {}
        for name, value in state.items():
            parameter, _, key = name.rpartition("|")
            found.setdefault(parameter, {})[key] = value
        for part in self.parts:
            expected = MUON_SLOTS if isinstance(part, Muon) else ADAM_SLOTS
            for p in (p for group in part.param_groups for p in group["params"]):
                slots = found.get(self.names[id(p)], {})
                if slots and set(slots) != expected:
                    raise MolgenError(
                        f"optimiser state of {self.names[id(p)]} is {sorted(slots)}, "
                        f"expected {sorted(expected)}"
                    )
                if any(v.shape != (() if k == "step" else p.shape) for k, v in slots.items()):
                    raise MolgenError(f"optimiser state of {self.names[id(p)]} has another shape")
                part.state[p] = {k: v.to(p.device, copy=True) for k, v in slots.items()}


def is_block_matrix(name: str, parameter: Tensor) -> bool:
    """Return whether Muon trains this parameter: a matrix between activations, inside a block."""
    inside = name.startswith("blocks.") and "bias" not in name and "modulation" not in name
    return inside and parameter.ndim == 2


def learning_rate(step: int, total: int, peak: float, warmup: int, decay_fraction: float) -> float:
    """Return the rate at a step: linear warm-up, plateau, linear decay to zero at ``total``.

    Args:
        step: steps already taken.
        total: steps of the whole run.
        peak: rate of the plateau.
        warmup: steps of the warm-up, at most a tenth of the run.
        decay_fraction: fraction of the run over which the rate decays.
    """
    rise = min(1.0, (step + 1) / max(1.0, min(warmup, WARMUP_LIMIT * total)))
    fall = min(1.0, (total - step) / max(1.0, decay_fraction * total))
    return peak * min(rise, fall)


class WeightAverage:
    """Exponential moving average of the parameters, which is evaluated and exported."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.weights = {n: p.detach().clone() for n, p in model.named_parameters()}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Move the average towards the model's weights after ``step`` steps."""
        decay = min(self.decay, (step + 1) / (step + EMA_WARMUP))
        current = [p.detach() for p in model.parameters()]
        torch._foreach_lerp_(list(self.weights.values()), current, 1 - decay)

    @contextmanager
    def applied(self, model: nn.Module) -> Iterator[None]:
        """Use the average as the model's weights within the context."""
        self._swap(model)
        try:
            yield
        finally:
            self._swap(model)

    @torch.no_grad()
    def write(self, model: nn.Module) -> None:
        """Set the model's weights to the average, for good."""
        for name, p in model.named_parameters():
            p.copy_(self.weights[name])

    @torch.no_grad()
    def _swap(self, model: nn.Module) -> None:
        for name, p in model.named_parameters():
            kept = p.detach().clone()
            p.copy_(self.weights[name])
            self.weights[name].copy_(kept)
