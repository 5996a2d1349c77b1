from __future__ import annotations

import signal
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

import tiny
from commands import Run, names

COLUMNS = [
    *("index", "raw", "smiles", "status", "unique", "novel", "novel_inchikey"),
    *("nfe", "classifier_nfe"),
]
FEW = ("--steps", 6, "--gamma", 2)


def test_n_molecules_a_table_and_a_picture(molgen: Run, tiny_model: Path, tmp_path: Path) -> None:
    out, grid = tmp_path / "a.csv", tmp_path / "a.png"
    words = ("--target", "qed=max", "--n", 12, *FEW, "--out", out, "--grid", grid)
    ran = molgen("design", tiny_model, *words)
    assert (ran.status, ran.err) == (0, "")
    table = pd.read_csv(out)
    assert list(table) == [*COLUMNS, "qed", "score"]
    assert len(table) == 12
    assert table["smiles"].is_unique
    assert not table["smiles"].isin(tiny.KNOWN).any()
    assert out.read_text().splitlines()[1].count(",true,true,") == 1
    with Image.open(grid) as image:
        assert image.format == "PNG"
    first, *rest = ran.out.splitlines()
    assert first.startswith("first molecule after ")
    assert table["smiles"][0] in first
    best = table.sort_values("qed", ascending=False, kind="stable")["smiles"].tolist()
    shown = [line.split()[1] for line in rest[1:11]]
    assert shown == best[:10]
    assert "... and 2 more" in ran.out
    assert f"mean qed of the 12: {table['qed'].mean():.3f}" in ran.out
    assert " drawn: 12 kept, " in ran.out
    assert rest[-2:] == [f"wrote {out}", f"wrote {grid}"]


def test_several_goals_filters_and_their_counts(
    molgen: Run, tiny_model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "a.csv"
    words = ["--target", "qed=0.36..", "--target", "logp<=0.6", "--target", "hbd=..1"]
    words += ["--weight", "qed=2", "--filter", "pains", "--filter", "smarts:N=O"]
    ran = molgen("design", tiny_model, *words, "--n", 5, *FEW, "--out", out)
    assert (ran.status, ran.err) == (0, "")
    table = pd.read_csv(out)
    assert list(table) == [*COLUMNS, "qed", "logp", "hbd", "score"]
    assert (table["qed"] >= 0.36).all()
    assert (table["logp"] <= 0.6).all()
    assert (table["hbd"] <= 1).all()
    lines = ran.out.splitlines()
    assert lines[0] == "guided by qed, logp; hbd filters only: the model is not conditioned on it"
    assert lines[1] == "all targets are ranges, so weights do not affect the ranking"
    at = next(i for i, line in enumerate(lines) if line.startswith("met "))
    drawn = int(lines[at + 7].split()[0])
    assert f"of {drawn} rows" in lines[at]
    assert [line.split("  ")[0] for line in lines[at + 1 : at + 7]] == [
        "filter: pains", "filter: smarts:N=O", "qed=0.36..", "logp=..0.6", "hbd=..1", "all of them"
    ]  # fmt: skip
    assert lines[at + 3].split()[1] == "2"
    assert " goal missed: logp" in lines[at + 7]


def test_without_filtering_the_rows_of_a_sample_are_counted(
    molgen: Run, tiny_model: Path, tmp_path: Path
) -> None:
    out, plain = tmp_path / "a.csv", tmp_path / "b.csv"
    words = ("--target", "qed=0.36..", "--n", 60, *FEW, "--seed", 3)
    ran = molgen(
        "design", tiny_model, *words, "--no-filter", "--filter", "smarts:O", "--out", out
    )  # fmt: skip
    assert (ran.status, ran.err) == (0, "")
    assert molgen("sample", tiny_model, *words, "--out", plain).status == 0
    rows, table = pd.read_csv(plain), pd.read_csv(out, keep_default_na=False)
    assert table["smiles"].tolist() == rows["smiles"].fillna("").tolist()
    meets = (rows["qed"] >= 0.36) & ~rows["smiles"].str.contains("O", na=True)
    assert 0 < meets.sum() < 60
    line = next(line for line in ran.out.splitlines() if line.startswith("all of them"))
    assert line.split()[3:5] == [str(meets.sum()), f"{100 * meets.mean():.1f}"]
    assert set(table["lost"]) >= {"", "invalid", "filter failed: smarts:O"}
    kept = rows[meets & rows["novel"]].sort_values("qed", ascending=False, kind="stable")
    assert ran.out.splitlines()[1].split()[1] in set(kept["smiles"])


def test_a_scaffold_is_in_every_delivered_molecule(
    molgen: Run, tiny_model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "a.csv"
    words = ("--scaffold", "*CO", "--target", "qed=max", "--n", 3, *FEW, "--out", out)
    ran = molgen("design", tiny_model, *words, "--filter", "need:CO")
    assert (ran.status, ran.err) == (0, "")
    table = pd.read_csv(out)
    assert table["scaffold"].tolist() == ["*CO"] * 3
    assert table["constraint"].tolist() == ["ok"] * 3
    assert "\nconstraint " in ran.out


def test_the_same_seed_delivers_the_same(molgen: Run, tiny_model: Path, tmp_path: Path) -> None:
    for name, n, seed in (("a", 8, 1), ("b", 8, 1), ("c", 3, 1), ("d", 8, 2)):
        words = ("--target", "qed=0.3..0.5", "--n", n, "--seed", seed, *FEW)
        assert molgen("design", tiny_model, *words, "--out", tmp_path / f"{name}.csv").status == 0
    a, b, c, d = ((tmp_path / f"{name}.csv").read_text().splitlines() for name in "abcd")
    assert a == b != d
    assert c == a[:4]


def test_a_target_that_cannot_be_met_ends_with_3(
    molgen: Run, tiny_model: Path, tmp_path: Path
) -> None:
    words = ("--target", "ring_count=3", "--n", 4, *FEW, "--max-draws", 50)
    ran = molgen("design", tiny_model, *words, "--out", tmp_path / "a.csv")
    assert ran.status == 3
    assert ran.err == "0 of 4 molecules: the budget of 50 draws ended\n"
    assert "50 drawn: 0 kept, " in ran.out
    assert " goal missed: ring_count" in ran.out
    assert list(pd.read_csv(tmp_path / "a.csv")) == [
        *COLUMNS, "ring_count", "rings_cyclomatic", "score",
    ]  # fmt: skip


def test_a_budget_that_is_too_small_delivers_fewer(
    molgen: Run, tiny_model: Path, tmp_path: Path
) -> None:
    words = ("--target", "qed=0.36..0.42", "--n", 5000, *FEW, "--max-draws", 120)
    ran = molgen("design", tiny_model, *words, "--out", tmp_path / "a.csv")
    found = len(pd.read_csv(tmp_path / "a.csv"))
    assert found > 0
    assert ran.status == 3
    assert ran.err == f"{found} of 5000 molecules: the budget of 120 draws ended\n"


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_keeps_accepted_molecules(
    molgen: Run,
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: signal.Signals,
) -> None:
    monkeypatch.setattr(
        "molgen.cli.design.Screen.round", lambda *_: signal.raise_signal(kind)
    )  # fmt: skip
    words = ("--target", "qed=0.3..0.5", "--n", 5000, *FEW, "--out", tmp_path / "a.csv")
    ran = molgen("design", tiny_model, *words)
    found = len(pd.read_csv(tmp_path / "a.csv"))
    assert found > 0
    assert ran.status == 130
    assert ran.err == f"{found} of 5000 molecules: interrupted\n"


def test_interrupted_without_molecules_writes_no_file(
    molgen: Run, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "molgen.cli.design.Screen.round", lambda *_: signal.raise_signal(signal.SIGINT)
    )
    words = ("--target", "ring_count=3", "--n", 5, *FEW, "--out", tmp_path / "a.csv")
    ran = molgen("design", tiny_model, *words)
    assert (ran.status, ran.err) == (130, "molgen design: interrupted\n")
    assert names(tmp_path) == {"a.csv.journal"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--target", "qed=best"], "target qed: value is 'best'"),
        (["--target", "sa=min"], "target sa: the model is not conditioned on it"),
        (["--target", "qed=max", "--n", "0"], "argument --n: expected a whole number from 1"),
        (["--target", "qed=max", "--guidance", "none"], "guidance is none with a target"),
        (["--target", "qed=max", "--max-draws", "0"], "--max-draws: expected a whole number"),
        (["--target", "qed=max", "--tolerance", "-1"], "tolerance is -1.0, expected at least 0"),
        (["--target", "qed=max", "--tolerance", "nan"], "tolerance is nan, expected at least 0"),
        (["--target", "qed=0.9..0.8"], "target qed: range 0.9..0.8 is empty"),
        (["--target", "qedd=max"], "did you mean qed?"),
        (["--target", "qed=max", "--weight", "sa=2"], "weight of sa is given, expected one of"),
        (["--target", "qed=max", "--weight", "qed=nan"], "weight is 'qed=nan', expected PROP=W"),
        (["--weight", "qed=2"], "weight of qed is given, expected a goal"),
        (["--target", "qed=max", "--filter", "pain"], "filter is 'pain', expected pains_a, "),
        (["--target", "qed=max", "--filter", "smarts:[N+"], "SMARTS '[N+' cannot be read"),
        (["--target", "tpsa=2.5"], "target tpsa=2.5: the standard deviation of tpsa"),
        (["--no-filter", "--max-draws", "9"], "max-draws is given with no-filter"),
        (["--target", "qed=max", "--grid", "a.gif"], "grid is 'a.gif', expected a .png file"),
        (["--target", "qed=max", "--grid", "no/a.png"], "there is no folder 'no'"),
        (["--target", "qed=max", "--gamma", "nan"], "gamma is 'nan', expected finite numbers"),
        (["--target", "qed=max", "--temperature", "0"], "temperature is 0.0, expected more"),
        (["--target", "qed=max", "--remask", "loop", "--steps", "2"], "at least 3 steps"),
    ],
)
def test_bad_input(
    molgen: Run, tiny_model: Path, tmp_path: Path, words: list[str], message: str
) -> None:
    ran = molgen("design", tiny_model, "--n", 3, "--out", tmp_path / "a.csv", *words)
    assert message in ran.refused()
    assert ran.out == ""
    assert not list(tmp_path.iterdir())


def test_a_model_without_an_index_needs_allow_training_molecules(
    molgen: Run, tmp_path: Path
) -> None:
    bare = tiny.save(tmp_path / "bare", index=False)
    out = tmp_path / "a.csv"
    words = ("design", bare, "--target", "qed=max", "--n", 3, *FEW, "--out", out)
    assert "no training-set index, so novelty is unknown" in molgen(*words).refused()
    assert not out.exists()
    assert molgen(*words, "--allow-training-molecules").status == 0
    assert len(pd.read_csv(out)) == 3
