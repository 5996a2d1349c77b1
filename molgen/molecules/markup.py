"""HTML of molecules: drawings as inline SVG in one element with its own style.

The element is escaped and without scripts, readable from a telephone (390 pixels) to a wide window,
in light and dark notebooks. In the dark the colours of a drawing are replaced by the style, so that
a drawing taken out of the page stays readable.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from pathlib import Path

from molgen.molecules.cards import Card
from molgen.molecules.coordinates import Structure
from molgen.molecules.drawing import ATOM_COLOURS, HIGHLIGHT, bond_length, element

WIDTH, HEIGHT = 190, 130  # of a drawing, in pixels
STYLE = Path(__file__).with_suffix(".css")
DARK_COLOURS = {  # of an atom on a dark ground
    6: "#e3e8ed", 7: "#8fb4ff", 8: "#ff8f88", 9: "#6fd6ae", 15: "#f0a860", 16: "#e0c040",
    17: "#7fd68a", 35: "#e0a08c", 53: "#c792e0",
}  # fmt: skip
DARK_HIGHLIGHT = "#5c4a1c"
# Pages in the dark: by the theme of a notebook, else by that of the system.
DARK_THEME = ':is([data-jp-theme-light="false"], .vscode-dark)'
NO_THEME = 'body:not([data-jp-theme-light="true"], .vscode-light)'


def wall(cards: Sequence[Card], laid_out: Sequence[Structure | None], title: str, more: int) -> str:
    """Return cards as a wall, as many in a row as there is room for.

    Args:
        cards: the cards.
        laid_out: their structures, None where there is no molecule.
        title: above them.
        more: number of molecules that are not shown.
    """
    drawn = []
    for card, picture in zip(cards, pictures(cards, laid_out), strict=True):
        # a name stays with its value when a line is broken
        first, *others = re.sub(r"(?<! ) (?! )", "\u00a0", card.caption).split("\n")
        lines = [f"<b>{escape(first)}</b>", *(f"<span>{escape(line)}</span>" for line in others)]
        drawn.append(f'<div class="card">{picture}{"".join(lines)}</div>')
    body = f'<div class="wall">{"".join(drawn)}</div>'
    return gallery(title, body, more, len(cards) + more)


def pictures(shown: Sequence[Card], laid_out: Sequence[Structure | None]) -> list[str]:
    """Return the drawing of each card or, where there is no molecule, the reason."""
    drawn = [structure for structure in laid_out if structure is not None]
    bond = bond_length(drawn, WIDTH, HEIGHT) if drawn else 0.0
    return [
        f'<div class="fault">{escape(card.fault)}<code>{escape(card.string)}</code></div>'
        if structure is None
        else element(structure, bond, WIDTH, HEIGHT)
        for card, structure in zip(shown, laid_out, strict=True)
    ]


def gallery(title: str, body: str, more: int, rows: int) -> str:
    """Return the element: style, title, body, and the number of rows that are not shown."""
    head = f"<h3>{escape(title)}</h3>" if title else ""
    rest = f'<p class="more">and {more:,} more of {rows:,} rows</p>' if more > 0 else ""
    return f'<div class="molgen">{style()}{head}{body}{rest}</div>'


def style() -> str:
    """Return the style of every gallery, as an element."""
    system = f"@media (prefers-color-scheme: dark) {{{_dark(NO_THEME)}}}"
    own = STYLE.read_text(encoding="utf-8")
    return f"<style>{own}{system}{_dark(DARK_THEME)}</style>"


def _dark(pages: str) -> str:
    """Return the rules for pages in the dark."""
    own = f"{pages} .molgen"
    rules = [
        f"{own}{{color-scheme:dark;--ink:#e3e8ed;--grey:#a2adb8;--line:#36404a;--card:#1a2128;"
        "--fault:#ff8f88}"
    ]
    pairs = {hexadecimal(light): DARK_COLOURS[z] for z, light in ATOM_COLOURS.items()}
    for light, dark in {**pairs, HIGHLIGHT: DARK_HIGHLIGHT}.items():
        rules += [f'{own} [{kind}="{light}"]{{{kind}:{dark}}}' for kind in ("stroke", "fill")]
    return "".join(rules)


def hexadecimal(colour: tuple[float, float, float]) -> str:
    """Return a colour as RDKit writes it."""
    return "#" + "".join(f"{int(255 * part):02x}" for part in colour)
