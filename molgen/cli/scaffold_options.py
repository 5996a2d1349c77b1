"""Options for constraints: scaffolds, linker ends, kept atoms of a lead.

Scaffolds are SMILES with attachment points ``*`` (also ``[*]``, ``[*:1]``, ``[1*]``), each an
argument or a line of a file; see :mod:`molgen.constraints.scaffolds`.
"""

from __future__ import annotations

import argparse
<<<<<<< HEAD
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from molgen.cli.inputs import note
from molgen.errors import MolgenError

if TYPE_CHECKING:
    import pandas as pd

    from molgen.constraints.scaffolds import Constraint

ATOMS = re.compile(r"\d+(-\d+)?(,\d+(-\d+)?)*")
MOST_ATOMS = 10_000  # larger indices are typing errors
=======
from typing import Any
>>>>>>> w-d


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    group = parser.add_argument_group(
        "scaffold",
        "constraint on every molecule; with several scaffolds, rows cycle through them. Quote "
        "SMILES, because the shell expands *",
    )
    group.add_argument(
        "--scaffold",
        action="append",
        default=[],
        metavar="SMILES",
        help="grown at its attachment points, * or [*] or [*:1] or [1*]; fragments joined by a dot "
        "are linked; may be repeated",
    )
    group.add_argument(
        "--scaffold-file",
        metavar="FILE",
        help="a list of scaffolds, or a table with a column scaffold or smiles, in any format",
    )
    group.add_argument(
        "--superstructure",
        action="store_true",
        help="a scaffold without attachment points may grow anywhere",
    )
    group.add_argument(
        "--keep",
        metavar="ATOMS",
        help="scaffolds are whole leads of which these atoms are kept and all others may change: "
        "SMARTS, or numbers such as 0,3,5-8, from 0 in the order of the SMILES",
    )
    group.add_argument(
        "--change", metavar="ATOMS", help="atoms that may change, in the same notation"
    )


<<<<<<< HEAD
def read(arguments: argparse.Namespace) -> list[Constraint] | None:
    """Return the given constraints, or None for none.

    Raises:
        MolgenError: if a scaffold cannot be read, with the line number in a file, or options
            conflict.
    """
    given = _scaffolds(arguments)
    if given is None:
        return None
    found = [_constraint(text, place, arguments) for place, text in given[0]]
    note(given[1])
    return found


def _scaffolds(arguments: argparse.Namespace) -> tuple[list[tuple[str, str]], list[str]] | None:
    """Return each scaffold with its place in a file (empty for an argument), and notes on the file.

    Raises:
        MolgenError: if options conflict, or the file cannot be read.
    """
    found = [("", text) for text in arguments.scaffold]
    notes: list[str] = []
    if arguments.scaffold_file is not None:
        lines, notes = _lines(arguments.scaffold_file)
        found += lines
    given = {"keep": arguments.keep is not None, "change": arguments.change is not None}
    given |= {"superstructure": arguments.superstructure}
    flags = [name for name, is_given in given.items() if is_given]
    if not found:
        for name in flags:
            raise MolgenError(f"--{name} is given without --scaffold or --scaffold-file")
        return None
    if len(flags) > 1:
        names = " and ".join(f"--{name}" for name in flags)
        raise MolgenError(f"{names} are given, expected one of them at most")
    if arguments.superstructure and all("*" in text for _, text in found):
        raise MolgenError(
            "--superstructure is given, but every scaffold has attachment points, expected a "
            "scaffold without *"
        )
    return found, notes


def _constraint(text: str, place: str, arguments: argparse.Namespace) -> Constraint:
    """Return the constraint of a scaffold.

    Raises:
        MolgenError: if it cannot be read.
    """
    from molgen.constraints import scaffolds

    try:
        if arguments.keep is not None or arguments.change is not None:
            change, keep = atoms(arguments.change), atoms(arguments.keep)
            return scaffolds.read_lead(text, change, keep)
        core = arguments.superstructure and "*" not in text
        return scaffolds.read(text, scaffolds.Task.SUPERSTRUCTURE if core else None)
    except ValueError as error:
        hint = "; for a file use --scaffold-file" if not place and Path(text).is_file() else ""
        raise MolgenError(f"{place}: {error}" if place else f"{error}{hint}") from error


def _lines(path: str) -> tuple[list[tuple[str, str]], list[str]]:
    """Return the place and text of each scaffold of a file, and notes on the file.

    Raises:
        MolgenError: if the file cannot be read, or has no column of scaffolds.
    """
    from molgen.data.headings import SCAFFOLD
    from molgen.data.reading import read_table

    table = read_table(path, prefer=SCAFFOLD, check=False, option="")
    places = (f"{path}, line {line}" for line in table.lines)
    return list(zip(places, table.raw, strict=True)), table.notes()


def carry(table: pd.DataFrame, arguments: argparse.Namespace) -> pd.DataFrame:
    """Return a table with the other columns of the file of scaffolds, if there is one.

    Args:
        table: with the column ``scaffold``, as written in the file.
        arguments: of the command line.
    """
    from molgen.data.carried import carry as carry_columns
    from molgen.data.headings import SCAFFOLD
    from molgen.data.reading import read_table

    if arguments.scaffold_file is None:
        return table
    found = read_table(
        arguments.scaffold_file, prefer=SCAFFOLD, check=False, option="", others=True
    )
    first = {text: row for row, text in reversed(list(enumerate(found.raw)))}
    return carry_columns(table, found.others, [first.get(text, -1) for text in table[SCAFFOLD]])


def atoms(text: str | None) -> Sequence[int] | str | None:
    """Return numbers of atoms, or SMARTS unchanged.

    Raises:
        MolgenError: if a range of atoms is empty or too large.
    """
    if text is None or not ATOMS.fullmatch(packed := "".join(text.split())):
        return text
    found: list[int] = []
    for part in packed.split(","):
        first, _, last = part.partition("-")
        low, high = int(first), int(last or first)
        if not low <= high < MOST_ATOMS:
            raise MolgenError(f"atoms are {text!r}, expected numbers such as 0,3,5-8")
        found += range(low, high + 1)
    return found
=======
def given(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments of :func:`molgen.api.design.design` on scaffolds."""
    names = ("scaffold", "scaffold_file", "superstructure", "keep", "change")
    return {name: getattr(arguments, name) for name in names}
>>>>>>> w-d
