"""The methods of a search, in words: ``metropolis``, ``best-of-n``, ``surrogate:batch=5``."""

from __future__ import annotations

import dataclasses
from typing import Any

from molgen.discovery.best_of import BestOf
from molgen.discovery.metropolis import Metropolis
from molgen.discovery.search_state import Method
from molgen.discovery.smc import SequentialMonteCarlo
from molgen.discovery.surrogate import Surrogate
from molgen.errors import MolgenError
from molgen.utils.hints import hint, one_of

METHODS: dict[str, Any] = {
    "metropolis": Metropolis,
    "best-of-n": BestOf,
    "smc": SequentialMonteCarlo,
    "surrogate": Surrogate,
}


def read_method(text: str) -> Method:
    """Read ``metropolis``, ``best-of-n``, ``smc`` or ``surrogate``, or ``NAME:key=value,...``.

    Raises:
        MolgenError: naming the value and the allowed ones.
    """
    name, _, rest = text.partition(":")
    if name not in METHODS:
        raise MolgenError(f"method is {name!r}, {one_of(name, METHODS)}")
    allowed = {f.name: f.default for f in dataclasses.fields(METHODS[name])}
    values: dict[str, Any] = {}
    for pair in filter(None, rest.split(",")):
        key, equals, value = (part.strip() for part in pair.partition("="))
        if not equals or key not in allowed:
            raise MolgenError(
                f"{name} has no parameter {pair!r}, expected {', '.join(allowed) or 'none'}"
                f" as key=value{hint(key, allowed)}"
            )
        values[key] = _number(f"{name}'s {key}", value, type(allowed[key]))
    return METHODS[name](**values)


def _number(name: str, text: str, kind: type) -> Any:
    """Read a number of a kind: a switch is 0 or 1."""
    try:
        value = float(text)
        if kind is float:
            return value
        if value.is_integer() and (kind is int or value in (0, 1)):
            return kind(value)
    except ValueError:
        pass
    kinds = {float: "a number", int: "a whole number", bool: "0 or 1"}
    raise MolgenError(f"{name} is {text!r}, expected {kinds[kind]}")
