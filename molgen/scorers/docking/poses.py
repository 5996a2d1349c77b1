"""Poses: an SDF file for each docked molecule, in a folder, with its score and its state.

The name of the file is the molecule's InChIKey, and a digest of its SMILES, since tautomers share
an InChIKey. Files can be joined with ``cat``.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

from rdkit import Chem

from molgen.molecules.inchi import inchikey
from molgen.utils.files import replacing


def place(folder: str | Path, smiles: str) -> Path:
    """Return the file of a molecule's pose.

    Args:
        folder: of the poses.
        smiles: canonical SMILES.
    """
    digest = blake2b(smiles.encode(), digest_size=4).hexdigest()
    return Path(folder) / f"{inchikey(smiles) or 'molecule'}_{digest}.sdf"


def write(folder: str | Path, smiles: str, pose: str, facts: Mapping[str, Any]) -> None:
    """Write a pose.

    Args:
        folder: of the poses, which is created if it does not exist.
        smiles: canonical SMILES of the molecule, the title.
        pose: in PDBQT format, with Meeko's remarks.
        facts: data items by name.
    """
    from meeko import PDBQTMolecule, RDKitMolCreate

    (mol,) = RDKitMolCreate.from_pdbqt_mol(PDBQTMolecule(pose, skip_typing=True))
    mol.SetProp("_Name", smiles)
    for name, fact in facts.items():
        mol.SetProp(name, str(fact))
    path = place(folder, smiles)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part, Chem.SDWriter(str(part)) as writer:
        writer.write(mol)
