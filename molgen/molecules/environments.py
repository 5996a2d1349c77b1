"""Fingerprint bits of a molecule and the atom environments that set them, for lead optimisation.

    T(a, b) = |a and b| / |a or b|

over the bits of Morgan fingerprints, radius 2 and 2,048 bits, without chirality: the similarity of
published lead optimisation (Jin et al., "Hierarchical Generation of Molecular Graphs using
Structural Motifs", 2020). Arrays of fingerprints are in :mod:`molgen.molecules.fingerprints`.
"""

from __future__ import annotations

from rdkit import Chem
from rdkit.Chem import rdFingerprintGenerator

from molgen.molecules.fingerprints import morgan

BITS = 2048  # of the fingerprints for similarity to a lead


Bits = frozenset[int]


def fingerprint(mol: Chem.Mol) -> Bits:
    """Return the bits of a molecule's fingerprint."""
    return frozenset(morgan(BITS).GetFingerprint(mol).GetOnBits())


def environments(mol: Chem.Mol) -> dict[int, list[frozenset[int]]]:
    """Return the atom environments that set each bit of a molecule's fingerprint."""
    output = rdFingerprintGenerator.AdditionalOutput()
    output.AllocateBitInfoMap()
    morgan(BITS).GetFingerprint(mol, additionalOutput=output)
    return {
        bit: [_environment(mol, atom, radius) for atom, radius in places]
        for bit, places in output.GetBitInfoMap().items()
    }


def tanimoto(a: Bits, b: Bits) -> float:
    """Return ``|a and b| / |a or b|``, 1 for two molecules without bits."""
    either = len(a | b)
    return len(a & b) / either if either else 1.0


def _environment(mol: Chem.Mol, atom: int, radius: int) -> frozenset[int]:
    bonds = Chem.FindAtomEnvironmentOfRadiusN(mol, radius, atom) if radius else ()
    ends = (mol.GetBondWithIdx(bond) for bond in bonds)
    return frozenset([atom]).union(
        *((bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()) for bond in ends)
    )
