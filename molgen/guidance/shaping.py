"""Shaping: changes of a distribution before a token is drawn from it.

    p  ~  p^(1 / temperature),    then truncated and renormalised

Each field is a separate option, in presets, comparisons and on the command line.

References: Holtzman et al., "The curious case of neural text degeneration" (2020), for ``top_p``;
Nguyen et al., "Turning up the heat: min-p sampling for creative and coherent LLM outputs" (2024),
for ``min_p``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from molgen.errors import MolgenError
from molgen.utils.arguments import check_fields
from molgen.utils.options import number

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Shaping:
    """Parameters of the shaping.

    Attributes:
        temperature: divides the log-probabilities; below 1 sharpens.
        top_p: the smallest set of likeliest tokens with at least this mass is kept (nucleus
            sampling); 1 keeps all.
        min_p: tokens with at least this share of the largest probability are kept; 0 keeps all.
    """

    temperature: float = number("below 1 sharpens", "X", 1.0, preset=True, tries=(0.9, 1.0))
    top_p: float = number("nucleus of the distribution", "P", 1.0, preset=True)
    min_p: float = number(
        "keep tokens with at least this share of the largest probability", "M", 0.0, preset=True
    )

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            MolgenError: if one is out of range.
        """
        check_fields(self)
        if not 0 < self.temperature < math.inf:
            raise MolgenError(f"temperature is {self.temperature}, expected more than 0 and finite")
        if not 0 < self.top_p <= 1:
            raise MolgenError(f"top_p is {self.top_p}, expected more than 0 and at most 1")
        if not 0 <= self.min_p <= 1:
            raise MolgenError(f"min_p is {self.min_p}, expected a number in [0, 1]")

    def __call__(self, log_p: Tensor) -> Tensor:
        """Return float64 probabilities from log-probabilities, both (positions, vocab).

        Raises:
            MolgenError: if the result is not a number.
        """
        log_p = log_p.double()
        # with the largest at 0, a temperature near 0 does not make all of them overflow
        p = ((log_p - log_p.amax(-1, keepdim=True)) / float(self.temperature)).softmax(-1)
        if p.isnan().any():
            raise MolgenError(
                "the network's probabilities are not numbers: its weights are damaged, or gamma "
                "is too large"
            )
        if self.top_p < 1:
            ordered, order = p.sort(dim=-1, descending=True, stable=True)
            beyond = ordered.cumsum(-1) - ordered >= self.top_p
            p = _without(p, beyond.new_zeros(beyond.shape).scatter(-1, order, beyond))
        if self.min_p > 0:
            p = _without(p, p < self.min_p * p.amax(-1, keepdim=True))
        return p


def _without(p: Tensor, left_out: Tensor) -> Tensor:
    """Return probabilities without some tokens, renormalised."""
    p = p.masked_fill(left_out, 0.0)
    return p / p.sum(-1, keepdim=True)
