"""Context guidance: contrast with a prediction from fewer tokens of the row.

    log p_w  ∝  w log p(x_0 | x_t) + (1 - w) log p(x_0 | x_t with fewer tokens)

where a share of the placed tokens is hidden. With w = 1 this is the prediction itself. Above 1,
tokens depend more strongly on those already placed, such as a scaffold, since tokens that are
likely without them are penalised. It uses no property and can be combined with guidance that does;
each prediction then takes twice the forwards.

The hidden tokens are a hash of the row, so a row in a given state always has the same prediction,
whatever else is in the batch.

Reference: Lee et al., "GenMol: A Drug Discovery Generalist with Discrete Diffusion" (2025), who
hide part of the given molecule.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from molgen.errors import MolgenError
from molgen.guidance.kernels import classifier_free
from molgen.utils import randomness
from molgen.utils.options import UNBOUNDED


@dataclass(frozen=True)
class Context:
    """Parameters of context guidance.

    Attributes:
        share: share of the placed tokens that is hidden, in (0, 1]; at least one token.
        strength: ``w``; 1 is no guidance.
    """

    share: float = 0.3
    strength: float = field(default=2.0, metadata=UNBOUNDED)

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            MolgenError: naming the one that is out of range.
        """
        if not 0 < self.share <= 1:
            raise MolgenError(f"share is {self.share}, expected more than 0 and at most 1")
        if not math.isfinite(self.strength):
            raise MolgenError(f"strength is {self.strength}, expected a finite number")

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
        return classifier_free(log_p, log_p_less, self.strength)


CONTEXTS: dict[str, type[Context] | None] = {"none": None, "hide": Context}
