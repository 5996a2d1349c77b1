"""Replay of a trajectory: the frames of a picture, from the table of its events.

events -> tokens after each step, and what has just happened to each -> the molecule, if any
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from molgen.data.tokenizer import PAD, selfies_to_smiles
from molgen.errors import MolgenError
from molgen.molecules.parsing import interpret
from molgen.molecules.revision import Cell, Frame
from molgen.sampling.trajectory import EVENTS

if TYPE_CHECKING:
    import pandas as pd


def frames(events: pd.DataFrame, molecule: int | None = None) -> list[Frame]:
    """Replay a molecule from a table of events, as frames of a picture.

    Args:
        events: of :meth:`Trajectory.frame`, perhaps read from a file. Tokens of SELFIES are known
            by their brackets.
        molecule: index of the row; None for the first that ends as a molecule, else the first.

    Returns:
        One frame for each step after which something changed. The length is that of the last
        position with an event.

    Raises:
        MolgenError: if a column is missing, or there is no event of that molecule.
    """
    for name in EVENTS[:-1]:
        if name not in events:
            listed = ", ".join(map(str, events.columns))
            raise MolgenError(f"the trajectory has no column {name!r}, only {listed}")
    found = list(dict.fromkeys(events["molecule"].tolist()))
    if molecule is not None:
        found = [index for index in found if index == molecule]
    if not found:
        among = "" if molecule is None else f" of molecule {molecule}"
        raise MolgenError(f"the trajectory has no event{among}")
    selfies = bool(events["token"].astype(str).str.fullmatch(r"\[.*\]").all())
    replayed: list[Frame] = []
    for index in found:
        these = _replay(events[events["molecule"] == index], selfies)
        if these[-1].smiles:
            return these
        replayed = replayed or these
    return replayed


def _replay(events: pd.DataFrame, selfies: bool) -> list[Frame]:
    """Return the frames of one molecule's events."""
    length = int(events["position"].max()) + 1
    state: list[str | None] = [None] * length
    removed: dict[int, str] = {}
    found = []
    for step, now in events.groupby("step", sort=True):
        before = list(state)
        for position, action, token in zip(
            now["position"], now["action"], now["token"].astype(str), strict=True
        ):
            if action == "removed":
                removed[position] = token
                state[position] = None
            else:
                state[position] = token
        cells = tuple(
            _cell(before[i], state[i], removed.get(i), i in set(now["position"]))
            for i in range(length)
        )
        found.append(_frame(int(step), cells, state, selfies))
    return found


def _cell(before: str | None, after: str | None, removed: str | None, touched: bool) -> Cell:
    """Return a position after a step; ``removed`` is the token last removed from it."""
    if after is None:
        return Cell(removed or "", "removed") if before is not None else Cell("", "masked")
    if not touched:
        return Cell(after)
    former = before if before is not None else removed
    return Cell(after, "placed" if former in (None, after) else "replaced")


def _frame(step: int, cells: tuple[Cell, ...], state: list[str | None], selfies: bool) -> Frame:
    written = "".join(token for token in state if token not in (None, PAD))
    masked = sum(token is None for token in state)
    if masked:
        return Frame(step, cells, fault=f"{masked} masked")
    found = interpret(selfies_to_smiles(written) if selfies else written)
    fault = "" if found.ok else f"invalid: {str(found.status).replace('_', ' ')}"
    return Frame(step, cells, found.smiles, fault)
