"""The medicinal chemistry filters of MOSES.

A molecule passes if it has none of the 502 substructures in ``moses_smarts/`` (medicinal chemistry
filters, and pan-assay interference compounds), no atom except C, N, S, O, F, Cl, Br and H, no
charged atom, and no ring of eight atoms or more (Polykovskiy et al., "Molecular Sets (MOSES)",
2020). RDKit must also be able to read its own SMILES of the molecule without stereochemistry, which
rarely fails.

Matching 502 patterns takes milliseconds a molecule. A pattern without its hydrogens can only match
if RDKit's pattern fingerprint of the molecule has all bits of the pattern's; with this screen only
one pattern in twenty has to be matched, with the same result.
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem, DataStructs

from molgen.molecules.logs import quiet
from molgen.molecules.parsing import canonical

ALLOWED = frozenset({"C", "N", "S", "O", "F", "Cl", "Br", "H"})
LARGEST_RING = 7
SCREEN_BITS = 2048


@quiet
def pass_filters(mols: Sequence[Chem.Mol]) -> NDArray[np.bool_]:
    """Return whether each molecule passes.

    Args:
        mols: sanitised RDKit molecules.

    Returns:
        With shape (molecules,).
    """
    passed = np.array([_plain(mol) for mol in mols], dtype=bool)
    left = np.flatnonzero(passed).tolist()
    if not left:
        return passed
    patterns, screens = _patterns()
    bits = np.stack([_screen(mols[i]) for i in left])
    possible = bits @ screens.T >= screens.sum(axis=1)
    for i, row in zip(left, possible, strict=True):
        mol = Chem.AddHs(mols[i])  # many patterns name hydrogens as atoms
        passed[i] = not any(
            mol.HasSubstructMatch(patterns[k]) for k in np.flatnonzero(row).tolist()
        ) and bool(canonical(Chem.MolToSmiles(mols[i], isomericSmiles=False)))
    return passed


def _plain(mol: Chem.Mol) -> bool:
    """Return whether elements, charges and ring sizes are allowed."""
    return all(len(ring) <= LARGEST_RING for ring in mol.GetRingInfo().AtomRings()) and all(
        a.GetFormalCharge() == 0 and a.GetSymbol() in ALLOWED for a in mol.GetAtoms()
    )


@functools.cache
@quiet
def _patterns() -> tuple[list[Chem.Mol], NDArray[np.float32]]:
    """Return the patterns, and their fingerprints with shape (patterns, bits)."""
    folder = Path(__file__).with_name("moses_smarts")
    with (folder / "mcf.csv").open(encoding="utf-8") as file:
        smarts = [row["smarts"] for row in csv.DictReader(file)]
    with (folder / "wehi_pains.csv").open(encoding="utf-8") as file:
        smarts += [row[0].strip() for row in csv.reader(file)]
    patterns = [Chem.MolFromSmarts(text) for text in smarts]
    return patterns, np.stack([_screen(_without_hydrogens(pattern)) for pattern in patterns])


def _without_hydrogens(pattern: Chem.Mol) -> Chem.Mol:
    """Return a pattern without hydrogens that matches wherever the given one does with them."""
    smaller = Chem.RWMol(pattern)
    for i in reversed(range(pattern.GetNumAtoms())):
        if pattern.GetAtomWithIdx(i).DescribeQuery().strip() == "AtomAtomicNum 1 = val":
            smaller.RemoveAtom(i)
    return smaller.GetMol()


def _screen(mol: Chem.Mol) -> NDArray[np.float32]:
    """Return the pattern fingerprint as zeros and ones with shape (bits,)."""
    packed = DataStructs.BitVectToBinaryText(Chem.PatternFingerprint(mol, SCREEN_BITS))
    return np.unpackbits(np.frombuffer(packed, dtype=np.uint8)).astype(np.float32)
