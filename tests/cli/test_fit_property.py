"""`molgen fit-property`: a folder with a property, and one line on bad input."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from commands import Run
from predictors import SMILES, write

pytest.importorskip("sklearn", reason="needs the extra 'learn'")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return write(tmp_path / "table.csv")


def test_a_folder_that_is_a_property(molgen: Run, table: Path, tmp_path: Path) -> None:
    from property_models import get

    out = tmp_path / "deep" / "out"
    ran = molgen("fit-property", table, "--column", "y", "--unit", "au", "--out", out)
    assert ran.status == 0
    assert f"{len(SMILES) + 3} rows, SMILES in column 'smiles'" in ran.err
    assert "1 empty (first: in line 129); 1 no number (first: 'tall' in line 130)" in ran.err
    assert f"{len(SMILES)} molecules from {len(SMILES) + 3} rows; left out: " in ran.out
    assert "1 unreadable, 2 no number" in ran.out
    names = {path.name for path in out.iterdir()}
    assert names >= {"property.json", "property.safetensors", "predictions.csv", "left_out.csv"}
    assert (out / "calibration.png").read_bytes()[:4] == b"\x89PNG"
    info = json.loads((out / "property.json").read_text())
    assert (info["name"], info["unit"]) == ("y", "au")
    card = info["card"]
    assert (card["split"], card["seed"]) == ("scaffold", 0)
    assert (card["data"]["source"], card["data"]["unreadable"]) == ("table.csv", 1)
    for kind in ("scaffold", "random"):
        assert {"rmse", "mae", "r2", "spearman", "coverage"} <= card["test"][kind].keys()
    rows = list(csv.DictReader((out / "predictions.csv").open()))
    assert len(rows) == len(SMILES)
    test = [row for row in rows if row["part"] == "test"]
    assert len(test) == card["test"]["scaffold"]["test"]
    wrong = [float(row["predicted"]) - float(row["measured"]) for row in test]
    assert np.sqrt(np.mean(np.square(wrong))) == pytest.approx(card["test"]["scaffold"]["rmse"])
    found = get(f"model:{out}")([row["smiles"] for row in test])
    np.testing.assert_allclose(found, [float(row["predicted"]) for row in test], rtol=1e-5)
    left = list(csv.DictReader((out / "left_out.csv").open()))
    assert [row["reason"] for row in left] == ["unreadable", "no number", "no number"]


def test_the_same_call_gives_the_same_predictor(molgen: Run, table: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        words = ("fit-property", table, "--column", "y", "--split", "random", "--seed", 3)
        assert molgen(*words, "--out", tmp_path / name).status == 0
    for file in ("property.json", "property.safetensors", "predictions.csv"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


@pytest.mark.parametrize(
    ("text", "words", "message"),
    [
        (None, ("--column", "z"), "no column 'z'; the columns are 'smiles', 'y'"),
        (None, ("--column", "y", "--smiles-column", "s"), "no column 's'"),
        (None, ("--column", "y", "--split", "time"), "invalid choice: 'time'"),
        (None, ("--column", "y", "--seed", "-1"), "expected a whole number of at least 0"),
        (None, ("--column", "y", "--classifier", "nowhere"), "nowhere"),
        (None, ("--column", "y", "--classifier-epochs", "nan"), "classifier-epochs is nan"),
        (None, (), "--column"),
        ("", ("--column", "y"), "the file is empty"),
        ("smiles,y\nCCO,1\n", ("--column", "y"), "1 molecules with a value, expected at least 30"),
        ("smiles,y\nc1cc,1\n", ("--column", "y"), "no SMILES in column 'smiles'"),
    ],
)
def test_bad_input(
    molgen: Run, table: Path, tmp_path: Path, text: str | None, words: tuple[str, ...], message: str
) -> None:
    if text is not None:
        table.write_text(text)
    ran = molgen("fit-property", table, *words, "--out", tmp_path / "out")
    assert message in ran.refused()
    assert not (tmp_path / "out").exists()


def test_values_that_are_all_the_same(molgen: Run, table: Path, tmp_path: Path) -> None:
    table.write_text("smiles,y\n" + "".join(f"{text},3\n" for text in SMILES))
    ran = molgen("fit-property", table, "--column", "y", "--out", tmp_path / "out")
    assert "training values are 3, expected different" in ran.refused()
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written(molgen: Run, table: Path, tmp_path: Path) -> None:
    ran = molgen("fit-property", table, "--column", "y", "--out", table)
    assert "is a file, not a folder" in ran.refused()
    ran = molgen("fit-property", table, "--column", "y", "--out", table / "below" / "that")
    assert f"{str(table)!r} is a file, not a folder" in ran.refused()


def test_help_has_an_example(molgen: Run) -> None:
    ran = molgen("fit-property", "--help")
    assert ran.status == 0
    assert "molgen fit-property freesolv.csv.gz" in ran.out
