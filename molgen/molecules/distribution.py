"""The distribution of a set of molecules: its diversity, and its similarity to a reference set.

    set = distinct molecules x multiplicities

One list of molecules is a different set under each convention (with or without duplicates, with or
without rows of two fragments), so the features of every molecule are computed once, and a set is a
vector of weights over molecules. The metrics are those of MOSES
(:mod:`molgen.molecules.moses_metrics`); each is None if undefined: for an empty set, without a
reference, or if neither set has a scaffold of two rings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from sys import intern
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from molgen.errors import MolgenError
from molgen.molecules.fingerprints import (
    Bits,
    fingerprint,
    nearest_similarity,
    weighted_diversities,
)
from molgen.molecules.logs import quiet
from molgen.molecules.moses_filters import pass_filters
from molgen.molecules.moses_metrics import cosine, fragments, scaffold
from molgen.molecules.parsing import parse
from molgen.utils.parallel import map_chunks

METRICS = ("IntDiv", "IntDiv2", "SNN", "Frag", "Scaf", "Filters")
"""The metrics of a set, by their names in MOSES."""
POWERS = (1.0, 2.0)  # of IntDiv and IntDiv2

Weights = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Reference:
    """Features of a reference set."""

    bits: Bits
    """Fingerprints with shape (molecules, bits)."""
    fragments: Counter[str]
    """Number of occurrences of each BRICS fragment."""
    scaffolds: Counter[str]
    """Number of molecules with each scaffold."""


@dataclass(frozen=True, eq=False)
class Features:
    """Features of each of several molecules."""

    bits: Bits
    """Fingerprints with shape (molecules, bits)."""
    fragments: tuple[tuple[str, ...], ...]
    """The BRICS fragments of each."""
    scaffolds: tuple[str, ...]
    """The scaffold of each; empty if it has fewer than two rings."""
    passed: NDArray[np.bool_]
    """Which pass the filters, with shape (molecules,)."""


def describe(smiles: Iterable[str], processes: int = 1, progress: str = "") -> Reference:
    """Compute the features of a reference set; strings that are not molecules are excluded.

    Args:
        smiles: of the molecules.
        processes: number of processes.
        progress: label of a progress bar; empty for none.

    Raises:
        MolgenError: if none of them is a molecule.
    """
    parts = map_chunks(_reference_chunk, list(smiles), processes, progress)
    found = [part for part in parts if part is not None]
    if not found:
        raise MolgenError("smiles has no molecule that RDKit can read")
    return Reference(
        np.concatenate([part.bits for part in found]),
        _sum(part.fragments for part in found),
        _sum(part.scaffolds for part in found),
    )


def featurise(smiles: Sequence[str], processes: int = 1, progress: str = "") -> Features:
    """Compute the features of each molecule.

    Args:
        smiles: of the molecules. A string that RDKit cannot read (sometimes its own output) has no
            bits, fragments or scaffold, and does not pass.
        processes: number of processes.
        progress: label of a progress bar; empty for none.

    Raises:
        MolgenError: if there are none.
    """
    if not smiles:
        raise MolgenError("smiles is empty, expected at least one molecule")
    parts = map_chunks(_features_chunk, list(smiles), processes, progress)
    return Features(
        np.concatenate([part.bits for part in parts]),
        tuple(tuple(map(intern, pieces)) for part in parts for pieces in part.fragments),
        tuple(intern(core) for part in parts for core in part.scaffolds),
        np.concatenate([part.passed for part in parts]),
    )


def set_metrics(
    features: Features, sets: Weights, reference: Reference | None = None, progress: str = ""
) -> list[dict[str, float | None]]:
    """Return the metrics of several sets of the same molecules.

    Args:
        features: of the distinct molecules.
        sets: multiplicity of each molecule in each set, with shape (sets, molecules).
        reference: for SNN, Frag and Scaf, which are None without it.
        progress: label of progress bars; empty for none.

    Returns:
        For each set the values of :data:`METRICS`.
    """
    label: Callable[[str], str] = lambda name: f"{progress} {name}" if progress else ""  # noqa: E731
    diversity = weighted_diversities(features.bits, POWERS, sets, label("IntDiv"))
    nearest = None
    if reference is not None:
        nearest = nearest_similarity(features.bits, reference.bits, label("SNN"))
    results = []
    for weights, (one, two) in zip(sets, diversity.tolist(), strict=True):
        found = dict.fromkeys(METRICS) | {"IntDiv": one, "IntDiv2": two}
        found["Filters"] = _mean(features.passed, weights)
        if reference is not None and nearest is not None:
            found["SNN"] = _mean(nearest, weights)
            found["Frag"] = cosine(_weighted(features.fragments, weights), reference.fragments)
            cores = [(core,) if core else () for core in features.scaffolds]
            found["Scaf"] = cosine(_weighted(cores, weights), reference.scaffolds)
        results.append(found if weights.any() else dict.fromkeys(METRICS))
    return results


def _mean(values: NDArray[Any], weights: Weights) -> float | None:
    total = int(weights.sum())
    return float((values * weights).sum() / total) if total else None


def _weighted(keys: Sequence[Sequence[str]], weights: Weights) -> Counter[str]:
    total: Counter[str] = Counter()
    for names, weight in zip(keys, weights.tolist(), strict=True):
        for name in names if weight else ():
            total[name] += weight
    return total


def _sum(counts: Iterable[Counter[str]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for part in counts:
        total.update(part)
    return total


def _reference_chunk(smiles: Sequence[str]) -> Reference | None:
    with quiet:
        mols = [mol for mol in map(parse, smiles) if mol is not None]
        if not mols:
            return None
        return Reference(
            np.stack([fingerprint(mol) for mol in mols]),
            Counter(piece for mol in mols for piece in fragments(mol)),
            Counter(core for core in map(scaffold, mols) if core),
        )


def _features_chunk(smiles: Sequence[str]) -> Features:
    with quiet:
        mols = [parse(text) for text in smiles]
        readable = [mol for mol in mols if mol is not None]
        passed = np.zeros(len(mols), dtype=bool)
        passed[[mol is not None for mol in mols]] = pass_filters(readable)
        return Features(
            np.stack([fingerprint(mol or Chem.Mol()) for mol in mols]),
            tuple(fragments(mol) if mol else () for mol in mols),
            tuple(scaffold(mol) if mol else "" for mol in mols),
            passed,
        )
