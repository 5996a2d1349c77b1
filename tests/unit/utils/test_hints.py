"""Hints: the nearest spelling of a word, at every place that names what is allowed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import molgen
from molgen.cli import main
from molgen.errors import MolgenError
from molgen.utils.hints import hint, one_of

NAMES = ["masked", "uniform", "none"]


def test_only_near_names_are_hinted() -> None:
    assert one_of("maskd", NAMES) == "expected one of masked, uniform, none; did you mean masked?"
    assert one_of("gaussian", NAMES) == "expected one of masked, uniform, none"
    assert one_of("x", []) == "expected one of none"
    assert hint("Best_Of_N", ["best-of-n", "smc"]) == "; did you mean best-of-n?"
    assert hint("pains_", ["pains_a", "brenk"], 3) == "; did you mean pains_a?"
    assert hint("", NAMES) == ""


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"goals": {"qde": ".1.."}}, "qed"),
    ({"filters": "pain"}, "pains"),
    ({"remask": "rescal"}, "rescale"),
    ({"remask": "rescale:ata=.1"}, "eta"),
    ({"guidance": "cgf"}, "cfg"),
    ({"order": "entropie"}, "entropy"),
    ({"adapt": "restrat"}, "restart"),
    ({"dtype": "bf61"}, "bf16"),
    ({"conditions": "profiles"}, "profile"),
    ({"novelty": "inchi-key"}, "inchikey"),
    ({"preset": {"sampling": {"gama": 2}}}, "gamma"),
]


@pytest.mark.parametrize(("given", "near"), WRONG)
def test_near_words_in_python(given: dict[str, Any], near: str, tiny_model: Path) -> None:
    with pytest.raises(MolgenError, match=f"did you mean .*{near}"):
        molgen.design(tiny_model, n=1, **given)


def test_a_near_keyword_and_a_near_model(tiny_model: Path) -> None:
    with pytest.raises(TypeError, match="did you mean filters"):
        molgen.design(tiny_model, n=1, filtrs="pains")  # type: ignore[call-arg]
    with pytest.raises(MolgenError, match="did you mean zinc250k"):
        molgen.load("zinc25k")


@pytest.mark.parametrize(
    ("words", "near"),
    [
        ("desing qm9", "design"),
        ("design qm9 --tagret qed=max --n 1 --out x.csv", "--target"),
        ("design qm9 --tagret=qed=max --n 1 --out x.csv", "--target"),
        ("design qm9 --dtype fp33 --n 1 --out x.csv", "fp32"),
        ("search qm9 --target qed=max --method metropolos --n 3 --out x.csv", "metropolis"),
        ("sample qm9 --n 1 --out x.cvs", ".csv"),
        ("train-clasifier x.csv", "train-classifier"),
    ],
)
def test_near_words_on_the_command_line(
    words: str, near: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status: Any = main(words.split())
    except SystemExit as stop:
        status = stop.code
    assert status == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"did you mean {near}?" in error
