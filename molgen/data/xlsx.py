"""Excel workbooks (extra ``xlsx``): the first sheet, formulas as the values stored beside them.

A workbook is a zip archive of XML. Its size is checked from the archive's list of files before
anything is unpacked, and rows are counted, since a cell may claim to be in any row.
"""

from __future__ import annotations

import re
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from molgen.data.cells import defuse, is_exact, text_of, typed
from molgen.data.headings import MOST_COLUMNS
from molgen.data.sheet import Row, Sheet
from molgen.data.text_file import MOST_BYTES
from molgen.errors import MolgenError

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS = 2**20
"""As many as the longest spreadsheets have, headings included."""
LONGEST = 32_767  # characters of a cell
ENCRYPTED = b"\xd0\xcf\x11\xe0"  # a compound file: an encrypted workbook, or one of before 2007

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")  # characters that XML does not allow
# What openpyxl raises for damaged content, whose parts refer to each other.
DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError),
    *(ValueError, SyntaxError, LookupError, TypeError, AttributeError, AssertionError),
)


def open_xlsx(path: str | Path, _named: Sequence[str] = ()) -> Sheet:
    """Open a workbook and read the headings of its first sheet.

    Raises:
        MolgenError: if it is none, is encrypted, empty, or beyond a limit.
        OSError: if it cannot be opened.
    """
    path = Path(path)
    _check(path)

    def all_rows() -> Iterator[Row]:
        return ((line, [text_of(cell) for cell in row]) for line, row in _cells(path))

    begin, names = next(((line, row) for line, row in all_rows() if any(row)), (0, []))
    if not names:
        raise MolgenError(f"{path}: the first sheet is empty")
    if len(names) > MOST_COLUMNS:
        raise MolgenError(f"{path}: {len(names):,} columns, expected at most {MOST_COLUMNS:,}")
    while not names[-1]:
        names.pop()
    header = tuple(" ".join(name.split()) for name in names)
    return Sheet(path, header, "", lambda: islice(all_rows(), begin, None), defused=True)


def write_xlsx(frame: pd.DataFrame, file: IO[bytes]) -> None:
    """Write a workbook of one sheet, numbers with all of their digits.

    Raises:
        MolgenError: if there are more rows or columns than a sheet has, or a text is too long.
    """
    from openpyxl import Workbook

    rows, columns = frame.shape
    if rows >= MOST_ROWS or columns > MOST_COLUMNS:
        raise MolgenError(
            f"{rows:,} rows and {columns:,} columns, expected at most {MOST_ROWS - 1:,} and "
            f"{MOST_COLUMNS:,} for .xlsx"
        )
    book = Workbook(write_only=True)
    sheet = book.create_sheet("molecules")
    names = list(map(str, frame.columns))
    sheet.append([_cell(sheet, name) for name in names])
    for row in typed(frame).itertuples(index=False, name=None):
        pairs = zip(names, row, strict=True)
        sheet.append([_cell(sheet, value, is_exact(name)) for name, value in pairs])
    book.save(file)


def _cell(sheet: Any, value: Any, exact: bool = False) -> Any:
    """Return a cell; text is never a formula.

    Raises:
        MolgenError: if a text is longer than a cell.
    """
    from openpyxl.cell import WriteOnlyCell

    if not isinstance(value, str):
        return value if text_of(value) else None
    text = _CONTROL.sub("?", value if exact else defuse(value))
    if len(text) > LONGEST:
        raise MolgenError(f"a text of {len(text):,} characters, expected at most {LONGEST:,}")
    cell = WriteOnlyCell(sheet, text)
    cell.data_type = "s"
    return cell


def _check(path: Path) -> None:
    """Check that a file is a workbook within the limits.

    Raises:
        MolgenError: if not.
    """
    with path.open("rb") as file:
        if file.read(len(ENCRYPTED)) == ENCRYPTED:
            raise MolgenError(
                f"{path}: encrypted, or of a version before 2007: save it as .xlsx without password"
            )
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(part.file_size for part in archive.infolist())
    except DAMAGED as error:
        raise MolgenError(f"{path}: damaged xlsx file ({_line(error)})") from error
    if unpacked > MOST_BYTES:
        raise MolgenError(
            f"{path}: {unpacked:,} bytes unpacked, expected at most {MOST_BYTES:,}: save the "
            "columns that are needed as .csv"
        )


def _cells(path: Path) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """Yield the rows of the first sheet with their numbers, from 1.

    Raises:
        MolgenError: if the file is damaged, or has too many rows.
    """
    from openpyxl import load_workbook

    try:
        with warnings.catch_warnings(action="ignore"):  # of styles, which are not read
            book = load_workbook(path, read_only=True, data_only=True, keep_links=False)
        try:
            sheet = book.worksheets[0]
            sheet.reset_dimensions()  # what the file says about them may be wrong
            for line, row in enumerate(sheet.iter_rows(values_only=True), 1):
                if line > MOST_ROWS:
                    raise MolgenError(f"{path}: more than {MOST_ROWS:,} rows")
                yield line, row
        finally:
            book.close()
    except MolgenError:
        raise
    except OSError as error:
        if error.errno is not None:  # of the system; openpyxl's own have no number
            raise
        raise MolgenError(f"{path}: damaged xlsx file ({_line(error)})") from error
    except DAMAGED as error:
        raise MolgenError(f"{path}: damaged xlsx file ({_line(error)})") from error


def _line(error: Exception) -> str:
    """Return the first line of an error."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
