"""Measured values from a user's table, one for each distinct molecule.

    rows -> a number? -> molecule -> canonical SMILES -> equal molecules: the mean of their values

Every rejected row is reported with its reason, and so is the largest difference between repeated
measurements of a molecule. Salts are reduced to their largest organic fragment, as in training.
"""

from __future__ import annotations

import csv
import math
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from molgen.data.cleaning import LeftOut, Reason, clean
from molgen.data.reading import Table, read_table
from molgen.errors import MolgenError
from molgen.utils.files import replacing

NO_NUMBER = "no number"


@dataclass(frozen=True)
class Measured:
    """Distinct molecules with a value each.

    Attributes:
        smiles: canonical SMILES, distinct, in file order.
        values: with shape (molecules,), finite; the mean of repeated measurements.
        counts: ``rows``, ``molecules``, rejected rows by reason, ``merged`` (rows that repeat a
            molecule, included in its mean) and ``salts`` (rows reduced to a fragment).
        apart: largest difference between two values of one molecule; 0 if none was repeated.
        left_out: rejected rows, as (line, SMILES, reason, detail).
        notes: lines on the reading of the file.
        source: name of the file.
    """

    smiles: tuple[str, ...]
    values: NDArray[np.float64]
    counts: dict[str, int]
    apart: float
    left_out: tuple[tuple[int, str, str, str], ...]
    notes: tuple[str, ...] = ()
    source: str = ""

    def summary(self) -> str:
        """Return the counts in one line."""
        skip = ("rows", "molecules", "merged", "salts")
        left = [f"{n:,} {name}" for name, n in self.counts.items() if name not in skip and n]
        line = f"{self.counts['molecules']:,} molecules from {self.counts['rows']:,} rows"
        line += f"; left out: {', '.join(left)}" if left else ""
        if merged := self.counts["merged"]:
            line += f"; {merged:,} repeated, averaged (at most {self.apart:.3g} apart)"
        if salts := self.counts["salts"]:
            line += f"; {salts:,} salts, reduced to their largest fragment"
        return line

    def write_left_out(self, path: str | Path) -> None:
        """Write the rejected rows as a CSV with columns line, smiles, reason, detail."""
        with replacing(path) as part, part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("line", "smiles", "reason", "detail"))
            writer.writerows(self.left_out)


def read_measured(
    path: str | Path, column: str, smiles_column: str | None = None, progress: bool = False
) -> Measured:
    """Read molecules and their values from a CSV, gzipped or not.

    Args:
        path: of the file.
        column: of the values.
        smiles_column: of the SMILES; None for the usual ones.
        progress: show a bar if standard error is a terminal.

    Raises:
        MolgenError: if a column is missing or has no number, or no row is a molecule.
        OSError: if the file cannot be opened.
    """
    table = read_table(path, smiles_column, [column], option="smiles-column")
    found = measured(table, column, progress, str(path))
    return replace(found, notes=tuple(table.notes()), source=Path(path).name)


def measured(table: Table, column: str, progress: bool = False, source: str = "") -> Measured:
    """Return the distinct molecules of a table with their values.

    Args:
        table: with the values as numbers, NaN for none.
        column: of the values.
        progress: show a bar if standard error is a terminal.
        source: of the table, for messages.

    Raises:
        MolgenError: if there is no number, or no row is a molecule.
    """
    values = table.numbers[column]
    numbered = np.isfinite(values)
    if not numbered.any():
        read = table.accounts.get(column)
        why = read.summary() if read else f"{len(values)} values"
        raise MolgenError(f"{source or table.source}: column {column!r} has no number: {why}")
    missing = [
        (table.lines[i], table.raw[i], NO_NUMBER, "") for i in np.flatnonzero(~numbered).tolist()
    ]
    rows = np.flatnonzero(numbered)
    found = _merge(_rows(table, rows), progress)
    left_out = tuple(sorted([*missing, *found.left_out]))
    counts = {"rows": len(table), **found.counts, NO_NUMBER: len(missing)}
    return replace(found, counts=counts, left_out=left_out, source=table.source)


def _rows(table: Table, rows: NDArray[np.int64]) -> Table:
    """Return some rows of a table."""
    return Table(
        table.source,
        tuple(table.raw[i] for i in rows),
        tuple(table.lines[i] for i in rows),
        {name: values[rows] for name, values in table.numbers.items()},
    )


def _merge(table: Table, progress: bool) -> Measured:
    """Return the distinct molecules of a table with a number in every row."""
    (values,) = table.numbers.values()
    cleaned = clean(table, progress=progress)
    of_line = {table.lines[row]: molecule for molecule, row in enumerate(cleaned.index)}
    rows_of = [[row] for row in cleaned.index]
    row_at = {line: row for row, line in enumerate(table.lines)}
    left: list[LeftOut] = []
    for entry in cleaned.report:
        if entry.reason is Reason.DUPLICATE:
            rows_of[of_line[_first_line(entry)]].append(row_at[entry.line])
        else:
            left.append(entry)
    reasons = Counter(str(entry.reason) for entry in left)
    counts = {
        "molecules": len(rows_of),
        **reasons,
        "merged": sum(len(rows) - 1 for rows in rows_of),
        "salts": cleaned.counts["salts removed"],
    }
    return Measured(
        tuple(cleaned.smiles),
        np.array([math.fsum(values[rows]) / len(rows) for rows in rows_of]),
        counts,
        max(float(np.ptp(values[rows])) for rows in rows_of),
        tuple((e.line, e.raw, str(e.reason), e.detail) for e in left),
    )


def _first_line(entry: LeftOut) -> int:
    """Return the line number of the first row with the same molecule."""
    return int(entry.detail.removeprefix("of line "))
