"""Molecules as HTML: a table with drawings beside its numbers, and a wall of cards.

The HTML is one element with its own style, escaped, without scripts, and readable from a telephone
(390 pixels) to a wide window, in light and dark notebooks. Drawings are inline SVG; in the dark
their colours are replaced by the style, so that a drawing taken out of the page stays readable.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from molgen.molecules.captions import BOOKKEEPING, cards, check_columns, formatted
from molgen.molecules.coordinates import Structure
from molgen.molecules.drawing import ATOM_COLOURS, HIGHLIGHT, bond_length, element
from molgen.molecules.grid import Card, Grid

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 12
"""Rows drawn, unless another number is given."""
UNSHOWN = ("raw", "tokens")  # what was drawn, of which the molecule is the drawing
STRINGS = ("smiles", "scaffold", "lead")  # columns of SMILES
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


def html(
    table: pd.DataFrame,
    n: int = SHOWN,
    columns: Sequence[str] | None = None,
    highlight: str | None = None,
    title: str = "",
) -> str:
    """Return a table with a drawing in each row, the first rows shown and the rest counted.

    Args:
        table: with a column ``smiles``; see :func:`molgen.molecules.captions.cards`.
        n: rows shown.
        columns: shown; None for all but ``raw`` and ``tokens``.
        highlight: SMILES or SMARTS to highlight; None for each row's ``scaffold``, empty for none.
        title: above the table.

    Raises:
        MolgenError: if a column is missing, or the pattern cannot be read.
    """
    shown = table.head(n)
    names = [c for c in table.columns if c not in UNSHOWN] if columns is None else list(columns)
    check_columns(table, names)
    if not len(table):
        return _element(title, '<p class="more">no rows</p>')
    drawn = Grid(cards(shown, (), highlight))
    pictures = _pictures(drawn.cards, drawn.structures)
    texts = [formatted(shown[name].tolist()) for name in names]
    kinds = ["" if _numeric(shown[name]) else "text" for name in names]
    heads = [_cell("th", escape(str(n)), kind) for n, kind in zip(names, kinds, strict=True)]
    lines = [f"<thead><tr><th>#</th><th></th>{''.join(heads)}</tr></thead><tbody>"]
    for i, picture in enumerate(pictures):
        cells = [_cell("td", str(i + 1), "", "#"), _cell("td", picture, "drawing")]
        for name, kind, text in zip(names, kinds, texts, strict=True):
            value = escape(text[i])
            shown_as = f"<code>{value}</code>" if name in STRINGS else value
            cells.append(_cell("td", shown_as, kind, str(name)))
        lines.append(f"<tr>{''.join(cells)}</tr>")
    body = f'<div class="scroll"><table>{"".join(lines)}</tbody></table></div>'
    return _element(title, body + _rest(len(table) - len(shown), len(table)))


def cards_html(grid: Grid) -> str:
    """Return a sheet of structures as a wall of cards, as many in a row as there is room for."""
    walls = []
    for card, picture in zip(grid.cards, _pictures(grid.cards, grid.structures), strict=True):
        # a name stays with its value when a line is broken
        first, *rest = re.sub(r"(?<! ) (?! )", "\u00a0", card.caption).split("\n")
        lines = [f"<b>{escape(first)}</b>", *(f"<span>{escape(line)}</span>" for line in rest)]
        walls.append(f'<div class="card">{picture}{"".join(lines)}</div>')
    body = f'<div class="wall">{"".join(walls)}</div>'
    return _element(grid.title, body + _rest(grid.more, len(grid.cards) + grid.more))


def _pictures(shown: Sequence[Card], laid_out: Sequence[Structure | None]) -> list[str]:
    """Return the drawing of each card or, where there is no molecule, the reason."""
    drawn = [structure for structure in laid_out if structure is not None]
    bond = bond_length(drawn, WIDTH, HEIGHT) if drawn else 0.0
    return [
        f'<div class="fault">{escape(card.fault)}<code>{escape(card.string)}</code></div>'
        if structure is None
        else element(structure, bond, WIDTH, HEIGHT)
        for card, structure in zip(shown, laid_out, strict=True)
    ]


def _cell(tag: str, content: str, kind: str = "", name: str = "") -> str:
    attributes = f' class="{kind}"' if kind else ""
    attributes += f' data-name="{escape(name)}"' if name else ""
    return f"<{tag}{attributes}>{content}</{tag}>"


def _numeric(column: Any) -> bool:
    return column.dtype.kind in "iuf" or str(column.name) in BOOKKEEPING - {*STRINGS, "status"}


def _rest(more: int, rows: int) -> str:
    return f'<p class="more">and {more:,} more of {rows:,} rows</p>' if more > 0 else ""


def _element(title: str, body: str) -> str:
    head = f"<h3>{escape(title)}</h3>" if title else ""
    return f'<div class="molgen">{style()}{head}{body}</div>'


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
