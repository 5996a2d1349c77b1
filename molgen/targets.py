"""Targets of a property: a value, a range, possibly open on one side, ``max`` or ``min``."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Literal

import numpy as np

from molgen.errors import MolgenError

SCHEMES = ("command:", "dock:", "http:", "https:")
"""Names of scorers that begin so may have parameters, ``dock:DRD2,seed=3``."""
PARAMETER = re.compile(rf"(?:{'|'.join(SCHEMES)}).*[,?&\s]-*\w[\w-]*", re.DOTALL)
"""Such a name up to the ``=`` of its last parameter, which is no target."""
BOUND = re.compile(r"(.+?)=?([<>]=[^<>=]+)")  # a name, which may contain any of these, and a bound


@dataclass(frozen=True)
class Range:
    """Any value from ``low`` to ``high``, both included.

    Attributes:
        low: in the unit of the property; minus infinity for a range open below.
        high: likewise.

    Raises:
        MolgenError: if the range is empty, or a bound is no number.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        """Check the order.

        Raises:
            MolgenError: if the range is empty, or a bound is NaN.
        """
        for bound in (self.low, self.high):
            if not isinstance(bound, Real):
                raise MolgenError(f"bound of a range is {bound!r}, expected a number")
        if np.isnan(self.low) or np.isnan(self.high):
            raise MolgenError(f"range {self.low}..{self.high}: both bounds must be numbers")
        if self.low > self.high or self.low == np.inf or self.high == -np.inf:
            raise MolgenError(f"range {self.low}..{self.high} is empty: low must not exceed high")

    def __str__(self) -> str:
        """Return the text form of the range: ``LO..HI``, ``LO..`` or ``..HI``."""
        low, high = (f"{bound:.12g}" for bound in (self.low, self.high))
        if low == "-inf" and high != "inf":
            return f"..{high}"
        return f"{low}.." if high == "inf" and low != "-inf" else f"{low}..{high}"


Target = float | Range | Literal["max", "min"]


def ends(target: float | Range) -> tuple[float, float]:
    """Return the bounds of a range; a number is a range of one value."""
    return (target.low, target.high) if isinstance(target, Range) else (target, target)


def parse_target(text: str) -> Target:
    """Read ``max``, ``min``, a number, or ``LO..HI``.

    One side may be left open: ``LO..`` or ``>=LO``, ``..HI`` or ``<=HI``.

    Raises:
        MolgenError: naming the text and the allowed forms.
    """
    if not isinstance(text, str):
        raise MolgenError(f"value is {text!r}, expected text")
    word = text.strip()
    if word == "max" or word == "min":
        return word  # type: ignore[return-value]
    if word.startswith((">=", "<=")):
        word = f"{word[2:]}.." if word[0] == ">" else f"..{word[2:]}"
    low, dots, high = (part.strip() for part in word.partition(".."))
    if dots and (low or high):
        low, high = low or "-inf", high or "inf"
    try:
        bounds = [float(bound) for bound in ((low, high) if dots else (word,))]
    except ValueError as error:
        raise MolgenError(
            f"value is {text!r}, expected max, min, a number, or LO..HI (one side may be left open)"
        ) from error
    if dots:
        return Range(*bounds)
    if not math.isfinite(bounds[0]):
        raise MolgenError(f"value is {text!r}, expected a finite number")
    return bounds[0]


def read_targets(targets: Mapping[str, Target | str]) -> dict[str, Target]:
    """Return parsed targets.

    Raises:
        MolgenError: naming the target that is neither max, min, a finite number nor a range.
    """
    if not isinstance(targets, Mapping) or not all(isinstance(name, str) for name in targets):
        raise MolgenError(f"targets is {targets!r}, expected property names to values")
    return {name: _read(name, value) for name, value in targets.items()}


def split_targets(words: Sequence[str]) -> dict[str, str]:
    """Split ``PROP=VALUE`` and ``PROP>=VALUE``; a SMILES in the name may contain ``=``.

    Raises:
        MolgenError: naming a text of another form, or a property that is given twice.
    """
    found: dict[str, str] = {}
    for text in words:
        bound = BOUND.fullmatch(text.strip())
        name, _, value = text.rpartition("=")
        if bound:
            name, value = bound.groups()
        elif PARAMETER.fullmatch(name.strip()):
            name = ""
        name = name.strip()
        if not name or not value.strip():
            raise MolgenError(f"target is {text!r}, expected PROP=VALUE such as qed=max or sa=..3")
        if name in found:
            raise MolgenError(f"target {name} is given twice")
        found[name] = value
    return found


def _read(name: str, value: Target | str) -> Target:
    if isinstance(value, str | Real):
        try:
            return parse_target(value if isinstance(value, str) else repr(float(value)))
        except ValueError as error:
            raise MolgenError(f"target {name}: {error}") from error
    if not isinstance(value, Range):
        raise MolgenError(f"target {name} is {value!r}, expected max, min, a number, or a range")
    return value
