"""Campaigns from the command line, with real worker processes."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from commands import Run, names
from molgen.campaigns.store import Store

SCORER = """
from rdkit import Chem

def size(mol):
    with open("calls.log", "a") as file:
        file.write(Chem.MolToSmiles(mol) + "\\n")
    return float(mol.GetNumAtoms())
"""
OWN = "scorers.py:size"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "scorers.py").write_text(SCORER)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_from_the_request_to_the_table(molgen: Run, tiny_model: Path, folder: Path) -> None:
    words = ["design", tiny_model, "--score", f"{OWN}=5..", "--n", 8, "--campaign", "a.campaign"]
    words += ["--block", 16, "--workers", 1]
    ran = molgen(*words, "--out", "a.csv", "--notify", "cat > note.txt")
    assert ran.status == 0, ran.err
    assert "8 of 8 molecules: complete" in ran.out
    assert "8 of 8" in Path("note.txt").read_text()
    assert max(Counter(Path("calls.log").read_text().split()).values()) == 1
    assert len(Path("a.csv").read_text().splitlines()) == 9
    assert molgen("campaign", "export", "a.campaign", "--out", "b.csv").status == 0
    assert Path("b.csv").read_bytes() == Path("a.csv").read_bytes()
    assert molgen("campaign", "export", "a.campaign", "--all", "--out", "c.csv").status == 0
    assert "in training set" in Path("c.csv").read_text()
    assert "8 of 8" in molgen("campaign", "status", "a.campaign").out
    assert "8 of 8" in molgen("campaign", "watch", "a.campaign").out
    assert "n was 8 and is 9" in molgen(*words, "--n", 9).refused()
    assert "seed was 0 and is 4" in molgen(*words, "--seed", 4).refused()
    assert "of 9" in molgen("campaign", "extend", "a.campaign", "--n", 9).out
    refused = molgen("campaign", "run", "a.campaign").refused()
    assert "--allow-functions" in refused
    ran = molgen("campaign", "run", "a.campaign", "--allow-functions", "--workers", 1)
    assert "9 of 9 molecules: complete" in ran.out
    assert max(Counter(Path("calls.log").read_text().split()).values()) == 1
    assert "a.campaign.status" not in names(folder)


def test_a_file_in_use_is_refused(molgen: Run, tiny_model: Path, folder: Path) -> None:
    words = ("design", tiny_model, "--n", 2, "--campaign", "a.campaign")
    with closing(Store("a.campaign")):
        assert "in use" in molgen(*words).refused()
        assert "in use" in molgen("campaign", "status", "a.campaign").refused()
    assert "empty" in molgen("campaign", "status", "a.campaign").refused()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--no-filter",), "no-filter"),
        (("--resume",), "resume"),
        (("--grid", "a.png"), "grid"),
        (("--address", "tcp://x:1"), "address"),
        (("--target", "qed=best"), "best"),
        (("--out", "a.doc"), "a.doc"),
    ],
)
def test_bad_input_leaves_nothing(
    molgen: Run, tiny_model: Path, folder: Path, words: tuple[str, ...], named: str
) -> None:
    before = names(folder)
    asked = ("design", tiny_model, "--n", 2, "--campaign", "a.campaign")
    assert named in molgen(*asked, *words).refused()
    assert names(folder) == before


def test_without_an_output(molgen: Run, tiny_model: Path) -> None:
    line = molgen("design", tiny_model, "--n", 2).refused()
    assert "--out" in line
    assert "--campaign" in line
    assert "campaign" in molgen("campaign", "status", "none.campaign").refused()
