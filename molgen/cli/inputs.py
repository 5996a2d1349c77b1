"""Reading the molecules of a user's file for a command, with notes on standard error.

Notes are printed after all arguments have been checked: bad input is one line and nothing else.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from molgen.errors import MolgenError

if TYPE_CHECKING:
    from molgen.molecules.parsing import Molecule
    from molgen.molecules.training_index import TrainingIndex


FILE = "csv, tsv, smi, sdf, parquet or xlsx, text also gzipped; - for standard input"


def note(lines: Sequence[str]) -> None:
    """Print lines on standard error, separate from the result."""
    for line in lines:
        print(line, file=sys.stderr)


def given(raw: Sequence[str], workers: int = 1, label: str = "molecules") -> list[Molecule]:
    """Return given (not sampled) molecules: of salts the largest organic fragment."""
    from molgen.molecules.parents import parent
    from molgen.molecules.parsing import interpret_all

    return [parent(molecule) for molecule in interpret_all(raw, workers, label)]


@dataclass(frozen=True)
class Read:
    """A record of the reading of a file.

    Attributes:
        notes: for the terminal.
        facts: for JSON.
    """

    notes: list[str]
    facts: dict[str, Any]


def reference(path: str, column: str | None, workers: int = 1) -> tuple[list[str], Read]:
    """Return the molecules of a reference file, as SMILES, and a record of the reading.

    Repeated molecules are kept, and so is the SMILES of a single molecule as written.

    Raises:
        MolgenError: if none can be read.
    """
    from molgen.data.reading import read_table
    from molgen.molecules.parsing import LABEL

    table = read_table(path, column, option="reference-column")
    molecules = given(table.raw, workers, "reference")
    found = [m.smiles if "." in m.raw or LABEL.search(m.raw) else m.raw for m in molecules if m.ok]
    unreadable = len(molecules) - len(found)
    if not found:
        raise MolgenError(f"{path}: no molecule among its {len(table):,} rows")
    notes = table.notes()
    if unreadable:
        notes.append(f"{table.source}: {unreadable:,} of {len(table):,} rows are invalid")
    return found, Read(notes, {**table.facts(), "unreadable": unreadable})


def training_molecules(
    path: str, column: str | None, workers: int, option: str = "column"
) -> tuple[list[str], Read]:
    """Return the molecules of a training file, as canonical SMILES, and a record of the reading.

    Raises:
        MolgenError: if none can be read.
    """
    from molgen.data.cleaning import clean
    from molgen.data.reading import read_table

    table = read_table(path, column, option=option)
    cleaned = clean(table, processes=workers, progress=True)
    notes = [*table.notes(), f"{table.source}: {cleaned.summary()}"]
    return cleaned.smiles, Read(notes, {**table.facts(), "cleaned": cleaned.counts})


def training_index(
    name: str, column: str | None = None, workers: int = 1, inchi: bool = False
) -> tuple[TrainingIndex, Read]:
    """Return the training-set index of a model, or one made from a file of SMILES.

    Args:
        name: of the model or the file.
        column: of the file.
        workers: number of processes.
        inchi: whether an index made from a file has InChIKeys.

    Returns:
        The index, and a record of the reading.

    Raises:
        MolgenError: if it is neither, or the model has no index.
    """
    from molgen.checkpoints.files import INDEX, find
    from molgen.checkpoints.hub import locate
    from molgen.molecules.training_index import TrainingIndex

    if Path(name).is_file():
        smiles, read = training_molecules(name, column, workers, "train-column")
        label = "training-set index"
        return TrainingIndex.from_smiles(smiles, False, workers, label, inchi), read
    if column is not None:
        raise MolgenError(f"train-column is {column!r}, but {name!r} is a model: expected a file")
    path = find(locate(name), INDEX)
    if not path.is_file():
        raise MolgenError(f"model {name!r} has no training-set index")
    return TrainingIndex.load(path), Read([], {"model": name})
