"""Pictures of molecules, and of a molecule being written and revised.

    molgen.show(table, highlight="c1ccncc1")
    molgen.show(["CCO", "c1ccccc1"], path="two.svg")
    molgen.show(model.draw(1, record=True).trajectory, path="written.gif")

The suffix of a path is the format: ``.png``, ``.svg`` or ``.html``, and ``.gif`` for a trajectory.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from molgen.errors import MolgenError
from molgen.molecules.captions import cards, check_columns, fault_of
from molgen.molecules.cards import Card
from molgen.molecules.coordinates import pattern
from molgen.molecules.grid import Grid
from molgen.molecules.parsing import Molecule
from molgen.molecules.picture import Picture, check_suffix
from molgen.utils.files import check_writable

if TYPE_CHECKING:
    import pandas as pd

    from molgen.molecules.revision import Frame

EXPECTED = "a table, a result, SMILES, molecules of RDKit or a trajectory"


def show(
    molecules: Any,
    n: int = 12,
    path: str | Path | None = None,
    *,
    columns: Sequence[str] | None = None,
    highlight: str | None = None,
    title: str = "",
    molecule: int | None = None,
) -> Picture:
    """Draw molecules on cards, or the steps in which one was written.

    Molecules that have a common part are aligned by it. A row that is not a molecule has a card
    with the reason; what is not shown is counted.

    Args:
        molecules: a table with a column ``smiles``; a result with a ``table``; a list, an array or
            a Series of SMILES or of RDKit's molecules; one of them; or a trajectory, that of
            ``model.draw(..., record=True)`` or the table of ``molgen sample --trajectory``.
        n: rows shown, the first ones; of a trajectory, steps of a PNG or SVG.
        path: of a file to write; None for none.
        columns: of a table, whose values are written below each molecule; None for the first
            numeric ones, empty for none.
        highlight: SMILES or SMARTS of a part to highlight, attachment points ``*`` allowed; None
            for that of a table's column ``scaffold``, empty for none.
        title: above the picture; its further lines are smaller.
        molecule: of a trajectory, the index of the row; None for the first that ends as a molecule.

    Returns:
        The picture. It displays in a notebook, and has ``save(path)``, ``png()``, ``svg()`` and
        ``html()``.

    Raises:
        MolgenError: if there is nothing to draw, a column is missing, the pattern cannot be read,
            or the path has another suffix.
        OSError: if the file cannot be written.
    """
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise MolgenError(f"n is {n!r}, expected a whole number of at least 1")
    if highlight:
        pattern(highlight)
    if path is not None:
        check_writable(path)
    steps = _steps(molecules, molecule)
    picture: Picture
    if steps is None:
        found, more = _cards(molecules, n, columns, highlight)
        picture = Grid(found, title, more)
    else:
        from molgen.molecules.revision import Revision

        picture = Revision(steps, n, title)
    if path is not None:
        check_suffix(path, picture.suffixes)
        picture.save(path)
    return picture


def _steps(given: Any, molecule: int | None) -> list[Frame] | None:
    """Return the frames of a trajectory, None for anything else."""
    given = getattr(given, "trajectory", given)
    events = given.frame() if hasattr(given, "states") and hasattr(given, "frame") else given
    if not {"step", "position", "action", "token"} <= set(getattr(events, "columns", ())):
        return None
    from molgen.sampling.replay import frames

    return frames(events, molecule)


def _cards(
    given: Any, n: int, columns: Sequence[str] | None, highlight: str | None
) -> tuple[list[Card], int]:
    """Return the cards of the first molecules, and the number of the others."""
    table = getattr(given, "table", given)
    if hasattr(table, "columns") and hasattr(table, "iloc"):
        return _table_cards(table, n, columns, highlight)
    if columns:
        raise MolgenError(f"columns is {columns!r}, expected none without a table")
    rows = [given] if _single(given) else _listed(given)
    if not rows:
        raise MolgenError("got 0 molecules, expected at least one")
    found = []
    for i, row in enumerate(rows[:n]):
        raw, drawn = (row.raw, row.smiles or row.raw) if isinstance(row, Molecule) else (row, row)
        fault = fault_of(drawn, raw)
        caption = f"{i + 1}." if len(rows) > 1 else ""
        found.append(Card(drawn if drawn is not None else "", caption, fault, highlight or ""))
    return found, max(0, len(rows) - n)


def _table_cards(
    table: pd.DataFrame, n: int, columns: Sequence[str] | None, highlight: str | None
) -> tuple[list[Card], int]:
    check_columns(table, columns or ())
    if not len(table):
        raise MolgenError("the table has no rows, expected at least one")
    return cards(table.head(n), columns, highlight), max(0, len(table) - n)


def _single(given: Any) -> bool:
    """Return whether this is one molecule."""
    return isinstance(given, str | Molecule) or hasattr(given, "GetNumAtoms")


def _listed(given: Any) -> list[Any]:
    """Return the molecules of a list, an array or a Series.

    Raises:
        MolgenError: if it is none, or one of its items is neither a string nor a molecule.
    """
    if not isinstance(given, Iterable) or isinstance(given, bytes | dict):
        raise MolgenError(f"molecules is {type(given).__name__}, expected {EXPECTED}")
    rows = list(given)
    for i, row in enumerate(rows):
        missing = row is None or (isinstance(row, float) and row != row)  # NaN of a Series
        if not _single(row) and not missing:
            raise MolgenError(f"molecules[{i}] is {type(row).__name__}, expected {EXPECTED}")
    return [None if isinstance(row, float) else row for row in rows]
