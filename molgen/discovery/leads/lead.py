"""A lead: the molecule to improve, and the atoms of it that are kept.

Similarity to a lead is defined in :mod:`molgen.molecules.environments`.
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
from molgen.molecules.logs import quiet
from molgen.molecules.parsing import interpret, parse

LEAST_ATOMS = 2  # one to change and one to keep


@dataclass(frozen=True)
class Refused:
    """A rejected lead.

    Attributes:
        index: of the lead among all.
        source: as written in the input.
        reason: of the rejection.
    """

    index: int
    source: str
    reason: str


@dataclass(frozen=True, eq=False)
class Lead:
    """A lead.

    Attributes:
        index: of the lead among all.
        source: as written in the input.
        smiles: canonical.
        mol: the molecule, atoms in the order of the input.
        bits: of its fingerprint.
        constraint: the atoms that are kept; None if all may change.
    """

    index: int
    source: str
    smiles: str
    mol: Chem.Mol
    bits: Bits
    constraint: Constraint | None = None

    @functools.cached_property
    def verifier(self) -> Verifier | None:
        """Checks the kept atoms; None without a constraint."""
        return None if self.constraint is None else Verifier(self.constraint)

    def keeps(self, smiles: str) -> bool:
        """Return whether a molecule contains the kept atoms."""
        return self.verifier is None or self.verifier(smiles) == OK

    def similarity(self, mol: Chem.Mol) -> float:
        """Return the similarity of a molecule to the lead."""
        return tanimoto(self.bits, fingerprint(mol))

    def free(self, mol: Chem.Mol) -> frozenset[int]:
        """Return the atoms that may change, of the lead or of another molecule.

        Of another molecule these are all atoms outside one match of the kept atoms; none without a
        match.
        """
        atoms = frozenset(range(mol.GetNumAtoms()))
        if self.constraint is None:
            return atoms
        if mol is self.mol:
            return atoms - self.constraint.kept
        match = mol.GetSubstructMatch(self._pattern)
        return atoms.difference(match) if match else frozenset()

    @functools.cached_property
    @quiet
    def _pattern(self) -> Chem.Mol:
        kept = sorted(self.constraint.kept) if self.constraint else []
        return Chem.MolFromSmarts(Chem.MolFragmentToSmarts(self.mol, kept))


@quiet
def read(
    index: int,
    source: str,
    model: Checkpoint,
    likeness: Likeness,
) -> Lead | Refused:
    """Read a lead; return :class:`Refused` with the reason if it is unusable.

    Args:
        index: of the lead among all.
        source: SMILES.
        model: a SMILES model.
        likeness: the atoms that are kept.
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
    for atom in mol.GetAtoms():  # map numbers are labels, not chemistry
        atom.SetAtomMapNum(0)
    smiles = Chem.MolToSmiles(mol)
    if mol.GetNumAtoms() < LEAST_ATOMS:
        return Refused(index, source, f"lead too small: 1 atom, expected at least {LEAST_ATOMS}")
    if reason := unwritable(smiles, model.tokenizer, model.denoiser.max_length):
        return Refused(index, source, f"lead {reason}")
    return Lead(index, source, smiles, mol, fingerprint(mol), constraint)
