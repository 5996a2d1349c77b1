"""Arguments checked against their annotations, where a caller's values come in.

    @checked                        def design(model: Model, request: Request, ...)
    check_fields(self)              in ``__post_init__`` of a frozen dataclass

A wrong kind is then one line that names the argument, instead of an error from the depths. Numbers
of numpy are numbers, and any sequence but text is a sequence. Ranges of values are the business of
each function. Annotations that are imported for type checkers alone are not checked.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import functools
import inspect
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any, Literal, ParamSpec, TypeVar, Union, get_args, get_origin

from molgen.errors import MolgenError

P = ParamSpec("P")
T = TypeVar("T")

SHOWN = 60  # characters of a value in a message
LOOKED_AT = 1000  # items of a sequence that are checked
NAMES = {int: "a whole number", float: "a number", str: "text", bool: "True or False", None: "None"}
SEQUENCES = (Sequence, Iterable, collections.abc.Collection, list, set, frozenset)


def checked(function: Callable[P, T]) -> Callable[P, T]:
    """Check the arguments of each call of a function.

    Raises:
        MolgenError: then, naming the argument.
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        bound = signature.bind(*args, **kwargs)
        hints = _hints(function)
        for name, value in bound.arguments.items():
            if signature.parameters[name].kind is not inspect.Parameter.VAR_KEYWORD:
                check(name, value, hints.get(name, Any))
        return function(*args, **kwargs)

    return call


def check_fields(record: Any, names: Mapping[str, Any] | None = None) -> None:
    """Check the fields of a dataclass.

    Args:
        record: the dataclass.
        names: of types in its annotations that its module imports for type checkers alone.

    Raises:
        MolgenError: naming the field.
    """
    owner: Any = type(record)
    hints = _hints(owner, tuple((names or {}).items()))
    for field in dataclasses.fields(record):
        check(field.name, getattr(record, field.name), hints.get(field.name, Any))


def check(name: str, value: object, hint: Any) -> None:
    """Check that a value has a type.

    Raises:
        MolgenError: if not.
    """
    if not fits(value, hint):
        shown = " ".join(repr(value).split())
        shown = shown if len(shown) <= SHOWN else shown[: SHOWN - 3] + "..."
        raise MolgenError(f"{name} is {shown}, expected {described(hint)}")


def fits(value: Any, hint: Any) -> bool:  # one line a kind
    """Return whether a value has a type; an unknown kind of type fits everything."""
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin in (Union, types.UnionType):
        return any(fits(value, each) for each in inner)
    if origin is Literal:
        return isinstance(value, str) and value in inner
    if hint in (int, float):
        number = Integral if hint is int else Real
        return isinstance(value, number) and not isinstance(value, bool)
    kind = origin or hint
    if kind in (None, types.NoneType):
        return value is None
    if kind is collections.abc.Callable:
        return callable(value)
    if kind in SEQUENCES:
        return _is_sequence(value) and (not inner or all(fits(v, inner[0]) for v in _first(value)))
    if not isinstance(kind, type):
        return True
    if getattr(kind, "_is_protocol", False):
        return _has_members(value, kind)
    if not isinstance(value, kind):
        return False
    if kind is tuple and inner and inner[-1] is Ellipsis:
        return all(fits(v, inner[0]) for v in _first(value))
    if isinstance(value, Mapping) and len(inner) == 2:
        return all(fits(k, inner[0]) and fits(v, inner[1]) for k, v in value.items())
    return True


def described(hint: Any) -> str:
    """Return a type in words."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(map(described, inner)))
    if origin is Literal:
        return " or ".join(map(repr, inner))
    if hint in (None, types.NoneType):
        return "None"
    if origin in SEQUENCES or origin is tuple:
        items = [each for each in inner if each is not Ellipsis]
        return f"a list of {described(items[0])}" if len(items) == 1 else "a list"
    kind = origin or hint
    return NAMES.get(kind) or str(getattr(kind, "__name__", kind))


def _is_sequence(value: object) -> bool:
    """Return whether a value has items in order; arrays and columns of tables have, text not."""
    return hasattr(value, "__iter__") and not isinstance(value, str | bytes | Mapping)


def _first(items: Any) -> list[Any]:
    """Return the first items; none of an iterator, which can be read only once."""
    return list(items[:LOOKED_AT]) if isinstance(items, list | tuple) else []


def _has_members(value: object, kind: type) -> bool:
    """Return whether a value has the members of a protocol."""
    members = [n for n in (*vars(kind), *kind.__annotations__) if not n.startswith("_")]
    return all(hasattr(value, name) for name in members) and not isinstance(value, type)


@functools.cache
def _hints(owner: Any, names: tuple[tuple[str, Any], ...] = ()) -> dict[str, Any]:
    """Return the annotations that can be evaluated."""
    if isinstance(owner, type):
        found: dict[str, Any] = {}
        for each in reversed(owner.__mro__):
            found |= vars(each).get("__annotations__", {})
        module = inspect.getmodule(owner)
        scope = {**vars(module or object), **dict(names)}
    else:
        found, scope = dict(owner.__annotations__), owner.__globals__
    hints = {}
    for name, hint in found.items():
        try:
            hints[name] = eval(hint, scope) if isinstance(hint, str) else hint
        except (NameError, AttributeError, TypeError):  # imported for type checkers alone
            continue
    return hints
