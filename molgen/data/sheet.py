"""A file of rows: opened, its layout found, its rows a stream of cells.

    bytes -> lines -> headings and delimiter -> (line number, cells) for each row

Tables (``.csv``, ``.tsv``, ``.tab``) have headings; lists (``.smi``, ``.smiles``, ``.ism``,
``.txt``) have a SMILES first in each line and perhaps a name behind it, with headings or without.
A ``.csv`` of one column that begins with a molecule has none either. Parquet has the same rows.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from molgen.data.headings import (
    BINARY_SUFFIXES,
    DELIMITERS,
    LIST_SUFFIXES,
    MOST_COLUMNS,
    SEPARATORS,
    is_usual,
    split_heading,
    suffix_of,
)
from molgen.data.text_file import MOST_BYTES, MOST_LINES, TextFile
from molgen.errors import MolgenError
from molgen.utils.imports import installed

Row = tuple[int, list[str]]
"""The line where a row ends, from 1, and its cells."""
BLANK = " "  # the delimiter of a list with headings that are not delimited otherwise


@dataclass(frozen=True)
class Sheet:
    """A file of rows.

    Attributes:
        path: of the file.
        header: its headings, blanks and line breaks in them made single blanks; empty for a list
            without, whose rows are (SMILES, what is behind it).
        delimiter: between cells; empty where there is none.
        all_rows: makes a stream of all rows, blank ones without any cell.
        text: the file as text; None for what is none.
    """

    path: Path
    header: tuple[str, ...]
    delimiter: str
    all_rows: Callable[[], Iterator[Row]]
    text: TextFile | None = None

    def rows(self, blank: bool = False) -> Iterator[Row]:
        """Yield the rows.

        Args:
            blank: whether a blank line is a row where a row is a single field: an empty string may
                have been drawn there. Elsewhere it never is.

        Raises:
            MolgenError: naming the line that cannot be read.
        """
        blank = blank and len(self.header) <= 1
        for line, row in self.all_rows():
            if blank or any(not cell.isspace() for cell in row if cell):
                yield line, row or [""]


def open_sheet(path: str | Path, named: Sequence[str] = ()) -> Sheet:
    """Open a file and find its layout.

    Args:
        path: with or without ``.gz`` behind it.
        named: columns that are asked for: the file then has headings.

    Raises:
        MolgenError: if the file is empty, is no text, of another kind or beyond a limit.
        OSError: if it cannot be opened.
    """
    path = Path(path)
    suffix = suffix_of(path)
    if suffix in BINARY_SUFFIXES:
        return _parquet(path)
    text = TextFile(path)
    begin, first = next(((i, line) for i, line in enumerate(text) if line.strip()), (0, ""))
    if not first:
        raise MolgenError(f"{path}: the file is empty")
    if suffix in LIST_SUFFIXES:
        if not named and not _is_heading(first):
            return Sheet(path, (), "", lambda: _list_rows(text), text)
        if not any(delimiter in first for delimiter in DELIMITERS):
            header = tuple(first.split())
            return Sheet(path, header, BLANK, lambda: _blank_rows(text, begin, len(header)), text)
    tabs = suffix in (".tsv", ".tab")
    header, delimiter = split_heading(path, islice(text, begin, None), named, tabs)
    if len(header) == 1 and not named and not is_usual(header[0]) and _is_smiles(header[0]):
        return Sheet(path, (), delimiter, lambda: _table_rows(text, begin, delimiter, 0), text)
    return Sheet(path, header, delimiter, lambda: _table_rows(text, begin, delimiter), text)


def _is_heading(line: str) -> bool:
    """Return whether a list begins with headings: a usual one among them, and no SMILES first."""
    words = [word.strip("\"'#") for word in SEPARATORS.split(line.strip())]
    return any(map(is_usual, words)) and not _is_smiles(words[0])


def _is_smiles(text: str) -> bool:
    from molgen.molecules.parsing import parse

    return parse(text) is not None


def _list_rows(text: TextFile) -> Iterator[Row]:
    """Yield SMILES and what is behind it; a line that begins with a tab has no SMILES."""
    for number, line in enumerate(text, 1):
        content = line.strip() if line[:1] != "\t" else line.rstrip()
        first, *behind = SEPARATORS.split(content, maxsplit=1)
        yield number, [first.strip("\"'"), *behind]


def _blank_rows(text: TextFile, begin: int, count: int) -> Iterator[Row]:
    """Yield cells that blanks delimit; the last one takes the rest of its line."""
    for number, line in islice(enumerate(text, 1), begin + 1, None):
        yield number, line.split(None, count - 1)


def _table_rows(text: TextFile, begin: int, delimiter: str, headings: int = 1) -> Iterator[Row]:
    """Yield the cells of every row below the headings."""
    # strict: a quote that is never closed would otherwise swallow the rest of the file unseen
    reader = csv.reader(
        islice(text, begin, None), delimiter=delimiter, skipinitialspace=True, strict=True
    )
    before = begin
    try:
        for number, row in enumerate(reader):
            if number >= headings:
                yield begin + reader.line_num, row
            before = begin + reader.line_num
    except csv.Error as error:
        line = begin + reader.line_num
        where = f" (of the row that begins in line {before + 1})" if line > before + 1 else ""
        raise MolgenError(f"{text.path}, line {line}: {error}{where}") from error


def _parquet(path: Path) -> Sheet:
    """Open a parquet file.

    Raises:
        MolgenError: if it is none, or beyond a limit.
    """
    if not installed("pyarrow"):
        raise MolgenError(f"{path}: parquet needs pyarrow (pip install 'molgen[parquet]')")
    from pyarrow import ArrowException, parquet

    try:
        about = parquet.read_metadata(path)
    except (ArrowException, ValueError) as error:
        raise MolgenError(f"{path}: {str(error).splitlines()[0]}") from error
    unpacked = sum(about.row_group(i).total_byte_size for i in range(about.num_row_groups))
    found = (unpacked, about.num_rows, about.num_columns)
    most = (MOST_BYTES, MOST_LINES, MOST_COLUMNS)
    if any(number > limit for number, limit in zip(found, most, strict=True)):
        words = "{:,} bytes, {:,} rows, {:,} columns"
        raise MolgenError(f"{path}: {words.format(*found)}, expected at most {words.format(*most)}")
    names = about.schema.to_arrow_schema().names

    def rows() -> Iterator[Row]:
        try:
            columns = parquet.read_table(path).to_pydict().values()
        except (ArrowException, ValueError) as error:
            raise MolgenError(f"{path}: {str(error).splitlines()[0]}") from error
        for number, cells in enumerate(zip(*columns, strict=True), 1):
            yield number, ["" if cell is None else str(cell) for cell in cells]

    return Sheet(path, tuple(" ".join(name.split()) for name in names), "", rows)
