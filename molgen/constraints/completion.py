"""Completions: whole molecules that contain a constraint.

    *c1ccco1       ->  Cc1ccco1, O=Cc1ccco1, c1ccc(Cc2ccco2)cc1, ...
    *C1CC1.*C#N    ->  N#CCC1CC1, N#CCNC(=O)C1CC1, ...

Common groups are placed on attachment points, common linkers between fragments, and groups on a few
hydrogens of a superstructure's core. A lead is its own completion. Completions serve only to spell
the kept atoms in context: see :mod:`molgen.constraints.template`. Imports RDKit, never torch.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np
from rdkit import Chem

from molgen.constraints.scaffolds import BOND_ORDERS, Constraint, Task
from molgen.constraints.verify import OK, Verifier
from molgen.molecules.logs import quiet
from molgen.utils import randomness

Choice = TypeVar("Choice")
GROUPS = """
C CC CCC CCCC C(C)C C(C)(C)C C1CC1 C1CCCC1 C1CCCCC1 F Cl Br O OC OCC N NC NCC N(C)C N1CCCC1 N1CCOCC1
N1CCN(C)CC1 C#N C#C C=C C=O C(F)(F)F CO CCO COC CC#N CC(N)=O CN(C)C C(C)=O C(=O)O C(N)=O C(=O)OC
C(=O)NC C(=O)NCC C(=O)N(C)C C(=O)NC1CC1 C(=O)Nc1ccccc1 NC(C)=O NC(=O)CC NC(=O)c1ccccc1 NS(C)(=O)=O
S(C)(=O)=O S(N)(=O)=O SC OC(F)F Oc1ccccc1 c1ccccc1 c1ccc(F)cc1 c1ccc(OC)cc1 c1ccncc1 c1ccco1 c1cccs1
c1cc[nH]n1 Cc1ccccc1 CCc1ccccc1 Cc1ccc(F)cc1 =O =C =CC =C(C)C =NO =NC =Cc1ccccc1 #N #C #CC #CCC
"""
"""Groups that bond by their first atom, after the symbol of the bond if it is not single."""
CHAINS = """
*CC* *CCC* *CCCC* *C(=O)N* *CC(=O)N* *OCC* *COC* *CNC* *CN(C)C* *C(=O)NC* *CC(=O)NC* *NCCC* *OCCO*
*C(=O)CC* *C(=O)OC* *C=C* *NC(=O)N* *C(O)C* *S(=O)(=O)N* *CCNC(=O)* *C1CCN(*)C1 *C1CCN(*)CC1
*N1CCN(*)CC1 *C1CCC(*)CC1 *c1ccc(*)cc1 *c1cccc(*)c1 *c1ccc(C*)cc1 *c1cc(*)[nH]n1 *C(=O)N1CCN(*)CC1
*C(=O)Nc1ccc(*)cc1 *C(=O)N1CCC(*)CC1 *CCCCC* *NC(=O)c1ccc(*)cc1
"""
"""Linkers with two ends."""
SPACE = 4  # a linker with more ends is a chain with up to this many atoms more than ends
GROWN = 3  # a superstructure's core grows at up to this many atoms at once
_PREFIX = dict(zip(BOND_ORDERS, ("", "=", "#"), strict=True))


def completions(
    constraint: Constraint, seed: int, count: int
) -> Iterator[tuple[Chem.Mol, frozenset[int]]]:
    """Yield whole molecules that contain a constraint, and their free atoms.

    Args:
        constraint: the constraint.
        seed: the same seed gives the same molecules, and fewer are a prefix of more.
        count: attempts; molecules that RDKit cannot sanitise are left out, and those that lose
            the constraint, such as a stereocentre with two equal groups. A lead has one.
    """
    if constraint.task is Task.LEAD:
        mol = constraint.fragments[0].mol
        yield mol, frozenset(range(mol.GetNumAtoms())) - constraint.kept
        return
    whole = functools.reduce(Chem.CombineMols, (part.mol for part in constraint.fragments))
    kept = frozenset(atom.GetIdx() for atom in whole.GetAtoms() if atom.GetAtomicNum())
    verify = Verifier(constraint)
    draws = np.arange(16 + 4 * whole.GetNumAtoms())  # more than there are choices
    for k in range(count):
        u = iter(randomness.used(seed, randomness.Use.COMPLETION, k, draws))
        mol = Chem.RWMol(whole)
        if constraint.task is Task.SUPERSTRUCTURE:
            _open_hydrogens(mol, u)
        elif constraint.task is Task.LINKER:
            _link(mol, u)
        for point in _points(mol):
            order = mol.GetAtomWithIdx(point).GetBonds()[0].GetBondType()
            _put(mol, *_group(_pick(_groups(order), u)), [point])
        with quiet:
            fault = Chem.SanitizeMol(mol, catchErrors=True)
        sound = fault == Chem.SanitizeFlags.SANITIZE_NONE
        if sound and verify(Chem.MolToSmiles(mol)) == OK:
            yield mol, frozenset(range(mol.GetNumAtoms())) - kept


def _points(mol: Chem.Mol) -> list[int]:
    return [atom.GetIdx() for atom in mol.GetAtoms() if not atom.GetAtomicNum()]


def _pick(choices: Sequence[Choice], u: Iterator[float]) -> Choice:
    return choices[int(next(u) * len(choices))]


def _open_hydrogens(mol: Chem.RWMol, u: Iterator[float]) -> None:
    """Replace hydrogens on a few atoms by attachment points, in place."""
    able = [
        atom.GetIdx()
        for atom in mol.GetAtoms()
        if atom.GetTotalNumHs() and atom.GetChiralTag() == Chem.ChiralType.CHI_UNSPECIFIED
    ]
    for _ in range(min(1 + int(next(u) * GROWN), len(able))):
        index = able.pop(int(next(u) * len(able)))
        atom = mol.GetAtomWithIdx(index)
        atom.SetNumExplicitHs(max(atom.GetNumExplicitHs() - 1, 0))
        mol.AddBond(index, mol.AddAtom(Chem.Atom(0)), Chem.BondType.SINGLE)


def _link(mol: Chem.RWMol, u: Iterator[float]) -> None:
    """Connect the fragments of a molecule, each by one of its points, in place."""
    points = set(_points(mol))
    ends = [_pick(sorted(points.intersection(part)), u) for part in Chem.GetMolFrags(mol)]
    ends = [ends.pop(int(next(u) * len(ends))) for _ in range(len(ends))]
    if len(ends) == 2:
        _put(mol, *_chain(_pick(CHAINS.split(), u)), ends)
        return
    atoms = list(range(len(ends) + int(next(u) * (SPACE + 1))))
    chain = Chem.MolFromSmiles("C" * len(atoms))
    chosen = sorted(atoms.pop(int(next(u) * len(atoms))) for _ in ends)
    _put(mol, chain, chosen, ends)


def _put(mol: Chem.RWMol, group: Chem.Mol, anchors: Sequence[int], points: Sequence[int]) -> None:
    """Replace attachment points by a group, in place.

    The points become the group's anchor atoms, so that no bond of a kept atom is replaced: its
    stereo depends on the order of its bonds.
    """
    place = dict(zip(anchors, points, strict=True))
    for atom in group.GetAtoms():
        if not atom.GetAtomicNum():
            continue
        at = place.setdefault(atom.GetIdx(), -1)
        if at < 0:
            at = place[atom.GetIdx()] = mol.AddAtom(Chem.Atom(atom.GetAtomicNum()))
        new = mol.GetAtomWithIdx(at)
        new.SetAtomicNum(atom.GetAtomicNum())
        new.SetIsotope(0)
        new.SetNoImplicit(False)
    for bond in group.GetBonds():
        ends = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        if all(end in place for end in ends):
            mol.AddBond(place[ends[0]], place[ends[1]], bond.GetBondType())


@functools.cache
def _groups(order: Chem.BondType) -> tuple[str, ...]:
    """Return the groups for a bond order."""
    prefix = _PREFIX[order]
    return tuple(text for text in GROUPS.split() if (text[0] if text[0] in "=#" else "") == prefix)


@functools.cache
def _group(text: str) -> tuple[Chem.Mol, list[int]]:
    """Return a group, kekulised, and its anchor atom."""
    mol = Chem.MolFromSmiles(text.lstrip("=#"))
    Chem.Kekulize(mol, clearAromaticFlags=True)
    return mol, [0]


@functools.cache
def _chain(text: str) -> tuple[Chem.Mol, list[int]]:
    """Return a linker, kekulised, and its anchor atoms."""
    mol = Chem.MolFromSmiles(text)
    Chem.Kekulize(mol, clearAromaticFlags=True)
    return mol, [mol.GetAtomWithIdx(i).GetNeighbors()[0].GetIdx() for i in _points(mol)]
