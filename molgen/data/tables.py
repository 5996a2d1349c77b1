"""Tables of molecules as files: written whole or not at all, N rows for N molecules.

    rows -> temporary file beside the target -> one rename

What is seen under the target's name is therefore always a finished file: when the disk is full or
the run is interrupted, the old file (or none) is there. Rows that are no molecule are written too.
The format is that of the suffix (:mod:`molgen.data.formats`).
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from gzip import GzipFile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from molgen.data.cells import fuse, is_exact
from molgen.data.delimited import behind
from molgen.data.formats import ZIPPED, open_sheet, suffix_of
from molgen.data.formats import check_extension as check_extension
from molgen.data.headings import NAME, RAW
from molgen.errors import MolgenError
from molgen.utils.files import replacing

if TYPE_CHECKING:
    import pandas as pd

_BOOLEANS = {"true": True, "false": False}


def write_table(frame: pd.DataFrame, path: str | Path) -> None:
    """Write a table in the format of the path's suffix.

    Args:
        frame: one molecule a row. ``smi`` needs a column ``raw`` (or ``smiles``), ``sdf`` a column
            ``smiles`` that is empty where the row is no molecule.
        path: of the file.

    Raises:
        MolgenError: for another suffix, or if a column is missing.
        OSError: if the disk is full or the place cannot be written; no part of a file is left.
    """
    write_tables([frame], path)


def write_tables(frames: Iterable[pd.DataFrame], path: str | Path) -> int:
    """Write consecutive parts of a table; text formats have one of them in memory at a time.

    Args:
        frames: with the same columns, at least one; see :func:`write_table`.
        path: of the file.

    Returns:
        The number of rows.

    Raises:
        MolgenError: as :func:`write_table`.
        OSError: likewise.
    """
    import pandas as pd

    form, count = check_extension(path), 0
    if not form.text:
        frames = [pd.concat(list(frames), ignore_index=True)]
    with replacing(path) as temporary, temporary.open("wb") as file:
        # without a name and a time stamp the same molecules give the same bytes
        zipped = suffix_of(path).endswith(ZIPPED)
        packed = GzipFile("", "wb", fileobj=file, mtime=0) if zipped else file
        for frame in frames:
            if form.needs and not any(name in frame for name in form.needs):
                raise MolgenError(
                    f"cannot write {str(path)!r}: no column {form.needs[-1]!r}, only "
                    f"{', '.join(map(str, frame.columns))}"
                )
            if form.text:
                _write_text(form.write, frame, packed, bool(count) and form.headed)
            else:
                form.write(frame, file)
            count += len(frame)
        if zipped:
            packed.close()
    return count


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a table of molecules with every row and column it has, as the format's reader does.

    A list without headings becomes the columns ``raw`` and, where its lines have one, ``name``. Of
    a single field, blank lines are rows too: an empty string was drawn there. Numbers and booleans
    are recognised by column, except in columns of strings (:data:`molgen.data.cells.EXACT`).

    Raises:
        MolgenError: if it is of another kind, empty or damaged, or a row has more cells than there
            are headings.
        OSError: if it cannot be opened.
    """
    import pandas as pd

    sheet = open_sheet(path)
    if suffix_of(path) == ".parquet":
        return pd.read_parquet(path)
    rows = list(sheet.rows(blank=True))
    names = sheet.header or (RAW, NAME)
    for line, row in rows:
        if sheet.header and any(row[len(names) :]):
            raise MolgenError(f"{path}, line {line}: {len(row)} cells for {len(names)} headings")
    cells = [[*row, *[""] * (len(names) - len(row))][: len(names)] for _, row in rows]
    frame = pd.DataFrame(cells, columns=list(names), dtype=str)
    if not sheet.header:
        frame[NAME] = [behind(rest)[0] for rest in frame[NAME]]
        return frame if (frame[NAME] != "").any() else frame[[RAW]]
    return pd.DataFrame(
        {n: _typed(frame.iloc[:, i], n, sheet.defused) for i, n in enumerate(names)}
    )


def _write_text(
    write: Callable[[pd.DataFrame, IO[Any]], None],
    frame: pd.DataFrame,
    file: IO[bytes] | GzipFile,
    headless: bool,
) -> None:
    """Write a table as text; headless, without the names of its columns."""
    text: io.TextIOWrapper[Any] = io.TextIOWrapper(file, encoding="utf-8", newline="")
    if headless:
        head, whole = io.StringIO(newline=""), io.StringIO(newline="")
        write(frame.iloc[:0], head)
        write(frame, whole)
        text.write(whole.getvalue()[len(head.getvalue()) :])
    else:
        write(frame, text)
    text.flush()
    text.detach()  # the file is closed by its own block


def _typed(column: pd.Series, name: str, defused: bool) -> pd.Series:
    """Return a column of text as numbers or booleans, if all of its filled cells are."""
    import pandas as pd

    filled = column[column != ""]
    if is_exact(name) or filled.empty:
        return column
    if len(filled) == len(column) and column.str.lower().isin(list(_BOOLEANS)).all():
        return column.str.lower().map(_BOOLEANS).astype(bool)
    numbers = pd.to_numeric(column.where(column != ""), errors="coerce")
    if numbers[filled.index].notna().all():
        return numbers
    return column.map(fuse) if defused else column
