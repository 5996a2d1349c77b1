"""Reading the molecules of a user's file for a command, and saying on stderr what was read.

It is said once everything asked for has been checked: bad input is one line and nothing else.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from molgen.molecules.parsing import Molecule
    from molgen.molecules.training_index import TrainingIndex


def cores() -> int:
    """Return how many cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux alone has it
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def note(lines: Sequence[str]) -> None:
    """Print lines on standard error: what was read is told beside the result, never in it."""
    for line in lines:
        print(line, file=sys.stderr)


def given(raw: Sequence[str], workers: int = 1, label: str = "molecules") -> list[Molecule]:
    """Return molecules that are given rather than drawn: of salts the largest organic fragment."""
    from molgen.molecules.parents import parent
    from molgen.molecules.parsing import interpret_all

    return [parent(molecule) for molecule in interpret_all(raw, workers, label)]


@dataclass(frozen=True)
class Read:
    """What was read of a file.

    Attributes:
        notes: for the screen.
        facts: for JSON.
    """

    notes: list[str]
    facts: dict[str, Any]


def reference(path: str, column: str | None, workers: int = 1) -> tuple[list[str], Read]:
    """Return the molecules of a file to compare with, as SMILES, and what was read.

    Repeated ones stay, and so does the spelling of what is one molecule.

    Raises:
        ValueError: if none can be read.
    """
    from molgen.data.reading import read_table
    from molgen.molecules.parsing import LABEL

    table = read_table(path, column, option="reference-column")
    molecules = given(table.raw, workers, "reference")
    found = [m.smiles if "." in m.raw or LABEL.search(m.raw) else m.raw for m in molecules if m.ok]
    unreadable = len(molecules) - len(found)
    if not found:
        raise ValueError(f"{path}: no molecule among its {len(table):,} rows")
    notes = table.notes()
    if unreadable:
        notes.append(f"{table.source}: {unreadable:,} of {len(table):,} rows are no molecule")
    return found, Read(notes, {**table.facts(), "unreadable": unreadable})


def known_molecules(
    name: str, column: str | None = None, workers: int = 1
) -> tuple[TrainingIndex, Read]:
    """Return the index of a model, or that of a file of SMILES as training would make it.

    Returns:
        The index, and what was read.

    Raises:
        ValueError: if it is neither, or the model has no index.
    """
    from molgen.checkpoints.files import INDEX, find
    from molgen.checkpoints.hub import locate
    from molgen.molecules.training_index import TrainingIndex

    if Path(name).is_file():
        from molgen.data.cleaning import clean
        from molgen.data.reading import read_table

        table = read_table(name, column, option="train-column")
        cleaned = clean(table, processes=workers, progress=True)
        notes = [*table.notes(), f"{table.source}: {cleaned.summary()}"]
        index = TrainingIndex.from_smiles(cleaned.smiles, False, workers, "known molecules")
        return index, Read(notes, {**table.facts(), "cleaned": cleaned.counts})
    if column is not None:
        raise ValueError(f"train-column is {column!r}, but {name!r} is a model: expected a file")
    path = find(locate(name), INDEX)
    if not path.is_file():
        raise ValueError(f"model {name!r} has no index of known molecules")
    return TrainingIndex.load(path), Read([], {"model": name})
