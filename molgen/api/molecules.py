"""Molecules as a caller has them: SMILES, RDKit molecules, arrays, series, frames, files.

One function reads them all. A single SMILES is one molecule, not its letters; a path is a file.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, Union, cast

from rdkit import Chem

from molgen.data.carried import Columns, distinct
from molgen.data.cleaning import clean
from molgen.data.headings import candidates
from molgen.data.reading import Table, bare, read_table
from molgen.data.text_file import STDIN
from molgen.errors import MolgenError
from molgen.molecules.parents import parent
from molgen.molecules.parsing import LABEL, Molecule, canonical, interpret, interpret_all
from molgen.sampling.result import Result
from molgen.utils.hints import one_of

if TYPE_CHECKING:
    import pandas as pd

MoleculesLike: TypeAlias = Union[
    str, Path, Chem.Mol, Iterable[str | Chem.Mol | None], "pd.DataFrame", Result[Any]
]
"""A file, one molecule, several in any container, or a table with a column of them."""


@dataclass(frozen=True)
class Read:
    """The molecules of a caller, with a record of the reading.

    Attributes:
        raw: SMILES of each row, possibly empty.
        single: whether one molecule is given, rather than several or a file.
        notes: lines on the reading of a file.
        facts: the same for JSON.
        table: of a file, with line numbers; None for molecules in memory.
        others: the other columns of a file or table by heading, if requested; else none.
    """

    raw: list[str]
    single: bool = False
    notes: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    table: Table | None = None
    others: Columns = field(default_factory=dict)


def read_molecules(
    molecules: MoleculesLike,
    name: str = "molecules",
    column: str | None = None,
    *,
    drawn: bool = False,
    check: bool = True,
    option: str = "column",
    others: bool = False,
) -> Read:
    """Read molecules.

    Args:
        molecules: in any form.
        name: of the argument, for messages.
        column: of the SMILES in a file or a frame; None for the usual ones.
        drawn: see :func:`molgen.data.reading.read_table`.
        check: likewise.
        option: likewise.
        others: whether to keep the other columns of a file or table.

    Raises:
        MolgenError: if they cannot be read, or there are none.
        OSError: if the file cannot be opened.
    """
    if isinstance(molecules, Path) or is_file(molecules):
        path = str(molecules)
        table = read_table(path, column, drawn=drawn, check=check, option=option, others=others)
        return Read(list(table.raw), False, table.notes(), table.facts(), table, table.others)
    if isinstance(molecules, Result):
        molecules = molecules.table
    carried: Columns = {}
    if hasattr(molecules, "columns"):
        frame = cast("pd.DataFrame", molecules)
        place = smiles_column(frame, name, column, drawn)
        carried = other_columns(frame, place) if others else {}
        molecules = frame.iloc[:, place]
    elif column is not None:
        raise MolgenError(f"{option} is {column!r}, but {name} is no file or table: expected one")
    if isinstance(molecules, str | Chem.Mol):
        text = bare(_text(molecules, name))
        found = parent(interpret(text))  # of a salt the organic fragment
        if check and not found.ok:
            raise MolgenError(f"{name} is {text!r}, expected a file or a molecule: {found.status}")
        return Read([text], True, [], {"rows": 1})
    try:
        raw = [_text(one, name) for one in molecules]
    except TypeError as error:
        raise MolgenError(f"{name} is {molecules!r}, expected SMILES or molecules") from error
    if not raw:
        raise MolgenError(f"{name} is empty, expected at least one molecule")
    return Read(raw, False, [], {"rows": len(raw)}, None, carried)


def is_file(text: object) -> bool:
    """Return whether a text or a path is that of a file; False for one that no system allows."""
    return isinstance(text, str | Path) and (str(text) == STDIN or os.path.isfile(text))


def parents(raw: Sequence[str], workers: int = 1, label: str = "molecules") -> list[Molecule]:
    """Return given (not sampled) molecules: of salts the largest organic fragment."""
    return [parent(molecule) for molecule in interpret_all(raw, workers, label)]


def lead(molecule: Molecule) -> str:
    """Return a lead with the atom order of the input; of a salt, the organic fragment."""
    if not molecule.ok or "." not in molecule.raw:
        return molecule.raw
    parts = molecule.raw.split(".")
    return next((part for part in parts if canonical(part) == molecule.smiles), molecule.smiles)


def reference(
    molecules: MoleculesLike, column: str | None = None, workers: int = 1
) -> tuple[list[str], Read]:
    """Return the molecules of a reference, as SMILES, and a record of the reading.

    Repeated molecules are kept, and so is the SMILES of a single molecule as written.

    Raises:
        MolgenError: if none can be read.
    """
    read = read_molecules(molecules, "reference", column, option="reference-column")
    whole = parents(read.raw, workers, "reference")
    found = [m.smiles if "." in m.raw or LABEL.search(m.raw) else m.raw for m in whole if m.ok]
    unreadable = len(whole) - len(found)
    source = read.facts.get("file", "reference")
    if not found:
        raise MolgenError(f"{source}: no molecule among its {len(whole):,} rows")
    notes = list(read.notes)
    if unreadable:
        notes.append(f"{source}: {unreadable:,} of {len(whole):,} rows are invalid")
    return found, Read(read.raw, False, notes, {**read.facts, "unreadable": unreadable})


def training_molecules(
    molecules: MoleculesLike,
    column: str | None = None,
    workers: int = 1,
    name: str = "molecules",
    option: str = "column",
) -> tuple[list[str], Read]:
    """Return the molecules of a training set, as canonical SMILES, and a record of the reading.

    Args:
        molecules: in any form.
        column: of the SMILES in a file or a frame.
        workers: number of processes.
        name: of the argument, for messages.
        option: that names the column, for messages.

    Raises:
        MolgenError: if none can be read.
    """
    read = read_molecules(molecules, name, column, option=option)
    table = read.table or table_of(read)
    cleaned = clean(table, processes=workers, progress=True)
    notes = [*read.notes, f"{table.source}: {cleaned.summary()}"]
    return cleaned.smiles, Read([], False, notes, {**read.facts, "cleaned": cleaned.counts})


def table_of(read: Read) -> Table:
    """Return molecules in memory as the table that a file would be."""
    return Table("molecules", tuple(read.raw), tuple(range(1, len(read.raw) + 1)))


def smiles_column(frame: Any, name: str, column: str | None, drawn: bool) -> int:
    """Return the place of the column of molecules in a frame.

    Raises:
        MolgenError: if there is none.
    """
    header = [str(heading) for heading in frame.columns]
    if column is not None and column not in header:
        raise MolgenError(f"column is {column!r}, {one_of(column, header)}")
    places = candidates(tuple(header), drawn)
    if column is None and not places:
        raise MolgenError(f"{name} has no column smiles, only {', '.join(header)}: name it: column")
    return header.index(column) if column is not None else places[0]


def other_columns(frame: Any, place: int) -> Columns:
    """Return the columns of a frame beside that of the molecules."""
    found: dict[str, Any] = {}
    for i, heading in enumerate(map(str, frame.columns)):
        if i != place:
            found[distinct(heading, found)] = frame.iloc[:, i].tolist()
    return found


def _text(one: Any, name: str) -> str:
    """Return the SMILES of a molecule; empty for a missing one."""
    if isinstance(one, str):
        return one.strip()
    if isinstance(one, Chem.Mol):
        return str(Chem.MolToSmiles(one))
    if one is None or (isinstance(one, float) and one != one):
        return ""
    raise MolgenError(f"{name} has {one!r}, expected SMILES or an RDKit molecule")
