from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from commands import names
from molgen.checkpoints.folder import read_info
from molgen.cli import main
from molgen.data.dataset import TokenDataset
from molgen.model import Model
from small_data import SMILES, TINY

MODEL_FILES = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
MODEL_FILES |= {"prior.safetensors", "training_index.safetensors", "molgen.json", "README.md"}
RUN_FILES = {"dataset.npz", "prepared.json", "report.csv", "state", "training_log.csv"}


def molgen(*arguments: object) -> int:
    """Run the command line; return its status, however it ends."""
    try:
        return main([str(a) for a in arguments])
    except SystemExit as error:
        return int(error.code or 0)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model trained on a CSV with a column of its own, and rows to be rejected."""
    folder = tmp_path_factory.mktemp("trained")
    path = folder / "set.csv"
    rows = [[s, i / 10 if i % 4 else "", i] for i, s in enumerate(SMILES)]
    extra = [["not a molecule", 1, 1], ["C1CC", 1, 1], ["OCC", 1, 1], ["", 1, 1]]
    extra += [["C" * 200, 1, 1], ["CC(=O)[O-].[Na+]", 7.5, 1]]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["Structure", "activity", "id"], *rows, *extra])
    out = folder / "model"
    options = ["--column", "structure", "--properties", "activity,ring_count", "--epochs", 2]
    status = molgen("train", path, "--out", out, *options, "--held-out", 0.2, *TINY)
    assert status == 0
    return out


def test_all_files_of_a_model_are_written(trained: Path) -> None:
    assert names(trained) - {"loss.png"} == MODEL_FILES | RUN_FILES
    model = Model.load(trained)
    assert model.properties == ("activity", "ring_count")
    assert len(model.sample(8, {"ring_count": 1}, batch_size=8)) == 8


def test_every_rejected_row_is_listed_with_its_reason(trained: Path) -> None:
    rows = list(csv.DictReader((trained / "report.csv").open()))
    assert [(row["line"], row["reason"]) for row in rows] == [
        ("42", "unreadable"),
        ("43", "unreadable"),
        ("44", "duplicate"),
        ("45", "empty"),
        ("46", "too long"),
    ]
    assert rows[4]["detail"] == "200 tokens, at most 128"


def test_values_come_from_the_column_of_that_name_or_from_rdkit(trained: Path) -> None:
    data = TokenDataset.load(trained / "dataset.npz")
    assert len(data) == len(SMILES) + 1  # and the acetate
    assert data.values[1].tolist() == pytest.approx([0.1, 0])
    assert np.isnan(data.values[::4, 0][:10]).all()
    assert data.values[SMILES.index("C1CC1"), 1] == 1
    assert data.values[-1, 0] == 7.5


def test_metadata_of_the_model(trained: Path) -> None:
    info = json.loads((trained / "molgen.json").read_text())
    assert info["data"]["source"] == "set.csv"
    assert info["data"]["property_sources"] == {"activity": "column", "ring_count": "computed"}
    assert info["data"]["left_out"]["too long"] == 1
    assert info["data"]["changed"]["salts removed"] == 1
    assert info["data"]["training"] + info["data"]["held_out"] == 41
    assert info["recipe"]["epochs"] == 2
    assert info["seeds"] == {"split": 0, "training": 0}
    measured = info["measured"]["held_out"]
    assert 0 < measured["length_nats"] < measured["nats_per_molecule"] < 40
    assert measured["molecules"] == 8
    assert measured["tokens"] == round(8 * measured["tokens_per_molecule"])
    assert read_info(trained)["sampling"] == {"remask": "ancestral", "steps": 128}
    card = (trained / "README.md").read_text()
    assert f"{measured['nats_per_molecule']:.2f} ±" in card
    assert "`activity` (column)" in card
    assert str(trained.parent) not in card + json.dumps(info), "paths of a machine are no one's"


def test_the_same_command_resumes_without_preparing_again(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("molgen.training.prepared.ingest", None)
    before = (trained / "model.safetensors").read_bytes()
    options = ["--column", "structure", "--properties", "activity,ring_count", "--epochs", 2]
    command = ["train", trained.parent / "set.csv", "--out", trained, *options, *TINY]
    assert molgen(*command, "--held-out", 0.2) == 0
    assert (trained / "model.safetensors").read_bytes() == before
    assert "resuming from step 10" in capsys.readouterr().out
    assert molgen(*command, "--held-out", 0.3) == 2  # another split is another run
    assert "has another run" in capsys.readouterr().err
    assert molgen("train", trained.parent / "set.csv", "--out", trained, *TINY) == 2


def test_selfies_without_properties(smi: Path, tmp_path: Path) -> None:
    out, export = tmp_path / "out", tmp_path / "export"
    options = ["--representation", "selfies", "--properties", "none", "--export", export]
    assert molgen("train", smi, "--out", out, "--epochs", 1, *options, *TINY) == 0
    model = Model.load(export)
    assert model.tokenizer.representation == "selfies"
    assert model.properties == ()
    table = model.sample(4, batch_size=4)
    assert "tokens" in table
    assert names(export) - {"loss.png"} == MODEL_FILES | {"training_log.csv"}


def test_a_data_set_can_be_trained_on_later(smi: Path, tmp_path: Path) -> None:
    ready, out = tmp_path / "ready", tmp_path / "out"
    assert molgen("train", smi, "--out", ready, "--properties", "qed", "--prepare-only") == 0
    assert names(ready) == {
        "dataset.npz",
        "training_index.safetensors",
        "report.csv",
        "prepared.json",
    }
    source = ["--source", "forty molecules"]
    assert molgen("train", ready / "dataset.npz", "--out", out, "--epochs", 1, *source, *TINY) == 0
    assert "forty molecules" in (out / "README.md").read_text()
    assert (out / "training_index.safetensors").read_bytes() == (
        ready / "training_index.safetensors"
    ).read_bytes()
    assert json.loads((out / "molgen.json").read_text())["data"]["rows"] == 40


def test_without_matplotlib_there_is_a_note_instead_of_a_curve(
    smi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)  # importing it fails
    out = tmp_path / "out"
    options = ["--epochs", 1, "--properties", "none", "--held-out", 0]
    assert molgen("train", smi, "--out", out, *options, *TINY) == 0
    said = capsys.readouterr().out
    assert "no loss.png" in said
    assert "no held-out molecules" in said
    assert not (out / "loss.png").exists()
    assert json.loads((out / "molgen.json").read_text())["measured"]["held_out"]["molecules"] == 0


def test_a_model_is_tuned_on_other_molecules(
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path, out = tmp_path / "more.csv", tmp_path / "tuned"
    parts = ["CCCCO", "CCOC", "CCCN", "CC(O)CO"]
    new = [f"{'C' * i}{part}" for part in parts for i in range(1, 6)] + ["BrCC"]
    path.write_text("smiles,activity\n" + "".join(f"{s},{i}\n" for i, s in enumerate(new)))
    options = ["--batch-size", 4, "--workers", 1, "--dtype", "fp32", "--lr", 1e-6, "--held-out", 0]
    monkeypatch.setattr("molgen.training.fine_tuning.ROWS", 4)
    assert molgen("train", path, "--out", out, "--init", trained, "--epochs", 1, *options) == 0
    assert "20 of 21 rows kept; left out: 1 unknown token" in capsys.readouterr().out
    before, after = Model.load(trained), Model.load(out)
    assert after.tokenizer.vocab == before.tokenizer.vocab
    assert after.properties == before.properties
    assert before.training_index is not None
    assert after.training_index is not None
    assert after.training_index.contains([*new[:-1], *SMILES]).all()
    assert not before.training_index.contains(new).any()
    assert len(after.training_index) == len(before.training_index) + 20
    for p, q in zip(before.denoiser.parameters(), after.denoiser.parameters(), strict=True):  # type: ignore[attr-defined]
        torch.testing.assert_close(p, q, atol=0.02, rtol=0.02)
    assert json.loads((out / "molgen.json").read_text())["init"] == "model"
    row = next(csv.DictReader((out / "report.csv").open()))
    assert row["detail"] == "unknown token 'Br' at character 3 of 'CCBr'"
    for wrong in (["--layers", 2], ["--properties", "qed"], ["--representation", "selfies"]):
        other = ["--out", tmp_path / "x", "--init", trained, *wrong]
        assert molgen("train", path, *other) == 2
    assert molgen("train", path, "--out", tmp_path / "x", "--init", "no-such-model") == 2
    assert not (tmp_path / "x").exists()


def test_help_shows_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert molgen("train", "--help") == 0
    assert "molgen train molecules.csv --out my_model" in capsys.readouterr().out
