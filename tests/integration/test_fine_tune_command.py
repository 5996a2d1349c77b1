"""``molgen train SERIES --init MODEL``: a chemist's own series, on a tiny model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import tiny
from commands import Run
from molgen.checkpoints.card import DATA
from molgen.checkpoints.folder import read_info
from molgen.data.dataset import TokenDataset
from molgen.model import Model
from molgen.training import early_stopping, fine_tuning, recipe

CPU = ["--workers", 1, "--dtype", "fp32"]
WORDS = """
CCO CCN CCCO CCCN OCCO NCCN OCCN CCOC CCNC COCO C=CCO C=CCN O=CCO O=CCN CCCCO CCCCN COCCO CNCCN
COCCN CNCCO OCCCO NCCCN C=CCCO C=CCCN N=CCO CN=CC
"""
SERIES = WORDS.split()
LEFT_OUT = ["CCCl", "c1ccccc1", "not a molecule", "OCC"]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fine_tuning, "ROWS", 32)
    monkeypatch.setattr(recipe, "EPOCHS", (4, 6))
    monkeypatch.setattr(recipe, "RATE", 1e-3)  # a tiny network needs a high rate
    monkeypatch.setattr(early_stopping, "NOISED", 8)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model with presets and a classifier to copy."""
    folder = tiny.save(
        tmp_path_factory.mktemp("models") / "original",
        sampling={"remask": "rescale:eta=0.05", "weights": "sharpened:tau=0.5", "steps": 12},
    )
    (folder / "classifier").mkdir()
    (folder / "classifier" / "config.json").write_text("{}")
    return folder


@pytest.fixture
def series(tmp_path: Path) -> Path:
    path = tmp_path / "series.csv"
    rows = [f"{s},{i / 10},{i}" for i, s in enumerate([*SERIES, *LEFT_OUT])]
    path.write_text("\n".join(["smiles,pIC50,logp", *rows]) + "\n")
    return path


def test_a_series_is_learned_and_reported(
    molgen: Run, original: Path, series: Path, tmp_path: Path
) -> None:
    out, export = tmp_path / "tuned", tmp_path / "export"
    ran = molgen("train", series, "--init", original, "--out", out, "--export", export, *CPU)
    assert ran.status == 0, ran.err
    lines = ran.out.splitlines()
    assert lines[0] == "26 of 30 rows kept; left out: 1 unreadable, 2 unknown token, 1 duplicate"
    assert lines[1].startswith(f"not used: pIC50: '{original}' is not conditioned on it")
    assert lines[2] == f"every row left out, with its reason: {out / 'report.csv'}"
    assert "on 21 molecules, 5 held out: until the held-out loss stops improving" in lines[3]
    assert "## Fine-tuning" in lines

    model = Model.load(export)
    found = json.loads((out / fine_tuning.REPORT).read_text())
    assert found == model.info["measured"]["fine_tuning"]
    assert (found["original"], found["training"], found["held_out"]) == ("original", 21, 5)
    assert found["known_before"] == 1  # CCO
    learned, by_heart, forgotten = found["likelihood"]
    assert learned["after"] < learned["before"]
    assert by_heart["change"] < forgotten["change"]
    after = found["draws"]["after"]
    assert after["valid"] >= after["unique"] >= after["novel"]
    assert found["properties"][0]["property"] == "qed"

    data = TokenDataset.load(out / "dataset.npz")
    assert data.values[3, 2] == 3  # logP from the file's own column
    card = (export / "README.md").read_text()
    assert "Training started from the weights of `original`" in card
    assert "\n".join(lines[lines.index("## Fine-tuning") : -1]) in card
    assert str(tmp_path) not in card
    assert model.info["summary"] == "original, fine-tuned on 26 molecules of series.csv"
    assert model.info["sampling"] == read_info(original)["sampling"]
    assert (export / "classifier" / "config.json").is_file()

    again = molgen("train", series, "--init", original, "--out", out, *CPU)
    assert again.status == 0
    assert "resuming from step" in again.out
    assert json.loads((out / fine_tuning.REPORT).read_text()) == found

    other = tmp_path / "other"
    assert molgen("train", series, "--init", original, "--out", other, *CPU).status == 0
    for name in ("model.safetensors", "dataset.npz", "stopping.json", fine_tuning.REPORT):
        assert (other / name).read_bytes() == (out / name).read_bytes(), name

    # it can be used like any other model
    table = tmp_path / "rows.csv"
    command = ["sample", export, "--n", 8, "--target", "ring_count=0", "--out", table]
    assert molgen(*command).status == 0
    assert "## Fine-tuning" in molgen("models", export).out
    command = ["design", export, "--target", "ring_count=0", "--n", 1, "--out", table]
    assert molgen(*command).status in (0, 3)
    command = ["train", series, "--init", export, "--out", tmp_path / "further", "--epochs", 1]
    assert molgen(*command, *CPU).status == 0


def test_requested_epochs_are_completed(
    molgen: Run, original: Path, series: Path, tmp_path: Path
) -> None:
    """Without early stopping; forgetting is measured on the original data if available."""
    home = tmp_path / "home"
    first = ["train", series, "--init", original, "--out", home, "--epochs", 1, *CPU]
    assert molgen(*first).status == 0
    assert not (home / "best.safetensors").exists()
    assert "stopping" not in read_info(home)
    words = ["--epochs", 3, "--batch-size", 7, "--held-out", 0.25, "--lr", 1e-4]
    out = tmp_path / "second"
    assert molgen("train", series, "--init", home, "--out", out, *words, *CPU).status == 0
    info = read_info(out)
    assert info["epochs"] == 3
    assert (info["recipe"]["batch_size"], info["recipe"]["peak_rate"]) == (7, 1e-4)
    found = info["measured"]["fine_tuning"]
    assert found["likelihood"][2]["molecules"] == found["forgotten_on"] == DATA
    assert found["likelihood"][2]["count"] == 5
    assert "are not available" not in (out / "README.md").read_text()
    assert found["known_before"] == 26


def test_too_few_molecules_are_rejected(molgen: Run, original: Path, tmp_path: Path) -> None:
    few = tmp_path / "few.smi"
    few.write_text("\n".join([*SERIES[:19], "CCCl", "OCC"]) + "\n")
    out = tmp_path / "out"
    said = molgen("train", few, "--init", original, "--out", out, *CPU).refused()
    assert "19 of 21 rows kept; left out: 1 unknown token, 1 duplicate: 19 usable" in said
    assert "expected at least 20 to fine-tune 'original' on" in said
    assert not out.exists()
    assert molgen("train", few, "--out", out, "--prepare-only", "--properties", "none").status == 0
    ready = out / "dataset.npz"
    words = ["--init", original, "--out", tmp_path / "more"]
    assert "tokenizer of" in molgen("train", ready, *words, *CPU).refused()


def test_a_property_cannot_be_added(
    molgen: Run, original: Path, series: Path, tmp_path: Path
) -> None:
    words = ["--init", original, "--out", tmp_path / "out", "--properties", "qed,pIC50"]
    said = molgen("train", series, *words).refused()
    assert "properties is pIC50, expected those of" in said
    assert "molgen fit-property FILE" in said
