"""Properties with a molecule or a pattern in their name: similarity, substructure counts.

    similarity:SMILES   Tanimoto similarity of Morgan fingerprints to that molecule, 0 to 1
    count:SMARTS        number of distinct sets of atoms that match that pattern
    has:SMARTS          1 if the pattern matches, else 0

Fingerprints are those of :mod:`molgen.molecules.fingerprints`, as in molgen's metrics. A pattern
that RDKit cannot read is rejected with the position of the error.
"""

from __future__ import annotations

from rdkit import Chem

from molgen.errors import MolgenError
from molgen.molecules.fingerprints import fingerprint
from molgen.molecules.parsing import canonical, parse
from molgen.molecules.smarts import read_smarts, smiles_fault
from property_models.property import Property

SIMILARITY, COUNT, HAS = "similarity:", "count:", "has:"
MAX_MATCHES = 1_000_000  # RDKit's default of 1,000 is too small for large molecules


def similarity(name: str) -> Property:
    """Return the Tanimoto similarity to the molecule in the name.

    Raises:
        MolgenError: if that is not a molecule, with the character of the error.
    """
    smiles = name.removeprefix(SIMILARITY)
    reference = parse(smiles)
    if reference is None or not reference.GetNumAtoms():
        raise MolgenError(f"property {name!r}: {smiles_fault(smiles)}")
    bits = fingerprint(reference).astype(bool)

    def tanimoto(mol: Chem.Mol) -> float:
        other = fingerprint(mol).astype(bool)
        union = int((bits | other).sum())
        return int((bits & other).sum()) / union if union else 1.0

    about = f"Tanimoto similarity of Morgan fingerprints to {canonical(smiles)}, 0 to 1"
    return Property(name, "", "max", tanimoto, False, about)


def count(name: str) -> Property:
    """Return the number of matches of the pattern in the name; each set of atoms counts once.

    Raises:
        MolgenError: if the pattern is not SMARTS, with the character of the error.
    """
    smarts = name.removeprefix(COUNT)
    pattern = read_smarts(smarts, f"property {name!r}")

    def matches(mol: Chem.Mol) -> int:
        return len(mol.GetSubstructMatches(pattern, uniquify=True, maxMatches=MAX_MATCHES))

    return Property(name, "", "none", matches, True, f"matches of {smarts}")


def has(name: str) -> Property:
    """Return whether the pattern in the name matches, as 1 or 0.

    Raises:
        MolgenError: if the pattern is not SMARTS, with the character of the error.
    """
    smarts = name.removeprefix(HAS)
    pattern = read_smarts(smarts, f"property {name!r}")
    return Property(
        name, "", "none", lambda mol: mol.HasSubstructMatch(pattern), True, f"contains {smarts}"
    )
