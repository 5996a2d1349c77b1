"""A second run in one folder is refused in one line, and changes nothing."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from commands import Run
from molgen.utils.locks import locked
from predictors import write
from small_data import SMILES, TINY


@contextmanager
def another_run(folder: Path) -> Iterator[None]:
    """Another run in a folder, on a thread."""
    entered, over = threading.Event(), threading.Event()

    def hold() -> None:
        with locked(folder):
            entered.set()
            over.wait(timeout=300)

    thread = threading.Thread(target=hold)
    thread.start()
    assert entered.wait(timeout=60)
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize(
    "command", ["train", "train-classifier", "fit-property", "frontier", "scaling", "tune"]
)
def test_a_second_run_in_a_folder_is_refused(
    molgen: Run, tiny_model: Path, tmp_path: Path, command: str
) -> None:
    pytest.importorskip("sklearn", reason="needs the extra 'learn'")
    smi, out = tmp_path / "set.smi", tmp_path / "out"
    smi.write_text("\n".join(SMILES) + "\n")
    sweep = (tiny_model, "--property", "qed", "--method", "A", "--n", 4, "--seeds", 0)
    words: tuple[object, ...] = {
        "train": (smi, "--epochs", 1, *TINY),
        "train-classifier": (smi, "--model", tiny_model, "--epochs", 1),
        "fit-property": (write(tmp_path / "table.csv"), "--column", "y"),
        "frontier": (*sweep, "--gamma", 1, "--steps", 4),
        "scaling": (*sweep, "--steps", 4),
        "tune": (tiny_model, "--target", "qed=max", "--n", 8, "--start", 4, "--candidates", 2),
    }[command]
    folder = tmp_path / "out-rungs" if command == "tune" else out
    place = tmp_path / "out.json" if command == "tune" else out
    with another_run(folder):
        before = sorted(os.listdir(folder))
        line = molgen(command, *words, "--out", place).refused()
        assert str(folder) in line
        assert sorted(os.listdir(folder)) == before
        assert not (tmp_path / "out.json").exists()
