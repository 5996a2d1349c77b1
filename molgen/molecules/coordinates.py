"""Coordinates of drawings: one length for every bond, wide rather than tall, common parts aligned.

    molecules -> groups with a common part -> one layout of that part for the whole group

The common part is the highlighted pattern of a molecule or, without one, its Murcko scaffold (Bemis
and Murcko, "The properties of known drugs. 1. Molecular frameworks", 1996). A group that is taller
than wide is rotated by a quarter turn; a molecule that an aligned part would crowd is laid out
alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import rdCoordGen, rdDepictor
from rdkit.Chem.Draw import rdMolDraw2D

from molgen.errors import MolgenError
from molgen.molecules.frameworks import framework
from molgen.molecules.logs import quiet
from molgen.molecules.parsing import parse
from molgen.molecules.smarts import read_smarts

LEAST_COMMON = 5  # atoms of a part to be aligned; chains below it have no shape of their own
CROWDED = 0.4  # bonds between two atoms that are not bonded, below which a layout is crowded
RDKIT_BOND = 1.5  # length of a bond in RDKit's layouts

Points = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Structure:
    """A molecule ready for drawing.

    Attributes:
        mol: with coordinates in bonds, kekulised, with wedges.
        atoms: indices of highlighted atoms.
    """

    mol: Chem.Mol
    atoms: tuple[int, ...] = ()

    @property
    def points(self) -> Points:
        """Coordinates of the atoms, shape (atoms, 2)."""
        return np.asarray(self.mol.GetConformer().GetPositions()[:, :2])

    @property
    def bonds(self) -> list[tuple[int, int]]:
        """Ends of the bonds between highlighted atoms."""
        marked = set(self.atoms)
        ends = ((b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in self.mol.GetBonds())
        return [pair for pair in ends if marked.issuperset(pair)]


def structures(
    molecules: Sequence[str | Chem.Mol], highlights: Sequence[str] = ()
) -> list[Structure]:
    """Return molecules ready for drawing, with common parts aligned.

    Args:
        molecules: SMILES or molecules of RDKit, each drawable.
        highlights: SMILES or SMARTS of the part to highlight in each, empty for none; attachment
            points (``*``) are not highlighted. A molecule that lacks it is drawn plainly.

    Raises:
        MolgenError: if one is not a molecule, or a pattern cannot be read.
    """
    mols = [_molecule(given) for given in molecules]
    patterns = {text: pattern(text) for text in set(highlights) if text}
    marks: list[tuple[int, ...]] = []
    parts: list[tuple[int, ...]] = []
    groups: dict[str, list[int]] = {}
    for i, mol in enumerate(mols):
        text = highlights[i] if highlights else ""
        found = _match(mol, *patterns[text]) if text else ()
        marks.append(found)
        key, part = (text, found) if found else _murcko(mol)
        parts.append(part)
        groups.setdefault(key or f"alone {i}", []).append(i)
    for members in groups.values():
        points = _aligned([mols[i] for i in members], [parts[i] for i in members])
        wide, tall = np.sum([np.ptp(each, axis=0)[:2] for each in points], axis=0)
        for i, each in zip(members, points, strict=True):
            # a quarter turn keeps the stereochemistry
            turned = each[:, [1, 0, 2]] * [-1.0, 1.0, 1.0] if tall > wide else each
            mols[i].GetConformer().SetPositions(turned)
    # last: wedges need positions
    ready = [rdMolDraw2D.PrepareMolForDrawing(mol, addChiralHs=False) for mol in mols]
    return [Structure(mol, atoms) for mol, atoms in zip(ready, marks, strict=True)]


def _molecule(given: str | Chem.Mol) -> Chem.Mol:
    """Return a molecule, without the coordinates and the conformers it may have."""
    mol = parse(given) if isinstance(given, str) else Chem.Mol(given)
    if mol is None or not mol.GetNumAtoms():
        raise MolgenError(f"smiles {given!r} is no molecule and cannot be drawn")
    mol.RemoveAllConformers()
    return mol


def pattern(text: str) -> tuple[Chem.Mol, list[int]]:
    """Return a pattern of SMILES, else of SMARTS, and its atoms that are no attachment points.

    Raises:
        MolgenError: if it cannot be read.
    """
    mol = parse(text)
    if mol is None:
        mol = read_smarts(text, f"highlight {text!r}")
    else:
        rules = Chem.AdjustQueryParameters.NoAdjustments()
        rules.makeDummiesQueries = True  # a dummy atom matches any atom
        mol = Chem.AdjustQueryProperties(mol, rules)
    atoms = mol.GetAtoms()
    return mol, [a.GetIdx() for a in atoms if not a.DescribeQuery().startswith("AtomNull")]


def _match(mol: Chem.Mol, wanted: Chem.Mol, core: list[int]) -> tuple[int, ...]:
    """Return the atoms of a molecule that match a pattern without its attachment points.

    An attachment point may be left open, by a hydrogen, which is no atom of the graph.
    """
    if found := mol.GetSubstructMatch(wanted):
        return tuple(found[i] for i in core)
    if len(core) == wanted.GetNumAtoms():
        return ()
    bare = Chem.DeleteSubstructs(wanted, Chem.MolFromSmarts("[#0]"))
    return tuple(mol.GetSubstructMatch(bare))


def _murcko(mol: Chem.Mol) -> tuple[str, tuple[int, ...]]:
    """Return a molecule's Murcko scaffold and its atoms there; empty if it is small."""
    scaffold = framework(mol)
    if scaffold is None or scaffold.GetNumAtoms() < LEAST_COMMON:
        return "", ()
    text = Chem.MolToSmiles(scaffold, isomericSmiles=False)
    # atoms in canonical order, so that the scaffolds of two molecules correspond
    ordered = Chem.MolFromSmiles(text)
    found = mol.GetSubstructMatch(ordered) if ordered is not None else ()
    return (text, tuple(found)) if found else ("", ())


def _aligned(mols: Sequence[Chem.Mol], parts: Sequence[tuple[int, ...]]) -> list[Points]:
    """Lay out molecules of a group; the first one fixes the common part.

    Args:
        mols: the molecules; coordinates are added.
        parts: atoms of the common part in each, in one order.

    Returns:
        Coordinates in bonds, shape (atoms, 3) each.
    """
    first = _alone(mols[0])
    found = [first]
    for mol, part in zip(mols[1:], parts[1:], strict=True):
        pairs = list(zip(parts[0], part, strict=True))
        found.append(_onto(mol, mols[0], first, pairs))
    return found


def _onto(
    mol: Chem.Mol, reference: Chem.Mol, points: Points, pairs: list[tuple[int, int]]
) -> Points:
    """Lay out a molecule with some atoms where they are in a reference, if that leaves room."""
    if len(pairs) < LEAST_COMMON:
        return _alone(mol)
    reference = Chem.Mol(reference)
    reference.GetConformer().SetPositions(points * RDKIT_BOND)
    try:
        with quiet:
            rdDepictor.GenerateDepictionMatching2DStructure(mol, reference, pairs)
    except (ValueError, RuntimeError):  # the part is not one of this molecule's rings
        return _alone(mol)
    placed = np.asarray(mol.GetConformer().GetPositions()) / RDKIT_BOND
    return _alone(mol) if _crowded(mol, placed) else placed


def _alone(mol: Chem.Mol) -> Points:
    """Lay out a molecule; a typical bond has length 1.

    CoordGen draws the fused and bridged small rings of QM9 more clearly than RDKit's own layout,
    which is used if CoordGen fails (H2).
    """
    with quiet:
        rdCoordGen.AddCoords(mol)
    if not np.isfinite(mol.GetConformer().GetPositions()).all():
        rdDepictor.Compute2DCoords(mol)
    rdDepictor.StraightenDepiction(mol)
    points = np.asarray(mol.GetConformer().GetPositions())
    ends = np.array([(b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in mol.GetBonds()])
    if len(ends):
        points /= np.median(np.linalg.norm(points[ends[:, 0]] - points[ends[:, 1]], axis=1))
    return points


def _crowded(mol: Chem.Mol, points: Points) -> bool:
    """Return whether atoms lie on each other, or a bond is far too long."""
    apart = np.linalg.norm(points[:, None] - points[None], axis=-1)
    bonded = Chem.GetAdjacencyMatrix(mol).astype(bool)
    free = ~bonded & ~np.eye(len(points), dtype=bool)
    return bool((apart[free] < CROWDED).any() or (apart[bonded] > 2).any())
