"""Parquet (extra ``parquet``): the columns with their types, read in batches of rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

from molgen.data.cells import text_of, typed
from molgen.data.headings import MOST_COLUMNS
from molgen.data.sheet import Row, Sheet
from molgen.data.text_file import MOST_BYTES, MOST_LINES
from molgen.errors import MolgenError

if TYPE_CHECKING:
    import pandas as pd


def open_parquet(path: str | Path, _named: Sequence[str] = ()) -> Sheet:
    """Open a parquet file.

    Raises:
        MolgenError: if it is none, or beyond a limit.
        OSError: if it cannot be opened.
    """
    from pyarrow import ArrowException, parquet

    path = Path(path)
    with path.open("rb"):  # a missing file is an error of its own
        pass
    damaged = (ArrowException, ValueError, OSError)
    try:
        about = parquet.read_metadata(path)
    except damaged as error:
        raise MolgenError(f"{path}: {str(error).splitlines()[0]}") from error
    unpacked = sum(about.row_group(i).total_byte_size for i in range(about.num_row_groups))
    found = (unpacked, about.num_rows, about.num_columns)
    most = (MOST_BYTES, MOST_LINES, MOST_COLUMNS)
    if any(number > limit for number, limit in zip(found, most, strict=True)):
        words = "{:,} bytes, {:,} rows, {:,} columns"
        raise MolgenError(f"{path}: {words.format(*found)}, expected at most {words.format(*most)}")
    names = about.schema.to_arrow_schema().names

    def rows() -> Iterator[Row]:
        first = 1
        try:
            with parquet.ParquetFile(path) as file:
                for batch in file.iter_batches():
                    columns = (column.to_pylist() for column in batch.columns)
                    for line, cells in enumerate(zip(*columns, strict=True), first):
                        yield line, [text_of(cell) for cell in cells]
                    first += len(batch)
        except damaged as error:
            raise MolgenError(f"{path}: {str(error).splitlines()[0]}") from error

    return Sheet(path, tuple(" ".join(name.split()) for name in names), "", rows)


def write_parquet(frame: pd.DataFrame, file: IO[bytes]) -> None:
    """Write the columns with their types."""
    typed(frame).to_parquet(file, index=False)
