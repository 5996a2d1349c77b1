"""The table of file formats: suffix -> reader, writer, and the extra that it needs.

=========  =========================  =============================================================
csv tsv    :mod:`.delimited`          headings, and a row a line
smi        :mod:`.delimited`          SMILES, a blank, a name; also ``.smiles``, ``.ism``, ``.txt``
sdf        :mod:`.sdf`                a molecule a record, columns as tags; also ``.sd``, ``.mol``
parquet    :mod:`.parquet`            typed columns (extra ``parquet``)
xlsx       :mod:`.xlsx`               the first sheet of a workbook (extra ``xlsx``)
=========  =========================  =============================================================

Text formats may have ``.gz`` behind their suffix. ``-`` is standard input, a table or a list, and
standard output, as CSV.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from molgen.data.delimited import (
    open_list,
    open_table,
    open_tsv,
    write_csv,
    write_list,
    write_tsv,
)
from molgen.data.parquet import open_parquet, write_parquet
from molgen.data.sdf import open_sdf, write_sdf
from molgen.data.sheet import Sheet
from molgen.data.text_file import STDIN
from molgen.data.xlsx import open_xlsx, write_xlsx
from molgen.errors import MolgenError
from molgen.utils.files import is_stream
from molgen.utils.hints import hint, one_of
from molgen.utils.imports import install, installed

if TYPE_CHECKING:
    import pandas as pd

ZIPPED = ".gz"


@dataclass(frozen=True)
class Format:
    """A file format.

    Attributes:
        suffixes: of its files; the first is the one that is written.
        open: returns the rows of a file, given the columns that are asked for.
        write: writes a table into a file, of text or of bytes.
        extra: of the distribution, which its library belongs to; empty for none.
        package: that library.
        needs: a column without which a table cannot be written.
        table: whether it has a place for any column.
        headed: whether its first line names the columns.
    """

    suffixes: tuple[str, ...]
    open: Callable[[str | Path, Sequence[str]], Sheet]
    write: Callable[[pd.DataFrame, IO[Any]], None]
    extra: str = ""
    package: str = ""
    needs: tuple[str, ...] = ()
    table: bool = True
    headed: bool = False

    @property
    def text(self) -> bool:
        """Whether it is text, which may be gzipped."""
        return not self.extra

    @property
    def written(self) -> tuple[str, ...]:
        """The suffixes that are written."""
        return self.suffixes[:1] + ((self.suffixes[0] + ZIPPED,) if self.text else ())

    def check_installed(self, purpose: str) -> None:
        """Check that the library is installed.

        Raises:
            MolgenError: if not, beginning with the purpose.
        """
        if self.package and not installed(self.package):
            raise MolgenError(f"{purpose} without {self.package}: {install(self.extra)}")


LIST = Format(
    (".smi", ".smiles", ".ism", ".txt"),
    open_list,
    write_list,
    needs=("raw", "smiles"),
    table=False,
)
CSV = Format((".csv",), open_table, write_csv, headed=True)
FORMATS = (
    CSV,
    Format((".tsv", ".tab"), open_tsv, write_tsv, headed=True),
    LIST,
    Format((".sdf", ".sd", ".mol"), open_sdf, write_sdf, needs=("smiles",)),
    Format((".parquet",), open_parquet, write_parquet, "parquet", "pyarrow"),
    Format((".xlsx",), open_xlsx, write_xlsx, "xlsx", "openpyxl"),
)
READ = {suffix: each for each in FORMATS for suffix in each.suffixes}
WRITTEN = {suffix: each for each in FORMATS for suffix in each.written}
"""The formats by the suffixes that are read (``.gz`` aside), and that are written."""


def open_sheet(path: str | Path, named: Sequence[str] = ()) -> Sheet:
    """Open a file and find its layout.

    Args:
        path: with or without ``.gz`` behind it; ``-`` for standard input.
        named: columns that are asked for: the file then has headings.

    Raises:
        MolgenError: if the file is empty, damaged, of another kind, beyond a limit, or needs what
            is not installed.
        OSError: if it cannot be opened.
    """
    if str(path) == STDIN:
        return LIST.open(path, named)
    suffix = suffix_of(path, ZIPPED)
    found = READ.get(suffix.removesuffix(ZIPPED))
    if found is None or (suffix.endswith(ZIPPED) and not found.text):
        raise MolgenError(
            f"{path}: ends in {suffix!r}, expected one of {', '.join(READ)} (text also with .gz)"
            f"{hint(suffix, READ)}"
        )
    found.check_installed(f"cannot read {str(path)!r}")
    return found.open(path, named)


def suffix_of(path: str | Path, packed: str = ZIPPED) -> str:
    """Return the lower-case suffix of a path, with that of a packed file before it."""
    name = Path(path).name.lower()
    inner = name.removesuffix(packed)
    return Path(inner).suffix + name[len(inner) :]


def check_extension(path: str | Path, tables: bool = False) -> Format:
    """Return the format to write a path in; call it before any long work.

    Args:
        path: of the file.
        tables: whether a place for any column is needed.

    A pipe or a device without one (``/dev/stdout``) gets a CSV.

    Raises:
        MolgenError: if the path has another extension, or one that needs what is not installed.
    """
    suffix = suffix_of(path) or (".csv" if is_stream(path) else "")
    found = WRITTEN.get(suffix)
    if found is None or (tables and not found.table):
        allowed = [name for name, each in WRITTEN.items() if each.table or not tables]
        raise MolgenError(
            f"cannot write {str(path)!r}: its extension is {suffix!r}, {one_of(suffix, allowed)}"
        )
    found.check_installed(f"cannot write {str(path)!r}")
    return found
