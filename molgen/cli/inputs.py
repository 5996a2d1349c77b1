"""Reading the molecules of a user's file for a command that takes any list of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from molgen.molecules.training_index import KnownMolecules

COLUMNS = ("raw", "smiles")


def cores() -> int:
    """Return how many cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux alone has it
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def texts(path: str, column: str | None) -> list[str]:
    """Return the strings of a file, blanks around them removed.

    They are those of the column named, else ``raw``, else ``smiles`` (both in any case), else the
    only column there is; where that one is headed by a molecule, there is no header line.

    Raises:
        ValueError: if there is no such column, naming those there are, if the file has no rows or
            cannot be read.
    """
    from molgen.data.tables import read_table

    frame: pd.DataFrame = read_table(path)
    names = [str(name) for name in frame.columns]
    name = _choose(path, names, column)
    found = ["" if cell is None or cell != cell else str(cell).strip() for cell in frame[name]]
    if column is None and name.casefold() not in COLUMNS:
        from molgen.molecules.parsing import parse

        found = [name, *found] if parse(name) else found
    if not found:
        raise ValueError(f"{path}: a header line and no rows")
    return found


def _choose(path: str, names: Sequence[str], column: str | None) -> str:
    """Return the name of the column to read."""
    if column is not None and column in names:
        return column
    folded = {name.casefold(): name for name in reversed(names)}
    for wanted in [column.casefold()] if column else COLUMNS:
        if wanted in folded:
            return folded[wanted]
    if column is None and len(names) == 1:
        return names[0]
    wanted = repr(column) if column else "raw or smiles"
    hint = "" if column else "; name another with --column"
    raise ValueError(f"{path} has no column {wanted}; it has {', '.join(names)}{hint}")


def known_molecules(name: str, workers: int = 1) -> KnownMolecules:
    """Return the index of a model, or that of a file of SMILES.

    Raises:
        ValueError: if it is neither, or the model has no index.
    """
    from molgen.checkpoints.files import INDEX
    from molgen.checkpoints.hub import locate
    from molgen.molecules.training_index import KnownMolecules

    if Path(name).is_file():
        smiles = texts(name, None)
        return KnownMolecules.from_smiles(smiles, processes=workers, progress="known molecules")
    index = locate(name) / INDEX
    if not index.is_file():
        raise ValueError(f"model {name!r} has no index of known molecules")
    return KnownMolecules.load(index)
