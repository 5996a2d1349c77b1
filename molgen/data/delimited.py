"""Tables and lists: text with a row a line.

    lines -> headings and delimiter -> (line number, cells) for each row

Tables (``.csv``, ``.tsv``) have headings. Lists (``.smi``, ``.txt``) are read as RDKit's
``SmilesMolSupplier`` reads them: a SMILES first in each line and perhaps a name behind it, with
headings or without. A table of one column that begins with a molecule has none either.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING

from molgen.data.cells import texts
from molgen.data.headings import DELIMITERS, NAME, SEPARATORS, is_usual, split_heading
from molgen.data.sheet import Row, Sheet
from molgen.data.text_file import TextFile
from molgen.errors import MolgenError

if TYPE_CHECKING:
    import pandas as pd

BLANK = " "  # the delimiter of a list with headings that are not delimited otherwise


BREAKING = re.compile(r"[\s\x00-\x1f\x7f]")
EXTENSION = re.compile(r"\|[^|]*\|\s*")  # CXSMILES: coordinates and labels


def open_table(path: str | Path, named: Sequence[str] = (), tabs: bool = False) -> Sheet:
    """Open a table and find its layout.

    Args:
        path: possibly of a gzipped file.
        named: columns that are asked for: the file then has headings.
        tabs: whether the file's name says that its delimiter is the tab.

    Raises:
        MolgenError: if the file is empty, is no text or beyond a limit.
        OSError: if it cannot be opened.
    """
    return _table(*_begin(path), named, tabs)


def open_tsv(path: str | Path, named: Sequence[str] = ()) -> Sheet:
    """Open a table whose delimiter is the tab; see :func:`open_table`."""
    return open_table(path, named, tabs=True)


def open_list(path: str | Path, named: Sequence[str] = ()) -> Sheet:
    """Open a list of SMILES, or a table under such a name; see :func:`open_table`."""
    text, begin, first = _begin(path)
    if not named and not _is_heading(first):
        return Sheet(text.path, (), "", lambda: _list_rows(text), text)
    if not any(delimiter in first for delimiter in DELIMITERS):
        header = tuple(first.split())
        return Sheet(text.path, header, BLANK, lambda: _blank_rows(text, begin, len(header)), text)
    return _table(text, begin, first, named)


def behind(rest: str) -> list[str]:
    """Return the name behind the SMILES of a list, and the tab-delimited cells that follow it."""
    return [cell.strip() for cell in EXTENSION.sub("", rest, count=1).split("\t")]


def write_csv(frame: pd.DataFrame, file: IO[str]) -> None:
    """Write a row a line; booleans are ``true`` and ``false``, NaN is an empty cell."""
    texts(frame, safe=True).to_csv(file, index=False, lineterminator="\n")


def write_tsv(frame: pd.DataFrame, file: IO[str]) -> None:
    """Write the same, delimited by tabs."""
    texts(frame, safe=True).to_csv(file, index=False, lineterminator="\n", sep="\t")


def write_list(frame: pd.DataFrame, file: IO[str]) -> None:
    """Write ``raw <tab> name <tab> status`` without headings; without a name its index.

    The first field is what the network wrote, so a reader that counts failures finds as many as
    there were; a blank or control character inside it, which would break the line, becomes ``?``
    (which is no SMILES either).
    """
    cells = texts(frame)
    raws = cells["raw" if "raw" in cells else "smiles"]
    numbers = [str(i) for i in range(len(cells))]
    names = next((cells[name] for name in (NAME, "index") if name in cells), numbers)
    status = cells["status"] if "status" in cells else [""] * len(cells)
    for raw, name, reason in zip(raws, names, status, strict=True):
        fields = (BREAKING.sub("?", raw), " ".join(name.split()), reason)
        file.write("\t".join(fields if reason else fields[:2]) + "\n")


def _begin(path: str | Path) -> tuple[TextFile, int, str]:
    """Return a file as text, with the number of blank lines before its first, and that one.

    Raises:
        MolgenError: if it is empty, is no text or beyond a limit.
        OSError: if it cannot be opened.
    """
    text = TextFile(path)
    begin, first = next(((i, line) for i, line in enumerate(text) if line.strip()), (0, ""))
    if not first:
        raise MolgenError(f"{text.path}: the file is empty")
    return text, begin, first


def _table(text: TextFile, begin: int, _: str, named: Sequence[str], tabs: bool = False) -> Sheet:
    header, delimiter = split_heading(text.path, islice(text, begin, None), named, tabs)
    bare = len(header) == 1 and not named and not is_usual(header[0]) and _is_smiles(header[0])
    headings = 0 if bare else 1

    def rows() -> Iterator[Row]:
        return _table_rows(text, begin, delimiter, headings)

    return Sheet(text.path, () if bare else header, delimiter, rows, text, defused=True)


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
