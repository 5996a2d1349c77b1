from __future__ import annotations

import signal
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

import molgen.cli
import tiny
from commands import Run
from molgen.discovery.methods import read_method as method
from molgen.discovery.metropolis import Metropolis
from molgen.discovery.smc import SequentialMonteCarlo

COLUMNS = [
    *("index", "raw", "smiles", "status", "unique", "novel", "novel_inchikey"),
    *("nfe", "classifier_nfe"),
]
FEW = ("--steps", 6, "--gamma", 2, "--nfe", 60)


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register the command if it is missing in the list."""
    if "search" not in molgen.cli.COMMANDS:
        monkeypatch.setattr(molgen.cli, "COMMANDS", (*molgen.cli.COMMANDS, "search"))


@pytest.mark.parametrize("how", ["metropolis", "best-of-n", "smc:particles=4,twist=1"])
def test_n_molecules_a_table_and_the_counts(
    molgen: Run, tiny_model: Path, tmp_path: Path, how: str
) -> None:
    out = tmp_path / "a.csv"
    words = ("--target", "qed=max", "--n", 5, "--method", how, *FEW, "--out", out)
    ran = molgen("search", tiny_model, *words)
    assert (ran.status, ran.err) == (0, "")
    table = pd.read_csv(out)
    assert list(table) == [*COLUMNS, "qed"]
    assert table["smiles"].is_unique
    assert not table["smiles"].isin(tiny.KNOWN).any()
    assert table["qed"].is_monotonic_decreasing
    lines = ran.out.splitlines()
    assert [line.split()[1] for line in lines[1:6]] == table["smiles"].tolist()
    assert f"mean qed of the 5: {table['qed'].mean():.3f}" in lines
    assert " oracle calls; 5 delivered, each for " in ran.out
    assert lines[-2:] == ["ended: the budget of 300 forwards ended", f"wrote {out}"]


def test_several_targets_weights_and_a_picture(
    molgen: Run, tiny_model: Path, tmp_path: Path
) -> None:
    targets = ("--target", "qed=max", "--target", "logp=0..1")
    front, total, grid = tmp_path / "a.csv", tmp_path / "b.csv", tmp_path / "a.png"
    words = ("search", tiny_model, *targets, "--n", 4, *FEW)
    assert molgen(*words, "--pareto", "--out", front, "--grid", grid).status == 0
    with Image.open(grid) as image:
        assert image.format == "PNG"
    assert molgen(*words, "--weight", "logp=100", "--out", total).status == 0
    found = pd.read_csv(total)
    assert list(found) == [*COLUMNS, "qed", "logp"]
    assert found["logp"].between(0, 1).any()


def test_too_few_oracle_calls_end_with_3(molgen: Run, tiny_model: Path, tmp_path: Path) -> None:
    words = ("--target", "qed=max", "--n", 9, *FEW, "--oracle-calls", 4)
    ran = molgen("search", tiny_model, *words, "--out", tmp_path / "a.csv")
    assert ran.status == 3
    assert ran.err == "4 of 9 molecules: the budget of 4 oracle calls ended\n"
    assert len(pd.read_csv(tmp_path / "a.csv")) == 4


def test_an_interrupted_search_keeps_accepted_molecules(
    molgen: Run, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "molgen.cli.search.Screen.round", lambda *_: signal.raise_signal(signal.SIGINT)
    )
    words = ("--target", "qed=max", "--n", 500, *FEW, "--out", tmp_path / "a.csv")
    ran = molgen("search", tiny_model, *words)
    found = len(pd.read_csv(tmp_path / "a.csv"))
    assert 0 < found < 500
    assert (ran.status, ran.err) == (130, f"{found} of 500 molecules: interrupted\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "a target is missing, expected --target PROP=VALUE"),
        (["--target", "qed=best"], "target qed: value is 'best'"),
        (["--target", "qde=max"], "qde"),
        (["--target", "qed=max", "--method", "smcc"], "method is 'smcc', expected one of metrop"),
        (["--target", "qed=max", "--method", "smc:beta=1"], "smc has no parameter 'beta=1'"),
        (["--target", "qed=max", "--method", "metropolis:beta=x"], "metropolis's beta is 'x'"),
        (["--target", "qed=max", "--method", "metropolis:steps=1.5"], "expected a whole number"),
        (["--target", "qed=max", "--method", "metropolis:exchange=2"], "expected 0 or 1"),
        (["--target", "qed=max", "--method", "best-of-n:k=2"], "parameter 'k=2', expected none"),
        (["--target", "qed=max", "--pareto"], "aggregate is pareto, expected at least two targets"),
        (["--target", "qed=max", "--weight", "qed=0"], "weight is 'qed=0', expected PROP=W"),
        (["--target", "qed=max", "--weight", "logp=2"], "weight of logp is given, expected one"),
        (["--target", "qed=max", "--oracle-calls", "0"], "--oracle-calls: expected a whole"),
        (["--target", "qed=max", "--grid", "a.gif"], "grid is 'a.gif', expected a .png file"),
    ],
)
def test_bad_input(
    molgen: Run, tiny_model: Path, tmp_path: Path, words: list[str], message: str
) -> None:
    ran = molgen("search", tiny_model, "--n", 3, "--out", tmp_path / "a.csv", *words)
    assert message in ran.refused()
    assert ran.out == ""
    assert not list(tmp_path.iterdir())


def test_models_without_masks_allow_best_of_n_alone(molgen: Run, tmp_path: Path) -> None:
    words = ("search", "qm9-ar", "--target", "qed=max", "--n", 2, "--nfe", 60)
    for how in ("metropolis", "smc"):
        ran = molgen(*words, "--method", how, "--out", tmp_path / "a.csv")
        assert "model 'qm9-ar' is not a masked diffusion model" in ran.refused()
        assert not list(tmp_path.iterdir())
    ran = molgen(*words, "--method", "best-of-n", "--out", tmp_path / "a.csv")
    assert ran.status in (0, 3)
    assert " forwards" in ran.out


def test_methods_are_read_with_their_parameters() -> None:
    assert method("metropolis:beta=.2,exchange=1,steps=3") == Metropolis(
        beta=0.2, exchange=True, steps=3
    )
    assert method("smc:normaliser=0") == SequentialMonteCarlo(normaliser=False)
