"""The metrics of MOSES, by their definitions (Polykovskiy et al., "Molecular Sets (MOSES)", 2020).

    valid       rows that RDKit reads, over rows
    unique@k    distinct canonical SMILES of the first k valid rows, over those rows
    IntDiv p    1 - mean_i (mean_j T_ij^p)^(1/p),  T the Tanimoto similarity of Morgan fingerprints
    SNN         mean_i max_r T_ir over the molecules r of a reference set
    Frag        cosine similarity of the counts of BRICS fragments in both sets
    Scaf        the same for Bemis-Murcko scaffolds with two rings or more
    Filters     the fraction without unwanted substructures (:mod:`molgen.molecules.moses_filters`)
    FCD         the Fréchet distance of both sets' ChemNet activations (:mod:`molgen.molecules.fcd`)
    Novelty     distinct canonical SMILES not in the training set, over distinct ones

All but the first two are taken over all valid rows, duplicates included; with fewer than k valid
rows, unique@k is taken over all of them. Two details differ from MOSES' code, neither of which
affects its samples: a string with a blank in it is not a SMILES string here, whereas RDKit reads
the part before the blank; and training molecules are canonicalised before they are compared.

This module has the functions of one molecule, or of two tables of counts; the metrics of sets are
in :mod:`molgen.molecules.distribution`. BRICS: Degen et al., "On the art of compiling and using
drug-like chemical fragment spaces", 2008. Scaffolds: Bemis and Murcko, "The properties of known
drugs. 1. Molecular frameworks", 1996.
"""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
from rdkit import Chem

from molgen.molecules.conventions import Count
from molgen.molecules.frameworks import framework
from molgen.molecules.logs import quiet

UNIQUE_AT = (1000, 10000)
MIN_RINGS = 2  # MOSES excludes scaffolds of one ring


def uniqueness(counted: Count) -> dict[str, float | None]:
    """Return ``unique@k`` for each k of :data:`UNIQUE_AT`; None if no row is valid.

    Args:
        counted: under :data:`molgen.molecules.conventions.MOSES`.
    """
    # among the first k valid rows, first occurrences are the distinct molecules
    unique = counted.unique[counted.valid]
    return {f"unique@{k}": float(np.mean(unique[:k])) if len(unique) else None for k in UNIQUE_AT}


def cosine(a: Counter[str], b: Counter[str]) -> float | None:
    """Return the cosine of the angle between two vectors of counts; None if either is empty."""
    if not a or not b:
        return None
    dot = sum(n * b[key] for key, n in a.items() if key in b)
    norms = (math.sqrt(sum(n * n for n in counts.values())) for counts in (a, b))
    return dot / math.prod(norms)


def scaffold(mol: Chem.Mol) -> str:
    """Return the Bemis-Murcko scaffold as SMILES; empty if it has fewer than two rings."""
    core = framework(mol)
    large = core is not None and core.GetRingInfo().NumRings() >= MIN_RINGS
    return Chem.MolToSmiles(core) if large else ""


@quiet
def fragments(mol: Chem.Mol) -> tuple[str, ...]:
    """Return the SMILES of the fragments after cutting all BRICS bonds."""
    return tuple(Chem.MolToSmiles(Chem.FragmentOnBRICSBonds(mol)).split("."))
