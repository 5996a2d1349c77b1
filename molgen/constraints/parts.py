"""Parts: what was put at each attachment point, between fragments, or outside the kept atoms.

    scaffold *c1ccc(*)cc1,   molecule CCc1ccc(F)cc1   ->   part_1 *CC,   part_2 *F
    linker   *C1CC1.*C#N,    molecule N#CCOC1CC1      ->   linker [*:1]OC[*:2]

The bonds between the kept atoms and all others are cut by RDKit; each piece of the rest is a part,
SMILES with ``*`` at the cuts, numbered as the attachment points where there are several. A ring
that joins two points is a part of both. Where the kept atoms can be placed in several ways, as in a
symmetric scaffold, the parts are those that come first in alphabetical order.
"""

from __future__ import annotations

from itertools import islice
from typing import NamedTuple

from rdkit import Chem

from molgen.constraints.scaffolds import LINKER, OUTSIDE, Constraint, Fragment, Task
from molgen.constraints.verify import Match, Verifier
from molgen.molecules.logs import quiet
from molgen.molecules.parsing import parse

MOST_PLACEMENTS = 64  # of which the first parts are taken


class Part(NamedTuple):
    """A piece of a molecule beside its kept atoms.

    Attributes:
        smiles: with ``*`` where it is bonded to them.
        points: numbers of the attachment points, from 1; 0 for other bonds.
    """

    smiles: str
    points: frozenset[int]


@quiet
def parts(verifier: Verifier, smiles: str) -> dict[str, str]:
    """Return the parts of a molecule by column; see :attr:`Constraint.parts`.

    Several parts in one column are joined by dots.

    Args:
        verifier: of the constraint.
        smiles: of a molecule that satisfies it.

    Returns:
        A text for each column, empty for none.
    """
    constraint = verifier.constraint
    mol = parse(smiles)
    if mol is None:
        return dict.fromkeys(constraint.parts, "")
    placements = list(islice(verifier.placements(mol), MOST_PLACEMENTS))
    Chem.Kekulize(mol, clearAromaticFlags=True)  # a cut ring is not aromatic
    found = (_columns(constraint, _cut(mol, constraint, each)) for each in placements)
    empty = dict.fromkeys(constraint.parts, "")
    return min(found, key=lambda columns: list(columns.values()), default=empty)


def capped(part: str) -> str:
    """Return a part as a molecule, with hydrogen in place of its cut bonds; empty for none."""
    mol = parse(part)
    if mol is None:
        return ""
    Chem.Kekulize(mol, clearAromaticFlags=True)
    mol = Chem.RWMol(mol)
    for atom in list(mol.GetAtoms()):
        if atom.GetAtomicNum():
            continue
        (bond,) = atom.GetBonds()
        for _ in range(int(bond.GetBondTypeAsDouble()) - 1):
            hydrogen = mol.AddAtom(Chem.Atom(1))
            mol.AddBond(bond.GetOtherAtomIdx(atom.GetIdx()), hydrogen, Chem.BondType.SINGLE)
        bond.SetBondType(Chem.BondType.SINGLE)
        atom.SetAtomicNum(1)
        atom.SetAtomMapNum(0)
        atom.SetIsotope(0)
    Chem.SanitizeMol(mol)
    return str(Chem.MolToSmiles(Chem.RemoveHs(mol)))


def _columns(constraint: Constraint, found: list[Part]) -> dict[str, str]:
    """Return the texts of the columns."""
    owner = {
        _number(each, point): i
        for i, each in enumerate(constraint.fragments)
        for _, point in each.cuts
    }
    columns: dict[str, list[str]] = {name: [] for name in constraint.parts}
    for part in found:
        linked = {owner[point] for point in part.points if point}
        if constraint.task is Task.LINKER and len(linked) > 1:
            columns[LINKER].append(part.smiles)
            continue
        for point in sorted(part.points):
            columns[constraint.points[point - 1] if point else OUTSIDE].append(part.smiles)
    return {name: ".".join(sorted(texts)) for name, texts in columns.items()}


def _cut(mol: Chem.Mol, constraint: Constraint, placement: list[Match]) -> list[Part]:
    """Return the parts of a kekulised molecule around placed fragments."""
    kept = {atom for match in placement for atom in match.values()}
    bonds = {
        bond.GetIdx(): 0
        for bond in mol.GetBonds()
        if (bond.GetBeginAtomIdx() in kept) != (bond.GetEndAtomIdx() in kept)
    }
    if constraint.points:
        bonds |= _numbers(mol, constraint, placement, kept)
    if not bonds:
        return []
    labels = [(number, number) for number in bonds.values()]
    pieces = Chem.FragmentOnBonds(mol, list(bonds), dummyLabels=labels)
    places: list[tuple[int, ...]] = []
    several = Chem.GetMolFrags(pieces, asMols=True, fragsMolAtomMapping=places)
    return [
        _part(piece, constraint.points)
        for piece, place in zip(several, places, strict=True)
        if kept.isdisjoint(place)
    ]


def _numbers(
    mol: Chem.Mol, constraint: Constraint, placement: list[Match], kept: set[int]
) -> dict[int, int]:
    """Return the number of the attachment point of each bond out of the fragments."""
    numbers: dict[int, int] = {}
    for fragment, match in zip(constraint.fragments, placement, strict=True):
        for atom, point in fragment.cuts:
            order = fragment.mol.GetBondBetweenAtoms(atom, point).GetBondType()
            for bond in mol.GetAtomWithIdx(match[atom]).GetBonds():
                outside = bond.GetOtherAtomIdx(match[atom]) not in kept
                if outside and bond.GetIdx() not in numbers and bond.GetBondType() == order:
                    numbers[bond.GetIdx()] = _number(fragment, point)
                    break
    return numbers


def _number(fragment: Fragment, point: int) -> int:
    """Return the number of an attachment point."""
    return int(fragment.mol.GetAtomWithIdx(point).GetIsotope())


def _part(piece: Chem.Mol, names: tuple[str, ...]) -> Part:
    """Return a piece whose points have their numbers as isotopes, written from the first one."""
    points = {atom.GetIdx(): atom for atom in piece.GetAtoms() if not atom.GetAtomicNum()}
    numbers = {i: atom.GetIsotope() for i, atom in points.items()}
    for i, atom in points.items():
        shown = "".join(filter(str.isdigit, names[numbers[i] - 1])) if numbers[i] else ""
        atom.SetIsotope(0)
        atom.SetAtomMapNum(int(shown or 0) if len(points) > 1 else 0)
    first = min(points, key=lambda i: (points[i].GetAtomMapNum(), i))
    root = first if len(points) == 1 or names else -1
    return Part(Chem.MolToSmiles(piece, rootedAtAtom=root), frozenset(numbers.values()))
