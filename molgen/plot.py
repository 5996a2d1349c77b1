"""Pictures: a sheet of structures, and how training went.

A sheet is one card a molecule. Bonds have the same length on every card, so that sizes can be
compared, and shrink only where a molecule would not fit. RDKit lays out and draws the structures;
cards, captions and title are put around them with Pillow, which RDKit already needs. Curves need
matplotlib (extra ``plots``).
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from molgen.files import replacing
from molgen.molecules import parse

if TYPE_CHECKING:
    from PIL import Image, ImageDraw, ImageFont
    from rdkit import Chem

COLUMNS = 5
INK, GREY, PAPER, CARD, LINE = "#16202a", "#5f6b77", "#f3f5f8", "#ffffff", "#dbe1e8"
ATOM_COLOURS = {  # darker than the usual ones, which pale on white
    6: (0.09, 0.13, 0.16), 7: (0.13, 0.33, 0.80), 8: (0.80, 0.15, 0.15), 9: (0.05, 0.52, 0.35),
    15: (0.80, 0.42, 0.05), 16: (0.66, 0.50, 0.02), 17: (0.10, 0.52, 0.16), 35: (0.55, 0.22, 0.12),
    53: (0.42, 0.14, 0.58),
}  # fmt: skip
DRAWN_BOND = 1.5  # RDKit's drawer scales so that this length becomes its fixedBondLength
BOND_RANGE = (30.0, 52.0)  # pixels; below, letters crowd the bonds, above, small rings look coarse


@dataclass(frozen=True)
class Sheet:
    """Measures of a sheet of structures, in pixels."""

    width: int = 340
    """Of a card's drawing."""
    height: int = 270
    """Of a card's drawing."""
    gap: int = 24
    """Between cards, and around them."""
    margin: int = 16
    """Between a card's edge and its drawing."""
    text: int = 23
    """Height of a caption's first line; the others are a little smaller."""


def grid_png(
    molecules: Sequence[str],
    captions: Sequence[str],
    path: str | Path,
    title: str = "",
    sheet: Sheet | None = None,
) -> None:
    """Draw molecules on a sheet of cards, five in a row.

    Args:
        molecules: SMILES.
        captions: one for each molecule, of one line or several; the first line is set larger.
        path: of the PNG file.
        title: above the cards; its further lines are set smaller.
        sheet: its measures.

    Raises:
        ValueError: if there are no molecules, if one is none, or if captions are too few or many.
        OSError: if the file cannot be written.
    """
    from PIL import Image, ImageDraw

    if not molecules or len(captions) != len(molecules):
        raise ValueError(f"got {len(molecules)} molecules and {len(captions)} captions")
    sheet = sheet or Sheet()
    mols = [_laid_out(smiles) for smiles in molecules]
    bond = _bond_length(mols, sheet)
    columns = min(COLUMNS, len(molecules))
    lines = max(caption.count("\n") + 1 for caption in captions)
    width = sheet.width + 2 * sheet.margin
    height = sheet.height + 2 * sheet.margin + round(sheet.text * (0.3 + 1.2 * lines))
    top = _title_height(title, sheet)
    size = (
        columns * (width + sheet.gap) + sheet.gap,
        top + math.ceil(len(molecules) / columns) * (height + sheet.gap) + sheet.gap,
    )
    image = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(image)
    _text(draw, title, (sheet.gap + 2, sheet.gap), sheet.text * 1.65, sheet.text, "la")
    for i, (mol, caption) in enumerate(zip(mols, captions, strict=True)):
        x = sheet.gap + (i % columns) * (width + sheet.gap)
        y = top + sheet.gap + (i // columns) * (height + sheet.gap)
        draw.rounded_rectangle((x, y, x + width, y + height), 14, CARD, LINE, 2)
        image.paste(_draw(mol, bond, sheet), (x + sheet.margin, y + sheet.margin))
        below = (x + width / 2, y + sheet.margin + sheet.height + sheet.text * 0.25)
        _text(draw, caption, below, sheet.text, sheet.text * 0.82, "ma", sheet.width)
    with replacing(path) as temporary:
        image.save(temporary, format="PNG", dpi=(200, 200))


def loss_curve(log_csv: str | Path, path: str | Path) -> None:
    """Draw loss against step from a training log, with the held-out points where there are any.

    Args:
        log_csv: with the columns ``step``, ``loss`` and, where it was measured, ``held_out_nats``;
            both in nats per molecule.
        path: of the picture; its extension says which kind (png, pdf, svg).

    Raises:
        ValueError: if matplotlib is missing, or the log lacks a column or has no rows.
        OSError: if a file cannot be read or written.
    """
    loss = _points(log_csv, "loss")
    held_out = _points(log_csv, "held_out_nats")
    if not loss:
        raise ValueError(f"{log_csv}: no row with step and loss")
    try:
        from matplotlib.figure import Figure  # without pyplot: no window, nothing global
    except ImportError as error:
        raise ValueError("a curve needs matplotlib: pip install 'molgen[plots]'") from error
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(*zip(*loss, strict=True), color="#2b6cb0", lw=1.4, label="training")
    if held_out:
        axes.plot(
            *zip(*held_out, strict=True), "o-", color="#c05621", lw=1.4, ms=4, label="held out"
        )
        best = min(value for _, value in held_out)
        axes.axhline(best, color="#c05621", lw=0.8, ls=":", label=f"lowest held out: {best:.2f}")
    axes.set(xlabel="step", ylabel="loss (nats per molecule)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    with replacing(path) as temporary:
        figure.savefig(temporary, format=Path(path).suffix.removeprefix(".") or "png", dpi=160)


def _points(log_csv: str | Path, column: str) -> list[tuple[float, float]]:
    """Return (step, value) of every row that has a value."""
    with Path(log_csv).open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if "step" not in (reader.fieldnames or ()) or "loss" not in (reader.fieldnames or ()):
            raise ValueError(f"{log_csv} has columns {reader.fieldnames}, expected step and loss")
        pairs = [(float(row["step"]), float(row.get(column) or "nan")) for row in reader]
    return [pair for pair in pairs if math.isfinite(pair[1])]


def _laid_out(smiles: str) -> Chem.Mol:
    """Return the molecule ready for drawing: kekulised, with coordinates, turned upright.

    CoordGen draws the fused and bridged small rings of QM9 more clearly than RDKit's own layout. A
    typical bond is scaled to the length that RDKit's drawer takes as its unit.
    """
    from rdkit.Chem import rdCoordGen, rdDepictor
    from rdkit.Chem.Draw import rdMolDraw2D

    mol = parse(smiles)
    if mol is None:
        raise ValueError(f"smiles {smiles!r} is no molecule and cannot be drawn")
    mol = rdMolDraw2D.PrepareMolForDrawing(mol, addChiralHs=False)
    rdCoordGen.AddCoords(mol)
    rdDepictor.StraightenDepiction(mol)
    points = mol.GetConformer().GetPositions()
    ends = np.array([(b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in mol.GetBonds()])
    if len(ends):
        lengths = np.linalg.norm(points[ends[:, 0]] - points[ends[:, 1]], axis=1)
        mol.GetConformer().SetPositions(points * (DRAWN_BOND / np.median(lengths)))
    return mol


def _bond_length(mols: Sequence[Chem.Mol], sheet: Sheet) -> float:
    """Return the bond length in pixels at which the largest molecule just fits, within reason."""
    room = np.array([0.8 * sheet.width, 0.74 * sheet.height])  # the rest is for letters at the ends
    extents = [np.ptp(mol.GetConformer().GetPositions()[:, :2], axis=0) for mol in mols]
    most = np.maximum(np.max(extents, axis=0) / DRAWN_BOND, 1.0)  # in bonds
    return float(np.clip(np.min(room / most), *BOND_RANGE))


def _draw(mol: Chem.Mol, bond: float, sheet: Sheet) -> Image.Image:
    """Draw one molecule on white."""
    from PIL import Image
    from rdkit.Chem.Draw import rdMolDraw2D

    drawer = rdMolDraw2D.MolDraw2DCairo(sheet.width, sheet.height)
    options = drawer.drawOptions()
    options.fixedBondLength = bond
    options.padding = 0.04
    options.bondLineWidth = 3 if bond > 42 else 2
    options.minFontSize = options.maxFontSize = max(15, round(bond * 0.46))
    options.additionalAtomLabelPadding = 0.05
    options.multipleBondOffset = 0.16
    options.setAtomPalette(ATOM_COLOURS)
    drawer.DrawMolecule(mol)
    drawer.FinishDrawing()
    return Image.open(io.BytesIO(drawer.GetDrawingText())).convert("RGB")


def _title_height(title: str, sheet: Sheet) -> int:
    """Return the height taken by the title above the cards' first gap."""
    return round(sheet.text * (2.4 + 1.4 * title.count("\n"))) if title else 0


def _text(
    draw: ImageDraw.ImageDraw,
    text: str,
    at: tuple[float, float],
    first: float,
    rest: float,
    anchor: str,
    width: float = math.inf,
) -> None:
    """Write lines below each other, the first larger and darker; shrink what is too wide."""
    x, y = at
    for i, line in enumerate(text.split("\n") if text else []):
        size = rest if i else first
        font = _font(size)
        if (length := draw.textlength(line, font)) > width:
            font = _font(size * width / length)
        draw.text((x, y), line, GREY if i else INK, font, anchor)
        y += size * 1.25


def _font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    from PIL import ImageFont

    return ImageFont.load_default(size)
