"""Tables of molecules as files: written whole or not at all, N rows for N molecules.

    rows -> temporary file beside the target -> one rename

What is seen under the target's name is therefore always a finished file: when the disk is full or
the run is interrupted, the old file (or none) is there. Rows that are no molecule are written too:

========  ==========================================================================================
csv       one line a row; booleans are ``true`` and ``false``, NaN is an empty cell
parquet   the same columns with their types (extra ``parquet``)
smi       ``raw <tab> index <tab> status`` without a header line. The first field is what the
          network wrote, so a reader that counts failures finds as many as there were; a blank or
          control character inside it, which would break the line, becomes ``?`` (no SMILES either)
sdf       one record a row with all columns as properties, drawn in two dimensions, by RDKit's
          SDWriter; a row that is no molecule is a record without atoms
========  ==========================================================================================
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from molgen.data.sheet import open_sheet
from molgen.errors import MolgenError
from molgen.utils.files import replacing
from molgen.utils.imports import installed

if TYPE_CHECKING:
    import pandas as pd

EXTENSIONS = (".csv", ".parquet", ".smi", ".sdf")
TEXT_COLUMNS = ("raw", "smiles", "status", "tokens", "lead")
"""Columns that stay text whatever they look like: a network may write ``1`` or ``NaN``."""

_BREAKING = re.compile(r"[\s\x00-\x1f\x7f]")
_BOOLEANS = {"true": True, "false": False}


def check_extension(path: str | Path) -> str:
    """Return the extension that says how to write a table; call it before any long work.

    Raises:
        MolgenError: if the path has another extension, or one that needs what is not installed.
    """
    extension = Path(path).suffix.lower()
    if extension not in EXTENSIONS:
        raise MolgenError(
            f"cannot write {str(path)!r}: its extension is {extension!r}, "
            f"expected one of {', '.join(EXTENSIONS)}"
        )
    if extension == ".parquet" and not installed("pyarrow"):
        raise MolgenError(
            f"cannot write {str(path)!r}: parquet needs pyarrow (pip install 'molgen[parquet]')"
        )
    return extension


def write_table(frame: pd.DataFrame, path: str | Path) -> None:
    """Write a table in the format of the path's extension.

    Args:
        frame: one molecule a row. ``smi`` needs a column ``raw`` (or ``smiles``), ``sdf`` a column
            ``smiles`` that is empty where the row is no molecule.
        path: ending in one of :data:`EXTENSIONS`.

    Raises:
        MolgenError: for another extension, or if a column is missing.
        OSError: if the disk is full or the place cannot be written; no part of a file is left.
    """
    extension = check_extension(path)
    with replacing(path) as temporary:
        if extension == ".parquet":
            frame.to_parquet(temporary, index=False)
            return
        write = {".csv": _csv, ".smi": _smi, ".sdf": _sdf}[extension]
        with temporary.open("w", encoding="utf-8", newline="") as file:
            write(frame, file)


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a table of molecules with every row and column it has, as :mod:`molgen.data.sheet` does.

    A list without headings becomes the columns ``raw`` and, where its lines have one, ``name``. Of
    a single field, blank lines are rows too: an empty string was drawn there. Numbers and booleans
    are recognised by column, except in :data:`TEXT_COLUMNS`.

    Raises:
        MolgenError: if it is of another kind, empty or damaged, or a row has more cells than there
            are headings.
        OSError: if it cannot be opened.
    """
    import pandas as pd

    sheet = open_sheet(path)
    if sheet.text is None:
        return pd.read_parquet(path)
    rows = list(sheet.rows(blank=True))
    names = sheet.header or ("raw", "name")
    for line, row in rows:
        if sheet.header and any(row[len(names) :]):
            raise MolgenError(f"{path}, line {line}: {len(row)} cells for {len(names)} headings")
    cells = [[*row, *[""] * (len(names) - len(row))][: len(names)] for _, row in rows]
    frame = pd.DataFrame(cells, columns=list(names), dtype=str)
    if not sheet.header:
        frame["name"] = frame["name"].str.partition("\t")[0]
        return frame if (frame["name"] != "").any() else frame[["raw"]]
    return pd.DataFrame({n: _typed(frame.iloc[:, i], n) for i, n in enumerate(names)})


def _csv(frame: pd.DataFrame, file: TextIO) -> None:
    words = {True: "true", False: "false"}
    booleans = [name for name in frame.columns if frame[name].dtype.name in ("bool", "boolean")]
    columns = {name: frame[name].astype(object).map(words) for name in booleans}
    frame.assign(**columns).to_csv(file, index=False, lineterminator="\n")


def _smi(frame: pd.DataFrame, file: TextIO) -> None:
    raws = _column(frame, "raw" if "raw" in frame else "smiles")
    index = frame["index"] if "index" in frame else range(len(frame))
    status = frame["status"] if "status" in frame else [""] * len(raws)
    for raw, number, reason in zip(raws, index, status, strict=True):
        fields = (_BREAKING.sub("?", str(raw)), str(number), str(reason))
        file.write("\t".join(fields if reason else fields[:2]) + "\n")


def _sdf(frame: pd.DataFrame, file: TextIO) -> None:
    from rdkit import Chem
    from rdkit.Chem import rdDepictor

    from molgen.molecules.logs import quiet
    from molgen.molecules.parsing import parse

    smiles = _column(frame, "smiles")
    titles = frame["index"] if "index" in frame else range(len(frame))
    with quiet, Chem.SDWriter(file) as writer:
        writer.SetProps(list(map(str, frame.columns)))
        rows = zip(smiles, titles, frame.to_dict("records"), strict=True)
        for text, title, row in rows:
            mol = parse(text) if text else None
            if mol is None:
                mol = Chem.Mol()
            else:
                rdDepictor.Compute2DCoords(mol)
            mol.SetProp("_Name", str(title))
            for name, value in row.items():
                mol.SetProp(str(name), _cell(value))
            writer.write(mol)


def _cell(value: Any) -> str:
    """Return a value as one line of text."""
    if value is None or value != value:  # NaN alone differs from itself
        return ""
    if str(value) in ("True", "False"):
        return str(value).lower()
    return re.sub(r"[\r\n]", "?", str(value))


def _column(frame: pd.DataFrame, name: str) -> pd.Series:
    if name not in frame:
        raise MolgenError(
            f"frame has no column {name!r}, only {', '.join(map(str, frame.columns))}"
        )
    return frame[name]


def _typed(column: pd.Series, name: str) -> pd.Series:
    """Return a column of text as numbers or booleans, if all of its filled cells are."""
    import pandas as pd

    filled = column[column != ""]
    if name.lower() in TEXT_COLUMNS or filled.empty:
        return column
    if len(filled) == len(column) and column.str.lower().isin(list(_BOOLEANS)).all():
        return column.str.lower().map(_BOOLEANS).astype(bool)
    numbers = pd.to_numeric(column.where(column != ""), errors="coerce")
    return numbers if numbers[filled.index].notna().all() else column
