"""Two canvases with one set of strokes: pixels (PNG, GIF) and SVG.

A picture is laid out once, in pixels, and drawn on either. Pixels are drawn with Pillow, a
dependency of RDKit.
"""

from __future__ import annotations

import functools
import html
import io
import math
from abc import ABC, abstractmethod

from PIL import Image, ImageDraw, ImageFont

from molgen.molecules import drawing
from molgen.molecules.coordinates import Structure

INK, GREY, PAPER, CARD, LINE = "#16202a", "#5f6b77", "#f3f5f8", "#ffffff", "#dbe1e8"
WIDER = 1.1  # a viewer's sans-serif font against Pillow's, of which SVG text is measured
ANCHORS = {"l": "start", "m": "middle", "r": "end"}
BASELINES = {"a": 0.8, "m": 0.35}  # below the anchor, in heights of the font
OTHER_FONT = "DejaVuSans.ttf"  # for what Pillow's own font lacks, where it is installed


class Canvas(ABC):
    """A sheet of a fixed size.

    Args:
        width: in pixels.
        height: in pixels.
        paper: its colour.
    """

    def __init__(self, width: int, height: int, paper: str = PAPER) -> None:
        self.width, self.height, self.paper = width, height, paper

    @abstractmethod
    def box(
        self,
        place: tuple[float, float, float, float],
        fill: str = CARD,
        line: str = LINE,
        radius: float = 14,
    ) -> None:
        """Draw a rounded rectangle; the place is left, top, width and height."""

    @abstractmethod
    def text(
        self,
        at: tuple[float, float],
        text: str,
        size: float,
        colour: str = INK,
        anchor: str = "ma",
        width: float = math.inf,
    ) -> None:
        """Write one line.

        Args:
            at: of the anchor.
            text: of one line.
            size: of the font, in pixels.
            colour: of the text.
            anchor: Pillow's: ``l``, ``m`` or ``r``, and ``a`` (top) or ``m`` (middle).
            width: a wider text is shrunk to it.
        """

    @abstractmethod
    def molecule(
        self,
        structure: Structure,
        bond: float,
        place: tuple[float, float, float, float],
        opacity: float = 1.0,
    ) -> None:
        """Draw a structure into a place: left, top, width and height."""

    @abstractmethod
    def data(self) -> bytes:
        """Return the picture's file: PNG, or SVG in UTF-8."""


class Pixels(Canvas):
    """A canvas of pixels."""

    def __init__(self, width: int, height: int, paper: str = PAPER) -> None:
        super().__init__(width, height, paper)
        self.image = Image.new("RGB", (width, height), paper)
        self._draw = ImageDraw.Draw(self.image)

    def box(
        self,
        place: tuple[float, float, float, float],
        fill: str = CARD,
        line: str = LINE,
        radius: float = 14,
    ) -> None:
        """See :meth:`Canvas.box`."""
        x, y, width, height = place
        line_width = 2 if radius > 8 else 1
        self._draw.rounded_rectangle((x, y, x + width, y + height), radius, fill, line, line_width)

    def text(
        self,
        at: tuple[float, float],
        text: str,
        size: float,
        colour: str = INK,
        anchor: str = "ma",
        width: float = math.inf,
    ) -> None:
        """See :meth:`Canvas.text`."""
        size = fitting(text, size, width)
        self._draw.text(at, text, colour, _font(size, text), anchor)

    def molecule(
        self,
        structure: Structure,
        bond: float,
        place: tuple[float, float, float, float],
        opacity: float = 1.0,
    ) -> None:
        """See :meth:`Canvas.molecule`."""
        x, y, width, height = map(round, place)
        drawn = drawing.image(structure, bond, width, height)
        alpha = drawn.getchannel("A").point(lambda value: round(value * opacity))
        self.image.paste(drawn, (x, y), alpha)

    def data(self) -> bytes:
        """See :meth:`Canvas.data`; 200 dots an inch."""
        file = io.BytesIO()
        self.image.save(file, format="PNG", dpi=(200, 200))
        return file.getvalue()


class Svg(Canvas):
    """A canvas of SVG."""

    def __init__(self, width: int, height: int, paper: str = PAPER) -> None:
        super().__init__(width, height, paper)
        self._parts = [f'<rect width="{width}" height="{height}" fill="{paper}"/>']

    def box(
        self,
        place: tuple[float, float, float, float],
        fill: str = CARD,
        line: str = LINE,
        radius: float = 14,
    ) -> None:
        """See :meth:`Canvas.box`."""
        x, y, width, height = place
        self._parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
            f'rx="{radius:g}" fill="{fill}" stroke="{line or fill}"/>'
        )

    def text(
        self,
        at: tuple[float, float],
        text: str,
        size: float,
        colour: str = INK,
        anchor: str = "ma",
        width: float = math.inf,
    ) -> None:
        """See :meth:`Canvas.text`."""
        size = fitting(text, size, width / WIDER)
        y = at[1] + BASELINES[anchor[1]] * size
        shown = html.escape("".join(c for c in text if c.isprintable()))
        self._parts.append(
            f'<text x="{at[0]:.1f}" y="{y:.1f}" font-size="{size:.1f}" fill="{colour}" '
            f'text-anchor="{ANCHORS[anchor[0]]}">{shown}</text>'
        )

    def molecule(
        self,
        structure: Structure,
        bond: float,
        place: tuple[float, float, float, float],
        opacity: float = 1.0,
    ) -> None:
        """See :meth:`Canvas.molecule`."""
        x, y, width, height = map(round, place)
        drawn = drawing.element(structure, bond, width, height)
        at = f'<svg x="{x}" y="{y}" width="{width}" height="{height}"'
        at += f' opacity="{opacity:g}"' if opacity < 1 else ""
        self._parts.append(drawn.replace("<svg", at, 1))

    def data(self) -> bytes:
        """See :meth:`Canvas.data`."""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" '
            f'width="{self.width}" height="{self.height}" '
            'font-family="system-ui, DejaVu Sans, Arial, sans-serif" style="white-space: pre">'
        )
        return "".join([head, *self._parts, "</svg>\n"]).encode()


def text_width(text: str, size: float) -> float:
    """Return the width of a line in pixels."""
    return float(_font(size, text).getlength(text))


def fitting(text: str, size: float, width: float) -> float:
    """Return the size of a font at which a line fits, at most the given one."""
    length = text_width(text, size)
    return size * width / length if length > width else size


def _font(size: float, text: str) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return Pillow's font, or one with more characters for a text that has others."""
    return _other_font(size) if not text.isascii() else ImageFont.load_default(size)


@functools.lru_cache(64)
def _other_font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    try:
        return ImageFont.truetype(OTHER_FONT, size)
    except OSError:
        return ImageFont.load_default(size)
