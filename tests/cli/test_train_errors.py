"""``molgen train`` given what it cannot use, and no room to write: one line and status 2."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from commands import Run, names
from molgen.data.dataset import TokenDataset
from molgen.training.state import find, read_meta
from small_data import PREPARED, TINY


def test_a_full_disk_is_one_line_and_leaves_no_partial_files(
    molgen: Run, smi: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command = ["train", smi, "--out", out, "--epochs", 1, "--properties", "qed", *TINY]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    found = []
    for limit in (100, 8000):  # too little for the data set, and for a checkpoint
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            ran = molgen(*command)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert ran.status == 2
        complaint = ran.err.strip().splitlines()[-1]
        assert complaint.startswith("molgen train: ")
        assert "large" in complaint.lower(), complaint
        found.append(names(out))
    assert found[0] <= {"report.csv"}
    assert found[1] == PREPARED | {"training_log.csv"}
    assert molgen(*command).status == 0


FILES = {
    "empty.csv": "",
    "good.csv": "smiles,activity,words\nCC,1,a\nCCC,2,b\nCCO,3,c\n",
    "bad.npz": "PK",
}


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        # errors of the library are tested there; here, that they are one line
        ("empty.csv", "the file is empty"),
        ("good.csv --properties words", "column 'words'"),
        ("good.csv --held-out 1", "held_out is 1.0"),
        # errors of the command line only
        ("missing.csv", "no file"),
        (".", "no file"),
        ("good.csv --epochs 0", "epochs is 0.0"),
        ("good.csv --epochs inf", "epochs is inf"),
        ("good.csv --lr nan", "lr is nan"),
        ("good.csv --lr=-1", "lr is -1.0"),
        ("good.csv --width 10 --heads 3", "width is 10"),
        ("good.csv --seed=-1", "from 0 to 2^31"),
        ("good.csv --batch-size 0", "from 1 to"),
        ("good.csv --device quantum", "device 'quantum'"),
        ("good.csv --init nothing", "no model 'nothing'"),
        ("bad.npz --properties qed", "expected no options of properties"),
    ],
)
def test_bad_input_is_one_line_and_leaves_no_files(
    molgen: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: str,
    complaint: str,
) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    before = names(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert complaint in molgen("train", *arguments.split(), "--out", "out").refused()
    left = names(tmp_path) - before
    assert left <= {"out"}
    if left:  # the data set is valid, and is kept for the next attempt
        assert names(tmp_path / "out") <= PREPARED


@pytest.mark.parametrize("out", ["file", "file/below", "/proc/nothing/out"])
def test_a_folder_that_cannot_be_written_is_one_line(
    molgen: Run, smi: Path, tmp_path: Path, out: str
) -> None:
    (tmp_path / "file").write_text("x")
    molgen("train", smi, "--out", tmp_path / out, "--properties", "none", *TINY).refused()
    assert (tmp_path / "file").read_text() == "x"


def test_no_resume_starts_again(molgen: Run, smi: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ["train", smi, "--out", out, "--properties", "none", "--epochs", 1, *TINY]
    assert molgen(*command).status == 0
    assert molgen(*command, "--seed", 1).status == 2
    assert molgen(*command, "--seed", 1, "--no-resume").status == 0
    place = find(out)
    assert place is not None
    assert read_meta(place)["seed"] == 1


def test_an_interrupted_preparation_leaves_no_partial_files(
    molgen: Run, smi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(TokenDataset, "save", interrupt)
    ran = molgen("train", smi, "--out", tmp_path / "out", "--properties", "none")
    assert (ran.status, ran.err) == (130, "molgen train: interrupted\n")
    assert names(tmp_path / "out") == PREPARED - {"dataset.npz", "prepared.json"}
