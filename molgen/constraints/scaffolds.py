"""Constraints in SMILES notation: scaffolds, motifs, linker ends, leads.

    *c1ccco1    [*]c1ccco1    [*:1]c1ccco1    [1*]c1ccco1        one fragment, one attachment point

An asterisk is an attachment point: a bond whose other end is designed. Its number, or its label in
CXSMILES (``|$_R1;;;;;$|``), names the column of what is put there: ``R1``, else ``part_1``.
Fragments joined by ``.`` or ``|`` are linked; a fragment without a point is a superstructure task,
on request; in a lead, some atoms are changed. Each of these is a molecule with kept and free atoms:

    Fragment = (molecule, kept atoms),      cuts = bonds between a kept atom and one that is not

Molecules are RDKit's, stereo included. Imports RDKit, never torch.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from rdkit import Chem

from molgen.errors import MolgenError
from molgen.molecules.logs import quiet
from molgen.molecules.parents import parent_atoms
from molgen.molecules.parsing import interpret, parse
from molgen.utils.arguments import checked
from molgen.utils.hints import one_of

_POINT = re.compile(r"\[\d*\*(?::\d+)?\]|(?P<other>\[[^\[\]]*\])|\*")
"""A point in any of the four spellings, or another bracket atom."""
_CXSMILES = re.compile(r"\|[^|]*\|")
_LABEL = re.compile(r"_?(R|AP)(\d{1,4})")
"""The label of a point in CXSMILES."""
_R_GROUP = re.compile(r"\[R\d*\]|(?<!\[)R")
BOND_ORDERS = (Chem.BondType.SINGLE, Chem.BondType.DOUBLE, Chem.BondType.TRIPLE)
"""Of bonds to attachment points."""
LINKER, OUTSIDE = "linker", "outside"
"""Columns of parts: what links fragments, and what is outside a core or a lead's kept atoms."""
SHOWN = 80  # longest quotation of a user's text in a message


class Task(StrEnum):
    """The design task around the kept atoms."""

    DECORATION = "decoration"
    """A scaffold with one or more attachment points."""
    MOTIF = "motif"
    """A fragment with one attachment point, extended there."""
    LINKER = "linker"
    """Two or more fragments, connected through new atoms."""
    SUPERSTRUCTURE = "superstructure"
    """A fragment without attachment points, contained as a substructure."""
    LEAD = "lead"
    """A molecule of which some atoms may change."""


@dataclass(frozen=True, eq=False)
class Fragment:
    """A connected substructure that every accepted molecule contains.

    Attributes:
        mol: the molecule with the fragment; other atoms are attachment points (dummy atoms with
            isotopes 1, 2, ... in the order of the input) or atoms that may change.
        kept: indices of the kept atoms.
    """

    mol: Chem.Mol
    kept: frozenset[int]

    @functools.cached_property
    def cuts(self) -> list[tuple[int, int]]:
        """Bonds out of the fragment: a kept atom, and its neighbour that is not kept."""
        return [
            (atom.GetIdx(), other.GetIdx())
            for atom in self.mol.GetAtoms()
            if atom.GetIdx() in self.kept
            for other in atom.GetNeighbors()
            if other.GetIdx() not in self.kept
        ]


@dataclass(frozen=True, eq=False)
class Constraint:
    """The constraint on every molecule.

    Attributes:
        source: as written in the input.
        task: the design task.
        fragments: kept substructures; those of a lead share its molecule.
        points: name of each attachment point, in the order of the input.
    """

    source: str
    task: Task
    fragments: tuple[Fragment, ...]
    points: tuple[str, ...] = ()

    @property
    def parts(self) -> tuple[str, ...]:
        """The columns of what is designed: at each point, between fragments, or outside them."""
        if self.task in (Task.LEAD, Task.SUPERSTRUCTURE):
            return (OUTSIDE,)
        if self.task is not Task.LINKER:
            return self.points
        return (LINKER, *(self.points if len(self.points) > len(self.fragments) else ()))

    @property
    def kept(self) -> frozenset[int]:
        """Kept atoms of a lead."""
        return frozenset().union(*(fragment.kept for fragment in self.fragments))


@checked
@quiet
def read(scaffold: str | Chem.Mol, task: Task | str | None = None) -> Constraint:
    """Read a scaffold, a motif, the ends of a linker or a superstructure's core.

    Args:
        scaffold: SMILES with attachment points in any of the four spellings, or an RDKit molecule
            with dummy atoms.
        task: the design task; by default ``linker`` for several fragments, ``motif`` for one
            attachment point and ``decoration`` for more.

    Raises:
        MolgenError: if it cannot be read, or does not fit the task; one line.
    """
    source, mol, labels = _molecule(scaffold)
    shown = _shown(source)
    _check_points(mol, shown)
    parts = [Chem.Mol(part) for part in Chem.GetMolFrags(mol, asMols=True)]
    fragments = tuple(Fragment(part, _real(part)) for part in parts)
    for i, fragment in enumerate(fragments):
        if not fragment.kept:
            raise MolgenError(f"scaffold is {shown}, expected atoms beside the attachment points")
        if len(parts) > 1 and not fragment.cuts:
            text = Chem.MolToSmiles(fragment.mol)
            raise MolgenError(
                f"fragment {i + 1} of scaffold {shown} ({text}) has no attachment point, expected "
                "* where the linker begins; remove salts"
            )
    points = sum(len(fragment.cuts) for fragment in fragments)
    return Constraint(source, _task(task, len(parts), points, shown), fragments, _names(labels))


@quiet
def read_lead(
    lead: str | Chem.Mol,
    change: Sequence[int] | str | None = None,
    keep: Sequence[int] | str | None = None,
) -> Constraint:
    """Read a lead and the atoms that may change.

    Args:
        lead: SMILES, or an RDKit molecule; of a salt the organic fragment.
        change: atoms that may change: indices from 0, in the order of the SMILES or of the
            molecule, or SMARTS that match them.
        keep: kept atoms, in the same notation; all others may change.

    Raises:
        MolgenError: if the lead or the choice of atoms cannot be read, or nothing or everything
            would change; one line.
    """
    source = Chem.MolToSmiles(lead) if isinstance(lead, Chem.Mol) else str(lead).strip()
    shown = _shown(source)
    mol = _sanitised(lead, shown) if isinstance(lead, Chem.Mol) else parse(source)
    if mol is None or not mol.GetNumAtoms():
        raise MolgenError(f"lead is {shown}, expected a molecule: {interpret(source).status}")
    if "*" in source:
        raise MolgenError(f"lead is {shown}, expected a whole molecule without attachment points")
    if (change is None) == (keep is None):
        raise MolgenError("change and keep are both given or both missing, expected one of them")
    own = parent_atoms(mol)
    if len(own) < mol.GetNumAtoms():
        mol = _without(mol, own)
    atoms = frozenset(range(mol.GetNumAtoms()))
    free = atoms if change is None else _chosen(mol, change, "change", own)
    free = free if keep is None else atoms - _chosen(mol, keep, "keep", own)
    if not free or free == atoms:
        which = "no atom" if not free else "every atom"
        raise MolgenError(
            f"{which} of lead {shown} may change, expected some to change and to stay"
        )
    for atom in mol.GetAtoms():
        atom.SetAtomMapNum(0)
    pieces = _components(mol, atoms - free)
    return Constraint(source, Task.LEAD, tuple(Fragment(mol, piece) for piece in pieces))


def _molecule(scaffold: str | Chem.Mol) -> tuple[str, Chem.Mol, list[str]]:
    """Return the source, its molecule without map numbers, and the labels of its points.

    The points have isotopes 1, 2, ... in the order of the source.
    """
    extension = ""
    if isinstance(scaffold, Chem.Mol):
        own = [_label(atom) for atom in scaffold.GetAtoms() if not atom.GetAtomicNum()]
        source = text = Chem.MolToSmiles(_numbered(Chem.Mol(scaffold)))
    else:
        source, own = str(scaffold).strip(), []
        text, _, extension = source.partition(" ")
        if not _CXSMILES.fullmatch(extension := extension.strip()):
            text, extension = source, ""
        text = text.replace("|", ".")
    if not text:
        raise MolgenError("scaffold is empty, expected SMILES")
    labels: list[str] = []

    def number(match: re.Match[str]) -> str:
        if match["other"]:
            return match["other"]
        digits = "".join(filter(str.isdigit, match[0]))
        labels.append(own[int(digits) - 1] if own else digits and f"R{int(digits)}")
        return f"[{len(labels)}*]"

    # numbered before parsing: two equal neighbours would remove an atom's stereo
    numbered = _POINT.sub(number, text)
    mol = parse(numbered)
    if mol is None:
        raise MolgenError(
            f"scaffold is {_shown(source)}, which is not readable SMILES: "
            f"{interpret(numbered).status}{_hint(text)}"
        )
    for label, at in zip(_extended(numbered, extension), range(len(labels)), strict=False):
        labels[at] = label or labels[at]
    return source, _numbered(mol), labels


def _extended(text: str, extension: str) -> list[str]:
    """Return the labels of points in a CXSMILES extension; empty for a point without.

    Raises:
        MolgenError: if the extension cannot be read.
    """
    if not extension:
        return []
    mol = Chem.MolFromSmiles(f"{text} {extension}")
    if mol is None:
        raise MolgenError(f"scaffold has {_shown(extension)}, which is not readable CXSMILES")
    return [_written(atom) for atom in mol.GetAtoms() if not atom.GetAtomicNum()]


def _label(atom: Chem.Atom) -> str:
    """Return the label of an attachment point as ``R1``: written, else its number; or none."""
    number = atom.GetAtomMapNum() or atom.GetIsotope()
    return _written(atom) or (f"R{number}" if number else "")


def _written(atom: Chem.Atom) -> str:
    """Return the label of an attachment point in CXSMILES, or none."""
    match = _LABEL.fullmatch(str(atom.GetPropsAsDict().get("atomLabel", "")))
    return f"{match[1]}{int(match[2])}" if match else ""


def _names(labels: Sequence[str]) -> tuple[str, ...]:
    """Return names of attachment points: their labels if distinct, else their numbers."""
    given = [label for label in labels if label]
    distinct = len(set(given)) == len(given)
    return tuple(label if label and distinct else f"part_{i}" for i, label in enumerate(labels, 1))


def _hint(text: str) -> str:
    """Return a hint on a text that is not readable, or an empty text."""
    if len(text.split()) > 1:
        return " (expected SMILES alone, without a name)"
    return " (write an R group as [*:1])" if _R_GROUP.search(text) else ""


def _numbered(mol: Chem.Mol) -> Chem.Mol:
    """Number the points of a molecule as isotopes, in place; labels of all atoms are dropped."""
    points = 0
    for atom in mol.GetAtoms():
        atom.SetAtomMapNum(0)
        if atom.GetAtomicNum() == 0:
            points += 1
            atom.SetIsotope(points)
            atom.SetFormalCharge(0)
            atom.SetNumExplicitHs(0)
    return mol


def _sanitised(mol: Chem.Mol, shown: str) -> Chem.Mol:
    copy = Chem.Mol(mol)
    with quiet:
        if Chem.SanitizeMol(copy, catchErrors=True) != Chem.SanitizeFlags.SANITIZE_NONE:
            raise MolgenError(f"lead is {shown}, expected a molecule that RDKit can sanitise")
    return copy


def _real(mol: Chem.Mol) -> frozenset[int]:
    return frozenset(atom.GetIdx() for atom in mol.GetAtoms() if atom.GetAtomicNum())


def _check_points(mol: Chem.Mol, shown: str) -> None:
    """Check that every attachment point is bonded to exactly one atom.

    Raises:
        MolgenError: naming the first that is not.
    """
    for atom in mol.GetAtoms():
        if atom.GetAtomicNum():
            continue
        name = f"attachment point {atom.GetIsotope()} of scaffold {shown}"
        if atom.GetDegree() != 1:
            hint = ": to change an atom, pass a lead" * (atom.GetDegree() > 1)
            raise MolgenError(f"{name} has {atom.GetDegree()} bonds, expected 1{hint}")
        if not atom.GetNeighbors()[0].GetAtomicNum():
            raise MolgenError(f"{name} is bonded to another attachment point, expected an atom")
        order = atom.GetBonds()[0].GetBondType()
        if order not in BOND_ORDERS:
            raise MolgenError(f"{name} has a bond {order}, expected single, double or triple")


def _task(task: Task | str | None, fragments: int, points: int, shown: str) -> Task:
    """Return the task for a number of fragments and attachment points.

    Raises:
        MolgenError: if they do not fit the requested task.
    """
    allowed = [str(each) for each in Task if each is not Task.LEAD]
    if task is not None and task not in allowed:
        raise MolgenError(f"task is {str(task)!r}, {one_of(task, allowed)}")
    if not points and task != Task.SUPERSTRUCTURE:
        raise MolgenError(
            f"scaffold {shown} has no attachment point, expected * where it may grow, task "
            f"{Task.SUPERSTRUCTURE}, or a lead with atoms to keep or to change"
        )
    found = Task.LINKER if fragments > 1 else Task.MOTIF if points == 1 else Task.DECORATION
    found = found if points else Task.SUPERSTRUCTURE
    fitting = {found, Task.DECORATION} if found is Task.MOTIF else {found}
    if task is not None and task not in fitting:
        raise MolgenError(
            f"scaffold {shown} has {fragments} fragment(s) with {points} attachment point(s), "
            f"which is a task of {found}, not {task}"
        )
    return found if task is None else Task(task)


def _without(mol: Chem.Mol, atoms: Sequence[int]) -> Chem.Mol:
    """Return a molecule of some of the atoms, whole fragments, in their order."""
    rest = Chem.RWMol(mol)
    rest.BeginBatchEdit()
    for atom in set(range(mol.GetNumAtoms())).difference(atoms):
        rest.RemoveAtom(atom)
    rest.CommitBatchEdit()
    return rest.GetMol()


def _chosen(
    mol: Chem.Mol, atoms: Sequence[int] | str, name: str, own: Sequence[int]
) -> frozenset[int]:
    """Return the atoms selected by SMARTS, or by indices among all atoms of the input.

    Raises:
        MolgenError: if no atom is selected, or an index is out of range.
    """
    if isinstance(atoms, str):
        with quiet:
            query = Chem.MolFromSmarts(atoms)
        if query is None:
            raise MolgenError(f"{name} is {atoms!r}, which is not readable SMARTS")
        found = frozenset(i for match in mol.GetSubstructMatches(query) for i in match)
        if not found:
            raise MolgenError(f"{name} is {atoms!r}, which matches nothing in the lead")
        return found
    for index in atoms:
        if index not in own:
            raise MolgenError(f"{name} has atom {index}, expected indices in {own[0]}..{own[-1]}")
    return frozenset(own.index(index) for index in atoms)


def _components(mol: Chem.Mol, atoms: frozenset[int]) -> list[frozenset[int]]:
    """Return the connected pieces of some atoms, each with the lowest index first."""
    left, pieces = set(atoms), []
    while left:
        piece, edge = set(), [min(left)]
        while edge:
            atom = edge.pop()
            if atom in left:
                left.remove(atom)
                piece.add(atom)
                edge += [other.GetIdx() for other in mol.GetAtomWithIdx(atom).GetNeighbors()]
        pieces.append(frozenset(piece))
    return pieces


def _shown(text: str) -> str:
    return repr(text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}...")
