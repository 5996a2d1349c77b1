from __future__ import annotations

import csv
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from molgen.checkpoints.folder import read_info
from molgen.cli import main
from molgen.data.dataset import TokenDataset
from molgen.model import Model
from molgen.molecules.training_index import KnownMolecules
from molgen.training.state import find, read_meta
from small_data import SMILES, dataset

TINY = ["--batch-size", "8", "--layers", "1", "--width", "16", "--heads", "2"]
TINY += ["--workers", "1", "--dtype", "fp32"]
MODEL_FILES = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
MODEL_FILES |= {"prior.safetensors", "known.safetensors", "molgen.json", "README.md"}
RUN_FILES = {"dataset.npz", "prepared.json", "report.csv", "state", "training_log.csv"}


def molgen(*arguments: object) -> int:
    """Run the command line; return its status, however it ends."""
    try:
        return main([str(a) for a in arguments])
    except SystemExit as error:
        return int(error.code or 0)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture
def smi(tmp_path: Path) -> Path:
    path = tmp_path / "set.smi"
    path.write_text("".join(f"{s} molecule-{i}\n" for i, s in enumerate(SMILES)))
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model trained on a CSV with a column of its own, and rows that must be left out."""
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


def test_everything_a_model_needs_is_there(trained: Path) -> None:
    assert names(trained) - {"loss.png"} == MODEL_FILES | RUN_FILES
    model = Model.load(trained)
    assert model.properties == ("activity", "ring_count")
    assert len(model.sample(8, {"ring_count": 1}, batch_size=8)) == 8


def test_every_row_left_out_is_listed_with_its_reason(trained: Path) -> None:
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


def test_what_the_model_says_of_itself(trained: Path) -> None:
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


def test_the_same_command_goes_on_and_prepares_nothing_again(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("molgen.training.prepared.ingest", None)
    before = (trained / "model.safetensors").read_bytes()
    options = ["--column", "structure", "--properties", "activity,ring_count", "--epochs", 2]
    command = ["train", trained.parent / "set.csv", "--out", trained, *options, *TINY]
    assert molgen(*command, "--held-out", 0.2) == 0
    assert (trained / "model.safetensors").read_bytes() == before
    assert "going on from step 10" in capsys.readouterr().out
    assert molgen(*command, "--held-out", 0.3) == 2  # another split is another run
    assert "holds another run" in capsys.readouterr().err
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


def test_a_prepared_set_is_trained_on_later(smi: Path, tmp_path: Path) -> None:
    ready, out = tmp_path / "ready", tmp_path / "out"
    assert molgen("train", smi, "--out", ready, "--properties", "qed", "--prepare-only") == 0
    assert names(ready) == {"dataset.npz", "known.safetensors", "report.csv", "prepared.json"}
    source = ["--source", "forty molecules"]
    assert molgen("train", ready / "dataset.npz", "--out", out, "--epochs", 1, *source, *TINY) == 0
    assert "forty molecules" in (out / "README.md").read_text()
    assert (out / "known.safetensors").read_bytes() == (ready / "known.safetensors").read_bytes()
    assert json.loads((out / "molgen.json").read_text())["data"]["rows"] == 40


NO_RDKIT = """
import sys
class Forbidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("rdkit", "selfies"):
            raise ModuleNotFoundError(f"{name} is not to be imported", name=name)
sys.meta_path.insert(0, Forbidden())
from molgen.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_training_needs_no_rdkit(tmp_path: Path) -> None:
    dataset().save(tmp_path / "dataset.npz")
    KnownMolecules.from_smiles(SMILES).save(tmp_path / "known.safetensors")
    out = tmp_path / "out"
    code = [sys.executable, "-c", NO_RDKIT, "train"]
    command = [*code, str(tmp_path / "dataset.npz"), "--out", str(out), "--epochs", "1", *TINY]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert names(out) >= MODEL_FILES
    # a file of SMILES does need it, and the complaint is one line
    (tmp_path / "set.smi").write_text("C\n")
    command = [*code, str(tmp_path / "set.smi"), "--out", str(tmp_path / "other")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "molgen train: this needs the package 'rdkit', which is not installed\n"


# It watches itself: a busy machine may leave no time to another process until the run is over.
KILLED_AT_THE_FIRST_CHECKPOINT = """
import os, sys, threading, time
from pathlib import Path
from molgen.cli import main
from molgen.training.state import find

def watch(folder, kill):
    while find(folder) is None:
        time.sleep(0.001)
    os.kill(os.getpid(), kill)

watched = Path(sys.argv[1]), int(sys.argv[2])
threading.Thread(target=watch, args=watched, daemon=True).start()
sys.exit(main(sys.argv[3:]))
"""


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_run_goes_on_bit_for_bit(tmp_path: Path, kill: signal.Signals) -> None:
    dataset().save(tmp_path / "set.npz")
    whole, out = tmp_path / "whole", tmp_path / "out"
    options = ["--epochs", "150", "--checkpoint-every", "10", *TINY]
    code = [sys.executable, "-c", KILLED_AT_THE_FIRST_CHECKPOINT, str(out), str(int(kill))]
    command = ["train", str(tmp_path / "set.npz"), "--out", str(out), *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(
        [*code, *command], capture_output=True, text=True, check=False, env=environment
    )
    place = find(out)
    assert place is not None, ran.stderr
    assert read_meta(place)["step"] < 600, "killed before its end"
    if kill == signal.SIGTERM:
        assert ran.returncode == 130
        assert "the same command goes on from there" in ran.stdout
        assert "Traceback" not in ran.stderr
    for folder in (whole, out):
        assert molgen("train", tmp_path / "set.npz", "--out", folder, *options) == 0
    for file in ("model.safetensors", "state/state.safetensors"):
        assert (whole / file).read_bytes() == (out / file).read_bytes()


def test_a_full_disk_is_one_line_and_leaves_no_half_files(
    smi: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command = ["train", smi, "--out", out, "--epochs", 1, "--properties", "qed", *TINY]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    found = []
    for limit in (100, 8000):  # too little for the data set, and for a checkpoint
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            status = molgen(*command)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert status == 2
        complaint = capsys.readouterr().err.strip().splitlines()[-1]
        assert complaint.startswith("molgen train: ")
        assert "large" in complaint.lower(), complaint
        found.append(names(out))
    assert found[0] <= {"report.csv"}
    assert found[1] == {"report.csv", "known.safetensors", "dataset.npz", "prepared.json"} | {
        "training_log.csv"
    }
    assert molgen(*command) == 0


def test_without_matplotlib_there_is_a_note_instead_of_a_curve(
    smi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)  # importing it fails
    out = tmp_path / "out"
    options = ["--epochs", 1, "--properties", "none", "--held-out", 0]
    assert molgen("train", smi, "--out", out, *options, *TINY) == 0
    said = capsys.readouterr().out
    assert "no loss.png" in said
    assert "nothing was held out" in said
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
    assert before.known is not None
    assert after.known is not None
    assert after.known.contains([*new[:-1], *SMILES]).all()
    assert not before.known.contains(new).any()
    assert len(after.known) == len(before.known) + 20
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


FILES = {
    "empty.csv": "",
    "header.csv": "smiles\n",
    "none.csv": "smiles\nfoo\nC1CC\n",
    "good.csv": "smiles,activity,words\nCC,1,a\nCCC,2,b\nCCO,3,c\n",
    "nan.csv": "smiles,activity\nCC,\nCCC,nan\nCCO,?\n",
    "bad.npz": "PK",
    "picture.png": "x",
}


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("empty.csv", "the file is empty"),
        ("header.csv", "no rows"),
        ("none.csv", "no molecule left of 2 rows (2 unreadable)"),
        ("missing.csv", "no file"),
        ("picture.png", "ends in '.png'"),
        (".", "no file"),
        ("good.csv --column structure", "no column 'structure'"),
        ("good.csv --properties qedd", "property 'qedd' is unknown"),
        ("good.csv --properties qed,qed", "name one twice"),
        ("good.csv --properties qed,,", "is no name"),
        ("good.csv --properties words", "there is no number in column 'words'"),
        ("nan.csv --properties activity", "there is no number in column 'activity'"),
        ("good.csv --max-length 1", "no molecule left of 3 rows (3 too long)"),
        ("good.csv --held-out 1", "held_out is 1.0"),
        ("good.csv --held-out nan", "held_out is nan"),
        ("good.csv --epochs 0", "--epochs is 0.0"),
        ("good.csv --epochs inf", "--epochs is inf"),
        ("good.csv --lr nan", "--lr is nan"),
        ("good.csv --lr=-1", "--lr is -1.0"),
        ("good.csv --width 10 --heads 3", "width is 10, expected a multiple of the 3 heads"),
        ("good.csv --seed=-1", "from 0 to 2^31"),
        ("good.csv --batch-size 0", "from 1 to"),
        ("good.csv --device quantum", "device 'quantum' cannot be used"),
        ("good.csv --init nothing", "no model 'nothing'"),
        ("bad.npz", "bad.npz is damaged, expected an .npz"),
        ("bad.npz --properties qed", "is prepared already: properties cannot be chosen"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: str,
    complaint: str,
) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    before = names(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert molgen("train", *arguments.split(), "--out", "out") == 2
    said = capsys.readouterr().err.strip()
    assert complaint in said
    assert len(said.splitlines()) == 1
    left = names(tmp_path) - before
    assert left <= {"out"}
    if left:  # the data were fine, and stay for the next try
        assert names(tmp_path / "out") <= {
            "dataset.npz",
            "known.safetensors",
            "report.csv",
            "prepared.json",
        }


@pytest.mark.parametrize("out", ["file", "file/below", "/proc/nothing/out"])
def test_a_folder_that_cannot_be_written_is_one_line(
    smi: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], out: str
) -> None:
    (tmp_path / "file").write_text("x")
    assert molgen("train", smi, "--out", tmp_path / out, "--properties", "none", *TINY) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert (tmp_path / "file").read_text() == "x"


def test_no_resume_begins_anew(smi: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ["train", smi, "--out", out, "--properties", "none", "--epochs", 1, *TINY]
    assert molgen(*command) == 0
    assert molgen(*command, "--seed", 1) == 2
    assert molgen(*command, "--seed", 1, "--no-resume") == 0
    place = find(out)
    assert place is not None
    assert read_meta(place)["seed"] == 1


def test_an_interrupted_preparation_leaves_no_half_files(
    smi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(TokenDataset, "save", interrupt)
    assert molgen("train", smi, "--out", tmp_path / "out", "--properties", "none") == 130
    assert capsys.readouterr().err == "molgen train: interrupted\n"
    assert names(tmp_path / "out") == {"report.csv", "known.safetensors"}


def test_help_shows_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert molgen("train", "--help") == 0
    assert "molgen train molecules.csv --out my_model" in capsys.readouterr().out
