"""Scaffolds as a caller gives them: SMILES, molecules, files, and how they may change."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from rdkit import Chem

from molgen.constraints import scaffolds
from molgen.constraints.scaffolds import Constraint, Task
from molgen.data.carried import carry
from molgen.data.headings import SCAFFOLD
from molgen.data.reading import Table, read_table
from molgen.errors import MolgenError

if TYPE_CHECKING:
    import pandas as pd

ATOMS = re.compile(r"\d+(-\d+)?(,\d+(-\d+)?)*")
MOST_ATOMS = 10_000  # larger indices are typing errors

Scaffold: TypeAlias = Constraint | str | Chem.Mol
ScaffoldsLike: TypeAlias = Scaffold | Sequence[Scaffold] | None
"""One or several: SMILES with attachment points ``*``, or RDKit molecules with dummy atoms."""
AtomsLike: TypeAlias = str | Sequence[int] | None
"""SMARTS, or numbers from 0 in the order of the SMILES: ``[0, 3, 5]`` or ``"0,3,5-8"``."""


def constraints_of(
    scaffold: ScaffoldsLike,
    scaffold_file: str | Path | None = None,
    superstructure: bool = False,
    keep: AtomsLike = None,
    change: AtomsLike = None,
) -> tuple[tuple[Constraint, ...], Table | None]:
    """Return constraints, and the file of scaffolds, if there is one.

    Args:
        scaffold: one or several.
        scaffold_file: one scaffold a line (.smi, .txt), or a table (.csv, .tsv) with a column
            scaffold or smiles.
        superstructure: whether a scaffold without attachment points may grow anywhere.
        keep: scaffolds are whole leads of which these atoms are kept and all others may change.
        change: atoms that may change, in place of ``keep``.

    Raises:
        MolgenError: if a scaffold cannot be read, with the line number in a file, or arguments
            conflict.
    """
    several = [scaffold] if isinstance(scaffold, Scaffold) else list(scaffold or ())
    found: list[tuple[str, Scaffold]] = [("", one) for one in several]
    table = None
    if scaffold_file is not None:
        how: dict[str, Any] = {"prefer": SCAFFOLD, "check": False, "option": ""}
        table = read_table(scaffold_file, **how, others=True, extended=True)
        places = (f"{scaffold_file}, line {line}" for line in table.lines)
        found += zip(places, table.raw, strict=True)
    given = {"keep": keep is not None, "change": change is not None}
    given |= {"superstructure": superstructure}
    flags = [name for name, is_given in given.items() if is_given]
    if flags and not found:
        raise MolgenError(f"{flags[0]} is given without scaffold or scaffold-file")
    if len(flags) > 1:
        raise MolgenError(f"{' and '.join(flags)} are given, expected one of them at most")
    if superstructure and all(isinstance(text, str) and "*" in text for _, text in found):
        raise MolgenError(
            "superstructure is given, but every scaffold has attachment points, expected a "
            "scaffold without *"
        )
    limits = superstructure, atoms(keep), atoms(change)
    return tuple(_constraint(place, text, *limits) for place, text in found), table


def carry_scaffolds(frame: pd.DataFrame, file: Table) -> pd.DataFrame:
    """Return a table with the other columns of the file of scaffolds.

    Args:
        frame: with the column ``scaffold``, as written in the file.
        file: of scaffolds.
    """
    first = {text: row for row, text in reversed(list(enumerate(file.raw)))}
    return carry(frame, file.others, [first.get(text, -1) for text in frame[SCAFFOLD]])


def _constraint(
    place: str,
    text: Scaffold,
    superstructure: bool,
    keep: Sequence[int] | str | None,
    change: Sequence[int] | str | None,
) -> Constraint:
    """Return the constraint of a scaffold.

    Raises:
        MolgenError: if it cannot be read.
    """
    if isinstance(text, Constraint):
        return text
    try:
        if keep is not None or change is not None:
            return scaffolds.read_lead(text, change, keep)
        core = superstructure and not (isinstance(text, str) and "*" in text)
        return scaffolds.read(text, Task.SUPERSTRUCTURE if core else None)
    except ValueError as error:
        is_file = not place and isinstance(text, str) and os.path.isfile(text)
        hint = "; for a file use scaffold-file" if is_file else ""
        raise MolgenError(f"{place}: {error}" if place else f"{error}{hint}") from error


def atoms(text: AtomsLike) -> Sequence[int] | str | None:
    """Return numbers of atoms, or SMARTS unchanged.

    Raises:
        MolgenError: if a range of atoms is empty or too large.
    """
    if not isinstance(text, str) or not ATOMS.fullmatch(packed := "".join(text.split())):
        return text
    found: list[int] = []
    for part in packed.split(","):
        first, _, last = part.partition("-")
        low, high = int(first), int(last or first)
        if not low <= high < MOST_ATOMS:
            raise MolgenError(f"atoms are {text!r}, expected numbers such as 0,3,5-8")
        found += range(low, high + 1)
    return found
