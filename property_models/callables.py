"""Python functions as properties: ``module:function``, or ``path/to/file.py:function``.

A plain function takes one sanitised RDKit molecule and returns a number, or None if undefined. A
function marked with :func:`vectorised` takes a list of canonical SMILES and returns one number for
each, for scores that are cheaper in batches. Its name, possibly dotted, follows the colon::

    # scores.py
    from property_models import vectorised

    def fluorines(mol):
        return sum(atom.GetSymbol() == "F" for atom in mol.GetAtoms())

    @vectorised(unit="kcal/mol", direction="min")
    def docking(smiles):
        return dock(smiles)

A module is imported from Python's path, then from the working directory. An error inside the
function is raised as one ``ValueError`` with the names of the function and the molecule, and never
becomes a NaN. Such a name runs code, so it is read only from the user, never from a file.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from molgen.utils.imports import by_name, from_file
from property_models.property import Direction, Property

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
    guard = _many if mark["batched"] else _one
    about = (getattr(function, "__doc__", None) or "").strip().split("\n")[0]
    return Property(
        name,
        str(mark["unit"]),
        mark["direction"],  # type: ignore[arg-type]
        functools.partial(guard, name, function),
        bool(mark["integer"]),
        about,
        bool(mark["batched"]),
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


def _one(name: str, function: Callable[[Any], Any], mol: Chem.Mol) -> float | None:
    """Call the user's function with one molecule; errors have the molecule's SMILES."""
    try:
        result = function(mol)
        return None if result is None else float(result)
    except Exception as error:
        raise ValueError(f"{_failed(name, error)} on {Chem.MolToSmiles(mol)!r}") from error


def _many(
    name: str, function: Callable[[Any], Any], mols: Sequence[Chem.Mol]
) -> NDArray[np.float64]:
    """Call the user's function with a batch; errors have the first molecule's SMILES."""
    smiles = [Chem.MolToSmiles(mol) for mol in mols]
    try:
        found = np.array([np.nan if y is None else float(y) for y in function(list(smiles))])
    except Exception as error:
        batch = f"a batch of {len(smiles)} that starts with " if len(smiles) > 1 else ""
        raise ValueError(f"{_failed(name, error)} on {batch}{smiles[0]!r}") from error
    if len(found) != len(smiles):
        raise ValueError(
            f"property {name!r}: the function returned {len(found)} numbers for {len(smiles)} "
            "molecules"
        )
    return found


def _failed(name: str, error: Exception) -> str:
    reason = " ".join(str(error).split())
    kind = type(error).__name__ + (f": {reason}" if reason else "")
    return f"property {name!r}: the function failed ({kind})"


def _module(source: str, name: str) -> ModuleType:
    try:
        with _working_directory():
            return by_name(source)
    except Exception as error:  # importing runs the user's code, which may raise anything
        raise ValueError(f"property {name!r}: {_unimported(source, error)}") from error


def _file(path: Path, name: str) -> ModuleType:
    if not path.is_file():
        raise ValueError(f"property {name!r}: there is no file {str(path)!r}")
    try:
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
