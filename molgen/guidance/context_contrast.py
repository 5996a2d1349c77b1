"""Context guidance: the prediction against one that sees less of the row.

    log p_w  ∝  w log p(x_0 | x_t) + (1 - w) log p(x_0 | x_t with fewer tokens)

where a share of the placed tokens is hidden. With w = 1 this is the prediction itself. Above 1,
tokens follow more closely from what is there already, such as a scaffold, since what would be
likely without it counts against them. It asks nothing of a property and goes with whatever does;
each prediction then takes twice the forwards.

Which tokens are hidden is a hash of the row, so a row in one state is always asked the same
question, in any company.

Reference: Lee et al., "GenMol: A Drug Discovery Generalist with Discrete Diffusion" (2025), who
hide part of the molecule that is given.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from molgen.guidance.kernels import classifier_free_masked
from molgen.utils import randomness


@dataclass(frozen=True)
class Context:
    """How much less is seen, and how much that counts.

    Attributes:
        share: of the placed tokens that are hidden, in (0, 1]; at least one.
        strength: ``w``; 1 is no guidance.
    """

    share: float = 0.3
    strength: float = 2.0

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            ValueError: naming the one that is out of range.
        """
        if not 0 < self.share <= 1:
            raise ValueError(f"share is {self.share}, expected more than 0 and at most 1")
        if not math.isfinite(self.strength):
            raise ValueError(f"strength is {self.strength}, expected a finite number")

    def hide(self, tokens: Tensor, mask_id: int) -> Tensor:
        """Return rows of one length with a share of their placed tokens masked.

        Args:
            tokens: ids with shape (rows, length), without padding.
            mask_id: id of the mask.
        """
        ids = tokens.numpy()
        rows, length = ids.shape
        columns = [ids[:, [i]] for i in range(length)]
        u = randomness.uniform(0, randomness.SHUFFLE, *columns, np.arange(length))
        placed = ids != mask_id
        count = np.ceil(self.share * placed.sum(1) - 1e-9)  # .3 * 10 is a little more than 3
        rank = np.where(placed, u.reshape(rows, length), np.inf).argsort(1).argsort(1)
        hidden = placed & (rank < count[:, None])
        return torch.from_numpy(np.where(hidden, mask_id, ids))

    def combine(self, log_p: Tensor, log_p_less: Tensor) -> Tensor:
        """Return the guided prediction, normalised.

        Args:
            log_p: ``log p(x_0 | x_t)`` with shape (rows, length, vocab).
            log_p_less: the same of the rows of :meth:`hide`.
        """
        return classifier_free_masked(log_p, log_p_less, self.strength)


CONTEXTS: dict[str, type[Context] | None] = {"none": None, "hide": Context}
