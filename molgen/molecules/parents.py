"""The molecule that a salt or an ion is written for: largest organic fragment, charges removed.

What training reads, what it is compared with and what is given to be scored or improved are cut
down alike, so that ``CCN.Cl`` is ethylamine everywhere. Rows that were drawn are not: there a
second fragment is a fault (:data:`molgen.molecules.parsing.Status.FRAGMENTS`). Both operations are
RDKit's MolStandardize. Imports RDKit, never torch.
"""

from __future__ import annotations

from rdkit import Chem, rdBase
from rdkit.Chem.MolStandardize import rdMolStandardize

from molgen.molecules.parsing import Molecule, Status, canonical


def largest_fragment(smiles: str) -> str:
    """Return the organic fragment with most atoms, canonical; the heavier one of two.

    Args:
        smiles: that RDKit reads.
    """
    chooser = rdMolStandardize.LargestFragmentChooser(preferOrganic=True)
    with rdBase.BlockLogs():
        return canonical(Chem.MolToSmiles(chooser.choose(Chem.MolFromSmiles(smiles))))


def neutral(smiles: str) -> str:
    """Return canonical SMILES with charges gone where protons can be added or taken.

    Args:
        smiles: that RDKit reads.
    """
    if "+" not in smiles and "-" not in smiles:
        return smiles
    mol = Chem.MolFromSmiles(smiles)
    # Kekulised first: the uncharger leaves aromatic flags that no longer hold once protons move
    Chem.Kekulize(mol, clearAromaticFlags=True)
    with rdBase.BlockLogs():
        mol = rdMolStandardize.Uncharger().uncharge(mol)
    Chem.SanitizeMol(mol, catchErrors=True)  # what fails here does not parse either
    return canonical(Chem.MolToSmiles(mol))


def parent(molecule: Molecule) -> Molecule:
    """Return the molecule that a given row means: of a salt its largest organic fragment."""
    if molecule.status is not Status.FRAGMENTS:
        return molecule
    smiles = largest_fragment(canonical(molecule.raw))
    return Molecule(molecule.raw, smiles, Status.OK) if smiles else molecule
