"""A file of rows, whatever its format: headings, and a stream of cells.

    file -> headings, (line number, cells) for each row

The readers of the formats (:mod:`molgen.data.formats`) return it. Cells are text; cells of typed
files are converted by :func:`molgen.data.cells.text_of`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from molgen.data.text_file import TextFile

Row = tuple[int, list[str]]
"""The line number of a row, from 1, and its cells. Of a row of several lines: the last line of a
table, the first of an SDF record."""
Found = dict[str, tuple[int, int]]
"""What was odd about how many rows, and in which line first."""


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
        defused: whether formulas in text may have an apostrophe before them
            (:func:`molgen.data.cells.defuse`).
        odd: what was odd about rows, so far.
    """

    path: Path
    header: tuple[str, ...]
    delimiter: str
    all_rows: Callable[[], Iterator[Row]]
    text: TextFile | None = None
    defused: bool = False
    odd: Found = field(default_factory=dict)

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


def note(found: Found, what: str, line: int) -> None:
    """Count a row; the line of the first of its kind is kept."""
    count, first = found.get(what, (0, line))
    found[what] = (count + 1, first)
