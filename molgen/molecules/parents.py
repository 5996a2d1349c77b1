"""The parent molecule of a salt or an ion: largest organic fragment, charges removed.

Training data, reference sets and molecules given to be scored or optimised are all reduced to their
parents, so that ``CCN.Cl`` is ethylamine everywhere. Sampled rows are not: there a second fragment
is an error (:data:`molgen.molecules.parsing.Status.FRAGMENTS`). Both operations are RDKit's
MolStandardize. Imports RDKit, never torch.
"""

from __future__ import annotations

import numpy as np
from rdkit import Chem
from rdkit.Chem.MolStandardize import rdMolStandardize

from molgen.molecules.logs import quiet
from molgen.molecules.parsing import Molecule, Status, canonical


@quiet
def largest_fragment(smiles: str) -> str:
    """Return the organic fragment with most atoms, canonical; in a tie the heavier one.

    Args:
        smiles: readable by RDKit.
    """
    chooser = rdMolStandardize.LargestFragmentChooser(preferOrganic=True)
    return canonical(Chem.MolToSmiles(chooser.choose(Chem.MolFromSmiles(smiles))))


@quiet
def parent_atoms(mol: Chem.Mol) -> list[int]:
    """Return the atoms of a molecule's parent, in order: of a salt the organic fragment."""
    pieces = Chem.GetMolFrags(mol)
    if len(pieces) < 2:
        return list(range(mol.GetNumAtoms()))
    wanted = largest_fragment(Chem.MolToSmiles(mol))
    texts = [canonical(Chem.MolFragmentToSmiles(mol, piece)) for piece in pieces]
    at = texts.index(wanted) if wanted in texts else int(np.argmax([len(each) for each in pieces]))
    return sorted(pieces[at])


@quiet
def neutral(smiles: str) -> str:
    """Return canonical SMILES with charges removed where protons can be added or removed.

    Args:
        smiles: readable by RDKit.
    """
    if "+" not in smiles and "-" not in smiles:
        return smiles
    mol = Chem.MolFromSmiles(smiles)
    # Kekulised first: the uncharger keeps aromatic flags that are wrong after protons move
    Chem.Kekulize(mol, clearAromaticFlags=True)
    mol = rdMolStandardize.Uncharger().uncharge(mol)
    Chem.SanitizeMol(mol, catchErrors=True)  # a molecule that fails here does not parse either
    return canonical(Chem.MolToSmiles(mol))


def parent(molecule: Molecule) -> Molecule:
    """Return the parent of a given row: of a salt its largest organic fragment."""
    if molecule.status is not Status.FRAGMENTS:
        return molecule
    smiles = largest_fragment(canonical(molecule.raw))
    return Molecule(molecule.raw, smiles, Status.OK) if smiles else molecule
