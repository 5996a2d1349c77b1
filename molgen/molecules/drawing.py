"""Drawing molecules to one scale, as pictures and as compact SVG for pages with a thousand of them.

    pixels per bond = the largest at which nine in ten molecules fit, within bounds

Bonds have the same length in every drawing of a set, so that sizes can be compared; the few
molecules that would not fit are drawn smaller. A highlighted part has a band of colour below its
bonds. Coordinates are those of :mod:`molgen.molecules.coordinates`.

RDKit's SVG has one ``<path>`` for every stroke, each with its full style: several kilobytes for
nine atoms. Strokes of one colour are joined here into one path, and filled shapes likewise: the
same drawing in a fifth of the characters.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from rdkit.Chem.Draw import rdMolDraw2D

from molgen.molecules.coordinates import Structure, structures
from molgen.molecules.logs import quiet
from molgen.utils.arguments import checked

ATOM_COLOURS = {  # darker than the usual ones, for contrast on white
    6: (0.09, 0.13, 0.16), 7: (0.13, 0.33, 0.80), 8: (0.80, 0.15, 0.15), 9: (0.05, 0.52, 0.35),
    15: (0.80, 0.42, 0.05), 16: (0.66, 0.50, 0.02), 17: (0.10, 0.52, 0.16), 35: (0.55, 0.22, 0.12),
    53: (0.42, 0.14, 0.58),
}  # fmt: skip
HIGHLIGHT = "#ffe3a1"
HIGHLIGHT_WIDTH = 0.5  # of its band, in bonds
SHRUNK = 0.1  # fraction of a set that may be drawn smaller, so that one long chain affects no other
BOND_RANGE = (26.0, 60.0)  # pixels; below, letters overlap bonds; above, small rings are coarse
BOND = BOND_RANGE[0]  # of a small drawing
SMOOTH = 3  # pixels of a band for each pixel of its drawing: Pillow draws jagged edges

_PATH = re.compile(r"<path\b[^>]*?/>", re.DOTALL)
_DATA = re.compile(r"\bd='([^']*)'")
_STROKE = re.compile(r"stroke:(#[0-9A-Fa-f]{6})")
_FILL = re.compile(r"fill(?::|=')(#[0-9A-Fa-f]{6})")


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
    found = structures(smiles)
    bond = bond_length(found, width, height)
    paper = Image.new("RGBA", (width, height), "white")
    return [
        Image.alpha_composite(paper, image(one, bond, width, height)).convert("RGB")
        for one in found
    ]


@checked
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
    return element(structures([smiles])[0], BOND, width, height)


def bond_length(found: Sequence[Structure], width: float, height: float) -> float:
    """Return the bond length in pixels at which nearly all molecules fit, within bounds."""
    room = np.array([0.82 * width, 0.78 * height])  # the rest is for atom labels at the ends
    extents = np.array([np.ptp(one.points, axis=0) for one in found])
    fitting = np.min(room / np.maximum(extents, 1.0), axis=1)  # extents are in bonds
    return float(np.clip(np.quantile(fitting, SHRUNK), *BOND_RANGE))


def image(structure: Structure, bond: float, width: int, height: int) -> Image.Image:
    """Draw one molecule on a transparent background."""
    drawer = rdMolDraw2D.MolDraw2DCairo(width, height)
    band = _drawn(drawer, structure, bond)
    drawn = Image.open(io.BytesIO(drawer.GetDrawingText())).convert("RGBA")
    if not band:
        return drawn
    size = width * SMOOTH, height * SMOOTH
    below = Image.new("RGBA", size)
    draw = ImageDraw.Draw(below)
    thick = _band_width(structure, band) * SMOOTH
    for line in band:
        points = [(x * SMOOTH, y * SMOOTH) for x, y in line]
        draw.line(points, HIGHLIGHT, round(thick))
        for x, y in points:
            draw.ellipse([x - thick / 2, y - thick / 2, x + thick / 2, y + thick / 2], HIGHLIGHT)
    return Image.alpha_composite(below.resize((width, height), Image.Resampling.LANCZOS), drawn)


def element(structure: Structure, bond: float, width: int, height: int) -> str:
    """Return one molecule as an ``<svg>`` element, without background."""
    drawer = rdMolDraw2D.MolDraw2DSVG(width, height)
    band = _drawn(drawer, structure, bond)
    return compact(drawer.GetDrawingText(), width, height, _band_path(structure, band))


def _drawn(drawer: Any, structure: Structure, bond: float) -> list[list[tuple[float, float]]]:
    """Draw a molecule; return the lines of its highlighted part, in pixels."""
    options = drawer.drawOptions()
    options.clearBackground = False
    options.fixedBondLength = bond  # pixels per unit of length
    options.padding = 0.04
    options.prepareMolsBeforeDrawing = False  # done already, with wedges
    options.bondLineWidth = 3 if bond > 42 else 2
    options.minFontSize = options.maxFontSize = max(12, round(bond * 0.43))
    options.additionalAtomLabelPadding = 0.05
    options.multipleBondOffset = 0.16
    options.flagCloseContactsDist = -1  # no red boxes around close atoms
    options.setAtomPalette(ATOM_COLOURS)
    drawer.DrawMolecule(structure.mol)
    drawer.FinishDrawing()
    at = {i: drawer.GetDrawCoords(i) for i in structure.atoms}
    joined = {i for pair in structure.bonds for i in pair}
    lines = [[*pair] for pair in structure.bonds]
    lines += [[i, i] for i in structure.atoms if i not in joined]
    return [[(at[i].x, at[i].y) for i in line] for line in lines]


def _band_width(structure: Structure, band: list[list[tuple[float, float]]]) -> float:
    """Return the width of a highlighted part's band in pixels; the drawing may be shrunk."""
    (x0, y0), (x1, y1) = band[0]
    if not structure.bonds:
        return BOND * HIGHLIGHT_WIDTH
    (i, j), points = structure.bonds[0], structure.points
    scale = np.hypot(x1 - x0, y1 - y0) / np.linalg.norm(points[i] - points[j])
    return float(scale * HIGHLIGHT_WIDTH)


def _band_path(structure: Structure, band: list[list[tuple[float, float]]]) -> str:
    """Return the band of a highlighted part as an SVG element; empty without one."""
    if not band:
        return ""
    path = "".join("M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in line) for line in band)
    width = _band_width(structure, band)
    return (
        f'<path stroke="{HIGHLIGHT}" stroke-width="{width:.1f}" stroke-linecap="round" '
        f'stroke-linejoin="round" d="{path}"/>'
    )


def compact(text: str, width: int, height: int, below: str = "") -> str:
    """Return RDKit's SVG with its paths joined by colour, strokes below filled shapes.

    Args:
        text: of RDKit.
        width: in pixels.
        height: in pixels.
        below: an element to put below the drawing.
    """
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
    parts = [f'<svg viewBox="0 0 {width} {height}" fill="none" stroke-width="1.8">', below]
    parts += [f'<path stroke="{colour}" d="{"".join(d)}"/>' for colour, d in strokes.items()]
    parts += [f'<path fill="{colour}" d="{"".join(d)}"/>' for colour, d in shapes.items()]
    return "".join([*parts, "</svg>"])
