"""The user's own columns: names, identifiers and tags of a file, carried through to a result.

    columns of the file beside the SMILES -> columns of the result behind its own

A column with the name of one of the result's and other cells gets ``_input`` behind its name.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from molgen.data.cells import DIGITS, INPUT, SPREADSHEET, fuse, text_of
from molgen.data.delimited import behind
from molgen.data.headings import NAME
from molgen.data.sheet import Sheet

if TYPE_CHECKING:
    import pandas as pd

Columns = Mapping[str, Sequence[Any]]
"""Cells of columns by heading, one for each row: text of a file, values of a table in memory."""


def others_of(
    sheet: Sheet, rows: Sequence[Sequence[str]], place: int, raw: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """Return the columns of a file beside that of the SMILES.

    Columns without heading are named by their number, and cells beyond the headings likewise; what
    is behind the SMILES in a list is a name.

    Args:
        sheet: the file.
        rows: its cells.
        place: the column of the SMILES, which is kept where its cells have more in them.
        raw: the SMILES read from it.
    """
    if not sheet.header:
        rows = [[row[0], *behind("\t".join(row[1:]))] for row in rows]
    width = max(map(len, rows))
    headings = [*(sheet.header or ("", NAME)), *[""] * width][:width]
    found: dict[str, tuple[str, ...]] = {}
    for i, heading in enumerate(headings):
        cells = tuple(row[i] if i < len(row) else "" for row in rows)
        empty = not any(cells) and not (sheet.header and heading)
        if empty or (i == place and cells == tuple(raw)):
            continue
        name = distinct(heading or f"column_{i + 1}", found)
        found[name] = tuple(map(fuse, cells)) if sheet.defused else cells
    return found


def carry(frame: pd.DataFrame, columns: Columns, rows: Sequence[int] | None = None) -> pd.DataFrame:
    """Return a table of results with the columns of its input behind its own.

    Args:
        frame: of the results.
        columns: of the input.
        rows: the input's row of each result, from 0, with shape (results,), -1 for none of them;
            None for the same rows.
    """
    taken = list(map(str, frame.columns))
    found = {}
    for heading, cells in columns.items():
        if rows is not None:
            cells = [cells[row] if row >= 0 else "" for row in rows]
        if heading in frame and _written(frame[heading], cells):
            continue  # that of the result, read again
        name = distinct(heading, taken)
        taken.append(name)
        found[name] = list(cells)
    return frame.assign(**found)


def _written(column: pd.Series, cells: Sequence[Any]) -> bool:
    """Return whether cells are a column as it is written, in a typed or a text format."""
    texts = list(map(text_of, cells))
    digits = (None, DIGITS, SPREADSHEET)
    return any([text_of(value, most) for value in column] == texts for most in digits)


def distinct(name: str, taken: Collection[str]) -> str:
    """Return a name with ``_input`` behind it while it is taken, whatever its case."""
    folded = {other.casefold() for other in taken}
    while name.casefold() in folded:
        name += INPUT
    return name
