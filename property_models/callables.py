"""Python functions as properties: ``module:function``, or ``path/to/file.py:function``.

A plain function takes one sanitised RDKit molecule and returns a number. A function marked with
:func:`vectorised` takes a list of canonical SMILES, at most 100 of them, and returns one number for
each, for scores that are cheaper in batches. Its name, possibly dotted, follows the colon::

    # scores.py
    from property_models import vectorised

    def fluorines(mol):
        return sum(atom.GetSymbol() == "F" for atom in mol.GetAtoms())

    @vectorised(unit="kcal/mol", direction="min")
    def docking(smiles):
        return dock(smiles)

A function is also a property as it is, by its own name (:func:`give`). A module is imported from
Python's path, then from the working directory. A failure inside the function costs the molecule its
value, and is counted and reported (:mod:`property_models.scorers`). A name of a module runs code,
so it is read only from the user, never from a file.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast, overload

from molgen.errors import MolgenError
from property_models.property import Direction, Property
from property_models.scorers import Scorer
from property_models.user_functions import find, located

Function = TypeVar("Function", bound=Callable[..., Any])
MARK = "__molgen_property__"
_refused_from: list[str] = []  # files whose names of functions are not run


@overload
def described(unit: Function) -> Function: ...


@overload
def described(
    unit: str = "", direction: Direction = "none", integer: bool = False
) -> Callable[[Function], Function]: ...


def described(unit: Any = "", direction: Direction = "none", integer: bool = False) -> Any:
    """Add a unit and a direction to a function of one molecule, as a decorator.

    Args:
        unit: of the number.
        direction: whether more (``max``) or less (``min``) is better.
        integer: whether only whole numbers occur.
    """
    return _marked(unit, direction, integer, batched=False)


@overload
def vectorised(unit: Function) -> Function: ...


@overload
def vectorised(
    unit: str = "", direction: Direction = "none", integer: bool = False
) -> Callable[[Function], Function]: ...


def vectorised(unit: Any = "", direction: Direction = "none", integer: bool = False) -> Any:
    """Mark a function that takes a list of canonical SMILES and returns one number for each.

    With or without arguments: ``@vectorised``, or ``@vectorised(unit="kcal/mol")``.

    Args:
        unit: of the numbers.
        direction: whether more (``max``) or less (``min``) is better.
        integer: whether only whole numbers occur.
    """
    return _marked(unit, direction, integer, batched=True)


_given: dict[str, Property] = {}


def give(found: Property | Callable[..., Any]) -> Property:
    """Make a function, or a property of the user's own, a property by its name.

    A function defined again, as in a cell of a notebook that runs again, replaces the one before.

    Raises:
        MolgenError: if it has no name.
    """
    own = found if isinstance(found, Property) else from_function(found)
    if not own.name or own.name == "<lambda>":
        raise MolgenError("property is a function without a name, expected one made by def")
    before = _given.get(own.name)
    if before is not None and _function(before) is _function(own):
        return before  # its processes go on
    _given[own.name] = own
    return own


def given(name: str) -> Property | None:
    """Return the property that :func:`give` made, or None."""
    return _given.get(name)


def _function(found: Property) -> Callable[..., Any]:
    """Return the user's own function of a property."""
    own: Any = found.function
    while isinstance(own, Scorer):
        own = own.function
    return cast(Callable[..., Any], own)


def from_function(function: Callable[..., Any], name: str = "") -> Property:
    """Return a Python function as a property.

    Args:
        function: of one RDKit molecule, or :func:`vectorised`.
        name: of the property; by default the function's own.
    """
    return _property(function, name or getattr(function, "__name__", "property"))


def _property(function: Callable[..., Any], name: str, source: str = "") -> Property:
    mark = {"unit": "", "direction": "none", "integer": False, "batched": False}
    mark |= getattr(function, MARK, {})
    about = (getattr(function, "__doc__", None) or "").strip().split("\n")[0]
    return Property(
        name,
        str(mark["unit"]),
        mark["direction"],  # type: ignore[arg-type]
        Scorer(name, function, bool(mark["batched"]), source),
        bool(mark["integer"]),
        about,
        batched=True,
    )


def named(name: str) -> Property:
    """Return the property ``module:function`` or ``file.py:function``.

    Raises:
        MolgenError: if there is no such module, file or function, or it cannot be imported.
    """
    return _property(find(name), name, located(name))


def check_named_by_user(name: str, functions: bool = True) -> None:
    """Check that a function, a command, an endpoint or docking is named by the user.

    Args:
        name: of the property.
        functions: whether the name is the user's, and not a file's.

    Raises:
        MolgenError: if its name is that of a file (also in :func:`refused`).
    """
    if not functions:
        raise MolgenError(
            f"property {name!r} is a function named in a file, and these are never run: give "
            "its name as an option, or its values as a column"
        )
    if _refused_from:
        raise MolgenError(
            f"{_refused_from[-1]}: {name!r} is a function named in a file, expected "
            "--allow-functions to run it"
        )


@contextmanager
def refused(source: str) -> Iterator[None]:
    """Refuse functions by name in the block: the names are those of a file.

    Args:
        source: the file, for messages.
    """
    _refused_from.append(source)
    try:
        yield
    finally:
        _refused_from.pop()


def files(scorer: Scorer) -> list[Path]:
    """Return the file of the module in which a function was found."""
    module = scorer.source.rpartition(":")[0]
    source = module if module.endswith(".py") else getattr(sys.modules.get(module), "__file__", "")
    return [Path(source)] if source else []


def _marked(unit: Any, direction: Direction, integer: bool, batched: bool) -> Any:
    """Return a decorator, or the function itself that was decorated without arguments."""
    bare = callable(unit)
    mark = {"unit": "" if bare else unit, "direction": direction, "integer": integer}

    def decorate(function: Function) -> Function:
        setattr(function, MARK, {**mark, "batched": batched})
        return function

    return decorate(unit) if bare else decorate
