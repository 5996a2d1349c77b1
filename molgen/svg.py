"""Small SVG drawings, for pages that hold a thousand of them.

RDKit writes a drawing as one ``<path>`` for every stroke, each with its full style: several
kilobytes for nine atoms. Strokes of one colour are joined here into one path, and filled shapes
likewise, which draws the same with a fifth of the characters.
"""

from __future__ import annotations

import re

import numpy as np
from rdkit import rdBase
from rdkit.Chem import rdCoordGen, rdDepictor
from rdkit.Chem.Draw import rdMolDraw2D

from molgen.depict import ATOM_COLOURS
from molgen.molecules import parse

BOND = 26.0  # pixels; a molecule that would not fit is drawn smaller
_PATH = re.compile(r"<path\b[^>]*?/>", re.DOTALL)
_DATA = re.compile(r"\bd='([^']*)'")
_STROKE = re.compile(r"stroke:(#[0-9A-Fa-f]{6})")
_FILL = re.compile(r"fill(?::|=')(#[0-9A-Fa-f]{6})")


def drawing(smiles: str, width: int = 150, height: int = 112) -> str:
    """Return an ``<svg>`` element of a molecule, without background.

    Args:
        smiles: of the molecule.
        width: in pixels.
        height: in pixels.

    Raises:
        ValueError: if it is no molecule.
    """
    mol = parse(smiles)
    if mol is None:
        raise ValueError(f"smiles {smiles!r} is no molecule and cannot be drawn")
    with rdBase.BlockLogs():
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
    options.flagCloseContactsDist = -1  # no red boxes around atoms that a flat drawing crowds
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
