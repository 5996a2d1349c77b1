"""Checks of whole numbers given by a caller."""

from __future__ import annotations

import operator
from typing import Any

from molgen.errors import MolgenError


def whole(name: str, value: Any, least: int = 1, most: int | None = None) -> int:
    """Return a whole number, NumPy's included, as an ``int``.

    Args:
        name: of the argument.
        value: given; neither a truth value nor a text is a number.
        least: smallest allowed number.
        most: largest; None for no limit.

    Raises:
        MolgenError: if it is not a whole number within the limits.
    """
    kind = "a whole number " if most is not None else ""
    limits = f"from {least} to {most}" if most is not None else f"at least {least}"
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)
    except TypeError as error:
        of = "" if most is not None else "of "
        raise MolgenError(f"{name} is {value!r}, expected a whole number {of}{limits}") from error
    if number < least or (most is not None and number > most):
        raise MolgenError(f"{name} is {number}, expected {kind}{limits}")
    return number
