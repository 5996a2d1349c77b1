"""InChIKeys for the training-set index of an earlier model folder."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import tiny
from commands import Run
from molgen.checkpoints.files import INDEX
from molgen.molecules.training_index import TrainingIndex


@pytest.fixture
def earlier(tiny_model: Path, tmp_path: Path) -> Path:
    """A model folder whose index has no InChIKeys."""
    folder = Path(shutil.copytree(tiny_model, tmp_path / "earlier"))
    index = TrainingIndex.load(folder / INDEX)
    assert index.inchi_keys is not None
    replace(index, inchi_keys=None).save(folder / INDEX)
    return folder


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    path.write_text("smiles\nCCO\nCCCCN\n")
    return path


def test_inchikeys_are_added(molgen: Run, earlier: Path, rows: Path, tmp_path: Path) -> None:
    files = []
    for i in (0, 1):  # as of a fine-tuned model
        files.append(tmp_path / f"{i}.smi")
        files[-1].write_text("\n".join([*tiny.KNOWN[i::2], "BrBr"]) + "\n")
    before = (earlier / INDEX).read_bytes()
    assert "of the training-set index are not" in molgen("index", earlier, files[0]).refused()
    assert (earlier / INDEX).read_bytes() == before
    ran = molgen("index", earlier, *files)
    assert ran.status == 0, ran.err
    assert f"{len(tiny.KNOWN)} InChIKeys of {len(tiny.KNOWN)} molecules" in ran.out
    words = ("evaluate", rows, "--train", earlier, "--conventions", "inchikey", "--counts-only")
    assert molgen(*words).status == 0


def test_an_index_without_inchikeys_is_one_line(
    molgen: Run, earlier: Path, rows: Path, tmp_path: Path
) -> None:
    words = ("evaluate", rows, "--counts-only", "--train", earlier)
    assert "molgen index" in molgen(*words, "--conventions", "inchikey").refused()
    ran = molgen(*words)
    assert ran.status == 0
    assert "inchikey is left out" in ran.err
    assert ran.out.splitlines()[2].split() == ["strict", "paper"]
    out = ("--n", 2, "--out", tmp_path / "a.csv", "--novelty", "inchikey")
    assert "molgen index" in molgen("design", earlier, *out).refused()
    found = molgen("search", earlier, *out, "--target", "qed=max")
    assert "molgen index" in found.refused()
    assert molgen("design", earlier, *out[:-2]).status == 0
    assert "novel_inchikey" not in (tmp_path / "a.csv").read_text()
