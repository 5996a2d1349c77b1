"""A table of molecules as HTML: a drawing beside the numbers of each row.

The first rows are shown and the others counted; see :mod:`molgen.molecules.markup`.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from molgen.molecules.captions import BOOKKEEPING, cards, check_columns, formatted
from molgen.molecules.grid import Grid
from molgen.molecules.markup import gallery, pictures

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 12
"""Rows drawn, unless another number is given."""
UNSHOWN = ("raw", "tokens")  # what was drawn, of which the molecule is the drawing
STRINGS = ("smiles", "scaffold", "lead")  # columns of SMILES


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
        return gallery(title, '<p class="more">no rows</p>', 0, 0)
    drawn = Grid(cards(shown, (), highlight))
    texts = [formatted(shown[name].tolist()) for name in names]
    kinds = ["" if _numeric(shown[name]) else "text" for name in names]
    heads = [_cell("th", escape(str(n)), kind) for n, kind in zip(names, kinds, strict=True)]
    lines = [f"<thead><tr><th>#</th><th></th>{''.join(heads)}</tr></thead><tbody>"]
    for i, picture in enumerate(pictures(drawn.cards, drawn.structures)):
        cells = [_cell("td", str(i + 1), "", "#"), _cell("td", picture, "drawing")]
        for name, kind, text in zip(names, kinds, texts, strict=True):
            value = escape(text[i])
            shown_as = f"<code>{value}</code>" if name in STRINGS else value
            cells.append(_cell("td", shown_as, kind, str(name)))
        lines.append(f"<tr>{''.join(cells)}</tr>")
    body = f'<div class="scroll"><table>{"".join(lines)}</tbody></table></div>'
    return gallery(title, body, len(table) - len(shown), len(table))


def _cell(tag: str, content: str, kind: str = "", name: str = "") -> str:
    attributes = f' class="{kind}"' if kind else ""
    attributes += f' data-name="{escape(name)}"' if name else ""
    return f"<{tag}{attributes}>{content}</{tag}>"


def _numeric(column: Any) -> bool:
    return column.dtype.kind in "iuf" or str(column.name) in BOOKKEEPING - {*STRINGS, "status"}
