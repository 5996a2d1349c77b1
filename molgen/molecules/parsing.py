"""From what a network wrote to a molecule, or to the reason why it is none.

    raw string -> parse -> sanitise -> one fragment? -> canonical SMILES

Every row stays: a string that fails keeps its place with a :class:`Status` that says at which of
these steps it failed, so that rates can be taken over everything that was drawn. Nothing is
repaired and nothing is guessed. A string is taken as it stands: ``"C name"``, which RDKit would
read as methane with a title, is not a SMILES string; what a user's file puts behind a SMILES is
taken off where files are read (:mod:`molgen.data.reading`).

A molecule has one name: atom-map labels, which number atoms and say nothing of them, are no part of
it, and hydrogens written out are those that are not. Isotopes and charges are.

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
from rdkit import Chem, rdBase

from molgen.utils.parallel import map_chunks

# RDKit's canonicalisation recurses along chains: 5,000 atoms overflow a 2 MB stack and 20,000 the
# usual 8 MB, which ends the process. Published drug-like sets stay below 600 characters.
MAX_CHARACTERS = 3000

LABEL = re.compile(r":\d+\]")  # an atom-map label
_PRINTABLE = re.compile(r"[!-~]+")  # ASCII without blanks and control characters: all SMILES is
# More digits than the grammar has for an isotope, hydrogens or a charge. RDKit lets some of them
# overflow: it reads [C+200] as [C-56] and [CH260] as methane.
_OVERFLOW = re.compile(r"\[(?:\d{4}|[^\]:]*(?:H\d\d|[+-]\d{3}))")
_RING_LABEL = re.compile(r"(\[[^\]]*\])|[-=#$:/\\~]?(?:%\(\d+\)|%\d\d|\d)")


class Status(StrEnum):
    """What became of a raw string."""

    OK = "ok"
    EMPTY = "empty"
    PARSE = "parse"
    """Not SMILES: a character, a bracket or a branch that the grammar does not allow."""
    RING_CLOSURE = "ring_closure"
    """SMILES but for its ring labels: one left open, or one that closes onto an existing bond."""
    VALENCE = "valence"
    KEKULISATION = "kekulisation"
    """Aromatic atoms to which no alternating single and double bonds can be assigned."""
    SANITISATION = "sanitisation"
    """Any other complaint of RDKit's sanitisation."""
    DUMMY_ATOM = "dummy_atom"
    """``*`` stands for some atom, so this is a pattern and not a molecule."""
    FRAGMENTS = "fragments"
    """Several molecules in one string."""
    TOO_LONG = "too_long"
    """More than :data:`MAX_CHARACTERS` characters; not handed to RDKit."""


@dataclass(frozen=True, slots=True)
class Molecule:
    """A row: what was written, and what it is."""

    raw: str
    smiles: str
    """Canonical SMILES; empty unless ``status`` is ``ok``."""
    status: Status

    @property
    def ok(self) -> bool:
        """Whether this is a valid molecule."""
        return self.status is Status.OK


def interpret(raw: str) -> Molecule:
    """Say which molecule a string is, or why it is none. Never raises, whatever the string.

    Args:
        raw: what the network wrote.
    """
    with rdBase.BlockLogs():  # restored on leaving; a user's own logging settings are kept
        return _interpret(raw)


def interpret_all(raws: Iterable[str], processes: int = 1, progress: str = "") -> list[Molecule]:
    """Apply :func:`interpret` to every string; equal strings are worked out once.

    Args:
        raws: what the network wrote, one string a row.
        processes: how many processes share the work.
        progress: label of a progress bar; empty for none.

    Returns:
        One molecule a row, in order.
    """
    rows = list(raws)
    distinct = list(dict.fromkeys(rows))
    chunks = map_chunks(_interpret_chunk, distinct, processes, progress)
    known = {molecule.raw: molecule for chunk in chunks for molecule in chunk}
    return [known[raw] for raw in rows]


def parse(raw: str) -> Chem.Mol | None:
    """Return RDKit's sanitised molecule of a string, or None where there is none.

    Several fragments and dummy atoms pass, as they do in RDKit; blanks and titles do not.
    """
    if len(raw) > MAX_CHARACTERS or not _PRINTABLE.fullmatch(raw) or _OVERFLOW.search(raw):
        return None
    with rdBase.BlockLogs():
        try:
            return Chem.MolFromSmiles(raw, _parameters(sanitise=True))
        except (ValueError, RuntimeError):  # a violated invariant of RDKit's own
            return None


def is_smiles(text: str) -> bool:
    """Return whether a string is spelled as SMILES are, whether or not it is a molecule."""
    if len(text) > MAX_CHARACTERS or not _PRINTABLE.fullmatch(text):
        return False
    with rdBase.BlockLogs():
        return _unsanitised(text) is not None


def canonical(smiles: str) -> str:
    """Return the canonical SMILES of whatever :func:`parse` reads, empty where that is nothing."""
    mol = _unlabelled(smiles)
    return "" if mol is None else Chem.MolToSmiles(mol)


def flat(smiles: str) -> str:
    """Return canonical SMILES without stereochemistry and isotopes, empty for no molecule."""
    mol = _unlabelled(smiles)
    return "" if mol is None else Chem.MolToSmiles(mol, isomericSmiles=False)


def _unlabelled(smiles: str) -> Chem.Mol | None:
    """Return the molecule of a string without atom-map labels, or None where there is none."""
    mol = parse(smiles)
    if mol is None or not LABEL.search(smiles):
        return mol
    for atom in mol.GetAtoms():
        atom.SetAtomMapNum(0)
    # Read again: hydrogens and stereocentres stood that nothing but a label told apart.
    return parse(Chem.MolToSmiles(mol))


def mark_unique(smiles: Sequence[str]) -> NDArray[np.bool_]:
    """Mark the first occurrence of each string; empty strings are never marked.

    Args:
        smiles: canonical SMILES, empty where the row is no molecule.

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
    with rdBase.BlockLogs():
        return [_interpret(raw) for raw in raws]


def _interpret(raw: str) -> Molecule:
    if not raw.strip():
        return Molecule(raw, "", Status.EMPTY)
    if len(raw) > MAX_CHARACTERS:
        return Molecule(raw, "", Status.TOO_LONG)
    smiles = canonical(raw)
    if not smiles:
        return Molecule(raw, "", _fault(raw))
    if "*" in smiles:  # nothing else is written with an asterisk
        return Molecule(raw, "", Status.DUMMY_ATOM)
    if "." in smiles:
        return Molecule(raw, "", Status.FRAGMENTS)
    return Molecule(raw, smiles, Status.OK)


def _fault(raw: str) -> Status:
    """Return why a string is no molecule."""
    if not _PRINTABLE.fullmatch(raw) or _OVERFLOW.search(raw):
        return Status.PARSE
    mol = _unsanitised(raw)
    if mol is None:
        # What reads once its ring labels are gone was spoiled by nothing but them.
        without_rings = _RING_LABEL.sub(lambda match: match.group(1) or "", raw)
        spoiled = without_rings != raw and _unsanitised(without_rings) is not None
        return Status.RING_CLOSURE if spoiled else Status.PARSE
    try:
        kinds = [problem.GetType() for problem in Chem.DetectChemistryProblems(mol)]
    except RuntimeError:  # a violated invariant of RDKit's own
        return Status.SANITISATION
    if any("Valence" in kind for kind in kinds):  # RDKit too stops there before the aromatic rings
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


def random_spellings(smiles: str, count: int, seed: int) -> list[str]:
    """Return random SMILES of a molecule, with repetitions; empty for no molecule."""
    mol = parse(smiles) if smiles and count else None
    if mol is None:
        return []
    # RDKit takes 32 bits, of which 0 and -1 stand for "from the clock"
    return list(Chem.MolToRandomSmilesVect(mol, count, 1 + seed % (2**31 - 2)))
