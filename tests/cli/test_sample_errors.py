"""``molgen sample`` with bad input: one line, status 2, and no file written."""

from __future__ import annotations

import os
import resource
import shutil
from pathlib import Path

import pytest

from commands import Run, names

BAD: dict[str, tuple[list[object], str]] = {
    # errors of the library's readers are tested there; here, that they are one line
    "no such model": (["MODEL=nosuch"], "no model 'nosuch'"),
    "a misspelled property": (["--target", "qet=max"], "did you mean qed"),
    "eta above one": (["--remask", "cap", "--eta", "2"], "eta is 2.0"),
    # errors of the command line alone
    "a target twice": (["--target", "qed=1", "--target", "qed=max"], "target qed is given twice"),
    "gamma without end": (["--gamma", "inf"], "gamma is 'inf'"),
    "no rows": (["--n", 0], "--n: expected a whole number from 1 to 10000000, got '0'"),
    "no steps": (["--steps", 0], "--steps: expected a whole number from 1"),
    "no batch": (["--batch-size", 0], "--batch-size: expected a whole number from 1"),
    "a seed that is a word": (["--seed", "x"], "--seed: expected a whole number, got 'x'"),
    "a folder that is not there": (["OUT=no/a.csv"], "there is no folder"),
    "a folder for a file": (["OUT=full.csv"], "it is a folder"),
    "a packed file": (["OUT=a.parquet.gz"], "its extension is '.parquet.gz'"),
    "a trajectory of molecules": (["--trajectory", "OUT/t.smi"], "expected a file ending in .csv"),
    "two files in one": (["--trajectory", "OUT/a.csv"], "trajectory and out are one file"),
    "no such device": (["--device", "toaster"], "device 'toaster'"),
    "a device that holds no numbers": (["--device", "meta"], "device 'meta'"),
    "no such dtype": (["--dtype", "fp8"], "--dtype: invalid choice: 'fp8'"),
    "no such option": (["--colour", "red"], "unrecognized arguments: --colour red"),
    "blocks of nothing": (["--blocks", "0"], "blocks is '0', expected none or a whole number"),
    # what the network or the settings together rule out
    "an order in continuous time": (
        ["--time", "continuous", "--order", "entropy"],
        "incompatible with continuous time",
    ),
    "whole kernels in continuous time": (
        ["--time", "continuous", "--guidance", "cfg:mix=posterior"],
        "time is continuous, expected grid",
    ),
    "whole kernels in blocks": (
        ["--blocks", "4", "--guidance", "cfg:mix=posterior"],
        "blocks is 4, expected none",
    ),
    "a corrector in continuous time": (
        ["--time", "continuous", "--corrector", "likeliest"],
        "time is continuous, expected grid",
    ),
    "a corrector without a head": (["--corrector", "likeliest"], "needs a quality head"),
    "weights without a head": (["--remask", "rescale", "--weights", "quality"], "quality head"),
    "weights by a property": (
        ["--remask", "rescale", "--weights", "property"],
        "gamma other than 1",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_rejected_in_one_line(
    molgen: Run, tiny_model: Path, tmp_path: Path, case: str
) -> None:
    words, message = BAD[case]
    (tmp_path / "full.csv").mkdir()
    model, out, rest = str(tiny_model), tmp_path / "a.csv", ["--n", "5", "--steps", "4"]
    for word in map(str, words):
        if word.startswith("MODEL="):
            model = word.removeprefix("MODEL=")
        elif word.startswith("OUT="):
            out = tmp_path / word.removeprefix("OUT=")
        else:
            rest.append(word.replace("OUT", str(tmp_path)))
    ran = molgen("sample", model, *rest, "--out", out)
    assert message in ran.refused()
    assert ran.out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["full.csv"], "no file is left behind"


def test_a_missing_gpu(molgen: Run, tiny_model: Path, tmp_path: Path) -> None:
    import torch

    device = f"cuda:{torch.cuda.device_count()}"
    ran = molgen("sample", tiny_model, "--n", 2, "--device", device, "--out", tmp_path / "a.csv")
    assert f"device '{device}' cannot be used" in ran.refused()


def test_required_arguments(molgen: Run, tiny_model: Path, tmp_path: Path) -> None:
    assert "arguments are required: --out" in molgen("sample", tiny_model, "--n", 2).refused()
    missing = molgen("sample", "--out", tmp_path / "a.csv").refused()
    assert "arguments are required: MODEL, --n" in missing


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder(molgen: Run, tiny_model: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    ran = molgen("sample", tiny_model, "--n", 2, "--out", tmp_path / "a.csv")
    tmp_path.chmod(0o700)
    assert "no permission" in ran.refused()


def test_a_damaged_checkpoint(molgen: Run, tiny_model: Path, tmp_path: Path) -> None:
    model = Path(shutil.copytree(tiny_model, tmp_path / "damaged"))
    weights = model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:50])
    ran = molgen("sample", model, "--n", 2, "--out", tmp_path / "a.csv")
    assert "damaged" in ran.refused()
    assert [path.name for path in tmp_path.iterdir()] == ["damaged"]


@pytest.mark.parametrize(
    ("most", "failed"),
    [(500, "a.csv.journal"), (9_000, "a.csv.journal"), (60_000, "File too large: ")],
)
def test_a_full_disk_leaves_existing_files(
    molgen: Run,
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    most: int,
    failed: str,
) -> None:
    monkeypatch.setattr("molgen.utils.journal.SECONDS", 100)  # the table comes first
    out = tmp_path / "a.csv"
    out.write_text("from before\n")
    words = ("sample", tiny_model, "--n", 2000, "--steps", 2, "--out", out)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        ran = molgen(*words)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert failed in ran.refused()
    assert names(tmp_path) <= {"a.csv", "a.csv.journal"}
    assert out.read_text() == "from before\n"
    assert molgen(*words, "--resume").status == 0
    assert names(tmp_path) == {"a.csv", "a.csv.json"}


def test_no_memory_is_one_line(
    molgen: Run, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(*_: object, **__: object) -> None:
        raise MemoryError("Unable to allocate 80 GiB")

    monkeypatch.setattr("molgen.model.Model.draw", exhausted)
    ran = molgen("sample", tiny_model, "--n", 4, "--out", tmp_path / "a.csv")
    assert "out of memory: Unable to allocate 80 GiB" in ran.refused()
