"""Verification of constraints: a substructure match that respects attachment points.

A fragment matches where its atoms and bonds do, with the same elements, charges and bond orders,
and

    degree(image of a)  =  degree(a)      for every kept atom a, attachment points included

so that it is bonded to the rest of the molecule at all of its attachment points and nowhere else,
with the given bond orders; hydrogens on all other atoms are unchanged. Tetrahedral and double-bond
stereo are compared neighbour by neighbour, with the new group in place of an attachment point.
Matches of several fragments are disjoint, and those of a linker have new atoms between them. A
superstructure contains its core as a plain substructure, and the kept atoms of a lead may lose
bonds to changed atoms, or have other bond orders there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rdkit import Chem

from molgen.constraints.scaffolds import Constraint, Fragment, Task
from molgen.molecules.logs import quiet
from molgen.molecules.parsing import parse

OK = "ok"
NO_MOLECULE = "no molecule"
MISSING = "missing"
ELSEWHERE = "bonded elsewhere than at its attachment points"
STEREO = "other stereo"
OVERLAP = "fragments overlap"
NO_LINKER = "no linker between fragments"

_REASONS = (MISSING, ELSEWHERE, STEREO)  # in order of closeness to a match
MOST_MATCHES = 20_000  # symmetric fragments have many matches; further ones are ignored
_TETRAHEDRAL = (Chem.ChiralType.CHI_TETRAHEDRAL_CW, Chem.ChiralType.CHI_TETRAHEDRAL_CCW)
_CIS = (Chem.BondStereo.STEREOZ, Chem.BondStereo.STEREOCIS)
_TRANS = (Chem.BondStereo.STEREOE, Chem.BondStereo.STEREOTRANS)

Match = dict[int, int]
"""From atoms of the fragment to atoms of the molecule."""


class Verifier:
    """Checks whether molecules satisfy a constraint, and returns the reason if not."""

    def __init__(self, constraint: Constraint) -> None:
        self.constraint = constraint
        lead = constraint.task is Task.LEAD
        self._patterns = [
            [_Pattern.of(form, lead) for form in _forms(fragment)]
            for fragment in constraint.fragments
        ]

    def __call__(self, smiles: str) -> str:
        """Return ``"ok"``, or the reason of the failure.

        Args:
            smiles: of the molecule; empty or unreadable for none.
        """
        mol = parse(smiles)
        if mol is None or not mol.GetNumAtoms():
            return NO_MOLECULE
        if self.constraint.task is Task.SUPERSTRUCTURE:
            return _contains(mol, self.constraint.fragments[0].mol)
        found = self._found(mol)
        if isinstance(found, str):
            return found
        found = [_distinct(matches) for matches in found]
        if not any(True for _ in _disjoint(found)):
            return OVERLAP
        if self.constraint.task is Task.LINKER:
            return OK if any(_apart(mol, choice) for choice in _disjoint(found)) else NO_LINKER
        return OK

    def placements(self, mol: Chem.Mol) -> Iterator[list[Match]]:
        """Yield the placements of the fragments in a molecule, a match for each.

        They differ in the kept atoms, or in those at attachment points.
        """
        if self.constraint.task is Task.SUPERSTRUCTURE:
            core = self.constraint.fragments[0].mol
            places = mol.GetSubstructMatches(core, useChirality=True, maxMatches=MOST_MATCHES)
            yield from ([dict(enumerate(place))] for place in places)
            return
        found = self._found(mol)
        if isinstance(found, str):
            return
        ends = ([atom for atom, _ in part.cuts] for part in self.constraint.fragments)
        found = [_distinct(*one) for one in zip(found, ends, strict=True)]
        linker = self.constraint.task is Task.LINKER
        yield from (choice for choice in _disjoint(found) if not linker or _apart(mol, choice))

    def _found(self, mol: Chem.Mol) -> list[list[Match]] | str:
        """Return the matches of each fragment, or why one has none."""
        found: list[list[Match]] = []
        for number, forms in enumerate(self._patterns, 1):
            results = [form.find(mol) for form in forms]
            found.append([match for matches, _ in results for match in matches])
            if not found[-1]:
                reason = max((reason for _, reason in results), key=_REASONS.index)
                return f"fragment {number} {reason}" if len(self._patterns) > 1 else reason
        return found


@dataclass(frozen=True, eq=False)
class _Pattern:
    """A fragment with its substructure queries.

    Attributes:
        fragment: the fragment.
        query: its kept atoms, with the allowed numbers of bonds and hydrogens.
        plain: the same without these numbers.
        atoms: the fragment's atom for each atom of the queries.
        lead: whether bonds out of the fragment may be fewer, and of other orders.
    """

    fragment: Fragment
    query: Chem.Mol
    plain: Chem.Mol
    atoms: tuple[int, ...]
    lead: bool

    @classmethod
    def of(cls, fragment: Fragment, lead: bool) -> _Pattern:
        """Prepare a fragment."""
        atoms = tuple(sorted(fragment.kept))
        return cls(
            fragment, _query(fragment, lead, strict=True), _query(fragment, lead), atoms, lead
        )

    def find(self, mol: Chem.Mol) -> tuple[list[Match], str]:
        """Return all matches of the fragment, and the reason if there is none."""
        places = mol.GetSubstructMatches(self.query, uniquify=False, maxMatches=MOST_MATCHES)
        matches = [dict(zip(self.atoms, place, strict=True)) for place in places]
        matches = [match for match in matches if self._bonded_as_drawn(mol, match)]
        if not matches:
            return [], ELSEWHERE if mol.HasSubstructMatch(self.plain) else MISSING
        matches = [match for match in matches if self._same_stereo(mol, match)]
        return matches, "" if matches else STEREO

    def _outside(self, mol: Chem.Mol, match: Match, atom: int) -> list[Chem.Bond]:
        """Return the bonds of an atom's image that are not images of its own kept bonds."""
        neighbours = self.fragment.mol.GetAtomWithIdx(atom).GetNeighbors()
        images = {match[other.GetIdx()] for other in neighbours if other.GetIdx() in match}
        image = mol.GetAtomWithIdx(match[atom])
        return [
            bond for bond in image.GetBonds() if bond.GetOtherAtomIdx(match[atom]) not in images
        ]

    def _bonded_as_drawn(self, mol: Chem.Mol, match: Match) -> bool:
        """Return whether bonds out of the fragment have the orders of its attachment points."""
        if self.lead:
            return True
        drawn: dict[int, list[float]] = {}
        for atom, point in self.fragment.cuts:
            bond = self.fragment.mol.GetBondBetweenAtoms(atom, point)
            drawn.setdefault(atom, []).append(bond.GetBondTypeAsDouble())
        return all(
            sorted(orders)
            == sorted(bond.GetBondTypeAsDouble() for bond in self._outside(mol, match, atom))
            for atom, orders in drawn.items()
        )

    def _image(self, mol: Chem.Mol, match: Match, atom: int, neighbour: int) -> int | None:
        """Return the image of an atom's neighbour; None if ambiguous or missing."""
        if neighbour in match:
            return match[neighbour]
        cuts = [other for kept, other in self.fragment.cuts if kept == atom]
        outside = self._outside(mol, match, atom)
        if len(cuts) != 1 or len(outside) != 1:
            return None
        return int(outside[0].GetOtherAtomIdx(match[atom]))

    def _same_stereo(self, mol: Chem.Mol, match: Match) -> bool:
        own = self.fragment.mol
        return all(
            self._same_centre(mol, match, own.GetAtomWithIdx(atom))
            for atom in match
            if own.GetAtomWithIdx(atom).GetChiralTag() in _TETRAHEDRAL
        ) and all(
            self._same_double_bond(mol, match, bond)
            for bond in own.GetBonds()
            if bond.GetStereo() in _CIS + _TRANS
            and bond.GetBeginAtomIdx() in match
            and bond.GetEndAtomIdx() in match
        )

    def _same_centre(self, mol: Chem.Mol, match: Match, atom: Chem.Atom) -> bool:
        """Compare a tetrahedral centre: tags agree where neighbours are in the same order."""
        image = mol.GetAtomWithIdx(match[atom.GetIdx()])
        if image.GetDegree() != atom.GetDegree():
            return True  # a changed neighbour is missing, and with it the stereocentre
        if image.GetChiralTag() not in _TETRAHEDRAL:
            return False
        expected = [
            self._image(mol, match, atom.GetIdx(), other.GetIdx()) for other in atom.GetNeighbors()
        ]
        if None in expected:
            return True  # two attachment points: the assignment is ambiguous
        found = [other.GetIdx() for other in image.GetNeighbors()]
        same = image.GetChiralTag() == atom.GetChiralTag()
        return same == _even([found.index(index) for index in expected if index is not None])

    def _same_double_bond(self, mol: Chem.Mol, match: Match, bond: Chem.Bond) -> bool:
        """Compare a double bond: cis and trans agree relative to the same neighbours."""
        ends = [bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()]
        image = mol.GetBondBetweenAtoms(*(match[end] for end in ends))
        pairs = zip(ends, bond.GetStereoAtoms(), strict=True)
        expected = [self._image(mol, match, end, other) for end, other in pairs]
        if None in expected:
            return True
        if image.GetStereo() not in _CIS + _TRANS:
            return False
        flips = sum(index not in image.GetStereoAtoms() for index in expected)
        same = (image.GetStereo() in _CIS) == (bond.GetStereo() in _CIS)
        return same == (flips % 2 == 0)


@quiet
def _forms(fragment: Fragment) -> list[Fragment]:
    """Return the fragment in every aromaticity that its attachment points allow.

    The aromaticity of a ring with an exocyclic double bond depends on the atom bonded there:
    ``*=c1cc[nH]cc1`` is aromatic with oxygen.
    """
    forms = [fragment]
    doubles = [
        point
        for atom, point in fragment.cuts
        if fragment.mol.GetBondBetweenAtoms(atom, point).GetBondType() == Chem.BondType.DOUBLE
        and not fragment.mol.GetAtomWithIdx(point).GetAtomicNum()
    ]
    for element in (6, 8) if doubles else ():
        mol = Chem.RWMol(fragment.mol)
        for point in doubles:
            mol.GetAtomWithIdx(point).SetAtomicNum(element)
        fault = Chem.SanitizeMol(mol, catchErrors=True)
        if fault == Chem.SanitizeFlags.SANITIZE_NONE:
            forms.append(Fragment(mol.GetMol(), fragment.kept))
    bonds = [tuple(bond.GetBondType() for bond in form.mol.GetBonds()) for form in forms]
    return [form for i, form in enumerate(forms) if bonds[i] not in bonds[:i]]


@quiet
def _query(fragment: Fragment, lead: bool, strict: bool = False) -> Chem.Mol:
    """Return a fragment's kept atoms as a query; see :class:`_Pattern`."""
    query = Chem.RWMol(fragment.mol)
    open_ends = [atom for atom, _ in fragment.cuts]
    for atom in fragment.mol.GetAtoms():
        index = atom.GetIdx()
        if index not in fragment.kept:
            continue
        kind = f"#{atom.GetAtomicNum()};{'a' if atom.GetIsAromatic() else 'A'}"
        kind += f";{atom.GetFormalCharge():+d}"
        if strict and index not in open_ends:
            kind += f";D{atom.GetDegree()};H{atom.GetTotalNumHs()}"
        elif strict:
            fewest = atom.GetDegree() - open_ends.count(index) * lead
            kind += f";D{{{fewest}-{atom.GetDegree()}}}"
        query.ReplaceAtom(index, Chem.AtomFromSmarts(f"[{kind}]"))
    query.BeginBatchEdit()
    for index in set(range(fragment.mol.GetNumAtoms())) - fragment.kept:
        query.RemoveAtom(index)
    query.CommitBatchEdit()
    return query.GetMol()


def _contains(mol: Chem.Mol, core: Chem.Mol) -> str:
    if mol.HasSubstructMatch(core, useChirality=True):
        return OK
    return STEREO if mol.HasSubstructMatch(core) else MISSING


def _distinct(matches: Sequence[Match], ends: Sequence[int] = ()) -> list[Match]:
    """Return matches that differ in their atoms, or in the images of some of them."""
    keys = ((frozenset(match.values()), *(match[atom] for atom in ends)) for match in matches)
    return list(dict(zip(keys, matches, strict=True)).values())


def _disjoint(found: Sequence[list[Match]]) -> Iterator[list[Match]]:
    """Yield every choice of one match for each fragment such that no two share an atom."""
    if not found:
        yield []
        return
    for rest in _disjoint(found[:-1]):
        taken = {atom for match in rest for atom in match.values()}
        for match in found[-1]:
            if taken.isdisjoint(match.values()):
                yield [*rest, match]


def _apart(mol: Chem.Mol, matches: Sequence[Match]) -> bool:
    """Return whether no two fragments are bonded to each other."""
    place = {atom: i for i, match in enumerate(matches) for atom in match.values()}
    return not any(
        place.get(bond.GetBeginAtomIdx(), -1) != place.get(bond.GetEndAtomIdx(), -2)
        for bond in mol.GetBonds()
        if bond.GetBeginAtomIdx() in place and bond.GetEndAtomIdx() in place
    )


def _even(order: Sequence[int]) -> bool:
    """Return whether a permutation is even."""
    pairs = ((a, b) for i, a in enumerate(order) for b in order[i + 1 :])
    return sum(a > b for a, b in pairs) % 2 == 0
