"""Parsing strings of a network into molecules, or into the reason for being invalid.

    raw string -> parse -> sanitise -> one fragment? -> canonical SMILES

Every row is kept: the :class:`Status` of an invalid string is the step that failed, so that rates
can be taken over all draws. Nothing is repaired. The whole string is read: ``"C name"``, which
RDKit reads as methane with a title, is not a SMILES string; text behind a SMILES in a user's file
is removed by its reader (:mod:`molgen.data.reading`).

A molecule has one canonical SMILES: atom-map labels are removed, and explicit hydrogens are equal
to implicit ones. Isotopes and charges are kept.

Canonical SMILES and sanitisation are RDKit's (Weininger, Weininger and Weininger, "SMILES. 2.
Algorithm for generation of unique SMILES notation", 1989). Imports RDKit, never torch.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from molgen.molecules.logs import quiet
from molgen.utils.parallel import map_chunks

# RDKit's canonicalisation recurses along chains: 5,000 atoms overflow a 2 MB stack and 20,000 the
# usual 8 MB, which crashes the process. Published drug-like sets stay below 600 characters.
MAX_CHARACTERS = 3000

LABEL = re.compile(r":\d+\]")  # an atom-map label
_PRINTABLE = re.compile(r"[!-~]+")  # ASCII without blanks and control characters
# More digits than the grammar allows for an isotope, hydrogens or a charge. Some of them overflow
# in RDKit: it reads [C+200] as [C-56] and [CH260] as methane.
_OVERFLOW = re.compile(r"\[(?:\d{4}|[^\]:]*(?:H\d\d|[+-]\d{3}))")
_RING_LABEL = re.compile(r"(\[[^\]]*\])|[-=#$:/\\~]?(?:%\(\d+\)|%\d\d|\d)")


class Status(StrEnum):
    """The result of parsing a raw string."""

    OK = "ok"
    EMPTY = "empty"
    PARSE = "parse"
    """Not SMILES: a character, a bracket or a branch that the grammar does not allow."""
    RING_CLOSURE = "ring_closure"
    """Not SMILES because of a ring label: not closed, or closed onto an existing bond."""
    VALENCE = "valence"
    KEKULISATION = "kekulisation"
    """Aromatic atoms to which no alternating single and double bonds can be assigned."""
    SANITISATION = "sanitisation"
    """Any other error of RDKit's sanitisation."""
    DUMMY_ATOM = "dummy_atom"
    """``*`` is any atom, so this is a pattern and not a molecule."""
    FRAGMENTS = "fragments"
    """Several molecules in one string."""
    TOO_LONG = "too_long"
    """More than :data:`MAX_CHARACTERS` characters; not passed to RDKit."""


@dataclass(frozen=True, slots=True)
class Molecule:
    """A row: its raw string, and its molecule or status."""

    raw: str
    smiles: str
    """Canonical SMILES; empty unless ``status`` is ``ok``."""
    status: Status

    @property
    def ok(self) -> bool:
        """Whether this is a valid molecule."""
        return self.status is Status.OK


def interpret(raw: str) -> Molecule:
    """Return the molecule of a string, or the reason for being invalid; never raises.

    Args:
        raw: output of the network.
    """
    with quiet:
        return _interpret(raw)


def interpret_all(raws: Iterable[str], processes: int = 1, progress: str = "") -> list[Molecule]:
    """Apply :func:`interpret` to every string; equal strings are parsed once.

    Args:
        raws: output of the network, one string a row.
        processes: number of processes.
        progress: label of a progress bar; empty for none.

    Returns:
        One molecule a row, in order.
    """
    rows = list(raws)
    distinct = list(dict.fromkeys(rows))
    chunks = map_chunks(_interpret_chunk, distinct, processes, progress)
    molecules = {molecule.raw: molecule for chunk in chunks for molecule in chunk}
    return [molecules[raw] for raw in rows]


def parse(raw: str) -> Chem.Mol | None:
    """Return RDKit's sanitised molecule of a string, or None if there is none.

    Several fragments and dummy atoms are accepted, as in RDKit; blanks and titles are not.
    """
    if len(raw) > MAX_CHARACTERS or not _PRINTABLE.fullmatch(raw) or _OVERFLOW.search(raw):
        return None
    with quiet:
        try:
            return Chem.MolFromSmiles(raw, _parameters(sanitise=True))
        except (ValueError, RuntimeError):  # a violated invariant of RDKit
            return None


def is_smiles(text: str) -> bool:
    """Return whether a string follows the SMILES grammar, whether or not it is a molecule."""
    if len(text) > MAX_CHARACTERS or not _PRINTABLE.fullmatch(text):
        return False
    with quiet:
        return _unsanitised(text) is not None


@quiet
def canonical(smiles: str) -> str:
    """Return canonical SMILES, empty if :func:`parse` cannot read the string."""
    mol = _unlabelled(smiles)
    return "" if mol is None else Chem.MolToSmiles(mol)


@quiet
def flat(smiles: str) -> str:
    """Return canonical SMILES without stereochemistry and isotopes, empty for no molecule."""
    mol = _unlabelled(smiles)
    return "" if mol is None else Chem.MolToSmiles(mol, isomericSmiles=False)


def _unlabelled(smiles: str) -> Chem.Mol | None:
    """Return the molecule of a string without atom-map labels, or None if there is none."""
    mol = parse(smiles)
    if mol is None or not LABEL.search(smiles):
        return mol
    for atom in mol.GetAtoms():
        atom.SetAtomMapNum(0)
    # Parsed again: some hydrogens and stereocentres were distinct only by a label.
    return parse(Chem.MolToSmiles(mol))


def mark_unique(smiles: Sequence[str]) -> NDArray[np.bool_]:
    """Mark the first occurrence of each string; empty strings are never marked.

    Args:
        smiles: canonical SMILES, empty where the row is invalid.

    Returns:
        With shape (molecules,).
    """
    seen = {""}
    marks = np.zeros(len(smiles), dtype=bool)
    for i, text in enumerate(smiles):
        marks[i] = text not in seen
        seen.add(text)
    return marks


def _parameters(sanitise: bool) -> Chem.SmilesParserParams:
    parameters = Chem.SmilesParserParams()
    parameters.sanitize = sanitise
    parameters.parseName = False
    parameters.allowCXSMILES = False
    return parameters


def _interpret_chunk(raws: Sequence[str]) -> list[Molecule]:
    with quiet:
        return [_interpret(raw) for raw in raws]


def _interpret(raw: str) -> Molecule:
    if not raw.strip():
        return Molecule(raw, "", Status.EMPTY)
    if len(raw) > MAX_CHARACTERS:
        return Molecule(raw, "", Status.TOO_LONG)
    smiles = canonical(raw)
    if not smiles:
        return Molecule(raw, "", _fault(raw))
    if "*" in smiles:  # only dummy atoms are written with an asterisk
        return Molecule(raw, "", Status.DUMMY_ATOM)
    if "." in smiles:
        return Molecule(raw, "", Status.FRAGMENTS)
    return Molecule(raw, smiles, Status.OK)


def _fault(raw: str) -> Status:
    """Return the reason why a string is not a molecule."""
    if not _PRINTABLE.fullmatch(raw) or _OVERFLOW.search(raw):
        return Status.PARSE
    mol = _unsanitised(raw)
    if mol is None:
        # If the string without its ring labels can be read, they alone are at fault.
        without_rings = _RING_LABEL.sub(lambda match: match.group(1) or "", raw)
        only_rings = without_rings != raw and _unsanitised(without_rings) is not None
        return Status.RING_CLOSURE if only_rings else Status.PARSE
    try:
        kinds = [problem.GetType() for problem in Chem.DetectChemistryProblems(mol)]
    except RuntimeError:  # a violated invariant of RDKit
        return Status.SANITISATION
    if any("Valence" in kind for kind in kinds):  # RDKit also checks it before aromatic rings
        return Status.VALENCE
    if any("Kekulize" in kind for kind in kinds):
        return Status.KEKULISATION
    return Status.SANITISATION


def _unsanitised(raw: str) -> Chem.Mol | None:
    try:
        mol = Chem.MolFromSmiles(raw, _parameters(sanitise=False))
    except (ValueError, RuntimeError):
        return None
    return mol if mol is not None and mol.GetNumAtoms() else None


@quiet
def random_spellings(smiles: str, count: int, seed: int) -> list[str]:
    """Return random SMILES of a molecule, with repetitions; empty for no molecule."""
    mol = parse(smiles) if smiles and count else None
    if mol is None:
        return []
    # RDKit takes 32 bits, of which 0 and -1 mean "from the clock"
    return list(Chem.MolToRandomSmilesVect(mol, count, 1 + seed % (2**31 - 2)))
