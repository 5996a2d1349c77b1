"""One signal ends any command at any moment: status 130, one line, and no file is half written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from commands import Ran
from molgen.training.state import find, read_meta
from small_data import SMILES, TINY

BEGUN = "begun"
PROGRAM = f"""
import os, signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs in the background ignores it
from molgen import cli
install = cli.exit_at_once
def installed():
    install()
    os.write(2, b"{BEGUN}\\n")
cli.exit_at_once = installed
raise SystemExit(cli.main())
"""
NEVER_ENDING = {
    "sample": ("--n", 500_000, "--batch-size", 16, "--out", "a.csv"),
    "design": ("--n", 50_000, "--target", "qed=0.9..", "--max-draws", 5_000_000, "--out", "a.csv"),
    "search": ("--n", 50, "--nfe", 10_000_000, "--target", "qed=max", "--out", "a.csv"),
    "optimize": ("many.smi", "--target", "qed=max", "--attempts", 50, "--out", "a.csv"),
    "frontier": (
        "--property", "qed", "--method", "A", "--gamma", ",".join(map(str, range(50))),
        "--steps", "8,16", "--n", 8, "--out", "folder",
    ),
    "scaling": ("--property", "qed", "--method", "A", "--n", 8, "--seeds",
                ",".join(map(str, range(100))), "--out", "folder"),
    "tune": ("--target", "qed=max", "--n", 2000, "--start", 500, "--out", "a.json"),
    "score": ("--draws", 200, "--out", "a.csv"),
    "evaluate": ("--json",),
    "train": ("--out", "folder", "--epochs", 1_000_000, "--checkpoint-every", 20, *TINY),
    "train-classifier": ("--out", "folder", "--epochs", 1_000_000, "--batch-size", 8),
    "fit-property": ("--column", "y", "--out", "folder"),
}  # fmt: skip
"""Each runs for minutes at least, and reads ``many.smi`` or ``table.csv`` in its folder."""


def prepare(folder: Path) -> None:
    """Write the files that the commands read."""
    rng = np.random.default_rng(0)
    chains = ["".join(rng.choice(list("CNO"), 3 + i % 9)) for i in range(40_000)]
    (folder / "many.smi").write_text("\n".join(chains) + "\n")
    (folder / "set.smi").write_text("\n".join(SMILES) + "\n")
    rows = [f"{smiles},{i % 17}" for i, smiles in enumerate(dict.fromkeys(chains[:6000]))]
    (folder / "table.csv").write_text("\n".join(["smiles,y", *rows]) + "\n")


def command(name: str, model: Path) -> list[str]:
    """Return the words of a command that does not end by itself."""
    first: tuple[object, ...] = (model,)
    if name in ("score",):
        first = (model, "many.smi")
    if name == "evaluate":
        first = ("many.smi", "--reference", "many.smi")
    if name == "train":
        first = ("set.smi",)
    if name == "train-classifier":
        first = ("set.smi", "--model", model)
    if name == "fit-property":
        first = ("table.csv",)
    return [name, *map(str, (*first, *NEVER_ENDING[name]))]


def sent(
    words: list[str], folder: Path, kind: signal.Signals, moment: float | Callable[[], bool]
) -> Ran:
    """Run a command that gets a signal seconds after its begin, or once something holds."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder, env=environment,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        assert process.stderr.readline() == f"{BEGUN}\n"
        if callable(moment):
            while not moment():
                assert process.poll() is None, process.communicate()
                time.sleep(0.005)
        else:
            time.sleep(moment)
        assert process.poll() is None, process.communicate()
        process.send_signal(kind)
        out, err = process.communicate(timeout=300)
    return Ran(process.returncode, out, err)


def check(ran: Ran, folder: Path) -> None:
    """Check status and messages, and that nothing half written is left."""
    assert ran.status == 130, ran
    assert "Traceback" not in ran.err, ran.err
    assert "Exception ignored" not in ran.err, ran.err
    assert "interrupted" in ran.err
    left = [path.name for path in folder.rglob(".*")]
    assert not left, "temporary files and locks"


@pytest.mark.parametrize(
    "kind", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("moment", [0.3])
def test_a_signal_during_imports(
    tiny_model: Path, tmp_path: Path, kind: signal.Signals, moment: float
) -> None:
    words = ["sample", str(tiny_model), "--n", "500000", "--out", str(tmp_path / "a.csv")]
    check(sent(words, tmp_path, kind, moment), tmp_path)


@pytest.mark.slow
def test_a_signal_in_training_keeps_the_checkpoint(tmp_path: Path) -> None:
    prepare(tmp_path)
    out = tmp_path / "folder"
    ran = sent(command("train", tmp_path), tmp_path, signal.SIGINT, lambda: find(out) is not None)
    check(ran, tmp_path)
    place = find(out)
    assert place is not None
    assert f"step {read_meta(place)['step']:,}" in ran.out


@pytest.mark.slow
@pytest.mark.parametrize("name", NEVER_ENDING)
def test_a_signal_at_any_moment(tiny_model: Path, tmp_path: Path, name: str) -> None:
    """At moments of imports, of reading, of work in threads and processes, and of writing."""
    prepare(tmp_path)
    rng = np.random.default_rng(len(name))
    for i, moment in enumerate(np.array([0.2, 2, 7]) * rng.uniform(0.5, 1.5, 3)):
        kind = (signal.SIGINT, signal.SIGTERM)[i % 2]
        check(sent(command(name, tiny_model), tmp_path, kind, float(moment)), tmp_path)
        if (tmp_path / "a.csv").exists():
            text = (tmp_path / "a.csv").read_text()
            assert text.endswith("\n"), "whole lines"
            assert {line.count(",") for line in text.splitlines()} == {
                text.splitlines()[0].count(",")
            }
