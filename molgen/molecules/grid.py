"""A sheet of structures: one card a molecule, with captions and a title.

A row that is not a molecule has a card, too, with its string and the reason.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from molgen.errors import MolgenError
from molgen.molecules.canvas import GREY, INK, Canvas
from molgen.molecules.cards import FAULT, Card
from molgen.molecules.coordinates import Structure, structures
from molgen.molecules.drawing import bond_length
from molgen.molecules.markup import wall
from molgen.molecules.picture import Picture
from molgen.utils.files import replacing

COLUMNS = 5


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


@dataclass(frozen=True, eq=False)
class Grid(Picture):
    """Molecules on a sheet of cards, five in a row.

    Attributes:
        cards: at least one.
        title: above the cards; its further lines are set smaller.
        more: number of molecules that are not shown, which is noted below.
        sheet: its measures.
    """

    cards: Sequence[Card]
    title: str = ""
    more: int = 0
    sheet: Sheet = field(default_factory=Sheet)

    def __post_init__(self) -> None:
        """Check that there are cards.

        Raises:
            MolgenError: if not.
        """
        if not self.cards:
            raise MolgenError("got 0 molecules, expected at least one")

    @cached_property
    def structures(self) -> list[Structure | None]:
        """The structures of the cards; None where there is no molecule.

        Raises:
            MolgenError: if a molecule cannot be read.
        """
        shown = [card for card in self.cards if not card.fault]
        laid_out = structures([c.molecule for c in shown], [c.highlight for c in shown])
        found = dict(zip(map(id, shown), laid_out, strict=True))
        return [found.get(id(card)) for card in self.cards]

    @property
    def _card(self) -> tuple[int, int]:
        """Width and height of a card."""
        sheet = self.sheet
        lines = max(card.caption.count("\n") + 1 for card in self.cards)
        height = sheet.height + 2 * sheet.margin + round(sheet.text * (0.3 + 1.2 * lines))
        return sheet.width + 2 * sheet.margin, height

    @property
    def _top(self) -> int:
        """Height taken by the title above the cards' first gap."""
        text = self.sheet.text
        return round(text * (2.6 + 1.4 * self.title.count("\n"))) if self.title else 0

    def size(self) -> tuple[int, int]:
        """See :meth:`molgen.molecules.picture.Picture.size`."""
        (width, height), gap = self._card, self.sheet.gap
        columns = min(COLUMNS, len(self.cards))
        rows = math.ceil(len(self.cards) / columns)
        below = round(self.sheet.text * 1.4) if self.more else 0
        return columns * (width + gap) + gap, self._top + rows * (height + gap) + gap + below

    def paint(self, canvas: Canvas) -> None:
        """See :meth:`molgen.molecules.picture.Picture.paint`."""
        sheet, (width, height) = self.sheet, self._card
        columns = min(COLUMNS, len(self.cards))
        at = (sheet.gap + 2, sheet.gap)
        room = canvas.width - 2 * sheet.gap
        _text(canvas, self.title, at, sheet.text * 1.65, sheet.text, "la", room)
        shown = [structure for structure in self.structures if structure is not None]
        bond = bond_length(shown, sheet.width, sheet.height) if shown else 0.0
        for i, (card, structure) in enumerate(zip(self.cards, self.structures, strict=True)):
            x = sheet.gap + (i % columns) * (width + sheet.gap)
            y = self._top + sheet.gap + (i // columns) * (height + sheet.gap)
            canvas.box((x, y, width, height))
            place = (x + sheet.margin, y + sheet.margin, sheet.width, sheet.height)
            if structure is None:
                _fault(canvas, card, place, sheet)
            else:
                canvas.molecule(structure, bond, place)
            below = (x + width / 2, y + sheet.margin + sheet.height + sheet.text * 0.25)
            _text(canvas, card.caption, below, sheet.text, sheet.text * 0.82, "ma", sheet.width)
        if self.more:
            foot = (sheet.gap + 2, canvas.height - sheet.gap - sheet.text)
            canvas.text(foot, f"and {self.more:,} more", sheet.text * 0.9, GREY, "la")

    def html(self) -> str:
        """See :meth:`molgen.molecules.picture.Picture.html`."""
        return wall(self.cards, self.structures, self.title, self.more)


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
    if len(captions) != len(molecules):
        raise MolgenError(f"got {len(molecules)} molecules and {len(captions)} captions")
    cards = [Card(*pair) for pair in zip(molecules, captions, strict=True)]
    content = Grid(cards, title, sheet=sheet or Sheet()).png()
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def _text(
    canvas: Canvas,
    text: str,
    at: tuple[float, float],
    first: float,
    rest: float,
    anchor: str,
    width: float,
) -> None:
    """Write lines below each other, the first larger and darker; too wide ones are shrunk."""
    x, y = at
    for i, line in enumerate(text.split("\n") if text else []):
        size = rest if i else first
        canvas.text((x, y), line, size, GREY if i else INK, anchor, width)
        y += size * 1.25


def _fault(
    canvas: Canvas, card: Card, place: tuple[float, float, float, float], sheet: Sheet
) -> None:
    """Write why there is no molecule, and the string, into the place of a drawing."""
    x, y, width, height = place
    middle = (x + width / 2, y + height / 2)
    canvas.text(middle, card.fault, sheet.text, FAULT, "mm", width)
    below = (middle[0], middle[1] + sheet.text * 1.4)
    canvas.text(below, card.string, sheet.text * 0.8, GREY, "mm", width)
