"""``molgen optimize``: input, output, report and exit status."""

from __future__ import annotations

import signal
from pathlib import Path

import pandas as pd
import pytest

import molgen.cli
from commands import Run

FEW = ("--steps", 12, "--gamma", 2, "--similarity", 0.3)


@pytest.fixture
def leads(tmp_path: Path) -> Path:
    path = tmp_path / "leads.smi"
    path.write_text("CCO first\nNCC=O second\nCC( third\n")
    return path


def test_it_is_a_command() -> None:
    assert "optimize" in molgen.cli.COMMANDS


def test_a_single_lead(molgen: Run, tiny_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.csv"
    how = ("--target", "mw=47..", "--guidance", "none", "--attempts", 12, *FEW)
    words = ("optimize", tiny_model, "CCO", *how)
    ran = molgen(*words, "--out", out)
    assert (ran.status, ran.err) == (0, "")
    table = pd.read_csv(out, keep_default_na=False)
    assert len(table) == 12
    assert table["lead"].unique().tolist() == ["CCO"]
    ok = table[table["outcome"] == "ok"].astype({"mw": float, "similarity": float, "gain": float})
    assert (ok["mw"] >= 47).all()
    assert (ok["similarity"] >= 0.3).all()
    ok = ok.sort_values(["gain", "similarity"], ascending=False, kind="stable")
    best = ok["smiles"].head(10).tolist()
    lines = ran.out.splitlines()
    assert [line.split()[1] for line in lines[1 : 1 + len(best)]] == best
    assert "tier: no oracle (nothing computed while drawing)" in lines
    assert "1 of 1 leads improved (100.0 %): similarity at least 0.3" in ran.out
    assert lines[-1] == f"wrote {out}"
    again = tmp_path / "b.csv"
    assert molgen(*words, "--batch-size", 3, "--out", again).status == 0
    assert again.read_bytes() == out.read_bytes()


@pytest.mark.parametrize("suffix", [".csv", ".smi", ".sdf"])
def test_a_file_of_leads_with_a_rejected_one(
    molgen: Run, tiny_model: Path, tmp_path: Path, leads: Path, suffix: str
) -> None:
    out = tmp_path / f"a{suffix}"
    words = ("optimize", tiny_model, leads, "--target", "mw=max", "--attempts", 6, *FEW)
    ran = molgen(*words, "--oracle-calls", 4, "--out", out)
    assert ran.status == 3
    assert ran.err.endswith("of 3 leads improved\n")
    assert "tier: oracle: 4 (at most 4 calls a lead while drawing)" in ran.out
    assert "1 of them rejected" in ran.out
    assert "lead not read: parse" in ran.out
    if suffix == ".csv":
        table = pd.read_csv(out)
        assert table.groupby("lead_index").size().tolist() == [6, 6, 1]
        assert table["lead"].tolist() == ["CCO"] * 6 + ["NCC=O"] * 6 + ["CC("]
        assert table["tier"].unique().tolist() == ["oracle: 4"]
        assert table["outcome"].iloc[-1] == "lead not read: parse"
    else:
        text = out.read_text()
        assert (text.count("\n") if suffix == ".smi" else text.count("$$$$")) == 13


def test_columns_and_kept_atoms(molgen: Run, tiny_model: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "leads.csv", tmp_path / "a.csv"
    source.write_text("id,structure\n1,CCCO\n2,NCCO\n")
    words = ("optimize", tiny_model, source, "--target", "qed=max", "--attempts", 8, *FEW)
    ran = molgen(*words, "--column", "structure", "--keep", "CO", "--out", out)
    assert ran.status in (0, 3)
    table = pd.read_csv(out)
    assert table["lead"].unique().tolist() == ["CCCO", "NCCO"]
    ok = table[table["outcome"] == "ok"]
    assert len(ok)
    assert ok["smiles"].str.contains("O").all()
    assert "O" not in "".join(table["part"])
    ran = molgen("optimize", tiny_model, "OCCC", "--change", "2-3", *words[3:], "--out", out)
    assert ran.status in (0, 3)
    assert "O" not in "".join(pd.read_csv(out)["part"])


def test_finished_leads_are_written(
    molgen: Run, tiny_model: Path, tmp_path: Path, leads: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("molgen.discovery.leads.optimize.AT_ONCE", 1)
    out = tmp_path / "a.csv"
    seen: list[int] = []

    def interrupt(*_: object) -> None:
        seen.append(len(pd.read_csv(out)) if out.exists() else 0)
        if len(seen) > 8:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("molgen.cli.optimize.Screen.add", interrupt)
    words = ("optimize", tiny_model, leads, "--target", "qed=max", "--attempts", 6, *FEW)
    ran = molgen(*words, "--batch-size", 1, "--out", out)
    assert ran.status == 130
    assert ran.err.endswith("of 3 leads improved: interrupted\n")
    assert pd.read_csv(out)["lead_index"].tolist() == [0] * 6 + [1] * 3, "of the second lead too"
    assert seen[0] == 0
    assert seen[-1] == 6, "written before the next lead is finished"
    out.unlink()
    (tmp_path / "a.csv.journal").unlink()
    seen[:] = [0] * 9
    ran = molgen(*words, "--batch-size", 1, "--out", out)
    assert ran.status == 130
    assert pd.read_csv(out)["try"].size == 1
    out.unlink()
    (tmp_path / "a.csv.journal").unlink()
    monkeypatch.setattr("molgen.guidance.predictor.NetworkPredictor.__call__", interrupt)
    ran = molgen(*words, "--out", out)
    assert ran.status == 130
    assert ran.err.endswith("\nmolgen optimize: interrupted\n")
    assert not out.exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["CCO"], "a target is missing, expected --target PROP=VALUE"),
        (["CC(", "--target", "qed=max"], "leads is 'CC(', expected a file or a molecule: parse"),
        (["none.smi", "--target", "qed=max"], "leads is 'none.smi', expected a file"),
        (["C", "--target", "qed=max"], "lead too small: 1 atom"),
        (["CSC", "--target", "qed=max"], "lead holds 'S', unknown to the model"),
        (["CCO", "--target", "qed=best"], "target qed: value is 'best'"),
        (["CCO", "--target", "mw=47.."], "the model is not conditioned on it"),
        (["CCO", "--target", "qed=max", "--similarity", "2"], "similarity is 2.0, expected"),
        (["CCO", "--target", "qed=max", "--attempts", "0"], "--attempts: expected a whole number"),
        (["CCO", "--target", "qed=max", "--oracle-calls", "-1"], "oracle_calls is -1, expected"),
        (["CCO", "--target", "qed=max", "--keep", "C(("], "keep"),
        (["CCO", "--target", "qed=max", "--keep", "N"], "keep is 'N', which matches nothing"),
        (["CCO", "--target", "qed=max", "--keep", "7"], "keep has atom 7, expected indices"),
        (["CCO", "--target", "qed=max", "--keep", "2-0"], "keep: atoms are '2-0', expected"),
        (["CCO", "--target", "qed=max", "--keep", "0-2"], "no atom of lead 'CCO' may change"),
        (["CCO", "--target", "qed=max", "--keep", "C", "--change", "O"], "not allowed with"),
        (["CCO", "--target", "qed=max", "--column", "a"], "column is 'a', but leads is no file"),
        (["CCO", "--target", "qed=max", "--filter", "painz"], "filter is 'painz'"),
        (["CCO", "--target", "qed=max", "--weight", "logp=2"], "weight of logp"),
        (
            ["CCO", "--target", "qed=max", "--adapt", "restart:until=valid+likely"],
            "has no classifier for qed",
        ),
    ],
)
def test_bad_input(
    molgen: Run, tiny_model: Path, tmp_path: Path, words: list[str], message: str
) -> None:
    ran = molgen("optimize", tiny_model, *words, "--out", tmp_path / "a.csv")
    assert message in ran.refused()
    assert ran.out == ""
    assert not list(tmp_path.iterdir())


def test_indices_are_rejected_for_a_file(
    molgen: Run, tiny_model: Path, tmp_path: Path, leads: Path
) -> None:
    words = ("optimize", tiny_model, leads, "--target", "qed=max", "--keep", "0")
    ran = molgen(*words, "--out", tmp_path / "a.csv")
    assert "keep is '0' for a file of leads, expected SMARTS" in ran.refused()


def test_donors_of_a_file(molgen: Run, tiny_model: Path, tmp_path: Path) -> None:
    good, out = tmp_path / "good.csv", tmp_path / "a.csv"
    good.write_text("name,SMILES,qed\na,CCNCC=O,.6\nb,NCC(C)=O,.5\nc,COCCN,.7\n")
    words = ("optimize", tiny_model, "NCCCO", "--target", "qed=max", "--attempts", 9, *FEW)
    ran = molgen(*words, "--oracle-calls", 8, "--donors", good, "--out", out)
    assert ran.status in (0, 3)
    assert "good.csv: 3 donors, with values of qed" in ran.err
    table = pd.read_csv(out, keep_default_na=False)
    assert len(table) == 9
    assert (table["nfe"] == 0).any()


@pytest.mark.parametrize(
    ("text", "named"),
    [(None, "good.csv"), ("nonsense here\n", "good.csv"), ("smiles,qed\nCCN,high\n", "column qed")],
)
def test_a_wrong_file_of_donors_is_one_line(
    molgen: Run, tiny_model: Path, tmp_path: Path, text: str | None, named: str
) -> None:
    good = tmp_path / "good.csv"
    if text is not None:
        good.write_text(text)
    words = ("optimize", tiny_model, "NCCCO", "--target", "qed=max", "--oracle-calls", 8, *FEW)
    ran = molgen(*words, "--donors", good, "--out", tmp_path / "a.csv")
    assert ran.status == 2
    assert len(ran.err.splitlines()) == 1
    assert named in ran.err
    assert not (tmp_path / "a.csv").exists()
