"""``molgen train`` in processes of their own: killed and continued, and without RDKit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from commands import Run, names
from molgen.cli import main
from molgen.molecules.training_index import TrainingIndex
from molgen.training.state import find, read_meta
from small_data import SMILES, TINY, dataset

NO_RDKIT = """
import sys
class Forbidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("rdkit", "selfies"):
            raise ModuleNotFoundError(f"{name} is not to be imported", name=name)
sys.meta_path.insert(0, Forbidden())
from molgen.cli import main
npz, smi, out = sys.argv[1:4]
print("status", main(["train", npz, "--out", out, *sys.argv[4:]]))
sys.exit(main(["train", smi, "--out", f"{out}-2"]))
"""


def test_training_needs_no_rdkit(tmp_path: Path) -> None:
    dataset().save(tmp_path / "dataset.npz")
    TrainingIndex.from_smiles(SMILES).save(tmp_path / "training_index.safetensors")
    (tmp_path / "set.smi").write_text("C\n")
    files = [str(tmp_path / name) for name in ("dataset.npz", "set.smi", "out")]
    code = [sys.executable, "-c", NO_RDKIT, *files, "--epochs", "1", *TINY]
    done = subprocess.run(code, capture_output=True, text=True, check=False)
    assert "status 0" in done.stdout, done.stderr
    written = names(tmp_path / "out")
    assert written >= {"config.json", "model.safetensors", "tokenizer.json", "README.md"}
    # a file of SMILES needs it, and the error is one line
    assert done.returncode == 2
    complaint = "molgen train: this needs the package 'rdkit', which is not installed"
    assert done.stderr.splitlines()[-1] == complaint
    assert "Traceback" not in done.stderr


# It stops itself: on a busy machine another process may get no time before the run ends.
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


LONG = ["--epochs", "60", "--checkpoint-every", "10", *TINY]
STEPS = 240


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run leaves that is not stopped."""
    folder = tmp_path_factory.mktemp("whole")
    dataset().save(folder / "set.npz")
    assert main(["train", str(folder / "set.npz"), "--out", str(folder / "out"), *LONG]) == 0
    return folder / "out"


@pytest.mark.parametrize(
    "kill", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_a_killed_run_is_resumed_exactly(
    molgen: Run, whole: Path, tmp_path: Path, kill: signal.Signals
) -> None:
    dataset().save(tmp_path / "set.npz")
    out = tmp_path / "out"
    code = [sys.executable, "-c", KILLED_AT_THE_FIRST_CHECKPOINT, str(out), str(int(kill))]
    command = ["train", str(tmp_path / "set.npz"), "--out", str(out), *LONG]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(
        [*code, *command], capture_output=True, text=True, check=False, env=environment
    )
    place = find(out)
    assert place is not None, ran.stderr
    assert read_meta(place)["step"] < STEPS, "killed before its end"
    if kill == signal.SIGTERM:
        assert ran.returncode == 130
        assert "the same command resumes the run" in ran.stdout
        assert "Traceback" not in ran.stderr
    assert molgen("train", tmp_path / "set.npz", "--out", out, *LONG).status == 0
    assert read_meta(whole / "state")["step"] == STEPS
    for file in ("model.safetensors", "state/state.safetensors"):
        assert (whole / file).read_bytes() == (out / file).read_bytes()
