"""Cards of a table's rows: which columns are values, and numbers with equal digits in a column."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from molgen.errors import MolgenError
from molgen.molecules.cards import Card
from molgen.molecules.parsing import Status, interpret, parse

if TYPE_CHECKING:
    import pandas as pd

BOOKKEEPING = frozenset(
    (
        *("index", "raw", "smiles", "status", "unique", "novel", "novel_paper", "nfe"),
        *("classifier_nfe", "tries", "tokens", "lead", "scaffold", "constraint", "lost", "fate"),
    )
)
"""Columns that are no values of a molecule."""
MOST_VALUES = 4  # in a caption, unless columns are named
SIGNIFICANT = 3  # digits of the largest number of a column; its others have as many decimals
MOST_DECIMALS = 6
ABSENT = "-"


def value_columns(table: pd.DataFrame) -> list[str]:
    """Return the numeric columns of a table that are values of its molecules."""
    found = table.select_dtypes("number").columns
    return [name for name in found if str(name).lower() not in BOOKKEEPING]


def formatted(values: Sequence[Any]) -> list[str]:
    """Return the values of a column as text, numbers with equal digits behind the point.

    Whole numbers have none; of others the largest has three significant digits, and one decimal at
    least. A missing value is ``-``.
    """
    kept = [value for value in values if not _missing(value)]
    if not all(isinstance(value, int | float | np.number) for value in kept) or any(
        isinstance(value, bool | np.bool_) for value in kept
    ):
        return [ABSENT if _missing(value) else _words(value) for value in values]
    places = decimals([float(value) for value in kept])
    kind = "e" if places > MOST_DECIMALS else "f"
    digits = SIGNIFICANT - 1 if kind == "e" else places
    return [ABSENT if _missing(v) else f"{float(v):,.{digits}{kind}}" for v in values]


def decimals(numbers: Sequence[float]) -> int:
    """Return the number of digits behind the point for all numbers of a column."""
    finite = [abs(number) for number in numbers if math.isfinite(number)]
    largest = max(finite, default=0.0)
    if all(number == round(number) for number in finite):
        return 0
    whole = math.floor(math.log10(largest)) + 1 if largest > 1 else 0
    if largest < 0.1:
        whole = math.floor(math.log10(largest)) + 1
    return max(1, SIGNIFICANT - whole)


def _missing(value: Any) -> bool:
    return value is None or bool(value != value)  # NaN alone differs from itself


def _words(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool | np.bool_) else str(value)


def cards(
    table: pd.DataFrame,
    columns: Sequence[str] | None = None,
    highlight: str | None = None,
    ranked: bool = True,
) -> list[Card]:
    """Return a card for every row of a table.

    Args:
        table: with a column ``smiles`` (or ``raw``), and perhaps ``status`` and ``scaffold``.
        columns: whose values are captions; None for the first numeric ones.
        highlight: SMILES or SMARTS to highlight; None for each row's ``scaffold``, empty for none.
        ranked: whether captions begin with the row's rank.

    Raises:
        MolgenError: if a column is missing.
    """
    names = value_columns(table)[:MOST_VALUES] if columns is None else list(columns)
    check_columns(table, names)
    texts = {name: formatted(table[name].tolist()) for name in names}
    found = []
    for i, (given, fault) in enumerate(zip(*rows(table), strict=True)):
        parts = [f"{name.replace('_', ' ')} {texts[name][i]}" for name in names]
        caption = _lines(parts, f"{i + 1}." if ranked else "")
        found.append(Card(given, caption, fault, _highlight(table, i, highlight)))
    return found


def _lines(parts: Sequence[str], first: str) -> str:
    """Return the parts of a caption in lines of up to two beside the first word, then of three."""
    shown = [[first, *parts[:2]] if first else list(parts[:2])]
    shown += [list(parts[i : i + 3]) for i in range(2, len(parts), 3)]
    return "\n".join("  ".join(line) for line in shown)


def check_columns(table: pd.DataFrame, names: Sequence[str]) -> None:
    """Check that a table has the named columns.

    Raises:
        MolgenError: naming the one that is missing, and those there are.
    """
    for name in names:
        if name not in table:
            listed = ", ".join(map(str, table.columns))
            raise MolgenError(f"columns has {name!r}, expected some of {listed}")


def rows(table: pd.DataFrame) -> tuple[list[Any], list[str]]:
    """Return each row's molecule or, if it is none, its string; and why it is none.

    Raises:
        MolgenError: if the table has no column of SMILES.
    """
    names = {str(name).lower(): name for name in reversed(list(table.columns))}
    if "smiles" not in names and "raw" not in names:
        listed = ", ".join(map(str, table.columns))
        raise MolgenError(f"the table has no column 'smiles', only {listed or 'none'}")
    smiles = table[names["smiles" if "smiles" in names else "raw"]].tolist()
    raws = table[names["raw"]].tolist() if "raw" in names else smiles
    states = table[names["status"]].tolist() if "status" in names else [""] * len(smiles)
    given, faults = [], []
    for text, raw, state in zip(smiles, raws, states, strict=True):
        fault = fault_of(text, raw, state)
        given.append(raw if fault else text)
        faults.append(fault)
    return ["" if _missing(one) else one for one in given], faults


def fault_of(molecule: Any, raw: Any = None, status: Any = "") -> str:
    """Return why a row cannot be drawn, in words; empty if it can.

    Several fragments and attachment points can be drawn, though they are no single molecule.
    """
    if not isinstance(molecule, str):
        return "no molecule" if _missing(molecule) else ""
    if molecule and parse(molecule) is not None:
        return ""
    reason = status if status and status != Status.OK else ""
    reason = reason or interpret(raw if isinstance(raw, str) and raw else molecule).status
    return "empty" if reason == Status.EMPTY else f"invalid: {str(reason).replace('_', ' ')}"


def _highlight(table: pd.DataFrame, row: int, highlight: str | None) -> str:
    """Return the pattern of a row; a table's own scaffold is left out if it cannot be read."""
    if highlight is not None:
        return highlight
    text = table["scaffold"].iloc[row] if "scaffold" in table else ""
    return text if isinstance(text, str) and parse(text) is not None else ""
