"""A denoiser on its device, asked for its prediction with and without the condition.

Both predictions, and those of a mixture of conditions, are one batch of as many times the rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from molgen.guidance.weighted_conditions import GoalWeights, parts, readings
from molgen.nn.denoiser import Denoiser, MoleculeDenoiser
from molgen.nn.micro_batches import precision, prepared
from molgen.utils.threads import resolve_dtype, wide


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


class MicroBatchedDenoiser:
    """A denoiser on its device, asked for ``log p(x_0 | x_t)`` with and without the condition."""

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
            classes: how many ids, from the first on, a token may have; None for all of them.
            goal_weights: makes the conditional prediction a mixture, a forward for each part.
        """
        self.device, self.dtype = torch.device(device), resolve_dtype(dtype, device)
        self.denoiser = prepared(denoiser, self.device, self.dtype)
        self.classes = classes or denoiser.vocab_size
        self.mask_id, self.pad_id = denoiser.mask_id, denoiser.pad_id
        self.max_length = denoiser.max_length
        self.judges = getattr(denoiser, "quality_head", None) is not None
        self.goal_weights = goal_weights
        self.forwards = parts(goal_weights)
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
            asked, told = self.forwards, readings(self.goal_weights, condition, both)
            tokens, alpha_t = tokens.repeat(len(told), 1), alpha_t.repeat(len(told))
            condition = torch.cat(told)
        alpha = alpha_t.float().to(self.device) if self.denoiser.time_input else None
        condition = None if condition is None else condition.to(self.device)
        with precision(self.device, self.dtype):
            logits, quality = self._ask(tokens.to(self.device), condition, alpha)
        log_p = wide(logits)[..., : self.classes].log_softmax(-1).cpu().split(rows)
        if self.goal_weights is not None and asked > 1:
            log_p = (self.goal_weights.combine(log_p[:asked]), *log_p[asked:])
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
