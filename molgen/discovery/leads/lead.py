"""A lead: what is to be improved, what of it must stay, and what became of a try.

Similarity to it is that of :mod:`molgen.molecules.environments`.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from rdkit import Chem

from molgen.checkpoints.checkpoint import Checkpoint
from molgen.constraints.likeness import Likeness
from molgen.constraints.scaffolds import Constraint, read_lead
from molgen.constraints.verify import OK, Verifier
from molgen.data.tokenizer import unwritable
from molgen.molecules.environments import Bits, fingerprint, tanimoto
from molgen.molecules.parsing import interpret, parse

LEAST_ATOMS = 2  # one to change and one to stay


@dataclass(frozen=True)
class Refused:
    """A lead that cannot be worked on.

    Attributes:
        index: of the lead among all.
        source: as it was written.
        reason: why.
    """

    index: int
    source: str
    reason: str


@dataclass(frozen=True, eq=False)
class Lead:
    """A lead.

    Attributes:
        index: of the lead among all.
        source: as it was written.
        smiles: canonical.
        mol: the molecule, its atoms in the order they were written.
        bits: of its fingerprint.
        constraint: which atoms must stay; None where any may change.
    """

    index: int
    source: str
    smiles: str
    mol: Chem.Mol
    bits: Bits
    constraint: Constraint | None = None

    @functools.cached_property
    def verifier(self) -> Verifier | None:
        """Says whether a molecule keeps what must stay."""
        return None if self.constraint is None else Verifier(self.constraint)

    def keeps(self, smiles: str) -> bool:
        """Return whether a molecule keeps what must stay."""
        return self.verifier is None or self.verifier(smiles) == OK

    def similarity(self, mol: Chem.Mol) -> float:
        """Return the similarity of a molecule to the lead."""
        return tanimoto(self.bits, fingerprint(mol))

    def free(self, mol: Chem.Mol) -> frozenset[int]:
        """Return the atoms that may change, of the lead or of a molecule that keeps what must stay.

        Of another molecule they are all but one match of what stays; none where there is no match.
        """
        atoms = frozenset(range(mol.GetNumAtoms()))
        if self.constraint is None:
            return atoms
        if mol is self.mol:
            return atoms - self.constraint.kept
        match = mol.GetSubstructMatch(self._pattern)
        return atoms.difference(match) if match else frozenset()

    @functools.cached_property
    def _pattern(self) -> Chem.Mol:
        kept = sorted(self.constraint.kept) if self.constraint else []
        return Chem.MolFromSmarts(Chem.MolFragmentToSmarts(self.mol, kept))


def read(
    index: int,
    source: str,
    model: Checkpoint,
    likeness: Likeness,
) -> Lead | Refused:
    """Read a lead, or say why it cannot be worked on.

    Args:
        index: of the lead among all.
        source: SMILES.
        model: that writes SMILES.
        likeness: which of its atoms stay.
    """
    molecule = interpret(source)
    mol = parse(source) if molecule.ok else None
    if mol is None:
        return Refused(index, source, f"lead not read: {molecule.status}")
    constraint = None
    if likeness.keep is not None or likeness.change is not None:
        try:
            constraint = read_lead(source, likeness.change, likeness.keep)
        except ValueError as error:
            return Refused(index, source, f"lead not read: {error}")
        mol = constraint.fragments[0].mol
    for atom in mol.GetAtoms():  # a label, not chemistry
        atom.SetAtomMapNum(0)
    smiles = Chem.MolToSmiles(mol)
    if mol.GetNumAtoms() < LEAST_ATOMS:
        return Refused(index, source, f"lead too small: 1 atom, expected at least {LEAST_ATOMS}")
    if reason := unwritable(smiles, model.tokenizer, model.denoiser.max_length):
        return Refused(index, source, f"lead {reason}")
    return Lead(index, source, smiles, mol, fingerprint(mol), constraint)
