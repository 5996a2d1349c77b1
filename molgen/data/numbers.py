"""Cells of a column as numbers: what is read, how, and what is not, with the first line of each.

A column is read as a whole, because ``1,200`` is twelve hundred in one table and 1.2 in another:

- A comma is a decimal comma where some cell of the column has one that can be nothing else
  (``6,1``), and in a table whose delimiter is the semicolon; else it groups thousands.
- A point groups thousands only where some cell has a decimal comma behind one (``1.200,5``).
- Blanks and apostrophes within a number group thousands.

A bound (``>7``, ``<0.1``, ``~5``) is no value and is counted, never read. Imports neither torch nor
RDKit.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

_PLAIN = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_GROUPED = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d*)?", re.ASCII)
_DECIMAL_COMMA = re.compile(r"[+-]?(?:\d+,\d*|,\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_POINTED = re.compile(r"[+-]?\d{1,3}(?:\.\d{3})+(?:,\d*)?", re.ASCII)
_SPACED = re.compile(r"[+-]?\d{1,3}(?:[ '\u2019]\d{3})+(?:[.,]\d*)?", re.ASCII)
_BOUND = re.compile(r"(?:[<>~≤≥≈]|&[lg]t;).*", re.DOTALL)
_MISSING = {"", "nan", "na", "n/a", "#n/a", "none", "null", "-", "--", "n.d.", "nd", "."}
_DASHES = str.maketrans({"\u2212": "-", "\u00a0": " ", "\u202f": " ", "\u2009": " "})


Account = dict[str, tuple[int, int, str]]
"""How many cells there are of a kind, and the first one's line and text."""


class Lost(StrEnum):
    """Why a cell gives no number."""

    EMPTY = "empty"
    BOUND = "with a qualifier"
    INFINITE = "not finite"
    TEXT = "no number"
    SHIFTED = "in a row of more cells than headings"


class Kind(StrEnum):
    """How commas of a column were read."""

    DECIMAL = "read as decimal commas"
    THOUSANDS = "read as thousands separators"


@dataclass(frozen=True)
class Numbers:
    """A column of numbers.

    Attributes:
        values: with shape (rows,), NaN where there is none.
        lost: how many cells gave none, by reason, each with the first one's line and text.
        commas: likewise how commas were read; empty where there were none.
    """

    values: NDArray[np.float64]
    lost: Account = field(default_factory=dict)
    commas: Account = field(default_factory=dict)

    def summary(self) -> str:
        """Return the counts in one line."""
        read = int(np.isfinite(self.values).sum())
        line = f"{read:,} of {len(self.values):,} values read"
        for reason, (count, first, text) in self.lost.items():
            shown = f"{text[:20]!r} " if text else ""
            line += f"; {count:,} {reason} (first: {shown}in line {first})"
        for kind, (count, first, text) in self.commas.items():
            line += f"; {count:,} with commas, {kind} (first: {text[:20]!r} in line {first})"
        return line

    def counts(self) -> dict[str, int]:
        """Return how many cells were read, and how many were not by reason."""
        lost = {str(reason): count for reason, (count, *_) in self.lost.items()}
        return {"read": int(np.isfinite(self.values).sum()), **lost}


def read_numbers(
    cells: Sequence[str | None], lines: Sequence[int], delimiter: str = ","
) -> Numbers:
    """Read a column.

    Args:
        cells: its text; None where a row has too many cells to know which one it is.
        lines: where each is, from 1.
        delimiter: of the table.
    """
    texts = [None if cell is None else _bare(cell) for cell in cells]
    present = [text for text in texts if text]
    decimal = any(_DECIMAL_COMMA.fullmatch(t) and not _GROUPED.fullmatch(t) for t in present)
    pointed = any("," in t and "." in t and _POINTED.fullmatch(t) for t in present)
    grouped = any("." in t and "," in t and _GROUPED.fullmatch(t) for t in present)
    decimal = pointed or decimal or (delimiter == ";" and not grouped)
    values = np.full(len(texts), math.nan)
    lost: Account = {}
    commas: Account = {}
    for i, text in enumerate(texts):
        reason = Lost.SHIFTED if text is None else _lost(text)
        if text is not None and reason is None:
            values[i] = _number(text, decimal, pointed)
            if not math.isfinite(values[i]):
                reason = Lost.TEXT if math.isnan(values[i]) else Lost.INFINITE
                values[i] = math.nan
            elif "," in text:
                _note(commas, Kind.DECIMAL if decimal else Kind.THOUSANDS, lines[i], text)
        if reason is not None:
            _note(lost, reason, lines[i], text or "")
    return Numbers(values, lost, commas)


def _bare(cell: str) -> str:
    """Return a cell without outer blanks and an equals sign that says nothing."""
    text = cell.translate(_DASHES).strip()
    return text.removeprefix("=").strip()


def _lost(text: str) -> Lost | None:
    """Return why a cell holds no value, as far as its first character says."""
    if text.casefold() in _MISSING:
        return Lost.EMPTY
    return Lost.BOUND if _BOUND.fullmatch(text) else None


def _number(text: str, decimal: bool, pointed: bool) -> float:
    """Return a number, NaN where there is none."""
    if _SPACED.fullmatch(text):
        text = re.sub("[ '\u2019]", "", text)
    if pointed and _POINTED.fullmatch(text):
        text = text.replace(".", "")
    if decimal and _DECIMAL_COMMA.fullmatch(text):
        text = text.replace(",", ".")
    elif not decimal and _GROUPED.fullmatch(text):
        text = text.replace(",", "")
    if _PLAIN.fullmatch(text):
        return float(text)
    return math.inf if text.casefold().lstrip("+-") in ("inf", "infinity") else math.nan


def _note(counts: Account, key: str, line: int, text: str) -> None:
    """Count a cell; the first of its kind is kept."""
    count, first, shown = counts.get(key, (0, line, text))
    counts[key] = (count + 1, first, shown)
