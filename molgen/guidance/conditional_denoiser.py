"""A denoiser on its device, evaluated with and without the condition.

Both predictions, and those of a mixture of conditions, are one batch of as many times the rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from molgen.errors import MolgenError
from molgen.guidance.weighted_conditions import (
    GoalWeights,
    branch_conditions,
    conditional_forwards,
)
from molgen.nn.denoiser import Denoiser, MoleculeDenoiser
from molgen.nn.micro_batches import precision, prepared
from molgen.utils.threads import resolve_dtype, wide


@dataclass(frozen=True)
class DenoiserOutput:
    """Predictions of a network for a micro-batch; tensors on the CPU.

    Attributes:
        log_p: ``log p(x_0 | x_t, y)`` and, if requested, ``log p(x_0 | x_t)``, each with shape
            (rows, length, classes).
        log_quality: likewise, the log-probability that each placed token is right given the
            others, each with shape (rows, length); empty for a network without a quality head.
        branches: logits and input of the heads of every forward, each with shape (forwards x rows,
            length, vocab or hidden); on the device. None unless requested.
    """

    log_p: tuple[Tensor, ...]
    log_quality: tuple[Tensor, ...]
    branches: tuple[Tensor, Tensor] | None = None


class MicroBatchedDenoiser:
    """A denoiser on its device: ``log p(x_0 | x_t)`` with and without the condition."""

    def __init__(
        self,
        denoiser: Denoiser,
        device: str = "cpu",
        dtype: str = "auto",
        classes: int | None = None,
        goal_weights: GoalWeights | None = None,
    ) -> None:
        """Prepare the network.

        Args:
            denoiser: the network.
            device: where to run.
            dtype: ``"bf16"``, ``"fp32"`` or ``"auto"``: of the matrix products.
            classes: number of ids, from the first, that a token may have; None for all of them.
            goal_weights: makes the conditional prediction a mixture, one forward for each part.
        """
        self.device, self.dtype = torch.device(device), resolve_dtype(dtype, device)
        self.denoiser = prepared(denoiser, self.device, self.dtype)
        self.classes = classes or denoiser.vocab_size
        self.mask_id, self.pad_id = denoiser.mask_id, denoiser.pad_id
        self.max_length = denoiser.max_length
        self.has_quality_head = getattr(denoiser, "quality_head", None) is not None
        self.goal_weights = goal_weights
        self.forwards = conditional_forwards(goal_weights)
        """Forwards of a conditional prediction per row; the unconditional one is one more."""

    def predict(
        self,
        tokens: Tensor,
        condition: Tensor | None,
        alpha_t: Tensor,
        both: bool = False,
        branches: bool = False,
    ) -> DenoiserOutput:
        """Return ``log p(x_0 | x_t, y)`` and, if both are requested, ``log p(x_0 | x_t)``.

        All branches are one batch of as many times the rows.

        Args:
            tokens: ids of a filled micro-batch, shape (rows, length).
            condition: property values with shape (rows, properties), NaN where left out, or None.
            alpha_t: fraction kept at the step of each row, shape (rows,).
            both: whether the unconditional prediction is requested too.
            branches: whether the output of the trunk is requested, from a
                :class:`molgen.nn.denoiser.MoleculeDenoiser`.

        Raises:
            MolgenError: if both are requested without a condition.
        """
        rows = len(tokens)
        condition = self.conditions(condition, both)
        if condition is not None:
            parts = len(condition) // rows
            tokens, alpha_t = tokens.repeat(parts, 1), alpha_t.repeat(parts)
        alpha = alpha_t.float().to(self.device) if self.denoiser.time_input else None
        with precision(self.device, self.dtype):
            logits, quality, read = self._forward(tokens.to(self.device), condition, alpha)
        log_p = self.combine(logits, rows)
        kept = (logits, read) if branches and read is not None else None
        if quality is None:
            return DenoiserOutput(log_p, (), kept)
        first = 1 if condition is None else self.forwards
        log_quality = F.logsigmoid(quality).cpu().split(rows)
        return DenoiserOutput(log_p, (log_quality[0], *log_quality[first:]), kept)

    def conditions(self, condition: Tensor | None, both: bool) -> Tensor | None:
        """Return the conditions of every forward, (forwards x rows, properties), on the device.

        Raises:
            MolgenError: if both predictions are requested without a condition.
        """
        if condition is None:
            if both:
                raise MolgenError("condition is None, but guidance needs one")
            return None
        return torch.cat(branch_conditions(self.goal_weights, condition, both)).to(self.device)

    def combine(self, logits: Tensor, rows: int) -> tuple[Tensor, ...]:
        """Return ``log p`` with the condition and, if there is a forward without, without it.

        Args:
            logits: of every forward, shape (forwards x rows, length, vocab).
            rows: of the micro-batch.
        """
        log_p = wide(logits)[..., : self.classes].log_softmax(-1).cpu().split(rows)
        if self.goal_weights is not None and self.forwards > 1 and len(log_p) > 1:
            return (self.goal_weights.combine(log_p[: self.forwards]), *log_p[self.forwards :])
        return log_p

    def _forward(
        self, tokens: Tensor, condition: Tensor | None, alpha: Tensor | None
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Return logits, and the output of the quality head and of the trunk, if there are any."""
        if isinstance(self.denoiser, MoleculeDenoiser):
            read = self.denoiser.read(tokens, condition, alpha)
            found = self.denoiser.heads(read)
            return found.logits, found.quality, read
        return self.denoiser.logits(tokens, condition, alpha), None, None
