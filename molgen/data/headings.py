"""How a table is laid out: its delimiter, its headings, and which of them hold SMILES.

A heading is known whatever its case, blanks and punctuation: ``SMILES``, ``Canonical SMILES``,
``canonical_smiles`` and ``#smiles`` are headings of SMILES. Imports neither torch nor RDKit.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from molgen.errors import MolgenError
from molgen.utils.hints import hint

DELIMITERS = ",\t;"
MOST_COLUMNS = 16_384
"""As many as the widest spreadsheets have."""

SMILES = ("smiles", "canonicalsmiles", "isomericsmiles", "cxsmiles", "smi")
"""Folded headings of SMILES; after these comes every other that ends or begins in ``smiles``."""
STRUCTURE = ("structure", "mol", "molecule", "compound", "ligand")
"""Folded headings that may also be those of names: whether SMILES are there decides."""
SCAFFOLD = "scaffold"
"""Heading of what molecules are to be built on."""
RAW = "raw"
"""Heading of what a network wrote, molecule or not."""
NAME = "name"
"""Heading of what is behind the SMILES in a list, and of the titles of an SDF."""
SHOWN = 20  # headings that a message names

SEPARATORS = re.compile(r"[\s,;]+")  # none of them occurs inside a SMILES string
_IGNORED = re.compile(r"[\W_]+")


def fold(heading: str) -> str:
    """Return a heading without case, blanks and punctuation."""
    return _IGNORED.sub("", heading.casefold())


def is_usual(heading: str) -> bool:
    """Return whether a heading is one that SMILES are usually found under."""
    folded = fold(heading)
    return folded in (*SMILES, *STRUCTURE, SCAFFOLD, RAW) or "smiles" in folded


def split_heading(
    path: Path, lines: Iterable[str], named: Sequence[str] = (), tabs: bool = False
) -> tuple[tuple[str, ...], str]:
    """Return the headings that a table begins with, and its delimiter.

    A heading may hold line breaks, if it is quoted. The delimiter is the one that gives a column
    asked for or a usual heading, then the one that gives most columns.

    Args:
        path: for messages.
        lines: of the table, from the heading on.
        named: columns that are asked for.
        tabs: whether the file's name says that its delimiter is the tab.

    Raises:
        MolgenError: if no delimiter gives headings, or there are too many.
    """
    wanted = {name.casefold() for name in named}
    order = "\t,;" if tabs else DELIMITERS
    style: dict[str, Any] = {"skipinitialspace": True, "strict": True}
    found: list[tuple[int, int, tuple[str, ...], str]] = []
    fault = "a quote in the headings is never closed"
    stream, kept = iter(lines), list[str]()
    for delimiter in order:
        replayed = chain(tuple(kept), _keeping(stream, kept))
        try:
            row = next(csv.reader(replayed, delimiter=delimiter, **style))
        except csv.Error as error:
            fault = str(error)
            continue
        names = tuple(" ".join(name.split()) for name in row)
        hit = max(_weight(name, wanted) for name in names) if names else 0
        found.append((hit, len(names), names, delimiter))
    if not found:
        raise MolgenError(f"{path}, line 1: the headings cannot be read: {fault}")
    _, count, names, delimiter = max(found, key=lambda layout: layout[:2])
    if count > MOST_COLUMNS:
        raise MolgenError(f"{path}: {count:,} columns, expected at most {MOST_COLUMNS:,}")
    return names, delimiter


def _weight(name: str, wanted: set[str]) -> int:
    """Return how sure it is that this is a whole heading: ``smiles;IC50`` is less so."""
    if name.casefold() in wanted or fold(name) in (*SMILES, *STRUCTURE, SCAFFOLD, RAW):
        return 2
    return int(is_usual(name))


def _keeping(lines: Iterable[str], kept: list[str]) -> Iterable[str]:
    for line in lines:
        kept.append(line)
        yield line


def find(path: Path, headings: Sequence[str], name: str) -> int:
    """Return the position of a column: spelled exactly, else in any case.

    Raises:
        MolgenError: if there is none.
    """
    folded = [heading.casefold() for heading in headings]
    for spelled, there in ((name, list(headings)), (" ".join(name.split()).casefold(), folded)):
        if spelled in there:
            return there.index(spelled)
    near = hint(name, headings)
    raise MolgenError(f"{path}: no column {name!r}; the columns are {listed(headings)}{near}")


def candidates(headings: Sequence[str], drawn: bool = False) -> list[int]:
    """Return the columns that may hold SMILES, the likeliest first.

    Args:
        headings: of the table.
        drawn: the rows are judged as a network wrote them, so ``raw`` comes first and not last.
    """
    folded = [fold(heading) for heading in headings]
    named = [i for name in SMILES for i, there in enumerate(folded) if there == name]
    named += [i for i, there in enumerate(folded) if "smiles" in there]
    named += [i for name in STRUCTURE for i, there in enumerate(folded) if there == name]
    raw = [i for i, there in enumerate(folded) if there == RAW]
    return list(dict.fromkeys([*raw, *named] if drawn else [*named, *raw]))


def listed(headings: Sequence[str]) -> str:
    """Return headings as a message names them."""
    shown = ", ".join(repr(heading) for heading in headings[:SHOWN])
    more = len(headings) - SHOWN
    return f"{shown} and {more:,} more" if more > 0 else shown
