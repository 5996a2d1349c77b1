"""Cleaning a user's SMILES before training: every molecule left out is counted with its reason.

    row -> parse -> largest fragment -> (neutralise) -> canonical SMILES -> length -> seen before?

The result holds distinct canonical molecules in file order, and one line for each row that is not
among them. What was changed but kept (counter-ions removed, charges neutralised) is counted too.
Largest fragment and neutralisation are :mod:`molgen.molecules.parents`'s. Imports RDKit, never
torch.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from molgen.data.reading import Table
from molgen.errors import MolgenError
from molgen.molecules.parents import largest_fragment, neutral
from molgen.molecules.parsing import Status, canonical, interpret
from molgen.utils.files import replacing
from molgen.utils.parallel import map_chunks

SALTS_REMOVED = "salts removed"
NEUTRALISED = "neutralised"


class Reason(StrEnum):
    """Why a row is left out."""

    EMPTY = "empty"
    UNREADABLE = "unreadable"
    UNKNOWN_TOKEN = "unknown token"
    TOO_LONG = "too long"
    DUPLICATE = "duplicate"


class LeftOut(NamedTuple):
    """A row that is not among the cleaned molecules."""

    line: int
    """Line number in the file, from 1."""
    raw: str
    reason: Reason
    detail: str
    """What exactly: a :class:`~molgen.molecules.parsing.Status`, the length, the first one's
    line."""


@dataclass(frozen=True)
class Cleaned:
    """Distinct canonical molecules, and what became of every other row."""

    smiles: list[str]
    """Canonical SMILES, distinct, in file order."""
    index: list[int]
    """For each molecule its row in the table it came from."""
    numbers: dict[str, NDArray[np.float64]]
    """The table's columns of numbers, each with shape (molecules,)."""
    report: list[LeftOut]
    """One entry for each row left out, in file order."""
    counts: dict[str, int]
    """``rows``, ``kept``, rows left out by reason, and rows kept but changed."""

    def summary(self) -> str:
        """Return the counts in one line."""
        changes = (SALTS_REMOVED, NEUTRALISED)
        skip = ("rows", "kept", *changes)
        left = [f"{n:,} {name}" for name, n in self.counts.items() if name not in skip and n]
        changed = [f"{self.counts[name]:,} {name}" for name in changes if self.counts[name]]
        line = f"{self.counts['kept']:,} of {self.counts['rows']:,} rows kept"
        line += f"; left out: {', '.join(left)}" if left else ""
        return line + (f"; changed: {', '.join(changed)}" if changed else "")

    def write_report(self, path: str | Path) -> None:
        """Write the rows left out as a CSV with columns line, raw, reason, detail."""
        with replacing(path) as part, part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(LeftOut._fields)
            writer.writerows(self.report)


def clean(
    table: Table,
    *,
    keep_salts: bool = False,
    neutralise: bool = False,
    max_tokens: int | None = None,
    count_tokens: Callable[[str], int] = len,
    processes: int = 1,
    progress: bool = False,
) -> Cleaned:
    """Clean the SMILES of a table.

    Args:
        table: what :func:`molgen.data.reading.read_table` returned.
        keep_salts: keep all fragments of a row; otherwise the largest organic one alone.
        neutralise: add or remove protons until charges are gone, where protons can do it.
        max_tokens: leave out molecules with more tokens.
        count_tokens: tokens of a canonical SMILES string (default: its characters). A
            ``ValueError`` from it leaves the molecule out as an unknown token.
        processes: parse in so many processes.
        progress: show a bar where standard error is a terminal.

    Raises:
        MolgenError: if no molecule is left, or an argument is out of range.
    """
    if max_tokens is not None and max_tokens < 1:
        raise MolgenError(f"max_tokens is {max_tokens}, expected at least 1")
    smiles: list[str] = []
    index: list[int] = []
    report: list[LeftOut] = []
    seen: dict[str, int] = {}
    changed: Counter[str] = Counter()
    work = partial(_parse_chunk, keep_salts=keep_salts, neutralise=neutralise)
    chunks = map_chunks(work, table.raw, processes, "cleaning" if progress else "")
    for i, (text, changes, fault) in enumerate(chain.from_iterable(chunks)):
        line, raw = table.lines[i], table.raw[i]
        fault = fault or _token_fault(text, max_tokens, count_tokens)
        if fault is None and text in seen:
            fault = (Reason.DUPLICATE, f"of line {seen[text]}")
        if fault is not None:
            report.append(LeftOut(line, raw, *fault))
            continue
        seen[text] = line
        smiles.append(text)
        index.append(i)
        changed.update(changes)
    counts = _counts(table, smiles, report, changed)
    if not smiles:
        tally = ", ".join(f"{counts[reason]} {reason}" for reason in Reason if counts[reason])
        raise MolgenError(f"{table.source}: no molecule left of {len(table)} rows ({tally})")
    numbers = {name: values[index] for name, values in table.numbers.items()}
    return Cleaned(smiles, index, numbers, report, counts)


Fault = tuple[Reason, str]
Parsed = tuple[str, tuple[str, ...], Fault | None]  # canonical SMILES, changes made, fault


def _counts(
    table: Table, smiles: list[str], report: list[LeftOut], changed: Counter[str]
) -> dict[str, int]:
    reasons = Counter(row.reason for row in report)
    counts = {"rows": len(table), "kept": len(smiles)}
    counts.update({str(reason): reasons[reason] for reason in Reason})
    counts.update({name: changed[name] for name in (SALTS_REMOVED, NEUTRALISED)})
    return counts


def _token_fault(text: str, limit: int | None, count: Callable[[str], int]) -> Fault | None:
    try:
        tokens = count(text)
    except ValueError as error:
        return Reason.UNKNOWN_TOKEN, str(error).splitlines()[0]
    if limit is not None and tokens > limit:
        return Reason.TOO_LONG, f"{tokens} tokens, at most {limit}"
    return None


def _parse_chunk(rows: Sequence[str], keep_salts: bool, neutralise: bool) -> list[Parsed]:
    return [_parse(raw, keep_salts, neutralise) for raw in rows]


def _parse(raw: str, keep_salts: bool, neutralise: bool) -> Parsed:
    """Return the canonical SMILES of a row, and what was changed or is wrong."""
    molecule = interpret(raw)
    smiles, changes = molecule.smiles, []
    if molecule.status is Status.EMPTY:
        return "", (), (Reason.EMPTY, "")
    if molecule.status is Status.FRAGMENTS:
        smiles = canonical(raw)
        if not keep_salts:
            smiles = largest_fragment(smiles)
            changes.append(SALTS_REMOVED)
    elif not molecule.ok:
        return "", (), (Reason.UNREADABLE, str(molecule.status))
    if neutralise and (uncharged := neutral(smiles)) != smiles:
        smiles = uncharged
        changes.append(NEUTRALISED)
    if not smiles:
        return "", (), (Reason.UNREADABLE, f"{changes[-1]}: nothing readable is left")
    return smiles, tuple(changes), None
