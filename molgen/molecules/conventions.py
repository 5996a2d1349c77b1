"""Five conventions for counting valid, unique and novel molecules.

    rows ⊇ valid ⊇ unique ⊇ novel

Each convention defines which rows are valid, when two of them are the same molecule, and when one
is in the training set; *unique* rows are the first of each molecule, *novel* rows those of them
that are not in the training set.

==========  =======================  =========================  ============================
convention  valid                    the same if equal in       denominators of the rates
==========  =======================  =========================  ============================
strict      one sanitised fragment   canonical SMILES           rows
paper       one sanitised fragment   the string as written      rows
inchikey    one sanitised fragment   standard InChIKey          rows
moses       readable by RDKit        canonical SMILES           rows; valid; unique
guacamol    readable by RDKit        canonical without stereo   rows; valid; unique
==========  =======================  =========================  ============================

*inchikey* counts the tautomers that a standard InChI joins as one molecule, so a tautomer of a
training molecule is not novel; what it joins, and what not, is in :mod:`molgen.molecules.inchi`. A
molecule without an InChIKey is not valid by it, and counted.

*paper* is the convention of guided diffusion papers (Schiff et al., "Simple guidance mechanisms for
discrete diffusion models", 2025; Wang et al., "Remasking discrete diffusion models with
inference-time scaling", 2025). There, another SMILES of a training molecule is novel, so the
count is inflated. *moses* follows Polykovskiy et al., "Molecular Sets (MOSES)", 2020;
*guacamol* Brown et al., "GuacaMol: benchmarking models for de novo molecular design", 2019.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from molgen.errors import MolgenError
from molgen.molecules.inchi import inchikey
from molgen.molecules.parents import largest_fragment
from molgen.molecules.parsing import LABEL, Molecule, canonical, flat, mark_unique
from molgen.molecules.training_index import Form, TrainingIndex
from molgen.utils.hints import one_of
from molgen.utils.parallel import map_chunks

Marks = NDArray[np.bool_]


@dataclass(frozen=True)
class Convention:
    """A way of counting molecules."""

    name: str
    identity: Callable[[Molecule], str]
    """Text that identifies a row's molecule, here and in the index; empty for an invalid row."""
    form: Form = "keys"
    """What of the training-set index it is compared with."""
    nested: bool = False
    """Whether unique is taken over valid and novel over unique, instead of both over rows."""


def _canonical(molecule: Molecule) -> str:
    return molecule.smiles or canonical(molecule.raw)


def _spelling(molecule: Molecule) -> str:
    """Return a valid row as written; its canonical SMILES if it has atom labels."""
    if not molecule.ok or LABEL.search(molecule.raw):
        return molecule.smiles
    return molecule.raw


def _smiles(molecule: Molecule) -> str:
    return molecule.smiles


def _flat(molecule: Molecule) -> str:
    return flat(molecule.raw)


def _inchikey(molecule: Molecule) -> str:
    return inchikey(molecule.smiles)


STRICT = Convention("strict", _smiles)
INCHIKEY = Convention("inchikey", _inchikey, "inchi_keys")
PAPER = Convention("paper", _spelling)
MOSES = Convention("moses", _canonical, nested=True)
GUACAMOL = Convention("guacamol", _flat, "flat_keys", nested=True)
CONVENTIONS = {c.name: c for c in (STRICT, PAPER, INCHIKEY, MOSES, GUACAMOL)}


@dataclass(frozen=True, eq=False)
class Count:
    """The valid, unique and novel rows under one convention."""

    convention: Convention
    valid: Marks
    """With shape (rows,)."""
    unique: Marks
    """The first row of each molecule, with shape (rows,)."""
    novel: Marks | None
    """Unique rows not in the training set, with shape (rows,); None without an index."""

    def rates(self) -> dict[str, float | int | None]:
        """Return fractions and counts; None if undefined (no index, no rows)."""
        counts = [len(self.valid), int(self.valid.sum()), int(self.unique.sum())]
        rows, valid, unique = counts
        novel = None if self.novel is None else int(self.novel.sum())
        over = (rows, valid, unique) if self.convention.nested else (rows, rows, rows)
        return {
            "rows": rows,
            "valid": _rate(valid, over[0]),
            "unique": _rate(unique, over[1]),
            "novel": _rate(novel, over[2]),
            "valid_count": valid,
            "unique_count": unique,
            "novel_count": novel,
        }


def count(
    molecules: Sequence[Molecule],
    convention: Convention = STRICT,
    known: TrainingIndex | None = None,
    processes: int = 1,
) -> Count:
    """Count molecules by a convention.

    Args:
        molecules: one a row, in the order of the draws.
        convention: of counting.
        known: index of the molecules given to training, held-out part included.
        processes: number of processes.

    Raises:
        MolgenError: if the convention is that of InChIKeys, and the index has none.
    """
    chunks = map_chunks(partial(_identities, convention), list(molecules), processes)
    identities = list(chain.from_iterable(chunks))
    valid = np.array([bool(text) for text in identities], dtype=bool)
    unique = mark_unique(identities)
    if known is None:
        return Count(convention, valid, unique, None)
    return Count(convention, valid, unique, unique & ~_contains(known, identities, convention))


def _identities(convention: Convention, molecules: Sequence[Molecule]) -> list[str]:
    return [convention.identity(molecule) for molecule in molecules]


def _contains(known: TrainingIndex, identities: Sequence[str], convention: Convention) -> Marks:
    """Return which rows are in the training set, or have their largest fragment there.

    Training and reference files keep the largest fragment of a salt.
    """
    contained = known.contains(identities, convention.form)
    mixtures = [i for i, text in enumerate(identities) if convention.nested and "." in text]
    if mixtures:
        parents = [largest_fragment(identities[i]) for i in mixtures]
        contained[mixtures] |= known.contains(parents, convention.form)
    return contained


def convention(name: str) -> Convention:
    """Return the convention of that name.

    Raises:
        MolgenError: if there is none.
    """
    if name not in CONVENTIONS:
        raise MolgenError(f"convention is {name!r}, {one_of(name, CONVENTIONS)}")
    return CONVENTIONS[name]


@dataclass(frozen=True)
class FrontierPoint:
    """The number of novel molecules, and the mean of a property over them."""

    convention: str
    rows: int
    novel: int
    mean: float
    """Mean of the property over the novel molecules; NaN if there are none."""


def frontier_point(counted: Count, values: NDArray[np.float64]) -> FrontierPoint:
    """Return the novel count and the property's mean over exactly those molecules.

    Args:
        counted: by either convention.
        values: the property of each row, with shape (rows,).

    Raises:
        MolgenError: if the count was made without an index, or shapes differ.
    """
    if counted.novel is None:
        raise MolgenError("counted has no novel rows: count(..., known=...) with an index")
    if values.shape != counted.novel.shape:
        raise MolgenError(f"values has shape {values.shape}, expected {counted.novel.shape}")
    chosen = values[counted.novel]
    mean = float(np.mean(chosen)) if len(chosen) else math.nan
    return FrontierPoint(counted.convention.name, len(values), len(chosen), mean)


def wasserstein(values: NDArray[np.float64], reference: NDArray[np.float64]) -> float:
    """Return the earth mover's distance between two samples of a number.

    ``W_1 = integral |F(x) - G(x)| dx`` over the empirical distribution functions. MOSES reports it
    for logP, SA, QED and molecular weight.

    Args:
        values: with shape (molecules,); NaN (no molecule) is excluded.
        reference: with shape (others,), likewise.

    Returns:
        In the unit of the values; NaN if either sample is empty.
    """
    a, b = (np.sort(x[~np.isnan(x)]) for x in (values, reference))
    if not len(a) or not len(b):
        return math.nan
    edges = np.sort(np.concatenate([a, b]))
    below = edges[:-1]
    f = np.searchsorted(a, below, side="right") / len(a)
    g = np.searchsorted(b, below, side="right") / len(b)
    return float(np.sum(np.abs(f - g) * np.diff(edges)))


def _rate(part: int | None, whole: int) -> float | None:
    return None if part is None or not whole else part / whole
