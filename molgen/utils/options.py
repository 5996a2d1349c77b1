"""Options: dataclass fields with a default, a reader, a writer and a help text.

    temperature: float = number("divides log-probabilities; below 1 sharpens", default=1.0)

Presets, comparisons and the command line are derived from the fields of a class
(:func:`options_of`), so a new option is a new field. This module is imported for ``--help``, so it
imports no large library.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

from molgen.errors import MolgenError

WORDS, NUMBER, COUNT, EITHER = "words", "number", "count", "either"
UNBOUNDED = {"most": math.inf}
"""Metadata of a parameter in ``NAME:key=value`` whose number may exceed 1."""


@dataclass(frozen=True)
class Option:
    """The written form of a field.

    Attributes:
        name: of the field.
        key: in presets, in comparisons and, with dashes, on the command line.
        kind: ``"words"``; ``"number"``; ``"count"``, a whole number of at least 1; or ``"either"``,
            a number or words for several.
        default: in written form.
        help: its effect, for ``--help``.
        metavar: placeholder of its value in ``--help``.
        read: from the written form to the value.
        write: the inverse.
        choices: allowed words, if they are few.
        method: whether it is a part of the method, unlike strength, steps or speed.
        preset: whether it may be set in a preset.
        tries: values of the search space of tuning.
    """

    name: str
    key: str
    kind: str
    default: Any
    help: str
    metavar: str
    read: Callable[[Any], Any]
    write: Callable[[Any], Any]
    choices: Sequence[str] = ()
    method: bool = False
    preset: bool = False
    tries: Sequence[Any] = ()


def words(
    help: str,
    metavar: str,
    default: str,
    read: Callable[[str], Any] = str,
    write: Callable[[Any], Any] = str,
    key: str = "",
    value: Any = MISSING,
    factory: Any = MISSING,
    **more: Any,
) -> Any:
    """Return a field that is written in words.

    Args:
        help: see :class:`Option`.
        metavar: likewise.
        default: likewise.
        read: likewise.
        write: likewise.
        key: likewise; by default the field's name.
        value: default of the field, if it differs from the written form.
        factory: of that value.
        **more: see :class:`Option`.
    """
    about = {"kind": WORDS, "help": help, "metavar": metavar, "read": read, "write": write}
    about |= {"default": default, "key": key, **more}
    if factory is not MISSING:
        return field(default_factory=factory, metadata={"option": about})
    return field(default=value, metadata={"option": about})


def number(
    help: str,
    metavar: str,
    default: float,
    kind: str = NUMBER,
    read: Callable[[Any], Any] | None = None,
    write: Callable[[Any], Any] | None = None,
    **more: Any,
) -> Any:
    """Return a field that is written as a number; arguments as of :func:`words`."""
    about = {"kind": kind, "help": help, "metavar": metavar, "default": default, "key": "", **more}
    about |= {"read": read, "write": write or (lambda value: value)}
    return field(default=default, metadata={"option": about})


def options_of(*kinds: type) -> dict[str, Option]:
    """Return the options of classes by key, in the order of their fields."""
    found = {}
    for one in [f for kind in kinds for f in fields(kind) if "option" in f.metadata]:
        about = dict(one.metadata["option"])
        about["key"] = about["key"] or one.name
        if about["read"] is None:
            about["read"] = _reader(one.name)
        found[about["key"]] = Option(one.name, **about)
    return found


def _reader(name: str) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return float(value)
        except ValueError as error:
            raise MolgenError(f"{name} is {value!r}, expected a number") from error

    return read
