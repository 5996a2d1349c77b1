"""Cells as text: six significant digits, and formulas defused.

A spreadsheet runs a cell that begins with ``=``, ``+``, ``-`` or ``@`` as a formula. Names and the
user's text therefore get an apostrophe before such a beginning (OWASP, "CSV Injection"); readers of
the same formats remove it. Numbers and what a network wrote stay as they are: :data:`EXACT`
columns are data of programs, and no SMILES string of a molecule begins like a formula.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

DIGITS = 6
"""Significant digits of floating-point numbers in text formats; binary formats keep all."""
SPREADSHEET = 16
"""Those that a spreadsheet keeps."""
EXACT = ("raw", "smiles", "status", "tokens", "lead", "scored", "part", "scaffold")
"""Columns that stay text, character by character: a network may write ``1``, ``NaN`` or ``=C``."""
INPUT = "_input"
"""Behind the name of a column of the input that has the name of a column of the result."""

_FORMULA = re.compile(r"[=+\-@\t\r\n]")
# digits with points, commas and an exponent, and the dashes that stand for a missing value
_HARMLESS = re.compile(r"[+-]?[\d.,]*\d[\d.,]*(?:[eE][+-]?\d+)?%?|-+", re.ASCII)
_WHOLE = re.compile(r"-?(?:0|[1-9]\d{0,14})", re.ASCII)  # as many digits as a float64 keeps
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d{1,2})?", re.ASCII)


def text_of(value: Any, digits: int | None = None) -> str:
    """Return a value as text, empty for a missing one.

    Args:
        value: of a table.
        digits: significant ones of a floating-point number; None for all.
    """
    if isinstance(value, str):
        return value
    if _is_missing(value):
        return ""
    if digits is not None and isinstance(value, float | np.floating):
        return f"{value:.{digits}g}"
    return str(value).lower() if isinstance(value, bool | np.bool_) else str(value)


def defuse(text: str) -> str:
    """Return text with an apostrophe before what a spreadsheet would run as a formula."""
    risky = _FORMULA.match(text) and not _HARMLESS.fullmatch(text)
    return f"'{text}" if risky else text


def fuse(text: str) -> str:
    """Return the text from which :func:`defuse` makes this one."""
    return text[1:] if text[:1] == "'" and defuse(text[1:]) == text else text


def is_exact(name: str) -> bool:
    """Return whether a column has strings of molecules and words of molgen, kept as they are."""
    return name.lower().removesuffix(INPUT) in EXACT


def texts(frame: pd.DataFrame, safe: bool = False) -> pd.DataFrame:
    """Return a table of text.

    Args:
        frame: the table.
        safe: whether formulas are defused, in headings too.
    """
    import pandas as pd

    columns = {}
    for place, name in enumerate(map(str, frame.columns)):
        values = frame.iloc[:, place].tolist()
        guarded = safe and not is_exact(name)
        cells = [
            defuse(value) if guarded and isinstance(value, str) else text_of(value, DIGITS)
            for value in values
        ]
        columns[defuse(name) if safe else name] = cells
    return pd.DataFrame(columns, dtype=str)


def typed(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table in which columns of numbers written as text are numbers.

    Identifiers such as ``007``, and of more than 15 digits, stay text.
    """
    import pandas as pd

    columns = {}
    for place, name in enumerate(map(str, frame.columns)):
        column = frame.iloc[:, place]
        kind = None if is_exact(name) else _kind(column.tolist())
        if kind is not None:
            cells = [value if isinstance(value, str) and value else None for value in column]
            column = pd.to_numeric(pd.Series(cells, dtype=object)).astype(kind)
        columns[name] = column.reset_index(drop=True)
    return pd.DataFrame(columns)


def _kind(values: Sequence[Any]) -> str | None:
    """Return the type of a column of text; None if it stays as it is."""
    filled = [value for value in values if not _is_missing(value) and value != ""]
    if not filled or not all(isinstance(value, str) for value in filled):
        return None
    if all(map(_WHOLE.fullmatch, filled)):
        return "Int64"
    digits = (sum(map(str.isdigit, value)) <= 15 for value in filled)
    return "float64" if all(map(_NUMBER.fullmatch, filled)) and all(digits) else None


def _is_missing(value: Any) -> bool:
    """Return whether a value is None, NaN, NaT or pandas' NA."""
    import pandas as pd

    return value is None or value is pd.NA or value is pd.NaT or value != value
