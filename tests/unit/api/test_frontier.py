"""A frontier from Python: what may be left out, and other generators' molecules beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import molgen
from molgen.api.progress import Progress
from molgen.errors import MolgenError
from molgen.model import Model

pytest.importorskip("matplotlib", reason="needs the extra 'plots'")

FEW: dict[str, Any] = {"gamma": 1, "steps": 5, "n": 10, "seeds": 0, "methods": ["MDLM"]}


class Notes(Progress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, line: str) -> None:
        self.lines.append(line)


def test_quick_needs_neither_property_nor_folder(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    small: dict[str, Any] = {"gamma": [1, 2], "steps": 5, "n": 12}
    notes = Notes()
    found = molgen.frontier(model, quick=True, **small, progress=notes)
    assert notes.lines == ["8 runs, 96 rows to draw"]
    assert found.counts == {"runs": 8, "rows": 96}
    assert (found.asked, found.reason) == (8, "complete")
    assert set(found["property"]) == {"ring_count"}
    assert sorted(set(found["seed"])) == [0, 1]
    assert found.output.folder.name.endswith("-ring_count-quick")
    assert (tmp_path / found.output.folder / "frontier.html").is_file()
    again = molgen.frontier(model, "ring_count", found.output.folder, quick=True, **small)
    pd.testing.assert_frame_equal(again.table, found.table)


def test_what_only_quick_can_do_without(model: Model, tmp_path: Path) -> None:
    with pytest.raises(MolgenError, match="property is missing, expected"):
        molgen.frontier(model, out=tmp_path)
    with pytest.raises(MolgenError, match="out is missing, expected"):
        molgen.frontier(model, "qed")


def test_samples_in_a_file_and_in_memory_are_counted_alike(model: Model, tmp_path: Path) -> None:
    texts = ["CCN", "CCN", "C1CC", "", "CC"]
    table = pd.DataFrame({"raw": texts, "step": [1, 1, 1, 2, 2]})
    table.to_csv(tmp_path / "rnn.csv", index=False)
    file = str(tmp_path / "rnn.csv")
    samples = {"File": Path(file), "Curve": f"{file}:step", "List": texts, "Table": table}
    notes = Notes()
    out = tmp_path / "out"
    found = molgen.frontier(model, "qed", out, **FEW, samples=samples, progress=notes)
    assert sum("rnn.csv: 5 rows" in line for line in notes.lines) == 2
    points = {name: rows for name, rows in found.table.groupby("arm")}
    figures = ["convention", "n", "valid", "unique", "novel", "property_mean"]
    for name in ("List", "Table"):
        pd.testing.assert_frame_equal(
            points[name][figures].reset_index(drop=True),
            points["File"][figures].reset_index(drop=True),
        )
    assert points["Curve"].groupby("value")["n"].first().to_dict() == {"1": 3, "2": 2}
    volumes = found.output.hypervolumes.set_index(["arm", "convention"])["source"]
    assert volumes["List", "strict"] == volumes["Curve", "paper"] == "samples"
    assert found.output.molecules("Curve")["raw"].tolist() == texts
    assert found.output.molecules("Curve", gamma=1)["raw"].tolist() == texts[3:]
    assert len(found.output.molecules("MDLM")) == 10
    words = molgen.frontier(model, "qed", out, only_charts=True, samples=f"File={file}")
    assert words.output.samples.runs["novel"].tolist() == points["File"]["novel"].tolist()


BAD: dict[str, tuple[Any, str]] = {
    "no file": ({"A": "no.smi"}, "there is no file 'no.smi'"),
    "no name": ("file.smi", "expected NAME=FILE"),
    "a number": (5, "samples is 5"),
    "a list of numbers": ([5], r"samples is \[5\]"),
    "no molecules": ({"A": 5}, "molecules is 5"),
    "a long name": ({"x" * 41: ["CC"]}, "of 41 characters"),
    "the name of a method": ({"MDLM": ["CC"]}, "'MDLM' of a method"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_samples_are_refused_before_anything_is_drawn(
    model: Model, tmp_path: Path, case: str
) -> None:
    samples, message = BAD[case]
    with pytest.raises(MolgenError, match=message):
        molgen.frontier(model, "qed", tmp_path / "out", **FEW, samples=samples)
    assert list(tmp_path.iterdir()) == []
