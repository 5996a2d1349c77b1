"""User's functions in processes of their own: hangs and exits cost one molecule, order stays."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem

from property_models import compute, from_function, scoring, vectorised

CHAINS = ["C" * n for n in range(1, 16)]
SCORES = """
import os, time
from property_models import vectorised

def careless(mol):
    atoms = mol.GetNumAtoms()
    if atoms == 3:
        os._exit(7)
    if atoms == 5:
        raise SystemExit("bye")
    if atoms == 7:
        raise KeyboardInterrupt
    while atoms == 9:
        time.sleep(1)
    time.sleep(0.002 * (atoms % 4))
    return atoms

@vectorised()
def together(smiles):
    if "CCCC" in smiles:
        os._exit(0)
    return [len(text) for text in smiles]
"""
SCRIPT = """
from property_models import from_function, scoring
print("started")
offset = 10

class Local:
    size = 1

print(from_function(lambda mol: mol.GetNumAtoms() + offset + Local.size, "f")(["CCC", "x"]))
"""


@pytest.fixture
def scores(tmp_path: Path) -> Path:
    path = tmp_path / "scores.py"
    path.write_text(SCORES)
    return path


@pytest.mark.parametrize("workers", [1, 3])
def test_a_hang_and_an_exit_cost_one_molecule(scores: Path, workers: int) -> None:
    name = f"{scores}:careless"
    with scoring(timeout=1, workers=workers) as run:
        found = compute([name, "count:C"], CHAINS)
    expected = np.array([np.nan if n in (3, 5, 7, 9) else n for n in range(1, 16)])
    np.testing.assert_array_equal(found[name], expected)
    np.testing.assert_array_equal(found["count:C"], np.arange(1, 16))
    assert run.failures[name].messages == {
        "CCC": "the process ended with exit status 7",
        "CCCCC": "SystemExit: bye",
        "CCCCCCC": "KeyboardInterrupt",
        "CCCCCCCCC": "no result after 1 s",
    }


def test_a_list_that_ends_its_process_is_repeated_one_by_one(scores: Path) -> None:
    with scoring(workers=2) as run:
        found = compute([f"{scores}:together"], CHAINS[:6])[f"{scores}:together"]
    np.testing.assert_array_equal(found, [1, 2, 3, np.nan, 5, 6])
    assert run.failures[f"{scores}:together"].messages.keys() == {"CCCC"}


def test_processes_end_with_the_run(scores: Path) -> None:
    def process(mol: Chem.Mol) -> float:
        return float(os.getpid())

    prop = from_function(process)
    with scoring(workers=1):
        first, second = prop(["C", "CC"]), prop(["C"])
    assert len({*first, *second}) == 1
    assert first[0] != os.getpid()
    with pytest.raises(ProcessLookupError):
        os.kill(int(first[0]), 0)


def test_a_script_without_a_guard_is_not_run_again(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.stdout == "started\n[14. nan]\n", done.stderr


def test_functions_that_cannot_travel_are_refused() -> None:
    lock = threading.Lock()
    with pytest.raises(ValueError, match=r"'locked'.*cannot be sent to another process"):
        from_function(lambda mol: lock.locked(), "locked")(["C"])


def test_a_module_that_never_loads_elsewhere_fails_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("property_models.processes.START_SECONDS", 0.2)
    path = tmp_path / "slow.py"
    path.write_text(
        "import multiprocessing, time\n"
        "if multiprocessing.parent_process(): time.sleep(60)\n"
        "def one(mol): return 1.0\n"
    )
    start = time.monotonic()
    with scoring(timeout=0.2, workers=1) as run:
        found = compute([f"{path}:one"], CHAINS)[f"{path}:one"]
    assert np.isnan(found).all()
    assert set(run.failures[f"{path}:one"].messages.values()) == {"no process has started"}
    assert time.monotonic() - start < 20


@pytest.mark.parametrize(("name", "value"), [("timeout", 0), ("timeout", np.inf), ("workers", 0)])
def test_bad_numbers(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} is {value}"), scoring(**{name: value}):  # type: ignore[arg-type]
        pass


def test_nothing_is_imported_for_built_in_properties() -> None:
    script = (
        "import sys, molgen, property_models as p; p.compute(['qed'], ['CC']);"
        "print({'pebble', 'cloudpickle'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr


def test_a_vectorised_function_gets_lists_of_at_most_a_hundred() -> None:
    @vectorised()
    def size(smiles: list[str]) -> list[int]:
        return [len(smiles)] * len(smiles)

    with scoring(workers=2):
        found = from_function(size)(["C" * n for n in range(1, 131)])
    np.testing.assert_array_equal(found, [100] * 100 + [30] * 30)
