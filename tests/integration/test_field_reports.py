"""What went wrong for somebody elsewhere, as small files of the same kind, and what is right."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from commands import Run
from molgen.data.dataset import TokenDataset
from small_data import SMILES

TINY = (
    "--epochs",
    1,
    "--batch-size",
    8,
    "--layers",
    1,
    "--width",
    16,
    "--heads",
    2,
    "--workers",
    1,
    "--dtype",
    "fp32",
)

FILES = {
    "maps.csv": "smiles\n[CH3:1][OH:2]\nCO\nOC\n",
    "one.csv": "smiles\n[CH3:1][OH:2]\n",
    "known.csv": "smiles\nCO\n",
    "tautomers.csv": "smiles\nCCC(C)c1nnc[nH]1\nCCO\n",
    "tautomer.csv": "smiles\nCCC(C)c1n[nH]cn1\n",
    "generated.csv": "smiles\nCCN\nCCO\n",
    "salted.csv": "smiles\nCCN.Cl\nCCO\nCCC\nCCCC\n",
    "broken.csv": "smiles\nbroken((\n",
    "partly.csv": "smiles\nbroken((\nCCN\n",
    "thousands.csv": 'smiles,y\nCCO,"1,200"\nCCC,"2,300"\nCCN,3\n',
    "names.smi": "smiles name\nCCO a,b,c\nCCN d e\n",
    "altenter.csv": '"Compound\nName",smiles,"IC50\n(nM)"\na,CCO,3\nb,CCN,4\n',
    "cxsmiles.csv": "smiles\nCCO |$;;x$|\nCCN\n",
    "chembl_style.csv": "canonical_smiles,id\nCCO,1\n",
    "raw_numbers.csv": "smiles,raw,normalised\nCCO,0.51,1\nCCN,0.62,2\nCCC,12,3\n",
    "hydrogens.csv": "smiles\nCCO\n[CH128]\n[NH200+]\nCCN\n",
}
SERIES = ("6,1", "5.9", ">7", "", "NaN")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    rows = [f"{s};{SERIES[i % 5]};CMP-{i}" for i, s in enumerate(SMILES)]
    (tmp_path / "series.csv").write_text("\n".join(["Smiles;pIC50;ID", *rows]) + "\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def evaluated(molgen: Run, *words: object) -> dict[str, Any]:
    ran = molgen("evaluate", *words, "--counts-only", "--json")
    assert ran.status == 0, ran.err
    found: dict[str, Any] = json.loads(ran.out)
    return found


def test_labels_of_atoms_are_no_part_of_a_molecule(molgen: Run) -> None:
    found = evaluated(molgen, "maps.csv", "--conventions", "strict,guacamol")
    assert (found["strict"]["unique_count"], found["guacamol"]["unique_count"]) == (1, 1)
    found = evaluated(molgen, "one.csv", "--train", "known.csv")
    assert (found["strict"]["novel"], found["paper"]["novel"]) == (0, 0)
    assert evaluated(molgen, "known.csv", "--train", "one.csv")["strict"]["novel"] == 0


def test_a_tautomer_is_new_by_its_smiles_and_not_by_its_inchikey(molgen: Run) -> None:
    words = ("--properties", "none", "--out", "model", *TINY)
    assert molgen("train", "tautomer.csv", *words).status == 0
    for known in ("tautomer.csv", "model"):
        found = evaluated(molgen, "tautomers.csv", "--train", known)
        assert [found[name]["novel"] for name in ("strict", "inchikey")] == [1.0, 0.5]
        assert found["inchikey"]["no_inchikey"] == 0


def test_a_file_and_a_model_trained_on_it_know_the_same(molgen: Run) -> None:
    assert (
        molgen("train", "salted.csv", "--out", "model", "--properties", "none", *TINY).status == 0
    )
    for known in ("salted.csv", "model"):
        words = ("--conventions", "strict,paper,moses,guacamol,inchikey", "--train", known)
        for rows in ("generated.csv", "salted.csv"):
            found = evaluated(molgen, rows, *words)
            novel = [found[name].get("novel") for name in ("strict", "paper", "inchikey")]
            assert novel == [0, 0, 0]
            assert (found["moses"]["Novelty"], found["guacamol"]["novel"]) == (0, 0)


def test_known_molecules_that_cannot_be_read(molgen: Run) -> None:
    assert "broken.csv" in molgen("evaluate", "generated.csv", "--train", "broken.csv").refused()
    ran = molgen("evaluate", "generated.csv", "--train", "partly.csv", "--json", "--counts-only")
    assert "partly.csv: 1 of 2 rows kept; left out: 1 unreadable" in ran.err
    found = json.loads(ran.out)
    assert found["read"]["train"]["cleaned"]["unreadable"] == 1
    assert found["strict"]["novel"] == 0.5
    assert "broken.csv" in molgen("evaluate", "broken.csv").refused()


def test_values_of_a_series_are_read_or_counted(molgen: Run) -> None:
    ran = molgen("train", "series.csv", "--prepare-only", "--properties", "pIC50", "--out", "a")
    assert ran.status == 0, ran.err
    told = (
        "pIC50: 16 of 40 values read; 8 with a qualifier (first: '>7' in line 4); 16 empty (first: "
        "in line 5); 8 with commas, read as decimal commas (first: '6,1' in line 2)"
    )
    assert told in ran.err
    values = TokenDataset.load("a/dataset.npz").values[:, 0]
    assert values[:3].tolist() == pytest.approx([6.1, 5.9, np.nan], nan_ok=True)
    assert int(np.isfinite(values).sum()) == 16
    pytest.importorskip("sklearn", reason="needs the extra 'learn'")
    assert told in molgen("fit-property", "series.csv", "--column", "pIC50", "--out", "b").refused()


def test_thousands(molgen: Run) -> None:
    words = ("--prepare-only", "--properties", "y", "--out", "a")
    assert "2 with commas, read as thousands" in molgen("train", "thousands.csv", *words).err
    assert TokenDataset.load("a/dataset.npz").values[:, 0].tolist() == [1200, 2300, 3]


def test_a_model_can_be_asked_for_the_users_own_column(molgen: Run) -> None:
    words = ("--properties", "pIC50,qed", "--out", "model")
    assert molgen("train", "series.csv", *words, *TINY).status == 0
    draw = ("sample", "model", "--n", 6, "--seed", 1, "--steps", 8, "--gamma", 3)
    ran = molgen(*draw, "--target", "pIC50=6", "--property", "mw", "--out", "a.csv")
    assert ran.status == 0, ran.err
    assert "pIC50 cannot be computed" in ran.err
    table = pd.read_csv("a.csv", keep_default_na=False)
    assert table["pIC50"].unique().tolist() == ["cannot be computed"]
    assert list(table.columns[-2:]) == ["pIC50", "mw"]
    molgen(*draw, "--property", "pIC50", "--out", "b.csv")
    plain = pd.read_csv("b.csv", keep_default_na=False)
    assert plain["raw"].tolist() != table["raw"].tolist(), "the target steers"
    assert "is unknown" in molgen(*draw, "--target", "pIC51=6", "--out", "c.csv").refused()


def test_a_column_of_a_built_in_name_is_told(molgen: Run, folder: Path) -> None:
    (folder / "x.csv").write_text("smiles,logp,QED\nCCO,1,.1\nCCN,2,.2\n")
    words = ("--prepare-only", "--properties", "logp,qed", "--out", "a")
    lines = molgen("train", "x.csv", *words).err.splitlines()
    assert "logp: values of the file's column are used, not computed ones" in lines
    assert "qed: values are computed, the file's column 'QED' is not used" in lines


@pytest.mark.parametrize(
    ("name", "column", "smiles"),
    [
        ("names.smi", "smiles", ["CCO", "CCN"]),
        ("altenter.csv", "smiles", ["CCO", "CCN"]),
        ("cxsmiles.csv", "smiles", ["CCO", "CCN"]),
        ("chembl_style.csv", "canonical_smiles", ["CCO"]),
        ("raw_numbers.csv", "smiles", ["CCO", "CCN", "CCC"]),
    ],
)
def test_a_table_is_read_alike_by_every_command(
    molgen: Run, tiny_model: Path, name: str, column: str, smiles: list[str]
) -> None:
    said = f"{name}: {len(smiles):,} rows, SMILES in column {column!r}\n"
    ran = molgen("evaluate", name, "--counts-only")
    assert ran.out.startswith(f"{len(smiles)} rows: {len(smiles)} ok\n")
    assert said in ran.err
    for option, words in (("train", ()), ("reference", ("--no-fcd", "--property", "none"))):
        ran = molgen("evaluate", "generated.csv", f"--{option}", name, "--counts-only", *words)
        assert (ran.status, said in ran.err) == (0, True), ran.err
    ran = molgen("score", tiny_model, name)
    assert said in ran.err
    assert [row["smiles"] for row in csv.DictReader(ran.out.splitlines())] == smiles
    ran = molgen("train", name, "--prepare-only", "--properties", "qed", "--out", "data")
    assert said in ran.err
    assert len(TokenDataset.load("data/dataset.npz")) == len(smiles)
    how = ("--target", "qed=max", "--attempts", 2, "--steps", 4, "--out", "better.csv")
    ran = molgen("optimize", tiny_model, name, *how)
    assert said in ran.err
    assert pd.read_csv("better.csv")["lead"].unique().tolist() == smiles


def test_atoms_of_too_many_hydrogens_are_rows_with_their_reason(
    molgen: Run, tiny_model: Path
) -> None:
    assert evaluated(molgen, "hydrogens.csv")["status"] == {"ok": 2, "parse": 2}
    rows = list(csv.DictReader(molgen("score", tiny_model, "hydrogens.csv").out.splitlines()))
    assert [row["status"] for row in rows] == ["ok", "parse", "parse", "ok"]
    assert molgen("train", "hydrogens.csv", "--prepare-only", "--out", "a").status == 0
    report = list(csv.DictReader(Path("a/report.csv").read_text().splitlines()))
    assert [(row["line"], row["reason"]) for row in report] == [
        ("3", "unreadable"),
        ("4", "unreadable"),
    ]
    how = ("--target", "qed=max", "--attempts", 2, "--steps", 4, "--out", "better.csv")
    assert molgen("optimize", tiny_model, "hydrogens.csv", *how).status in (0, 3)
    outcome = pd.read_csv("better.csv").groupby("lead", sort=False)["outcome"].last()
    assert outcome["[CH128]"] == "lead not read: parse"


def test_a_salt_is_scored_and_improved_as_its_parent(molgen: Run, tiny_model: Path) -> None:
    Path("leads.csv").write_text("smiles\nOCC.Cl\n[CH3:1][CH2:2][OH:3] |c:1| ethanol\n")
    rows = list(csv.DictReader(molgen("score", tiny_model, "leads.csv").out.splitlines()))
    assert [(row["smiles"], row["status"]) for row in rows] == [("CCO", "ok")] * 2
    assert rows[0]["nats"] == rows[1]["nats"]
    how = ("--target", "qed=max", "--attempts", 2, "--steps", 4, "--out", "better.csv")
    assert molgen("optimize", tiny_model, "leads.csv", *how).status in (0, 3)
    leads = pd.read_csv("better.csv")["lead"].unique().tolist()
    assert leads == ["OCC", "[CH3:1][CH2:2][OH:3]"]
    assert molgen("optimize", tiny_model, "OCC.Cl", *how).status in (0, 3)
    assert pd.read_csv("better.csv")["lead"].unique().tolist() == ["OCC"]
