"""Targets on a label learned from the user's column: it guides, and is never computed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import tiny
from asking import request
from commands import Run, cells
from molgen.checkpoints.folder import save_checkpoint
from molgen.data.tokenizer import Tokenizer
from molgen.discovery.best_of import BestOf
from molgen.discovery.design import design
from molgen.discovery.goals import read_goals
from molgen.discovery.leads.optimize import optimize
from molgen.discovery.search import search
from molgen.errors import MolgenError
from molgen.frontiers.plan import objective_for
from molgen.model import NOT_COMPUTED, Model
from molgen.molecules.training_index import TrainingIndex
from property_models import compute

LABEL = "pIC50"
FEW: dict[str, Any] = {"steps": 6, "gamma": 2.0}
QUICK = ("--steps", 6, "--gamma", 2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of QED, ring count and a label."""
    place = tmp_path_factory.mktemp("labelled")
    names = ("qed", "ring_count", LABEL)
    save_checkpoint(
        place,
        tiny.network(names),
        Tokenizer(tiny.CHARACTERS, "smiles"),
        replace(tiny.prior(), properties=names),
        TrainingIndex.from_smiles(tiny.KNOWN),
        {"representation": "smiles", "sampling": {"steps": 12}},
    )
    return place


@pytest.fixture(scope="module")
def model(folder: Path) -> Model:
    return Model.load(str(folder))


def test_goals_on_a_label_are_neither_met_nor_scored() -> None:
    goals = read_goals({LABEL: 6, "qed": "..0.5", "ring_count": 2.0}, learned=[LABEL, "qed"])
    assert [goal.computed for goal in goals] == [False, True, True]
    assert (goals.learned, list(goals.computed.targets)) == ([LABEL], ["qed", "ring_count"])
    measured = goals.measured(tiny.prior())
    assert measured.learned == [LABEL]
    table = pd.DataFrame({LABEL: NOT_COMPUTED, "qed": [0.4, 0.6], "ring_count": [2.0, 2.0]})
    assert measured.met(table).to_dict("list") == {
        "qed": [True, False], "ring_count": [True, True],
    }  # fmt: skip
    np.testing.assert_array_equal(measured.score(table), measured.computed.score(table))
    with pytest.raises(MolgenError, match=f"'{LABEL}' is unknown"):
        read_goals({LABEL: 6})


def test_a_label_guides_a_design(model: Model) -> None:
    settings = model.settings(**FEW)
    goals = read_goals({LABEL: "max", "qed": "0.42.."}, learned=model.properties)
    found = design(model, request(goals, 4, 1, settings=settings))
    assert len(found.table) == 4
    assert found.table[LABEL].unique().tolist() == [NOT_COMPUTED]
    assert (found.table["qed"] >= 0.42).all()
    assert found.counts.rejected["goal missed: qed"] > 0
    assert f"goal missed: {LABEL}" not in found.counts.fates
    # the rows are those of guided draws
    drawn = model.sample(found.counts.drawn, {LABEL: "max", "qed": "0.42.."}, 1, **FEW)
    assert set(found.table["smiles"]) <= set(drawn["smiles"])
    assert found.counts.forwards == drawn["nfe"].sum()


def test_values_are_required_where_they_are_used(model: Model) -> None:
    goals = read_goals({LABEL: "max"}, learned=model.properties)
    for run in (
        lambda: search(model, request(goals, 2), BestOf()),
        lambda: optimize(model, ["CCO"], request(goals, oracle_calls=3)),
        lambda: objective_for(model, LABEL, "max", 4),
    ):
        with pytest.raises(MolgenError, match=f"{LABEL}.*molgen fit-property"):
            run()
    stray = read_goals({"other": "max"}, learned=["other"])
    with pytest.raises(MolgenError, match="'other' is unknown"):
        design(model, request(stray, 2))


def test_a_label_guides_lead_optimisation(model: Model) -> None:
    goals = read_goals({LABEL: "max", "qed": "min"}, learned=model.properties)
    found = optimize(model, ["CCCO"], request(goals, attempts=12, similarity=0.0))
    table = found.table
    for column in (LABEL, f"lead_{LABEL}"):
        assert table[column].unique().tolist() == [NOT_COMPUTED]
    truth = compute(["qed"], ["CCCO"])["qed"][0]
    assert table["lead_qed"].unique() == pytest.approx([truth])
    valid = table[table["qed"].notna()]
    assert ((valid["qed"] < truth) == (valid["gain"] > 0)).all()
    alone = read_goals({LABEL: "max"}, learned=model.properties)
    only = optimize(model, ["CCCO"], request(alone, attempts=12, similarity=0.0)).table
    assert set(only["outcome"]) <= {"ok", "invalid", "unchanged", "duplicate"}
    assert "ok" in set(only["outcome"])
    assert only["gain"].isna().all()


@pytest.mark.parametrize("command", ["design", "optimize"])
def test_commands_that_are_guided_by_it(
    molgen: Run, folder: Path, tmp_path: Path, command: str
) -> None:
    out = tmp_path / "a.csv"
    how = ("--n", 4) if command == "design" else ("CCCO", "--attempts", 8, "--similarity", 0)
    ran = molgen(command, folder, *how, "--target", f"{LABEL}=max", *QUICK, "--out", out)
    assert ran.status == 0, ran.err
    assert f"{LABEL} cannot be computed" in ran.err
    assert set(cells(out)[LABEL]) == {NOT_COMPUTED}
    both = ("--target", f"{LABEL}=max", "--target", "qed=..0.9", *QUICK, "--out", out)
    ran = molgen(command, folder, *how, *both)
    assert ran.status in (0, 3), ran.err
    assert set(cells(out)[LABEL]) == {NOT_COMPUTED}


@pytest.mark.parametrize(
    "words",
    [
        ("search", "--n", 2, "--target", f"{LABEL}=max", "--out", "a.csv"),
        ("optimize", "CCO", "--target", f"{LABEL}=max", "--oracle-calls", 3, "--out", "a.csv"),
        ("frontier", "--property", LABEL, "--out", "a"),
        ("scaling", "--property", LABEL, "--out", "a"),
        ("tune", "--target", f"{LABEL}=max", "--out", "a.json"),
    ],
)
def test_commands_that_need_values_name_the_way(
    molgen: Run,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[object, ...],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert f"fit-property FILE --column {LABEL}" in molgen(words[0], folder, *words[1:]).refused()
    wrong = [str(word).replace(LABEL, "pIC51") for word in words[1:]]
    assert "'pIC51' is unknown" in molgen(words[0], folder, *wrong).refused()
    assert not list(tmp_path.iterdir())
