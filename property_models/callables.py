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

A module is imported from Python's path, then from the working directory. A failure inside the
function costs the molecule its value, and is counted and reported (:mod:`property_models.scorers`).
Such a name runs code, so it is read only from the user, never from a file.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

from molgen.utils.imports import by_name, from_file
from property_models.property import Direction, Property
from property_models.scorers import Scorer

if TYPE_CHECKING:
    from collections.abc import Iterator

Function = TypeVar("Function", bound=Callable[..., Any])
MARK = "__molgen_property__"


def described(
    unit: str = "", direction: Direction = "none", integer: bool = False
) -> Callable[[Function], Function]:
    """Add a unit and a direction to a function of one molecule, as a decorator.

    Args:
        unit: of the number.
        direction: whether more (``max``) or less (``min``) is better.
        integer: whether only whole numbers occur.
    """
    return _marker({"unit": unit, "direction": direction, "integer": integer, "batched": False})


def vectorised(
    unit: str = "", direction: Direction = "none", integer: bool = False
) -> Callable[[Function], Function]:
    """Mark a function that takes a list of canonical SMILES and returns one number for each.

    Args:
        unit: of the numbers.
        direction: whether more (``max``) or less (``min``) is better.
        integer: whether only whole numbers occur.
    """
    return _marker({"unit": unit, "direction": direction, "integer": integer, "batched": True})


def from_function(function: Callable[..., Any], name: str = "") -> Property:
    """Return a Python function as a property.

    Args:
        function: of one RDKit molecule, or :func:`vectorised`.
        name: of the property; by default the function's own.
    """
    mark = {"unit": "", "direction": "none", "integer": False, "batched": False}
    mark |= getattr(function, MARK, {})
    name = name or getattr(function, "__name__", "property")
    about = (getattr(function, "__doc__", None) or "").strip().split("\n")[0]
    return Property(
        name,
        str(mark["unit"]),
        mark["direction"],  # type: ignore[arg-type]
        Scorer(name, function, bool(mark["batched"])),
        bool(mark["integer"]),
        about,
        batched=True,
    )


def named(name: str) -> Property:
    """Return the property ``module:function`` or ``file.py:function``.

    Raises:
        ValueError: if there is no such module, file or function, or it cannot be imported.
    """
    source, _, path = name.rpartition(":")
    module = _file(Path(source), name) if source.endswith(".py") else _module(source, name)
    found: Any = module
    for part in path.split("."):
        if not hasattr(found, part):
            raise ValueError(f"property {name!r}: {source} has no {path!r}")
        found = getattr(found, part)
    if not callable(found):
        raise ValueError(
            f"property {name!r}: {path} is a {type(found).__name__}, expected a function"
        )
    return from_function(found, name)


def _marker(mark: dict[str, Any]) -> Callable[[Function], Function]:
    def decorate(function: Function) -> Function:
        setattr(function, MARK, mark)
        return function

    return decorate


def _module(source: str, name: str) -> ModuleType:
    try:
        with _working_directory(), redirect_stdout(sys.stderr):
            return by_name(source)
    except Exception as error:  # importing runs the user's code, which may raise anything
        raise ValueError(f"property {name!r}: {_unimported(source, error)}") from error


def _file(path: Path, name: str) -> ModuleType:
    if not path.is_file():
        raise ValueError(f"property {name!r}: there is no file {str(path)!r}")
    try:
        with redirect_stdout(sys.stderr):
            return _load(path.resolve(), path.stat().st_mtime_ns)
    except Exception as error:  # importing runs the user's code, which may raise anything
        raise ValueError(f"property {name!r}: {_unimported(str(path), error)}") from error


def _unimported(source: str, error: Exception) -> str:
    return f"{source!r} cannot be imported ({type(error).__name__}: {error})"


@functools.lru_cache(maxsize=64)
def _load(path: Path, modified: int) -> ModuleType:
    """Return a file's module, read again only if the file has changed."""
    return from_file(path, f"molgen_user_{path.stem}")


@contextmanager
def _working_directory() -> Iterator[None]:
    """Append the working directory to Python's path within the context."""
    here = str(Path.cwd())
    sys.path.append(here)
    try:
        yield
    finally:
        if here in sys.path:
            sys.path.reverse()
            sys.path.remove(here)
            sys.path.reverse()
