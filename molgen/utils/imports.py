"""Modules imported at run time: optional extras, and files of Python.

This is the only place that does so; all other modules are imported by name, visible to readers and
linters.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
from pathlib import Path
from types import ModuleType

from molgen.version import DISTRIBUTION


def installed(package: str) -> bool:
    """Return whether a package can be imported, without importing it."""
    return importlib.util.find_spec(package) is not None


def folder_of(package: str) -> Path | None:
    """Return the folder of an installed package, without importing it; None if there is none."""
    found = importlib.util.find_spec(package)
    places = found.submodule_search_locations if found is not None else None
    return Path(places[0]) if places else None


def version(distribution: str) -> str:
    """Return the version of an installed distribution, without importing it; empty if unknown."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""


def install(extra: str) -> str:
    """Return the command that installs an extra of this distribution."""
    return f"pip install '{DISTRIBUTION}[{extra}]'"


def by_name(module: str) -> ModuleType:
    """Return a module by its dotted name; importing it runs it, and may raise anything."""
    return importlib.import_module(module)


def from_file(path: Path, name: str) -> ModuleType:
    """Return a file of Python as a module; importing it runs it, and may raise anything.

    Args:
        path: of the file.
        name: of the module, which is not added to ``sys.modules``.

    Raises:
        ImportError: if it is no Python source.
    """
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python source")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
