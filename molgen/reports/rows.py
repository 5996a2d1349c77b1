"""The columns of a page: those of the table, and what is computed of its molecules.

Properties that a training set has values of are computed if the table lacks them; beside these come
the Murcko scaffold (Bemis and Murcko, "The properties of known drugs. 1. Molecular frameworks",
1996), the nearest molecule of a reference, and a diverse subset by MaxMin (Ashton et al.,
"Identification of diverse database subsets using property-based and fragment-based molecular
descriptions", 2002).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from rdkit.Chem.Scaffolds import MurckoScaffold
from rdkit.DataStructs import CreateFromBitString, ExplicitBitVect
from rdkit.SimDivFilters import MaxMinPicker

from molgen.data.cells import DIGITS, text_of
from molgen.molecules.captions import BOOKKEEPING, decimals
from molgen.molecules.fingerprints import Bits, fingerprints, nearest
from molgen.molecules.logs import quiet
from molgen.molecules.parsing import parse
from molgen.reports.data import ReportData
from molgen.reports.structures import Structures
from molgen.utils.parallel import map_chunks
from property_models import compute

if TYPE_CHECKING:
    import pandas as pd

COMPUTED = ("qed", "sa", "logp", "mw", "tpsa")
"""Properties of every page."""
PARTS = re.compile(r"R\d+|part_\d+|linker")
"""Columns with what was put at an attachment point."""
CALLS = ("calls", "call", "oracle_call")
"""Columns of the number of calls after which a molecule was scored."""
DRAWN = ("scaffold", "lead")
"""Further columns of SMILES."""
LEFT_OUT = ("raw", "tokens", "smiles")
SCAFFOLD, NEAREST, SIMILARITY = "murcko_scaffold", "nearest", "nearest_similarity"
EXACT = 2**53  # whole numbers below are exact in a browser; identifiers must be
DIVERSE = 24  # molecules of the diverse subset
MOST_GROUPS = 24  # of a column, the largest

Kind = Literal["number", "flag", "text", "structure"]


@dataclass(frozen=True)
class Column:
    """A column of a page.

    Attributes:
        name: its heading.
        kind: of its cells: numbers, truth values, text, or numbers of structures.
        values: one a row, None for none.
        integer: whether its numbers are whole.
        digits: behind the point of its numbers.
        bookkeeping: whether it is no value of a molecule.
    """

    name: str
    kind: Kind
    values: list[Any]
    integer: bool = False
    digits: int = 0
    bookkeeping: bool = False


@dataclass
class Rows:
    """The rows of a page.

    Attributes:
        molecules: number of the structure of each row, None for what is no molecule.
        strings: what a row is, written out: the SMILES, or the string that is no molecule.
        columns: in order.
        structures: of the molecules and the columns.
        diverse: indices of the rows of the diverse subset.
    """

    molecules: list[int | None]
    strings: list[str]
    columns: list[Column]
    structures: Structures = field(default_factory=Structures)
    diverse: list[int] = field(default_factory=list)


def analyse(data: ReportData, workers: int = 1) -> Rows:
    """Return the rows of a page.

    Args:
        data: of the report.
        workers: number of processes.
    """
    table, drawn = data.table, Structures()
    smiles = [text if isinstance(text, str) else "" for text in table["smiles"].tolist()]
    raw = table["raw"].tolist() if "raw" in table else smiles
    strings = [one or text_of(other) for one, other in zip(smiles, raw, strict=True)]
    columns = [
        _column(str(name), table.iloc[:, i], drawn)
        for i, name in enumerate(table.columns)
        if name not in LEFT_OUT
    ]
    found = Rows([drawn.add(text) for text in smiles], strings, columns, drawn)
    valid = [i for i, text in enumerate(smiles) if text]
    if valid:
        _compute(found, data, smiles, valid, workers)
    return found


def _compute(
    rows: Rows, data: ReportData, smiles: Sequence[str], valid: Sequence[int], workers: int
) -> None:
    """Add computed columns."""
    molecules = [smiles[i] for i in valid]
    known = {column.name for column in rows.columns}
    trained = data.training.values if data.training is not None else ()
    names = [name for name in dict.fromkeys((*COMPUTED, *trained)) if name not in known]
    for name, values in compute(names, molecules, workers, "properties").items():
        rows.columns.append(_numbers(name, _spread(values.tolist(), valid, len(smiles))))
    bits = fingerprints(molecules, workers, "fingerprints")
    if data.reference is not None and NEAREST not in known:
        _, others = data.reference
        which, similarity = nearest(bits, fingerprints(others, workers, "reference"), "nearest")
        found = [rows.structures.add(others[i]) for i in which]
        rows.columns.append(_numbers(SIMILARITY, _spread(similarity.tolist(), valid, len(smiles))))
        rows.columns.append(Column(NEAREST, "structure", _spread(found, valid, len(smiles))))
    if SCAFFOLD not in known:
        chunks = map_chunks(_scaffolds, molecules, workers, "scaffolds")
        cores = [text for chunk in chunks for text in chunk]
        counts = Counter(cores)
        shared = {text for text, n in counts.most_common(MOST_GROUPS)}
        shared |= {text for text, n in counts.items() if n > 1}
        drawn = [rows.structures.add(text, text in shared) for text in cores]
        spread = _spread(drawn, valid, len(smiles))
        rows.columns.append(Column(SCAFFOLD, "structure", spread, bookkeeping=True))
    distinct = {text: i for i, text in reversed(list(enumerate(molecules)))}
    places = sorted(distinct.values())
    rows.diverse = [valid[places[i]] for i in diverse(bits[places], DIVERSE)]


def diverse(bits: Bits, count: int) -> list[int]:
    """Return the indices of a diverse subset, the first row first, by MaxMin.

    Args:
        bits: fingerprints with shape (molecules, bits).
        count: of the subset, at most.
    """
    if len(bits) <= count:
        return list(range(len(bits)))
    vectors: list[ExplicitBitVect] = [
        CreateFromBitString("".join(map(str, row))) for row in bits.tolist()
    ]
    picked = MaxMinPicker().LazyBitVectorPick(vectors, len(vectors), count, [0], 0)
    return list(picked)


def value_columns(rows: Rows) -> list[Column]:
    """Return the columns of numbers that are values of the molecules."""
    return [c for c in rows.columns if c.kind == "number" and not c.bookkeeping]


def _column(name: str, series: pd.Series, drawn: Structures) -> Column:
    """Return a column of the table."""
    values, bookkeeping = series.tolist(), name.lower() in {*BOOKKEEPING, *CALLS}
    if PARTS.fullmatch(name) or name in DRAWN:
        texts = [text_of(value) for value in values]
        places = [drawn.add(text) for text in texts]
        if all(n is not None for n, text in zip(places, texts, strict=True) if text):
            return Column(name, "structure", places, bookkeeping=bookkeeping)
    kept = [value for value in values if text_of(value) != ""]
    if kept and all(isinstance(value, bool | np.bool_) for value in kept):
        flags = [None if text_of(value) == "" else bool(value) for value in values]
        return Column(name, "flag", flags, bookkeeping=True)
    if kept and all(isinstance(value, int | float | np.number) for value in kept):
        numbers = [None if text_of(value) == "" else float(value) for value in values]
        return _numbers(name, numbers, bookkeeping)
    return Column(name, "text", [text_of(value) for value in values], bookkeeping=bookkeeping)


def _numbers(name: str, values: Sequence[float | None], bookkeeping: bool = False) -> Column:
    """Return a column of numbers: whole ones as they are, others with six significant digits."""
    found: list[float | None] = [
        None if value is None or not math.isfinite(value) else _rounded(value) for value in values
    ]
    kept = [value for value in found if value is not None]
    integer = all(isinstance(value, int) for value in kept)
    return Column(name, "number", found, integer, decimals(kept), bookkeeping)


def _rounded(value: float) -> float:
    whole = value == round(value) and abs(value) < EXACT
    return int(value) if whole else float(f"{value:.{DIGITS}g}")


def _spread(values: Sequence[Any], places: Sequence[int], rows: int) -> list[Any]:
    """Return values of some rows as values of all."""
    found: list[Any] = [None] * rows
    for place, value in zip(places, values, strict=True):
        found[place] = value
    return found


def _scaffolds(smiles: Sequence[str]) -> list[str]:
    """Return the Murcko scaffold of each molecule; empty without a ring."""
    found = []
    for text in smiles:
        mol = parse(text)
        try:
            with quiet:
                found.append(MurckoScaffold.MurckoScaffoldSmiles(mol=mol) if mol else "")
        except (ValueError, RuntimeError):  # scaffolds of some charged rings do not sanitise
            found.append("")
    return found
