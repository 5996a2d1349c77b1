"""Commands, endpoints and docking in the verbs, and the examples of docs/how-to/scorers.md."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rdkit import Chem

from commands import Run
from molgen.scorers.docking.vina import PACKAGES
from molgen.utils.imports import installed
from paths import ROOT

FEW = ("--steps", 6, "--batch-size", 64, "--allow-training-molecules", "--score-workers", 2)
SEARCH = ("--n", 4, "--nfe", 40, *FEW)


@pytest.fixture(scope="module")
def examples() -> dict[str, str]:
    """The programs of the page, by their names."""
    text = (ROOT / "docs" / "how-to" / "scorers.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n# (\S+)\n(.*?)```", text, re.DOTALL)
    return dict(blocks)


@pytest.fixture
def program(tmp_path: Path, examples: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Path("score.py").write_text(examples["score.py"])
    return f"command:{sys.executable} score.py"


def nitrogens(table: pd.DataFrame) -> list[float]:
    return [float(text.count("N")) for text in table["smiles"]]


def test_the_command_of_the_page(molgen: Run, tiny_model: Path, program: str) -> None:
    ran = molgen("search", tiny_model, "--score", f"{program}=max", *SEARCH, "--out", "a.csv")
    assert ran.status == 0, ran.err
    table = pd.read_csv("a.csv")
    values = table[program].tolist()
    assert values == nitrogens(table) == sorted(values, reverse=True)
    again = molgen("run", "a.csv.json").refused()
    assert "--allow-functions" in again
    before = Path("a.csv").read_bytes()
    assert molgen("run", "a.csv.json", "--allow-functions").status == 0
    assert Path("a.csv").read_bytes() == before


def test_the_server_of_the_page(
    molgen: Run, tiny_model: Path, examples: dict[str, str], tmp_path: Path
) -> None:
    pytest.importorskip("httpx", reason="the extra http is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    source = examples["server.py"]
    assert ", 8000)" in source
    server = subprocess.Popen(
        [sys.executable, "-c", source.replace("8000", str(port))], stderr=subprocess.DEVNULL
    )
    name = f"http://127.0.0.1:{port}/score"
    try:
        wait(port)
        out = tmp_path / "a.csv"
        words = ("--score", f"{name},retries=1", "--score", "qed=.1..", "--n", 5, *FEW)
        ran = molgen("design", tiny_model, *words, "--out", out)
        assert ran.status == 0, ran.err
        table = pd.read_csv(out)
        assert table[f"{name},retries=1"].tolist() == nitrogens(table)
    finally:
        server.kill()
        server.wait()


def wait(port: int) -> None:
    """Wait until something listens."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("the server does not listen")


def test_aggregates_on_the_command_line(molgen: Run, tiny_model: Path, program: str) -> None:
    words = ("--score", f"{program}=sigmoid(0,2)", "--target", "qed=gaussian(.4,.1)")
    ran = molgen("search", tiny_model, *words, "--aggregate", "product", *SEARCH, "--out", "a.csv")
    assert ran.status == 0, ran.err
    table = pd.read_csv("a.csv")
    sigmoid = 1 / (1 + 19 ** ((2 - 2 * table[program]) / 2))
    score = (sigmoid * pow(2.718281828459045, -0.5 * ((table["qed"] - 0.4) / 0.1) ** 2)) ** 0.5
    assert score.is_monotonic_decreasing
    lead = ("optimize", tiny_model, "OCCO", "--oracle-calls", 6, "--attempts", 6, *words)
    few = ("--steps", 6, "--similarity", 0.01, "--score-workers", 2)
    ran = molgen(*lead, *few, "--aggregate", "weighted-mean", "--out", "b.csv")
    assert ran.status in (0, 3), ran.err
    mixed = ("search", tiny_model, "--target", "qed=max", "--score", f"{program}=sigmoid(0,2)")
    refused = molgen(*mixed, *SEARCH, "--aggregate", "product", "--out", "c.csv").refused()
    assert "target qed=max has none" in refused


def test_names_with_parameters_and_their_targets(
    molgen: Run, tiny_model: Path, program: str
) -> None:
    words = ("search", tiny_model, *SEARCH, "--out", "a.csv", "--score")
    column = f"{program},retries=1"
    assert f"score is {column!r}, expected a direction" in molgen(*words, column).refused()
    assert molgen(*words, f"{column}=min").status == 0
    assert column in pd.read_csv("a.csv")


PAID = """
import json, os, sys
for line in sys.stdin:
    smiles = json.loads(line)["smiles"]
    paid = open("paid").readlines() if os.path.exists("paid") else []
    if len(paid) >= 12 and not os.path.exists("licence"):
        os._exit(1)
    with open("paid", "a") as file:
        file.write(smiles + "\\n")
    print(json.dumps({"value": len(smiles)}), flush=True)
"""


def test_paid_scores_are_not_paid_again(molgen: Run, tiny_model: Path, program: str) -> None:
    Path("score.py").write_text(PAID)
    drawn = ("sample", tiny_model, "--n", 160, "--steps", 6, "--score", program)
    words = (*drawn, "--score-workers", 2, "--out", "a.csv")
    stopped = molgen(*words)
    assert stopped.status == 2
    assert "the command ended with exit status 1; stopped" in stopped.err
    before = Path("paid").read_text().splitlines()
    assert len(before) in (12, 13)  # two programs count at the same time
    Path("licence").touch()
    assert molgen(*words, "--resume").status == 0
    paid = Path("paid").read_text().splitlines()
    table = pd.read_csv("a.csv")
    valid = table[table["status"] == "ok"]
    assert sorted(paid) == sorted(set(valid["smiles"]))
    assert valid[program].tolist() == [len(text) for text in valid["smiles"]]


@pytest.mark.skipif(not all(map(installed, PACKAGES)), reason="the extra docking is not installed")
def test_docking_states_its_cost_and_keeps_poses(
    molgen: Run, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    atom = "ATOM      1  C   ALA A   1       0.000   0.000   4.500  1.00  0.00     0.100 C"
    Path("one.pdbqt").write_text(atom + "\n")
    name = "dock:one.pdbqt,box=0,0,0,12,12,12,exhaustiveness=1,evaluations=500,isomers=1"
    words = ("--score", f"{name}=min", "--oracle-calls", 3, *SEARCH)
    ran = molgen("search", tiny_model, *words, "--out", "a.csv")
    assert ran.status in (0, 3), ran.err
    assert "s a ligand and core (box 12 x 12 x 12 angstrom" in ran.err
    table = pd.read_csv("a.csv")
    assert len(table) > 0
    assert {name, f"efficiency:{name}"} <= set(table)
    assert len(list(Path("a.csv.poses").iterdir())) >= len(table)
    lead = ("optimize", tiny_model, "OCCO", "--oracle-calls", 3, "--attempts", 6, "--steps", 6)
    ran = molgen(*lead, "--similarity", 0.01, "--score", f"{name}=min", "--out", "b.csv")
    assert ran.status in (0, 3), ran.err
    attempts = pd.read_csv("b.csv")
    drawn = attempts[attempts[name].notna()]
    atoms = [Chem.MolFromSmiles(text).GetNumHeavyAtoms() for text in drawn["smiles"]]
    np.testing.assert_allclose(drawn[f"efficiency:{name}"], drawn[name] / atoms, rtol=1e-5)
