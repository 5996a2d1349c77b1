"""The Bemis-Murcko scaffold of a molecule: its rings and the chains between them.

Bemis and Murcko, "The properties of known drugs. 1. Molecular frameworks", 1996. RDKit finds it by
distances between all pairs of atoms, in a time that grows with the third power of their number (30
seconds for 3,000 atoms), so larger molecules have none here.
"""

from __future__ import annotations

from rdkit import Chem
from rdkit.Chem.Scaffolds import MurckoScaffold

from molgen.molecules.logs import quiet

MOST_ATOMS = 600  # heavy ones: a fifth of a second


@quiet
def framework(mol: Chem.Mol) -> Chem.Mol | None:
    """Return the scaffold of a molecule.

    Args:
        mol: sanitised.

    Returns:
        The scaffold; None if the molecule has no ring or more than :data:`MOST_ATOMS` heavy atoms,
        or if RDKit cannot sanitise the scaffold, as of some charged rings.
    """
    if not mol.GetRingInfo().NumRings() or mol.GetNumAtoms() > MOST_ATOMS:
        return None
    try:
        return MurckoScaffold.GetScaffoldForMol(mol)
    except (ValueError, RuntimeError):
        return None
