"""Files of molecules beside a sweep, counted by hand."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from molgen.frontiers.objective import Objective
from molgen.frontiers.samples import SampleFile, Samples, beside, read_samples
from molgen.molecules.training_index import TrainingIndex
from property_models import compute

INDEX = TrainingIndex.from_smiles(["CCO", "CC"])
OBJECTIVE = Objective("mw", "max", 1024, 40.0, 1)


def read(path: Path, text: str, column: str = "", objective: Objective = OBJECTIVE) -> Samples:
    path.write_text(text)
    return read_samples([SampleFile("X", path, column)], objective, INDEX)


def test_every_row_is_counted(tmp_path: Path) -> None:
    found = read(tmp_path / "a.smi", "OCC\nCCO\nCCN\nC(C)N\nC1CC\nC.C\n\nCCCC\n")
    rows = found.runs.set_index("convention")
    assert rows["n"].tolist() == [8, 8]
    strict, paper = rows.loc["strict"], rows.loc["paper"]
    # valid: OCC CCO CCN C(C)N CCCC; molecules: ethanol (in the index), ethylamine, butane
    assert (strict["valid"], strict["unique"], strict["novel"]) == (5 / 8, 3 / 8, 2)
    # strings: OCC is not the training set's CCO, C(C)N is not CCN
    assert (paper["unique"], paper["novel"]) == (5 / 8, 4)
    assert strict["novel_fraction"] == 2 / 8
    weights = compute(["mw"], ["CCN", "CCCC"])["mw"]
    assert strict["property_mean"] == pytest.approx(weights.mean())
    assert strict["gain"] == pytest.approx(weights.mean() - 40)
    assert math.isnan(strict["steps"])
    assert math.isnan(strict["nfe"])
    volume = found.volumes.set_index("convention").loc["strict"]
    assert volume["hypervolume"] == pytest.approx(2 / 8 * (weights.mean() - 40))
    assert len(found.molecules["X", 0.0]) == 8


def test_a_point_for_each_value_of_a_column(tmp_path: Path) -> None:
    text = "smiles,round\nCCN,10\nCCN,2\nCCCC,10\nCCN,10\n"
    found = read(tmp_path / "a.csv", text, "Round")
    strict = found.runs[found.runs["convention"] == "strict"]
    assert strict["value"].tolist() == ["2", "10"]  # numbers in order
    assert strict["n"].tolist() == [1, 3]
    assert strict["novel"].tolist() == [1, 2]
    assert found.volumes["gammas"].tolist() == ["2 10", "2 10"]
    words = read(tmp_path / "b.csv", "smiles,kind\nCCN,later\nCC,early\n", "kind")
    assert words.runs["value"].unique().tolist() == ["later", "early"]  # words as they come


def test_a_property_of_any_kind(tmp_path: Path) -> None:
    objective = Objective("count:[#7]", "", 1024, 0.5, 1)
    found = read(tmp_path / "a.smi", "CCN\nCCNN\n", objective=objective)
    assert found.runs["property_mean"].tolist() == [1.5, 1.5]


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("smiles,x\nCC,1\nC,\n", "x", "column 'x' has empty cells"),
        ("smiles,x\n" + "".join(f"C,{i}\n" for i in range(101)), "x", "101 values"),
        ("smiles,x\nCC,1\n", "y", "no column 'y'"),
        ("smiles\n", "", "no rows"),
    ],
)
def test_bad_files(tmp_path: Path, text: str, column: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read(tmp_path / "a.csv", text, column)


def test_words_of_the_option(tmp_path: Path) -> None:
    (tmp_path / "a:b.smi").write_text("C\n")
    plain = SampleFile.parse(f"R = {tmp_path}/a:b.smi")  # a colon of the file's name
    assert (plain.name, plain.path.name, plain.column) == ("R", "a:b.smi", "")
    split = SampleFile.parse(f"R={tmp_path}/a:b.smi: c ")
    assert (split.path.name, split.column) == ("a:b.smi", "c")


def test_points_beside_a_sweep(tmp_path: Path) -> None:
    from molgen.frontiers.frontier import run_table
    from molgen.frontiers.store import Record, Run

    def record(novel: int, mean: float) -> Record:
        counted = {"valid": 1.0, "unique": 1.0, "novel": novel, "property_mean": mean}
        cost = {"nfe": 1.0, "classifier_nfe": 0.0, "seconds_per_molecule": 0.1}
        figures = {**cost, "conventions": {"strict": counted, "paper": counted}}
        method = {"label": "A", "model": "m"}
        return Record(OBJECTIVE, Run(method, float(novel), 8, 0), {}, figures)

    found = read(tmp_path / "a.csv", "smiles,t\nCCN,1\nCC,1\nCCCCCCCC,2\nCC,2\n", "t")
    runs = run_table([record(1000, 50.0), record(100, 60.0)])
    table = beside(runs, found)
    assert len(table) == 8
    pd.testing.assert_frame_equal(table.head(4)[list(runs)], runs, check_dtype=False)
    points = table.iloc[4:]
    assert points["gamma"].isna().all()
    # half novel at 45 is dominated by 1000 of 1024 at 50; half novel at 114 by nothing
    marks = points.set_index(["value", "convention"])["on_overall_front"]
    assert marks.loc["1"].tolist() == [False, False]
    assert marks.loc["2"].tolist() == [True, True]
    assert np.array_equal(table["on_overall_front"].head(4), runs["on_overall_front"])
