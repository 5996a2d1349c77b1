"""A sheet of structures: one card a molecule, with captions and a title.

The drawings are RDKit's; cards and text are drawn with Pillow, a dependency of RDKit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from molgen.errors import MolgenError
from molgen.utils.files import replacing

if TYPE_CHECKING:
    from PIL import ImageDraw, ImageFont

COLUMNS = 5
INK, GREY, PAPER, CARD, LINE = "#16202a", "#5f6b77", "#f3f5f8", "#ffffff", "#dbe1e8"


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
        MolgenError: if there are no molecules, one is invalid, or captions are too few or many.
        OSError: if the file cannot be written.
    """
    from PIL import Image, ImageDraw

    from molgen.molecules.drawing import drawings

    if not molecules or len(captions) != len(molecules):
        raise MolgenError(f"got {len(molecules)} molecules and {len(captions)} captions")
    sheet = sheet or Sheet()
    drawn = drawings(molecules, sheet.width, sheet.height)
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
    for i, (drawing, caption) in enumerate(zip(drawn, captions, strict=True)):
        x = sheet.gap + (i % columns) * (width + sheet.gap)
        y = top + sheet.gap + (i // columns) * (height + sheet.gap)
        draw.rounded_rectangle((x, y, x + width, y + height), 14, CARD, LINE, 2)
        image.paste(drawing, (x + sheet.margin, y + sheet.margin))
        below = (x + width / 2, y + sheet.margin + sheet.height + sheet.text * 0.25)
        _text(draw, caption, below, sheet.text, sheet.text * 0.82, "ma", sheet.width)
    with replacing(path) as temporary:
        image.save(temporary, format="PNG", dpi=(200, 200))


def _title_height(title: str, sheet: Sheet) -> int:
    """Return the height taken by the title above the cards' first gap."""
    return round(sheet.text * (2.6 + 1.4 * title.count("\n"))) if title else 0


def _text(
    draw: ImageDraw.ImageDraw,
    text: str,
    at: tuple[float, float],
    first: float,
    rest: float,
    anchor: str,
    width: float = math.inf,
) -> None:
    """Write lines below each other, the first larger and darker; too wide ones are shrunk."""
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
