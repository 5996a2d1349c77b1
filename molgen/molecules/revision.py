"""A molecule being written and revised, step by step: as a strip, an animation or a page.

    masks -> tokens placed, removed and replaced in each step -> the molecule, where there is one

A strip (PNG, SVG) has some of the steps below each other, an animated GIF and an HTML page all of
them. The page has a button and a slider, and needs no network.
"""

from __future__ import annotations

import html
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from molgen.errors import MolgenError
from molgen.molecules.canvas import GREY, INK, LINE, Canvas, Pixels, text_width
from molgen.molecules.cards import FAULT
from molgen.molecules.coordinates import Structure, structures
from molgen.molecules.drawing import bond_length, element
from molgen.molecules.markup import style
from molgen.molecules.picture import Picture

COLOURS = {  # fill, line and text of a token's cell, by what has just happened to it
    "": ("#ffffff", LINE, INK), "masked": ("#e6eaef", "#e6eaef", GREY),
    "placed": ("#d5f0dc", "#58a96f", "#14502a"), "removed": ("#fbdad6", "#d0695d", "#97291d"),
    "replaced": ("#ffe9b8", "#cf9a2b", "#6b4a06"),
}  # fmt: skip
LEGEND = ("placed", "removed", "replaced", "masked")
TEMPLATE = Path(__file__).with_suffix(".html")

SIDE, LABEL, GAP = 20, 86, 14  # pixels: around a picture, of a step's label, between parts
CELL, FONT = 28, 15  # height of a token's cell, and of its text
LINE_WIDTH, SCENE_LINE = 870, 640  # of tokens, in a strip and in an animation
DRAWING = (260, 150)  # of a molecule in a strip
SCENE = (560, 300)  # of a molecule in an animation
MOST_FRAMES = 120  # of an animation
DURATION, LAST = 160, 2600  # milliseconds of a frame
FADED = 0.22  # opacity of the last molecule while masks remain


@dataclass(frozen=True)
class Cell:
    """A position after a step: its token, and what has just happened to it.

    ``change`` is a key of :data:`COLOURS`. The token of a ``removed`` one is the former token; the
    position is masked.
    """

    token: str
    change: str = ""


@dataclass(frozen=True)
class Frame:
    """The state after a step.

    Attributes:
        step: of the plan.
        cells: one for each position.
        smiles: of the molecule; empty where the string is none.
        fault: why it is none.
    """

    step: int
    cells: tuple[Cell, ...]
    smiles: str = ""
    fault: str = ""

    @property
    def last(self) -> str:
        """What is written below the tokens."""
        return self.smiles or self.fault


@dataclass(frozen=True, eq=False)
class Revision(Picture):
    """A trajectory of one molecule.

    Attributes:
        frames: at least one, in order.
        n: steps of a strip.
        title: above it.
    """

    frames: Sequence[Frame]
    n: int = 12
    title: str = ""
    suffixes = (".png", ".svg", ".gif", ".html")

    def __post_init__(self) -> None:
        """Check that there are frames.

        Raises:
            MolgenError: if not.
        """
        if not self.frames:
            raise MolgenError("got 0 steps, expected at least one")

    @cached_property
    def structures(self) -> dict[str, Structure]:
        """The molecules of all steps, aligned."""
        distinct = list(dict.fromkeys(f.smiles for f in self.frames if f.smiles))
        return dict(zip(distinct, structures(distinct), strict=True))

    @property
    def shown(self) -> list[Frame]:
        """The steps of a strip: evenly spaced, the first and the last among them."""
        return self._spread(self.n)

    def _spread(self, most: int) -> list[Frame]:
        count = min(max(most, 1), len(self.frames))
        last = len(self.frames) - 1
        places = np.linspace(0, last, count).round().astype(int) if count > 1 else [last]
        return [self.frames[i] for i in places]

    @cached_property
    def _widths(self) -> list[int]:
        """The width of each position's cell, for the widest of its tokens."""
        columns = zip(*(frame.cells for frame in self.frames), strict=True)
        return [
            max(CELL - 2, *(math.ceil(text_width(cell.token, FONT)) + 12 for cell in cells))
            for cells in map(list, columns)
        ]

    def _places(self, room: int) -> list[tuple[int, int]]:
        """Return the left and top of each position's cell, in lines that are at most so wide."""
        found, x, y = [], 0, 0
        for width in self._widths:
            if x and x + width > room:
                x, y = 0, y + CELL + 4
            found.append((x, y))
            x += width + 3
        return found

    def _extent(self, room: int) -> tuple[int, int]:
        """Return the width and height of the tokens in such lines."""
        places = self._places(room)
        right = max(x + width for (x, _), width in zip(places, self._widths, strict=True))
        return right, places[-1][1] + CELL

    def _heights(self) -> list[int]:
        tokens = self._extent(LINE_WIDTH)[1] + GAP
        return [max(tokens, DRAWING[1]) if frame.smiles else tokens for frame in self.shown]

    def size(self) -> tuple[int, int]:
        """See :meth:`molgen.molecules.picture.Picture.size`: of the strip."""
        width = 2 * SIDE + LABEL + self._extent(LINE_WIDTH)[0] + GAP + DRAWING[0]
        return width, 2 * SIDE + sum(self._heights()) + CELL + (34 if self.title else 0)

    def paint(self, canvas: Canvas) -> None:
        """See :meth:`molgen.molecules.picture.Picture.paint`: the strip."""
        y: float = SIDE
        if self.title:
            canvas.text((SIDE, y), self.title, 20, INK, "la", canvas.width - 2 * SIDE)
            y += 34
        _legend(canvas, (SIDE, y))
        y += CELL + GAP / 2
        bond = self._bond(*DRAWING)
        left = SIDE + LABEL
        wide, tall = self._extent(LINE_WIDTH)
        right = left + wide + GAP
        for frame, height in zip(self.shown, self._heights(), strict=True):
            middle = y + height / 2
            canvas.text((SIDE, middle), f"step {frame.step}", FONT, GREY, "lm")
            self._tokens(canvas, frame, (left, middle - tall / 2), LINE_WIDTH)
            if frame.smiles:
                canvas.molecule(self.structures[frame.smiles], bond, (right, y, *DRAWING))
            else:
                colour = FAULT if frame.fault.startswith("invalid") else GREY
                canvas.text((right, middle), frame.fault, FONT, colour, "lm", DRAWING[0])
            y += height

    def _bond(self, width: float, height: float) -> float:
        drawn = list(self.structures.values())
        return bond_length(drawn, width, height) if drawn else 0.0

    def _tokens(self, canvas: Canvas, frame: Frame, at: tuple[float, float], room: int) -> None:
        """Draw the tokens of a step in cells, in lines that are at most so wide."""
        for cell, width, place in zip(frame.cells, self._widths, self._places(room), strict=True):
            x, y = at[0] + place[0], at[1] + place[1]
            fill, line, colour = COLOURS[cell.change]
            canvas.box((x, y, width, CELL), fill, line, 5)
            middle = (x + width / 2, y + CELL / 2)
            canvas.text(middle, cell.token, FONT, colour, "mm", width - 4)

    def gif(self) -> bytes:
        """Return an animated GIF of all steps, or of evenly spaced ones of many."""
        width = 2 * SIDE + max(self._extent(SCENE_LINE)[0], SCENE_LINE)
        wide, tall = self._extent(SCENE_LINE)
        height = 2 * SIDE + 2 * CELL + tall + SCENE[1] + 2 * GAP
        images, bond, latest = [], self._bond(*SCENE), ""
        shown = self._spread(MOST_FRAMES)
        for frame in shown:
            canvas = Pixels(width, height, "#ffffff")
            latest = frame.smiles or latest
            head = f"step {frame.step} of {self.frames[-1].step}"
            canvas.text((SIDE, SIDE), head, 18, INK, "la")
            _legend(canvas, (width - SIDE - LEGEND_WIDTH, SIDE - 4))
            at = ((width - wide) / 2, SIDE + CELL + GAP)
            self._tokens(canvas, frame, at, SCENE_LINE)
            top = at[1] + tall + GAP
            if latest:
                place = ((width - SCENE[0]) / 2, top, *SCENE)
                opacity = 1.0 if frame.smiles else FADED
                canvas.molecule(self.structures[latest], bond, place, opacity)
            colour = FAULT if frame.fault.startswith("invalid") else GREY
            below = (width / 2, height - SIDE - FONT)
            canvas.text(below, frame.last, FONT, colour, "ma", width - 2 * SIDE)
            images.append(canvas.image.quantize(128))
        file = io.BytesIO()
        durations = [DURATION] * (len(images) - 1) + [LAST]
        first, *others = images
        first.save(
            file, format="GIF", save_all=True, append_images=others, duration=durations, loop=0
        )
        return file.getvalue()

    def html(self) -> str:
        """Return the strip as SVG, which also shows in notebooks that run no scripts."""
        width = self.size()[0]
        strip = self.svg().replace("<svg ", f'<svg style="max-width: {width}px; width: 100%" ', 1)
        return f'<div style="overflow-x: auto">{strip}</div>'

    def page(self, title: str = "trajectory") -> str:
        """Return an HTML file with all steps, a button and a slider."""
        drawn = self.structures
        bond, order = self._bond(*SCENE), list(drawn)
        steps = [
            {
                "step": frame.step,
                "cells": [[cell.token, cell.change] for cell in frame.cells],
                "molecule": order.index(frame.smiles) if frame.smiles else None,
                "text": frame.last,
            }
            for frame in self.frames
        ]
        molecules = [element(one, bond, *SCENE) for one in drawn.values()]
        data = json.dumps({"frames": steps, "molecules": molecules}, separators=(",", ":"))
        text = TEMPLATE.read_text(encoding="utf-8")
        text = text.replace("{{TITLE}}", html.escape(self.title or title))
        text = text.replace("{{STYLE}}", style())
        # no token may close the element around it
        return text.replace("{{DATA}}", data.replace("<", "\\u003c"))

    def data(self, suffix: str) -> bytes:
        """See :meth:`molgen.molecules.picture.Picture.data`; also ``.gif``."""
        return self.gif() if suffix == ".gif" else super().data(suffix)


LEGEND_WIDTH = 4 * 98


def _legend(canvas: Canvas, at: tuple[float, float]) -> None:
    """Draw the meaning of the colours."""
    for i, name in enumerate(LEGEND):
        x, (fill, line, _) = at[0] + i * LEGEND_WIDTH / len(LEGEND), COLOURS[name]
        canvas.box((x, at[1] + 4, 16, 16), fill, line, 4)
        canvas.text((x + 23, at[1] + 12), name, 14, GREY, "lm")
