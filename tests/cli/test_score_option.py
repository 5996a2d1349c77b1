"""``--score`` adds a property, or a function of one's own, as a column or as a target."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from rdkit import Chem

from commands import Run

FEW = ("--steps", 6, "--batch-size", 64, "--allow-training-molecules")
SOURCE = 'def oxygens(mol):\n    return sum(a.GetSymbol() == "O" for a in mol.GetAtoms())\n'


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A function of the user's, by its name."""
    (tmp_path / "scores.py").write_text(SOURCE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return "scores.py:oxygens"


def oxygens(smiles: str) -> int:
    return smiles.upper().count("O") if Chem.MolFromSmiles(smiles) else 0


def test_a_column_and_a_target_of_design(molgen: Run, tiny_model: Path, own: str) -> None:
    words = ("--score", f"{own}=1..", "--score", "tpsa", "--score", "similarity:C=O")
    ran = molgen("design", tiny_model, *words, "--n", 4, *FEW, "--out", "a.csv")
    assert ran.status == 0, ran.err
    table = pd.read_csv("a.csv")
    assert {"tpsa", "similarity:C=O"} <= set(table)
    assert table[own].tolist() == [oxygens(text) for text in table["smiles"]]
    assert (table[own] >= 1).all()
    assert f"{own}=1.." in ran.out
    assert "tpsa=" not in ran.out


def test_a_search_needs_a_direction(molgen: Run, tiny_model: Path, own: str) -> None:
    words = ("search", tiny_model, "--n", 3, "--nfe", 20, *FEW, "--out", "b.csv")
    assert molgen(*words, "--score", f"{own}=max").status == 0
    values = pd.read_csv("b.csv")[own].tolist()
    assert values == sorted(values, reverse=True)
    lead = ("optimize", tiny_model, "OCCO", "--steps", 6, "--out", "c.csv")
    for command in (words, lead):
        assert (
            f"score is '{own}', expected a direction" in molgen(*command, "--score", own).refused()
        )
        assert "a target is missing" in molgen(*command).refused()
        twice = (*command, "--target", "qed=max", "--score", "qed=min")
        assert "target qed is given twice" in molgen(*twice).refused()


def test_a_draw_cannot_be_guided_by_a_function(molgen: Run, tiny_model: Path, own: str) -> None:
    words = ("sample", tiny_model, "--n", 5, "--steps", 6, "--out", "d.csv")
    assert molgen(*words, "--score", own).status == 0
    assert own in pd.read_csv("d.csv")
    told = molgen(*words, "--score", f"{own}=max").refused()
    assert "molgen.search" in told
    assert "molgen.fit_property" in told
    assert "seed is -1, expected at least 0" in molgen(*words, "--seed", -1).refused()
