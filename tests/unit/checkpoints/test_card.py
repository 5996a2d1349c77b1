"""The model card: its text for each kind of model, and that a missing number is an error."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from jinja2 import UndefinedError

from molgen.checkpoints import card
from molgen.checkpoints.folder import read_info
from molgen.checkpoints.hub import BUNDLED

Info = dict[str, Any]


@pytest.fixture
def info() -> Info:
    return copy.deepcopy(read_info(BUNDLED / "qm9"))


def section(text: str, name: str) -> str:
    return text.partition(f"\n## {name}\n\n")[2].partition("\n\n## ")[0]


@pytest.mark.parametrize(
    ("noise", "row", "likelihood"),
    [
        ("masked", "tokens masked in each", "at most 13.30"),
        ("uniform", "tokens replaced by random ones", "at most 13.30"),
        ("none", "every next token predicted", "exactly 13.30"),
    ],
)
def test_each_noise_is_described(info: Info, noise: str, row: str, likelihood: str) -> None:
    info["network"]["noise"] = noise
    text = card.card("m", info)
    assert row in section(text, "Recipe")
    assert likelihood in section(text, "Numbers")


def test_initial_weights_and_early_stopping_are_described(info: Info) -> None:
    info |= {"init": "other", "properties": []}
    info["stopping"] = {"planned_steps": 20_000, "best_step": 9000, "best_epoch": 36.14}
    info["data"]["left_out"] = {"duplicate": 1200, "parse": 0, "charge": 3}
    text = card.card("m", info)
    assert "of 20,000 steps planned; the weights are those of step 9,000 (epoch 36.1)" in text
    _, left, init, condition = section(text, "Data").splitlines()
    assert left == "Rows excluded: 1,200 duplicate, 3 charge."
    assert "weights of `other`" in init
    assert condition == "Conditioned on nothing."


def test_a_column_that_a_row_lacks_is_empty(info: Info) -> None:
    info["measured"]["sampling"] = [{"T": 8, "share": 0.123456}, {"NFE": 2, "T": 9}]
    rows = [line for line in section(card.card("m", info), "Numbers").splitlines() if "|" in line]
    assert rows == [
        "| T | share | NFE |",
        "| --- | --- | --- |",
        "| 8 | 0.1235 |  |",
        "| 9 |  | 2 |",
    ]


def test_a_preset_with_an_order_shows_no_steps(info: Info) -> None:
    measured = {"valid": 0.5, "novel": 0.25, "nfe": 12.5, "n": 64, "seeds": "0"}
    words = {"order": "klass", "steps": 32, "remask": "ancestral", "temperature": 0.9}
    info["presets"] = {"qed=max": {"sampling": words, "measured": measured}}
    row = section(card.card("m", info), "Presets").splitlines()[-1]
    assert row == (
        "| `qed=max` | order klass, temperature 0.9 | 50.0 % | 25.0 % |  | 12.5 | 64, 0 |"
    )


def test_a_missing_number_is_an_error(info: Info) -> None:
    del info["data"]["longest"]
    with pytest.raises(UndefinedError, match="longest"):
        card.card("m", info)
