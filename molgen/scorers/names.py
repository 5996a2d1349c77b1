"""Names of scorers: a scheme, what it names, and parameters, ``SCHEME:BODY,key=value,...``."""

from __future__ import annotations

import re
from collections.abc import Collection

from molgen.errors import MolgenError
from molgen.targets import SCHEMES as SCHEMES


def is_scorer(name: str) -> bool:
    """Return whether a name has the scheme of a scorer."""
    return name.startswith(SCHEMES)


def split(name: str, known: Collection[str]) -> tuple[str, dict[str, str]]:
    """Return the body of a name and its parameters.

    Args:
        name: without its scheme; a comma that no known parameter follows belongs to the body.
        known: keys of the parameters.

    Raises:
        MolgenError: if one is given twice.
    """
    body, *words = re.split(rf",(?=(?:{'|'.join(known)})=)", name)
    found: dict[str, str] = {}
    for word in words:
        key, _, value = word.partition("=")
        if key in found:
            raise MolgenError(f"{key} is given twice")
        found[key] = value
    return body, found


def whole(key: str, text: str, least: int, most: int) -> int:
    """Read a whole number.

    Raises:
        MolgenError: if it is none, or out of range.
    """
    value = int(text) if re.fullmatch(r"\d{1,9}", text) else -1
    if not least <= value <= most:
        raise MolgenError(f"{key} is {text!r}, expected a whole number from {least} to {most}")
    return value


def numbers(key: str, text: str, counts: Collection[int]) -> tuple[float, ...]:
    """Read finite numbers, separated by commas.

    Raises:
        MolgenError: if one is none, or their count is not among the allowed ones.
    """
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        found = ()
    if len(found) not in counts or not all(abs(value) < 1e6 for value in found):
        allowed = " or ".join(map(str, counts))
        raise MolgenError(f"{key} is {text!r}, expected {allowed} numbers, separated by commas")
    return found
