"""Reading the molecules of a user's file: one set of rules for every command.

    rows of cells -> the column of SMILES -> SMILES and numbers, with what was odd counted

The column is the one asked for, else the first usual heading (:mod:`molgen.data.headings`) under
which there is a SMILES, else the only one. What follows a blank in a cell is a name or a CXSMILES
extension (coordinates and labels, not the molecule) and is taken off, except under ``raw``, where
stands what a network wrote. Whether a row is a molecule is :mod:`molgen.data.cleaning`'s question;
a file in which nothing is a SMILES is an error. What cannot be read is a ``ValueError`` of one line
that names the file. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from molgen.data.carried import others_of
from molgen.data.delimited import EXTENSION
from molgen.data.formats import open_sheet
from molgen.data.headings import RAW, candidates, find, fold, listed
from molgen.data.numbers import Numbers, read_numbers
from molgen.data.sheet import Found, Sheet, note
from molgen.errors import MolgenError
from molgen.utils.arguments import checked

BEHIND = "cells with a name or a CXSMILES extension behind the SMILES"


@dataclass(frozen=True)
class Table:
    """The SMILES of a file as they were written, one entry a row."""

    source: str
    """The file's name, for messages."""
    raw: tuple[str, ...]
    """The SMILES of each row, possibly empty."""
    lines: tuple[int, ...]
    """The row's line number in the file, from 1."""
    numbers: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    """Further columns that were asked for, each with shape (rows,); NaN where no number is."""
    column: str = ""
    """The heading of the SMILES; empty where there is none."""
    accounts: dict[str, Numbers] = field(default_factory=dict)
    """How the cells of those columns were read, and which were not."""
    oddities: Found = field(default_factory=dict)
    """What was odd about how many rows, and in which line first."""
    others: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The cells of all other columns by heading, if they were asked for."""

    def __len__(self) -> int:
        return len(self.raw)

    def notes(self) -> list[str]:
        """Return in some lines what was read, and how."""
        where = f"in column {self.column!r}" if self.column else "first in each line"
        lines = [f"{self.source}: {len(self):,} rows, SMILES {where}"]
        for what, (count, first) in self.oddities.items():
            lines.append(f"{self.source}: {what}: {count:,} (first: line {first})")
        lines += [f"{self.source}: {name}: {n.summary()}" for name, n in self.accounts.items()]
        return lines

    def facts(self) -> dict[str, Any]:
        """Return the same for a record in JSON."""
        found: dict[str, Any] = {"file": self.source, "column": self.column or None}
        found["rows"] = len(self)
        if self.oddities:
            found["odd"] = {what: count for what, (count, _) in self.oddities.items()}
        if self.accounts:
            found["values"] = {name: n.counts() for name, n in self.accounts.items()}
        return found


@checked
def read_table(
    path: str | Path,
    column: str | None = None,
    numbers: Sequence[str] = (),
    *,
    drawn: bool = False,
    prefer: str | None = None,
    check: bool = True,
    option: str = "column",
    others: bool = False,
    extended: bool = False,
) -> Table:
    """Read the SMILES of a file, and columns of numbers beside them.

    Args:
        path: see :mod:`molgen.data.formats`.
        column: name of the SMILES column; None for the usual ones.
        numbers: names of columns to read as numbers too.
        drawn: the rows are judged as a network wrote them: ``raw`` is looked for first, and a blank
            line of a single field is a row, for an empty string may have been drawn.
        prefer: a heading looked for before the usual ones.
        check: whether there must be a SMILES among the rows.
        option: that names the column, for messages; empty for none.
        others: keep the other columns too: names, identifiers, tags.
        extended: keep CXSMILES extensions behind the SMILES.

    Raises:
        MolgenError: if the file cannot be read, lacks a column, has no rows, or none of them has a
            SMILES.
        OSError: if the file cannot be opened.
    """
    sheet = open_sheet(path, [column, *numbers] if column else numbers)
    where = _places(sheet, column, drawn, prefer, option)
    wanted = {name: find(sheet.path, sheet.header, name) for name in numbers}
    texts: list[list[str]] = [[] for _ in where]
    cells: list[list[str | None]] = [[] for _ in wanted]
    lines: list[int] = []
    kept: list[list[str]] = []
    odd = _Oddities(len(sheet.header) if sheet.delimiter.strip(" ") else 0)
    for line, cells_of in sheet.rows(blank=drawn):
        row = [cell.strip() for cell in cells_of]
        lines.append(line)
        long = odd.check(line, row)
        for place, found in zip(where, texts, strict=True):
            found.append(row[place] if place < len(row) else "")
        for place, values in zip(wanted.values(), cells, strict=True):
            values.append(None if long else row[place] if place < len(row) else "")
        if others or extended:
            kept.append(row)
    if not lines:
        raise MolgenError(f"{sheet.path}: a header line and no rows")
    if sheet.text and sheet.text.odd[0]:
        odd.counts["bytes that are not UTF-8, read as Latin-1"] = sheet.text.odd
    odd.counts |= sheet.odd
    best = next((i for i, found in enumerate(texts) if _holds_smiles(found)), None)
    if best is None and check:
        raise MolgenError(_nothing(sheet, where[0], lines, texts[0]))
    name = sheet.header[where[best or 0]] if sheet.header else ""
    raw = texts[best or 0] if fold(name) == RAW else odd.bare(lines, texts[best or 0])
    accounts = {
        name: read_numbers(values, lines, sheet.delimiter)
        for name, values in zip(wanted, cells, strict=True)
    }
    place, plain = where[best or 0], raw
    if extended:
        rows = zip(raw, kept, strict=True)
        raw = [_with_extension(text, row, place) for text, row in rows]
    whole = raw if sheet.header else plain
    more = others_of(sheet, kept, place, whole) if others else {}
    arrays = {name: account.values for name, account in accounts.items()}
    return Table(
        sheet.path.name, tuple(raw), tuple(lines), arrays, name, accounts, odd.counts, more
    )


def read_header(path: str | Path) -> tuple[str, ...]:
    """Return the headings of a file, empty for a list of SMILES without.

    Raises:
        MolgenError: if the file is empty, is no text or is of another kind.
        OSError: if the file cannot be opened.
    """
    return open_sheet(path).header


def bare(cell: str) -> str:
    """Return the SMILES of a cell without the name or CXSMILES extension behind it."""
    return cell.split(None, 1)[0] if cell.strip() else ""


def _with_extension(text: str, row: Sequence[str], place: int) -> str:
    """Return a SMILES with the CXSMILES extension behind it: in its cell, or in a list the next."""
    own = row[place] if place < len(row) else ""
    rest = own[len(text) :] or " ".join(row[place + 1 : place + 2])
    found = EXTENSION.match(rest.strip())
    return f"{text} {found[0].strip()}" if found else text


class _Oddities:
    """What is odd about rows, counted."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.counts: Found = {}

    def check(self, line: int, row: list[str]) -> bool:
        """Count a row that has not a cell for each heading; return whether it has more."""
        if not self.width or len(row) == self.width:
            return False
        if len(row) < self.width:
            note(self.counts, "rows with fewer cells than headings", line)
            return False
        if long := any(row[self.width :]):
            note(self.counts, "rows with more cells than headings", line)
        return long

    def bare(self, lines: Sequence[int], cells: Sequence[str]) -> list[str]:
        """Return the SMILES of cells, counting those that have more behind it."""
        found = [bare(cell) for cell in cells]
        for line, cell, text in zip(lines, cells, found, strict=True):
            if len(cell) > len(text):
                note(self.counts, BEHIND, line)
        return found


def _places(
    sheet: Sheet, column: str | None, drawn: bool, prefer: str | None, option: str
) -> list[int]:
    """Return the columns that may hold the SMILES, the likeliest first.

    Raises:
        MolgenError: if there is none.
    """
    if column is not None:
        return [find(sheet.path, sheet.header, column)]
    found = candidates(sheet.header, drawn)
    if prefer is not None:
        found = [i for i, name in enumerate(sheet.header) if fold(name) == prefer] + found
    if not found and len(sheet.header) > 1:
        names = f"{prefer!r}, 'smiles'" if prefer else "'smiles'"
        hint = f"; name the one of SMILES with --{option}" if option else ""
        if _holds_smiles(sheet.header[:1]):
            hint = "; a table without headings is read if its name ends in .smi"
        raise MolgenError(
            f"{sheet.path}: no column {names} or the like; the columns are "
            f"{listed(sheet.header)}{hint}"
        )
    return found or [0]


def _holds_smiles(cells: Sequence[str]) -> bool:
    from molgen.molecules.parsing import is_smiles

    return any(is_smiles(bare(cell)) for cell in cells)


def _nothing(sheet: Sheet, place: int, lines: Sequence[int], cells: Sequence[str]) -> str:
    """Return what to say of a file in which nothing is a SMILES."""
    where = f"column {sheet.header[place]!r}" if sheet.header else "the first field of its lines"
    at = next((i for i, cell in enumerate(cells) if cell), None)
    first = "all are empty" if at is None else f"first: {cells[at][:40]!r} in line {lines[at]}"
    return f"{sheet.path}: no SMILES in {where} ({len(cells):,} rows; {first})"
