"""Desirabilities: transforms of a property to 0..1, so that several objectives can be combined.

    sigmoid(A,B)           d(x) = 1 / (1 + 19^((A + B - 2x) / (B - A))),  .05 at A and .95 at B
    reverse-sigmoid(A,B)   = sigmoid(B,A): .95 at A and .05 at B
    double-sigmoid(A,B,C,D)  = sigmoid(A,B) sigmoid(D,C): rises from A to B, falls from C to D
    gaussian(M,S)          d(x) = exp(-(x - M)^2 / 2 S^2)
    step(LO..HI)           d(x) = 1 within the range, else 0; one side may be left open

``sigmoid(-8,-11)`` falls: a docking score of -8 is poor, one of -11 is good.

References: Derringer and Suich, "Simultaneous optimization of several response variables" (1980);
Loeffler et al., "REINVENT 4: modern AI-driven generative molecule design" (2024), for the kinds.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np

from molgen.errors import MolgenError
from molgen.targets import Range, ends, parse_target
from molgen.utils.arrays import Floats

ODDS = 19.0  # of .95 to .05
KINDS = {"sigmoid": 2, "reverse-sigmoid": 2, "double-sigmoid": 4, "gaussian": 2, "step": 2}
FORMS = "sigmoid(A,B), reverse-sigmoid(A,B), double-sigmoid(A,B,C,D), gaussian(M,S), step(LO..HI)"
WORD = re.compile(r"\s*([a-z-]+)\s*\(([^()]*)\)\s*")


@dataclass(frozen=True)
class Desirability:
    """A transform of a property to 0..1; see this module.

    Attributes:
        kind: one of :data:`KINDS`.
        numbers: its parameters in order; of a step its ends.
    """

    kind: str
    numbers: tuple[float, ...]

    def __post_init__(self) -> None:
        """Check the parameters.

        Raises:
            MolgenError: if they are of another number, equal where they must differ, or not in
                order.
        """
        kind, x = self.kind, self.numbers
        good = KINDS.get(kind) == len(x) and not any(map(math.isnan, x))
        if good and kind == "gaussian":
            good = math.isfinite(x[0]) and 0 < x[1] < math.inf
        elif good and kind == "step":
            good = x[0] <= x[1]
        elif good:
            good = all(map(math.isfinite, x)) and x[0] != x[1] and x[-1] != x[-2]
            good = good and (len(x) == 2 or list(x) == sorted(x))
        if not good:
            raise MolgenError(f"value is {str(self)!r}, expected {FORMS}")

    def __str__(self) -> str:
        """Return the word for the command line."""
        if self.kind == "step":
            return f"step({Range(*self.numbers)})"
        return f"{self.kind}({','.join(f'{x:.12g}' for x in self.numbers)})"

    def __call__(self, values: Floats) -> Floats:
        """Return the desirabilities of values, from 0 to 1; NaN stays NaN, same shape."""
        x = self.numbers
        if self.kind == "gaussian":
            return np.asarray(np.exp(-0.5 * ((values - x[0]) / x[1]) ** 2))
        if self.kind == "step":
            inside = (values >= x[0]) & (values <= x[1])
            return np.where(np.isnan(values), np.nan, inside.astype(np.float64))
        if self.kind == "double-sigmoid":
            return _sigmoid(values, x[0], x[1]) * _sigmoid(values, x[3], x[2])
        return _sigmoid(values, *(x if self.kind == "sigmoid" else x[::-1]))

    @property
    def target(self) -> float | Range:
        """The values to guide draws towards: the best one, or all above .95."""
        x = self.numbers
        if self.kind == "gaussian":
            return x[0]
        if self.kind == "step":
            return Range(*x)
        if self.kind == "double-sigmoid":
            return Range(x[1], x[2])
        low, high = x if self.kind == "sigmoid" else x[::-1]
        return Range(high, math.inf) if high > low else Range(-math.inf, high)


def read_desirability(text: str) -> Desirability | None:
    """Read a desirability; None for a text of another form.

    Raises:
        MolgenError: if its kind is unknown or its parameters cannot be used.
    """
    word = WORD.fullmatch(text)
    if word is None:
        return None
    kind, inside = word[1], word[2]
    try:
        if kind == "step":
            target = parse_target(inside)
            if isinstance(target, Range):
                return Desirability(kind, ends(target))
        numbers = tuple(float(part) for part in inside.split(","))
    except ValueError:
        numbers = ()
    if kind not in KINDS or not numbers or kind == "step":
        raise MolgenError(f"value is {text!r}, expected {FORMS}")
    return Desirability(kind, numbers)


def _sigmoid(values: Floats, poor: float, good: float) -> Floats:
    """Return ``.05`` at ``poor`` and ``.95`` at ``good``, shape of the values."""
    with np.errstate(over="ignore"):  # an infinite power is a desirability of 0
        odds = np.power(ODDS, (poor + good - 2.0 * values) / (good - poor))
    return np.asarray(1.0 / (1.0 + odds))
