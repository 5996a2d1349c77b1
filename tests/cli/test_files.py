"""Pipes, and the user's own columns from input to output, whatever the formats."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pandas as pd
import pytest

from commands import Run, cells
from molgen.data.tables import read_table, write_table

FEW = ("--steps", 12, "--gamma", 2, "--similarity", 0.3)
OURS = ["index", "raw", "smiles", "status", "valid", "unique"]


@pytest.fixture
def assay(tmp_path: Path) -> Path:
    """A table with identifiers, a formula, and columns of the names of molgen's own."""
    path = tmp_path / "assay.csv"
    path.write_text(
        'id,SMILES,"IC50, nM",status,note\n'
        "A-1,OCC,12.50,tested,'=1+1\nA-2,CCN,0.0000001234567,new,@x\n007,C1CC,,failed,-\n"
    )
    return path


@pytest.mark.parametrize("extension", [".csv", ".tsv.gz", ".sdf", ".sdf.gz", ".parquet", ".xlsx"])
def test_evaluate_carries_the_columns_through(
    molgen: Run, assay: Path, tmp_path: Path, extension: str
) -> None:
    out = tmp_path / f"rows{extension}"
    assert molgen("evaluate", assay, "--property", "qed", "--out", out).status == 0
    table = read_table(out)
    more = ["qed", "id", "IC50, nM", "status_input", "note"]
    assert list(table) == [*OURS, *more]
    assert table["raw"].tolist() == ["OCC", "CCN", "C1CC"]
    assert table["status"].tolist() == ["ok", "ok", "ring_closure"]
    assert table["status_input"].tolist() == ["tested", "new", "failed"]
    assert table["id"].tolist() == ["A-1", "A-2", "007"]
    assert table["note"].tolist() == ["=1+1", "@x", "-"]
    assert table["IC50, nM"].tolist()[:2] == [12.5, 0.0000001234567]
    assert pd.isna(table["IC50, nM"][2])
    again = molgen("evaluate", out, "--property", "qed", "--out", tmp_path / "again.csv")
    assert again.status == 0
    assert list(cells(tmp_path / "again.csv")) == [*OURS, *more]  # own columns are not repeated


def test_a_file_of_text_has_no_formulas(molgen: Run, assay: Path, tmp_path: Path) -> None:
    assert molgen("evaluate", assay, "--out", tmp_path / "a.csv").status == 0
    assert cells(tmp_path / "a.csv")["note"].tolist() == ["'=1+1", "'@x", "-"]


def test_score_carries_names_of_a_list(molgen: Run, tiny_model: Path, tmp_path: Path) -> None:
    path, out = tmp_path / "a.smi", tmp_path / "a.xlsx"
    path.write_text("CCO\tethyl alcohol\nCCN amine\n")
    ran = molgen("score", tiny_model, path, "--out", out)
    assert ran.status == 0, ran.err
    assert pd.read_excel(out)["name"].tolist() == ["ethyl alcohol", "amine"]


def test_optimize_repeats_the_columns_of_the_lead(
    molgen: Run, tiny_model: Path, tmp_path: Path
) -> None:
    leads, out = tmp_path / "leads.sdf", tmp_path / "a.csv"
    frame = pd.DataFrame({"smiles": ["CCO", "NCC=O"], "name": ["first", "second"], "gain": "g"})
    write_table(frame, leads)
    words = ("optimize", tiny_model, leads, "--target", "qed=max", "--attempts", 3, *FEW)
    ran = molgen(*words, "--out", out)
    assert ran.status in (0, 3), ran.err
    table = cells(out)
    names = {"0": "first", "1": "second"}
    assert table["name"].tolist() == [names[lead] for lead in table["lead_index"]]
    assert set(table["gain_input"]) == {"g"}


def test_design_repeats_the_columns_of_the_scaffold(
    molgen: Run, tiny_model: Path, tmp_path: Path
) -> None:
    scaffolds, out = tmp_path / "s.csv", tmp_path / "a.csv"
    scaffolds.write_text("id,scaffold\nX,*CO\nY,*CN\n")
    words = ("--scaffold-file", scaffolds, "--scaffold", "*C", "--no-filter", "--n", 6)
    ran = molgen("design", tiny_model, *words, "--steps", 8, "--out", out)
    assert ran.status == 0, ran.err
    names = {"*CO": "X", "*CN": "Y", "*C": ""}
    table = cells(out)
    assert table["id"].tolist() == [names[scaffold] for scaffold in table["scaffold"]]
    assert set(table["id"]) == {"X", "Y", ""}


def piped(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(text.encode()), encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", stdin)


def test_a_pipe(
    molgen: Run, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ("sample", tiny_model, "--n", 9, "--steps", 6, "--out")
    drawn = molgen(*words, "-")
    assert drawn.status == 0
    assert "9 rows: " in drawn.err
    assert molgen(*words, "a.csv").status == 0
    assert drawn.out == (tmp_path / "a.csv").read_text()
    piped(monkeypatch, drawn.out)
    ran = molgen("evaluate", "-", "--json", "--out", "b.csv")
    assert json.loads(ran.out)["read"]["file"]["column"] == "raw"
    assert cells(tmp_path / "b.csv")["raw"].tolist() == cells(tmp_path / "a.csv")["raw"].tolist()
    assert {path.name for path in tmp_path.iterdir()} == {
        "a.csv", "a.csv.json", "b.csv", "b.csv.json"
    }  # fmt: skip


@pytest.mark.parametrize("text", ["CCO ethanol\nCCN\n", "smiles,name\nCCO,ethanol\nCCN,\n"])
def test_standard_input_is_a_list_or_a_table(
    molgen: Run, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    piped(monkeypatch, text)
    ran = molgen("score", tiny_model, "-")
    table = pd.read_csv(io.StringIO(ran.out), keep_default_na=False)
    assert table["smiles"].tolist() == ["CCO", "CCN"]
    assert table["name"].tolist() == ["ethanol", ""]
    assert ran.err.startswith("standard input: 2 rows")


def test_an_empty_pipe_is_one_line(molgen: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    piped(monkeypatch, "")
    assert "standard input: the file is empty" in molgen("evaluate", "-").refused()


@pytest.mark.parametrize("extension", [".tsv", ".smi.gz", ".sdf.gz", ".xlsx"])
def test_sample_writes_every_row_in_every_format(
    molgen: Run, tiny_model: Path, tmp_path: Path, extension: str
) -> None:
    out = tmp_path / f"a{extension}"
    words = ("sample", tiny_model, "--n", 9, "--steps", 6, "--out")
    assert molgen(*words, out).status == 0
    assert molgen(*words, tmp_path / "b.csv").status == 0
    raws = cells(tmp_path / "b.csv")["raw"].tolist()
    assert read_table(out)["raw"].tolist() == raws
