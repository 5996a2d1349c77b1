"""The metrics of MOSES, by their definitions (Polykovskiy et al., "Molecular Sets (MOSES)", 2020).

    valid       what RDKit reads, over rows
    unique@k    distinct canonical SMILES of the first k valid rows, over those rows
    IntDiv p    1 - mean_i (mean_j T_ij^p)^(1/p),  T the Tanimoto similarity of Morgan fingerprints
    SNN         mean_i max_r T_ir over the molecules r of a reference set
    Frag        cosine similarity of the counts of BRICS fragments in both sets
    Scaf        the same for Bemis-Murcko scaffolds with two rings or more
    Filters     the fraction without unwanted substructures (:mod:`molgen.alerts`)
    Novelty     distinct canonical SMILES that are not known, over distinct ones

All but the first two are taken over all valid rows, duplicates included. BRICS: Degen et al., "On
the art of compiling and using drug-like chemical fragment spaces", 2008. Scaffolds: Bemis and
Murcko, "The properties of known drugs. 1. Molecular frameworks", 1996.
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem, rdBase
from rdkit.Chem.Scaffolds import MurckoScaffold

from molgen.alerts import pass_filters
from molgen.chunks import map_chunks
from molgen.known import KnownMolecules
from molgen.metrics import MOSES, count
from molgen.molecules import Molecule, parse
from molgen.similarity import Bits, fingerprint, internal_diversities, nearest_similarity

UNIQUE_AT = (1000, 10000)
MIN_RINGS = 2  # a scaffold of one ring says little, and MOSES leaves it out


@dataclass(frozen=True, eq=False)
class Described:
    """What the metrics need to know about a set of molecules."""

    bits: Bits
    """Fingerprints with shape (molecules, bits)."""
    fragments: Counter[str]
    """How often each BRICS fragment occurs."""
    scaffolds: Counter[str]
    """How many molecules have each scaffold."""
    passed: NDArray[np.bool_]
    """Which molecules pass the filters, with shape (molecules,); none for a reference."""


def describe(
    smiles: Iterable[str], filters: bool = False, processes: int = 1, progress: str = ""
) -> Described:
    """Describe a set of molecules, parsing each once; what is no molecule is left out.

    Args:
        smiles: of the molecules.
        filters: apply the filters too; a reference does not need them.
        processes: how many processes share the work.
        progress: label of a progress bar; empty for none.

    Raises:
        ValueError: if none of them is a molecule.
    """
    work = functools.partial(_describe_chunk, filters=filters)
    parts = [part for part in map_chunks(work, list(smiles), processes, progress) if part]
    if not parts:
        raise ValueError("smiles holds no molecule that RDKit can read")
    return Described(
        np.concatenate([part.bits for part in parts]),
        _total(part.fragments for part in parts),
        _total(part.scaffolds for part in parts),
        np.concatenate([part.passed for part in parts]),
    )


def moses_metrics(
    molecules: Sequence[Molecule],
    reference: Described | None = None,
    known: KnownMolecules | None = None,
    processes: int = 1,
    progress: str = "",
) -> dict[str, float | None]:
    """Return the metrics of a set of rows.

    Args:
        molecules: one a row, in the order they were drawn.
        reference: for SNN, Frag and Scaf, which are left out without it.
        known: the training set, for Novelty, which is left out without it.
        processes: how many processes share the chemistry.
        progress: label of a progress bar; empty for none.

    Returns:
        Each metric by its name in MOSES, None where it is not defined (over no molecule).
    """
    counted = count(molecules, MOSES, known)
    valid = [m for m, is_valid in zip(molecules, counted.valid, strict=True) if is_valid]
    result = {"valid": counted.rates()["valid"]}
    unique = counted.unique[
        counted.valid
    ]  # of the first k, the first of each form are the distinct
    for k in UNIQUE_AT:
        result[f"unique@{k}"] = float(np.mean(unique[:k])) if valid else None
    names = ["IntDiv", "IntDiv2", *(("SNN", "Frag", "Scaf") if reference else ()), "Filters"]
    result |= dict.fromkeys(names)
    if valid:
        mine = describe([m.smiles or m.raw for m in valid], True, processes, progress)
        result["IntDiv"], result["IntDiv2"] = internal_diversities(mine.bits, (1.0, 2.0))
        if reference:
            result["SNN"] = float(np.mean(nearest_similarity(mine.bits, reference.bits)))
            result["Frag"] = cosine(mine.fragments, reference.fragments)
            result["Scaf"] = cosine(mine.scaffolds, reference.scaffolds)
        result["Filters"] = float(np.mean(mine.passed))
    if known is not None:
        result["Novelty"] = counted.rates()["novel"]
    return result


def cosine(a: Counter[str], b: Counter[str]) -> float | None:
    """Return the cosine of the angle between two vectors of counts; None if either is empty."""
    if not a or not b:
        return None
    dot = sum(n * b[key] for key, n in a.items() if key in b)
    norms = (math.sqrt(sum(n * n for n in counts.values())) for counts in (a, b))
    return dot / math.prod(norms)


def scaffold(mol: Chem.Mol) -> str:
    """Return the Bemis-Murcko scaffold as SMILES; empty if it has fewer than two rings."""
    try:
        core = MurckoScaffold.GetScaffoldForMol(mol)
    except (ValueError, RuntimeError):  # what is left of some charged rings does not sanitise
        return ""
    return Chem.MolToSmiles(core) if core.GetRingInfo().NumRings() >= MIN_RINGS else ""


def fragments(mol: Chem.Mol) -> list[str]:
    """Return the SMILES of the pieces that cutting all BRICS bonds leaves."""
    return Chem.MolToSmiles(Chem.FragmentOnBRICSBonds(mol)).split(".")


def _total(counts: Iterable[Counter[str]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for part in counts:
        total.update(part)
    return total


def _describe_chunk(smiles: Sequence[str], filters: bool) -> Described | None:
    with rdBase.BlockLogs():
        mols = [mol for mol in map(parse, smiles) if mol is not None]
        if not mols:
            return None
        return Described(
            np.stack([fingerprint(mol) for mol in mols]),
            Counter(piece for mol in mols for piece in fragments(mol)),
            Counter(core for core in map(scaffold, mols) if core),
            pass_filters(mols) if filters else np.zeros(0, dtype=bool),
        )
