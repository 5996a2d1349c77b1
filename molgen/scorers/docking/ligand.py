"""Ligands: SMILES -> protonation state -> stereoisomers -> a conformer -> the PDBQT format.

The protonation state is the major one at a pH (Dimorphite-DL: Ropp et al., 2019), undefined
stereocentres and double bonds are enumerated, the conformer is RDKit's (ETKDGv3, then MMFF94), and
rotatable bonds and atom types are Meeko's. Everything follows from the molecule and the seed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rdkit import Chem
from rdkit.Chem import rdDistGeom, rdForceFieldHelpers
from rdkit.Chem.EnumerateStereoisomers import (
    EnumerateStereoisomers,
    GetStereoisomerCount,
    StereoEnumerationOptions,
)

from molgen.errors import MolgenError
from molgen.molecules.logs import quiet

MOST_HEAVY_ATOMS = 100  # Vina's search is meant for small molecules
EMBEDDING_ATTEMPTS = 50
OPTIMISATION_STEPS = 1000


class NotPrepared(MolgenError):
    """A molecule that cannot be docked, with the reason."""


@dataclass(frozen=True)
class Ligand:
    """A state of a molecule, ready to be docked.

    Attributes:
        smiles: with its charges and stereochemistry.
        pdbqt: the text for Vina.
    """

    smiles: str
    pdbqt: str


@dataclass(frozen=True)
class States:
    """The states of a molecule that are docked.

    Attributes:
        smiles: isomeric SMILES of each, in order.
        isomers: how many stereoisomers there are at most.
    """

    smiles: tuple[str, ...]
    isomers: int


@quiet
def states(mol: Chem.Mol, ph: float, most: int, seed: int) -> States:
    """Return the protonation state of a molecule, and its stereoisomers.

    Args:
        mol: a sanitised molecule.
        ph: of the solution.
        most: stereoisomers to return.
        seed: of the choice among more than these.

    Raises:
        NotPrepared: with the reason.
    """
    fragments, heavy = len(Chem.GetMolFrags(mol)), mol.GetNumHeavyAtoms()
    if fragments != 1:
        raise NotPrepared(f"{fragments} fragments, expected one")
    if not 2 <= heavy <= MOST_HEAVY_ATOMS:
        raise NotPrepared(f"{heavy} heavy atoms, expected 2 to {MOST_HEAVY_ATOMS}")
    charged = Chem.MolFromSmiles(_protonated(Chem.MolToSmiles(mol), ph))
    if charged is None:
        raise NotPrepared("the protonation state is no molecule")
    options = StereoEnumerationOptions(onlyUnassigned=True, unique=True, maxIsomers=most, rand=seed)
    found = sorted({Chem.MolToSmiles(one) for one in EnumerateStereoisomers(charged, options)})
    count = int(GetStereoisomerCount(charged, options))
    return States(tuple(found), count if count > most else len(found))


@quiet
def prepare(smiles: str, seed: int) -> Ligand:
    """Return a state with a conformer.

    Args:
        smiles: of the state.
        seed: of the conformer.

    Raises:
        NotPrepared: with the reason.
    """
    from meeko import MoleculePreparation, PDBQTWriterLegacy

    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    if not rdForceFieldHelpers.MMFFHasAllMoleculeParams(mol):
        raise NotPrepared(f"MMFF94 has no parameters for {_elements(mol)}")
    for attempt in _embeddings(seed):
        if rdDistGeom.EmbedMolecule(mol, attempt) == 0:
            break
    else:
        raise NotPrepared("no conformer")
    rdForceFieldHelpers.MMFFOptimizeMolecule(mol, maxIters=OPTIMISATION_STEPS)
    try:
        setups = MoleculePreparation().prepare(mol)
        text, good, why = PDBQTWriterLegacy.write_string(setups[0])
    except Exception as error:
        raise NotPrepared(f"Meeko: {error}") from error
    if not good:
        raise NotPrepared(f"Meeko: {' '.join(why.split())}")
    return Ligand(smiles, text)


def _protonated(smiles: str, ph: float) -> str:
    """Return the major protonation state; the first in order where two are equal."""
    from dimorphite_dl import protonate_smiles

    try:
        found = protonate_smiles(smiles, ph_min=ph, ph_max=ph, precision=0.0)
    except Exception as error:
        raise NotPrepared(f"protonation: {error}") from error
    return min(found, default=smiles)


def _embeddings(seed: int) -> Iterator[rdDistGeom.EmbedParameters]:
    """Yield parameters of the embedding: the usual ones, then random coordinates."""
    for random in (False, True):
        parameters = rdDistGeom.ETKDGv3()
        parameters.randomSeed, parameters.useRandomCoords = seed, random
        parameters.maxIterations, parameters.numThreads = EMBEDDING_ATTEMPTS, 1
        yield parameters


def _elements(mol: Chem.Mol) -> str:
    return " ".join(sorted({atom.GetSymbol() for atom in mol.GetAtoms()}))
