"""Finding a user's function by its name: ``module:function`` or ``path/to/file.py:function``.

Importing a module runs it. A module is looked for in Python's path, then in the working directory;
a file is read again only if it has changed.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Any

from molgen.errors import MolgenError
from molgen.utils.imports import by_name, from_file


def find(name: str) -> Callable[..., Any]:
    """Return a function by its name; what its module prints goes to stderr.

    Raises:
        MolgenError: if there is no such module, file or function, or it cannot be imported.
    """
    source, _, path = name.rpartition(":")
    module = _file(Path(source), name) if source.endswith(".py") else _module(source, name)
    found: Any = module
    for part in path.split("."):
        if not hasattr(found, part):
            raise MolgenError(f"property {name!r}: {source} has no {path!r}")
        found = getattr(found, part)
    if not callable(found):
        raise MolgenError(
            f"property {name!r}: {path} is a {type(found).__name__}, expected a function"
        )
    function: Callable[..., Any] = found
    return function


def located(name: str) -> str:
    """Return a name that means the same in another working directory."""
    source, _, path = name.rpartition(":")
    return f"{Path(source).resolve()}:{path}" if source.endswith(".py") else name


def _module(source: str, name: str) -> ModuleType:
    try:
        with _working_directory(), redirect_stdout(sys.stderr):
            return by_name(source)
    except Exception as error:  # importing runs the user's code, which may raise anything
        raise MolgenError(f"property {name!r}: {_unimported(source, error)}") from error


def _file(path: Path, name: str) -> ModuleType:
    if not path.is_file():
        raise MolgenError(f"property {name!r}: there is no file {str(path)!r}")
    try:
        with redirect_stdout(sys.stderr):
            return _load(path.resolve(), path.stat().st_mtime_ns)
    except Exception as error:  # importing runs the user's code, which may raise anything
        raise MolgenError(f"property {name!r}: {_unimported(str(path), error)}") from error


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
