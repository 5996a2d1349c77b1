"""Arguments of a command as a campaign's file stores them, in JSON, by name.

A file states what was asked for in the words of the command line, so that the same request is
recognised, and another one is named by the argument that differs. Python functions are stored by
their name alone: nothing in a file is code.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from molgen.errors import MolgenError
from molgen.sampling.keywords import RECOMMENDED
from molgen.sampling.settings import BY_NAME
from property_models.registry import property_name

LEFT = str(RECOMMENDED)
"""Stored for a setting that is left to the model."""


def stored_arguments(
    command: Callable[..., Any], given: Mapping[str, Any], left_out: tuple[str, ...]
) -> dict[str, Any]:
    """Return all keyword arguments of a command in the form that is stored.

    Args:
        command: a verb of the public face.
        given: arguments; the others have their defaults.
        left_out: names that are not stored.

    Raises:
        TypeError: if an argument is unknown.
        MolgenError: if one cannot be stored.
    """
    parameters = inspect.signature(command).parameters
    unknown = [name for name in given if name not in parameters or name in left_out]
    if unknown:
        raise TypeError(f"a campaign got an unexpected keyword argument {unknown[0]!r}")
    found = {}
    for name, parameter in parameters.items():
        if name not in left_out:
            value = stored(given.get(name, parameter.default), name)
            # an empty list of the command line is no list at all
            found[name] = stored(parameter.default, name) if value in ([], {}) else value
    return found


def restored(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return stored arguments without the settings that are left to the model."""
    return {name: value for name, value in found.items() if value != LEFT}


def stored(value: Any, name: str) -> Any:
    """Return an argument in the form that is stored.

    Raises:
        MolgenError: if it has none.
    """
    if value is RECOMMENDED:
        return LEFT
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if name in BY_NAME:
        return BY_NAME[name].write(value)
    if isinstance(value, Mapping):
        return {property_name(key): stored(each, name) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [stored(each, name) for each in value]
    if isinstance(value, Path) or type(value).__name__ == "Range":
        return str(value)
    if hasattr(value, "GetNumAtoms"):
        from rdkit import Chem

        return str(Chem.MolToSmiles(value))
    if hasattr(value, "item"):  # a number of NumPy's
        return value.item()
    if callable(value):
        return property_name(value)
    raise MolgenError(f"{name} is {value!r}, which a campaign cannot store: expected words")
