"""Templates of a file: texts with masks, one a line of a text file or a row of a table."""

from __future__ import annotations

from pathlib import Path

from molgen.data.formats import LIST, READ, suffix_of
from molgen.data.tables import read_table
from molgen.data.text_file import TextFile
from molgen.errors import MolgenError

COLUMN = "template"


def read_templates(path: str | Path) -> tuple[str, ...]:
    """Return the lines of a text file that are not blank, or the column ``template`` of a table.

    Args:
        path: of the file; ``-`` for standard input.

    Raises:
        MolgenError: if there is no template, or the file cannot be read.
        OSError: if it cannot be opened.
    """
    form = READ.get(suffix_of(path, ".gz").removesuffix(".gz"), LIST)
    if form is LIST:
        lines = [line.strip() for line in TextFile(path)]
    else:
        table = read_table(path)
        if COLUMN not in table:
            raise MolgenError(f"{path} has no column {COLUMN!r}, expected one, or a .txt of lines")
        lines = [str(cell).strip() for cell in table[COLUMN]]
    found = tuple(line for line in lines if line)
    if not found:
        raise MolgenError(f"{path} has no template, expected one in each line")
    return found
