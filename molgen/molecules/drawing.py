"""Drawing molecules to one scale, and as compact SVG for pages with a thousand of them.

    pixels per bond = the largest at which nine in ten molecules fit, within bounds

Bonds have the same length in every drawing of a set, so that sizes can be compared; the few
molecules that would not fit are drawn smaller. A molecule that is taller than wide is rotated.

RDKit's SVG has one ``<path>`` for every stroke, each with its full style: several kilobytes for
nine atoms. Strokes of one colour are joined here into one path, and filled shapes likewise: the
same drawing in a fifth of the characters.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence

import numpy as np
from PIL import Image
from rdkit import Chem
from rdkit.Chem import rdCoordGen, rdDepictor
from rdkit.Chem.Draw import rdMolDraw2D

from molgen.errors import MolgenError
from molgen.molecules.logs import quiet
from molgen.molecules.parsing import parse

ATOM_COLOURS = {  # darker than the usual ones, for contrast on white
    6: (0.09, 0.13, 0.16), 7: (0.13, 0.33, 0.80), 8: (0.80, 0.15, 0.15), 9: (0.05, 0.52, 0.35),
    15: (0.80, 0.42, 0.05), 16: (0.66, 0.50, 0.02), 17: (0.10, 0.52, 0.16), 35: (0.55, 0.22, 0.12),
    53: (0.42, 0.14, 0.58),
}  # fmt: skip
SHRUNK = 0.1  # fraction of a set that may be drawn smaller, so that one long chain affects no other
BOND_RANGE = (26.0, 60.0)  # pixels; below, letters overlap bonds; above, small rings are coarse


@quiet
def drawings(smiles: Sequence[str], width: int, height: int) -> list[Image.Image]:
    """Draw molecules on white, all to one scale.

    Args:
        smiles: of the molecules, at least one.
        width: of a drawing, in pixels.
        height: of a drawing, in pixels.

    Raises:
        MolgenError: if one of them is not a molecule.
    """
    mols = [_laid_out(text) for text in smiles]
    bond = _bond_length(mols, width, height)
    return [_draw(mol, bond, width, height) for mol in mols]


def _laid_out(smiles: str) -> Chem.Mol:
    """Return the molecule ready for drawing: with coordinates, kekulised, with wedges.

    CoordGen draws the fused and bridged small rings of QM9 more clearly than RDKit's own layout,
    which is used if CoordGen fails (H2). A typical bond is scaled to length 1.
    """
    mol = parse(smiles)
    if mol is None:
        raise MolgenError(f"smiles {smiles!r} is no molecule and cannot be drawn")
    rdCoordGen.AddCoords(mol)
    if not np.isfinite(mol.GetConformer().GetPositions()).all():
        rdDepictor.Compute2DCoords(mol)
    rdDepictor.StraightenDepiction(mol)
    points = mol.GetConformer().GetPositions()
    if np.ptp(points[:, 1]) > np.ptp(points[:, 0]):
        points = points[:, [1, 0, 2]] * [-1.0, 1.0, 1.0]  # a quarter turn keeps the stereochemistry
    ends = np.array([(b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in mol.GetBonds()])
    if len(ends):
        points /= np.median(np.linalg.norm(points[ends[:, 0]] - points[ends[:, 1]], axis=1))
    mol.GetConformer().SetPositions(points)
    return rdMolDraw2D.PrepareMolForDrawing(mol, addChiralHs=False)  # last: wedges need positions


def _bond_length(mols: Sequence[Chem.Mol], width: int, height: int) -> float:
    """Return the bond length in pixels at which nearly all molecules fit, within bounds."""
    room = np.array([0.82 * width, 0.78 * height])  # the rest is for atom labels at the ends
    extents = np.array([np.ptp(mol.GetConformer().GetPositions()[:, :2], axis=0) for mol in mols])
    fitting = np.min(room / np.maximum(extents, 1.0), axis=1)  # extents are in bonds
    return float(np.clip(np.quantile(fitting, SHRUNK), *BOND_RANGE))


def _draw(mol: Chem.Mol, bond: float, width: int, height: int) -> Image.Image:
    """Draw one molecule on white."""
    drawer = rdMolDraw2D.MolDraw2DCairo(width, height)
    options = drawer.drawOptions()
    options.fixedBondLength = bond  # pixels per unit of length
    options.padding = 0.04
    options.prepareMolsBeforeDrawing = False  # done already, with wedges
    options.bondLineWidth = 3 if bond > 42 else 2
    options.minFontSize = options.maxFontSize = max(14, round(bond * 0.42))
    options.additionalAtomLabelPadding = 0.05
    options.multipleBondOffset = 0.16
    options.setAtomPalette(ATOM_COLOURS)
    drawer.DrawMolecule(mol)
    drawer.FinishDrawing()
    return Image.open(io.BytesIO(drawer.GetDrawingText())).convert("RGB")


BOND = 26.0  # pixels; a molecule that would not fit is drawn smaller
_PATH = re.compile(r"<path\b[^>]*?/>", re.DOTALL)
_DATA = re.compile(r"\bd='([^']*)'")
_STROKE = re.compile(r"stroke:(#[0-9A-Fa-f]{6})")
_FILL = re.compile(r"fill(?::|=')(#[0-9A-Fa-f]{6})")


@quiet
def svg(smiles: str, width: int = 150, height: int = 112) -> str:
    """Return an ``<svg>`` element of a molecule, without background.

    Args:
        smiles: of the molecule.
        width: in pixels.
        height: in pixels.

    Raises:
        MolgenError: if it is not a molecule.
    """
    mol = parse(smiles)
    if mol is None:
        raise MolgenError(f"smiles {smiles!r} is no molecule and cannot be drawn")
    rdCoordGen.AddCoords(mol)  # draws small fused and bridged rings more clearly
    if not np.isfinite(mol.GetConformer().GetPositions()).all():
        rdDepictor.Compute2DCoords(mol)
    rdDepictor.StraightenDepiction(mol)
    drawer = rdMolDraw2D.MolDraw2DSVG(width, height)
    options = drawer.drawOptions()
    options.clearBackground = False
    options.fixedBondLength = BOND
    options.minFontSize = options.maxFontSize = 12
    options.bondLineWidth = 2
    options.flagCloseContactsDist = -1  # no red boxes around close atoms
    options.setAtomPalette(ATOM_COLOURS)
    drawer.DrawMolecule(rdMolDraw2D.PrepareMolForDrawing(mol, addChiralHs=False))
    drawer.FinishDrawing()
    return compact(drawer.GetDrawingText(), width, height)


def compact(text: str, width: int, height: int) -> str:
    """Return RDKit's SVG with its paths joined by colour, strokes below filled shapes."""
    strokes: dict[str, list[str]] = {}
    shapes: dict[str, list[str]] = {}
    for path in _PATH.findall(text):
        data, stroke, fill = (p.search(path) for p in (_DATA, _STROKE, _FILL))
        if data is None:
            continue
        points = re.sub(r"\s*([MLQCZ])\s*", r"\1", data.group(1).strip()).replace(", ", " ")
        if fill is not None:
            shapes.setdefault(fill.group(1).lower(), []).append(points)
        elif stroke is not None:
            strokes.setdefault(stroke.group(1).lower(), []).append(points)
    parts = [f'<svg viewBox="0 0 {width} {height}" fill="none" stroke-width="1.8">']
    parts += [f'<path stroke="{colour}" d="{"".join(d)}"/>' for colour, d in strokes.items()]
    parts += [f'<path fill="{colour}" d="{"".join(d)}"/>' for colour, d in shapes.items()]
    return "".join([*parts, "</svg>"])
