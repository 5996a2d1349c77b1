"""Reading a user's file of SMILES: CSV, TSV, SMI or plain text, gzipped or not.

    bytes -> text (gzip and encoding found by content) -> rows (line number, SMILES, numbers)

Files come from spreadsheets, vendors and shells, so byte-order marks, Windows line ends, quotes,
tabs, blank lines and a name behind the SMILES are all ordinary. Nothing is judged here: whether a
row is a molecule is :mod:`molgen.data.cleaning`'s question. What cannot be read at all is a
``ValueError`` of one line that names the file. Imports neither torch nor RDKit.
"""

from __future__ import annotations

import csv
import gzip
import io
import math
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TABLE_SUFFIXES = (".csv", ".tsv", ".tab")
LIST_SUFFIXES = (".smi", ".smiles", ".ism", ".txt")
SMILES_COLUMN = "smiles"
SEPARATORS = re.compile(r"[\s,;]+")  # none of them occurs inside a SMILES string
BLANK_LINES = re.compile(r"(?:[^\S\n]*\n)*")
CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f]")  # bytes that no text file holds
SNIFFED = 65536  # bytes looked at for them


@dataclass(frozen=True)
class Table:
    """The SMILES of a file as they were written, one entry a row; blank lines are no rows."""

    source: str
    """The file's name, for messages."""
    raw: tuple[str, ...]
    """The SMILES cell of each row, outer blanks removed, possibly empty."""
    lines: tuple[int, ...]
    """The row's line number in the file, from 1."""
    numbers: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    """Further columns that were asked for, each with shape (rows,); NaN where no number is."""

    def __len__(self) -> int:
        return len(self.raw)


def read_table(path: str | Path, column: str | None = None, numbers: Sequence[str] = ()) -> Table:
    """Read the SMILES of a file, and columns of numbers beside them.

    Args:
        path: a file named ``.csv``, ``.tsv``, ``.tab`` (with a header line) or ``.smi``,
            ``.smiles``, ``.ism``, ``.txt`` (SMILES first in each line, a header line optional),
            with or without ``.gz`` behind it.
        column: name of the SMILES column; without it, the one called ``smiles`` in any case.
        numbers: names of columns to read as numbers too.

    Raises:
        ValueError: if the file is empty, is no text, is of another kind, or lacks a column.
        OSError: if the file cannot be opened.
    """
    path = Path(path)
    layout = _layout(path, read_text(path), named=column is not None or bool(numbers))
    if not layout.header:
        rows = list(_list_rows(layout))
        return Table(path.name, tuple(row[1] for row in rows), tuple(row[0] for row in rows))
    at = _find(path, layout.header, column or SMILES_COLUMN)
    wanted = {name: _find(path, layout.header, name) for name in numbers}
    raw, lines = [], []
    cells: dict[str, list[float]] = {name: [] for name in numbers}
    for line, row in _table_rows(path, layout):
        lines.append(line)
        raw.append(_cell(row, at))
        for name, index in wanted.items():
            cells[name].append(_number(_cell(row, index)))
    if not raw:
        raise ValueError(f"{path}: a header line and no rows")
    arrays = {name: np.array(values, dtype=np.float64) for name, values in cells.items()}
    return Table(path.name, tuple(raw), tuple(lines), arrays)


def read_header(path: str | Path) -> tuple[str, ...]:
    """Return the column names of a file, empty for a list of SMILES without a header line.

    Raises:
        ValueError: if the file is empty, is no text or is of another kind.
        OSError: if the file cannot be opened.
    """
    return _layout(Path(path), read_text(path), named=False).header


def read_text(path: str | Path) -> str:
    """Return a text file's content with Unix line ends, unpacked if it is gzipped.

    Raises:
        ValueError: if the file is empty, a damaged gzip file, or no text.
        OSError: if the file cannot be opened.
    """
    data = Path(path).read_bytes()
    if data[:2] == b"\x1f\x8b":  # by content: a renamed file is read all the same
        try:
            data = gzip.decompress(data)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(f"{path}: damaged gzip file ({error})") from error
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = data.decode("utf-16", errors="replace")
    elif CONTROL.search(data[:SNIFFED]):
        raise ValueError(f"{path}: not a text file")
    else:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = data.decode("latin-1")  # names with accents; SMILES are ASCII either way
    if not text.strip():
        raise ValueError(f"{path}: the file is empty")
    return text.replace("\r\n", "\n").replace("\r", "\n")


@dataclass(frozen=True)
class _Layout:
    """How a text is laid out."""

    text: str
    """The text without the blank lines it starts with."""
    skipped: int
    """How many those were."""
    header: tuple[str, ...]
    """The column names; empty for a plain list of SMILES."""
    delimiter: str


def _layout(path: Path, text: str, named: bool) -> _Layout:
    """Find header and delimiter; a file whose columns are asked for by name must have a header."""
    suffix = _suffix(path)
    start = BLANK_LINES.match(text)
    body = text[start.end() :] if start else text
    skipped = text.count("\n") - body.count("\n")
    first = body.split("\n", 1)[0]
    words = [word.strip("\"'").casefold() for word in SEPARATORS.split(first)]
    if suffix in LIST_SUFFIXES and not named and SMILES_COLUMN not in words:
        return _Layout(body, skipped, (), "")
    delimiter = max("\t" if suffix in (".tsv", ".tab") else ",\t;", key=first.count)
    if suffix in LIST_SUFFIXES and delimiter not in first:
        delimiter = " "
    row = next(csv.reader([first], delimiter=delimiter, skipinitialspace=True))
    return _Layout(body, skipped, tuple(name.strip() for name in row), delimiter)


def _suffix(path: Path) -> str:
    """Return the lower-case suffix that says what kind of file it is, ``.gz`` aside."""
    suffix = Path(path.stem if path.suffix.lower() == ".gz" else path.name).suffix.lower()
    if suffix not in TABLE_SUFFIXES + LIST_SUFFIXES:
        known = ", ".join(TABLE_SUFFIXES + LIST_SUFFIXES)
        raise ValueError(f"{path}: ends in {suffix!r}, expected one of {known} (or with .gz)")
    return suffix


def _find(path: Path, header: Sequence[str], name: str) -> int:
    """Return the position of a column: spelled exactly, else in any case."""
    if name in header:
        return header.index(name)
    folded = [title.casefold() for title in header]
    if name.casefold() in folded:
        return folded.index(name.casefold())
    there = ", ".join(repr(title) for title in header)
    raise ValueError(f"{path}: no column {name!r}; the columns are {there}")


def _table_rows(path: Path, layout: _Layout) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, cells) of every row below the header line."""
    # strict: a quote that is never closed would otherwise swallow the rest of the file unseen
    reader = csv.reader(
        io.StringIO(layout.text), delimiter=layout.delimiter, skipinitialspace=True, strict=True
    )
    try:
        next(reader)
        for row in reader:
            if any(cell.strip() for cell in row):
                yield layout.skipped + reader.line_num, row
    except csv.Error as error:
        line = layout.skipped + reader.line_num
        raise ValueError(f"{path}, line {line}: {error}") from error


def _list_rows(layout: _Layout) -> Iterator[tuple[int, str]]:
    """Yield (line number, SMILES) of every line that is not blank."""
    for line, content in enumerate(layout.text.split("\n"), start=layout.skipped + 1):
        if content.strip():
            yield line, SEPARATORS.split(content.strip(), maxsplit=1)[0].strip("\"'")


def _cell(row: Sequence[str], index: int) -> str:
    return row[index].strip() if index < len(row) else ""


def _number(cell: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan
