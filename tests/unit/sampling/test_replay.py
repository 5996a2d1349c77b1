"""Replay of events into frames, by hand."""

from __future__ import annotations

import pandas as pd
import pytest

from molgen.sampling.replay import frames

COLUMNS = ["molecule", "step", "position", "action", "token", "probability"]


def events(*rows: tuple[int, int, int, str, str]) -> pd.DataFrame:
    return pd.DataFrame([(*row, 0.5) for row in rows], columns=COLUMNS)


def test_a_token_is_placed_removed_and_replaced() -> None:
    found = frames(
        events(
            (0, 0, 1, "placed", "N"),
            (0, 2, 0, "placed", "C"),
            (0, 2, 1, "removed", "N"),
            (0, 5, 1, "replaced", "O"),
            (0, 6, 1, "removed", "O"),
            (0, 6, 1, "placed", "O"),
        )
    )
    assert [frame.step for frame in found] == [0, 2, 5, 6]
    assert [[(c.token, c.change) for c in frame.cells] for frame in found] == [
        [("", "masked"), ("N", "placed")],
        [("C", "placed"), ("N", "removed")],
        [("C", ""), ("O", "replaced")],
        [("C", ""), ("O", "placed")],  # the same again within a step
    ]
    assert [(frame.smiles, frame.fault) for frame in found] == [
        ("", "1 masked"), ("", "1 masked"), ("CO", ""), ("CO", "")
    ]  # fmt: skip


def test_the_first_row_that_ends_as_a_molecule_is_chosen() -> None:
    both = events((3, 0, 0, "placed", "("), (5, 0, 0, "placed", "C"))
    assert frames(both)[0].smiles == "C"
    assert frames(both, 3)[0].fault == "invalid: parse"
    with pytest.raises(ValueError, match="no event of molecule 4"):
        frames(both, 4)
    with pytest.raises(ValueError, match="no column 'token'"):
        frames(both.drop(columns="token"))
    with pytest.raises(ValueError, match="no event"):
        frames(both.head(0))


def test_selfies_are_decoded() -> None:
    found = frames(
        events(
            (0, 0, 0, "placed", "[C]"), (0, 1, 1, "placed", "[=C]"), (0, 1, 2, "placed", "[PAD]")
        )
    )
    assert found[-1].smiles == "C=C"
