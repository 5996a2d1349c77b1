"""User's functions that fail, hang or exit, in every command: they cost molecules, never a run."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import pytest

from commands import Run

SCORERS = """
import os
import time
import zlib

from rdkit import Chem

CALLS = [0]

def size(mol):
    return float(mol.GetNumAtoms())

def late(mol):
    CALLS[0] += 1
    if CALLS[0] > 12:
        raise RuntimeError("license expired")
    return size(mol)

def kekulised(mol):
    Chem.Kekulize(mol, clearAromaticFlags=True)
    return float(mol.GetNumBonds())

def leaves(mol):
    if mol.GetNumAtoms() == 9:
        os._exit(0)
    return size(mol)

def hangs(mol):
    while mol.GetNumAtoms() == 8:
        time.sleep(1)
    return size(mol)

def infinite(mol):
    return float("inf") if mol.GetNumAtoms() == 7 else size(mol)

def dead(mol):
    raise RuntimeError("license expired")

def share(mol):
    return zlib.crc32(b"12" + Chem.MolToSmiles(mol).encode()) % 1000

def careless(mol):
    part = share(mol)
    if part < 50:
        raise RuntimeError("out of luck")
    if part < 60:
        time.sleep(60)
    if part < 65:
        os._exit(0)
    if part < 90:
        return float("nan")
    if part < 115:
        return float("inf")
    print("scored")
    return size(mol)

def undefined(mol):
    return None if share(mol) < 115 else size(mol)
"""
AROMATIC = "smiles\nc1ccccc1O\nCc1ccncc1\nCCO\n"
LEADS = ["CCO", "CCN", "CC=O", "CCCC", "CCOC", "OCCO"]
CAREFUL = ("--score-timeout", 1, "--score-workers", 2)
NAMES = ("careless", "undefined")
Rows = list[dict[str, str]]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "scorers.py").write_text(SCORERS)
    (tmp_path / "leads.smi").write_text("\n".join(LEADS) + "\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rows(path: str, name: str = "") -> Rows:
    """The rows of a table; the name of a property is replaced by ``scored``."""
    with open(path, newline="") as file:
        text = file.read()
    text = text.replace(f"scorers.py:{name}", "scored") if name else text
    return list(csv.DictReader(text.splitlines()))


def without_messages(table: Rows) -> Rows:
    return [{key: cell.partition(" (")[0] for key, cell in row.items()} for row in table]


COMMANDS: dict[str, Sequence[object]] = {
    "sample": ("sample", "MODEL", "--n", 160, "--property", "scorers.py:NAME"),
    "design": ("design", "MODEL", "--n", 40, "--target", "scorers.py:NAME=5.."),
    "survey": ("design", "MODEL", "--n", 240, "--no-filter", "--target", "scorers.py:NAME=5.."),
    "search": ("search", "MODEL", "--n", 6, "--target", "scorers.py:NAME=max", "--nfe", 40),
    "optimize": (
        *("optimize", "MODEL", "leads.smi", "--target", "scorers.py:NAME=max"),
        *("--oracle-calls", 10, "--attempts", 12, "--similarity", 0.1),
    ),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_careless_scorer_leaves_the_run_of_one_without_those_values(
    molgen: Run, tiny_model: Path, command: str
) -> None:
    tables, reports = {}, {}
    for name in NAMES:
        put = {"MODEL": str(tiny_model), "scorers.py:NAME": f"scorers.py:{name}"}
        words = [put.get(str(w), str(w).replace("NAME", name)) for w in COMMANDS[command]]
        ran = molgen(*words, "--out", f"{name}.csv", *CAREFUL)
        assert ran.status in (0, 3), ran.err
        assert "scored\n" not in ran.out
        tables[name] = rows(f"{name}.csv", name)
        reports[name] = ran
    careless, undefined = tables.values()
    assert without_messages(careless) == without_messages(undefined)
    for name, ran in reports.items():
        (line,) = [line for line in ran.err.splitlines() if line.startswith("property ")]
        assert f"'scorers.py:{name}': failed on " in line
    lines = [ran.out.replace(name, "NAME") for name, ran in reports.items()]
    counted = [line for line in lines[0].splitlines() if "scorer failed" in line]
    if command != "sample":
        assert counted == [line for line in lines[1].splitlines() if "scorer failed" in line] != []
    if command in ("survey", "optimize"):
        fates = [row["lost" if command == "survey" else "outcome"] for row in careless]
        told = {fate.partition(" (")[2] for fate in fates if fate.startswith("scorer failed")}
        assert len(told) == 5 if command == "survey" else told  # every kind of failure
        assert all((row["scored"] != "") or fate for row, fate in zip(careless, fates, strict=True))


@pytest.mark.parametrize(
    ("name", "lost", "message"),
    [
        ("leaves", 9, "the process ended with exit status 0"),
        ("hangs", 8, "no result after 1 s"),
        ("infinite", 7, "returned inf, expected a finite number"),
    ],
)
def test_one_size_of_molecule_is_lost(
    molgen: Run, tiny_model: Path, name: str, lost: int, message: str
) -> None:
    words = ("--property", f"scorers.py:{name}", "--property", "scorers.py:size")
    ran = molgen("sample", tiny_model, "--n", 30, *words, "--out", "out.csv", *CAREFUL)
    assert ran.status == 0, ran.err
    valid = [row for row in rows("out.csv") if row["smiles"]]
    sizes = [float(row["scorers.py:size"]) for row in valid]
    assert lost in sizes
    expected = ["" if size == lost else f"{size:g}" for size in sizes]
    assert [row[f"scorers.py:{name}"] for row in valid] == expected
    assert message in ran.err
    assert ran.err.count("\n") == 1


def test_a_license_that_expires_stops_the_run_and_keeps_what_it_has(
    molgen: Run, tiny_model: Path
) -> None:
    target = ("--target", "scorers.py:late=5..", "--score-workers", 1)
    ran = molgen("design", tiny_model, "--n", 50, *target, "--out", "out.csv")
    assert ran.status == 2
    assert ran.err.count("\n") == 1
    assert "RuntimeError: license expired; stopped" in ran.err
    found = rows("out.csv")
    assert found
    assert all(float(row["scorers.py:late"]) >= 5 for row in found)
    assert f"{len(found)} kept" in ran.out


@pytest.mark.parametrize("command", COMMANDS)
def test_a_dead_scorer_stops_every_command(molgen: Run, tiny_model: Path, command: str) -> None:
    put = {"MODEL": str(tiny_model)}
    words = [put.get(str(w), str(w).replace("NAME", "dead")) for w in COMMANDS[command]]
    ran = molgen(*words, "--out", "out.csv")
    assert ran.status == 2
    said = [line for line in ran.err.splitlines() if "failed on 20 of 20 molecules" in line]
    assert len(said) == 1
    assert all(row["scorers.py:dead"] == "" for row in rows("out.csv"))
    drawn = {"sample": 160, "survey": 240}
    assert len(rows("out.csv")) == drawn.get(command, len(rows("out.csv")))


def test_a_scorer_that_changes_its_molecule_changes_no_other_column(
    molgen: Run, folder: Path
) -> None:
    (folder / "in.csv").write_text(AROMATIC)
    alone = molgen("evaluate", "in.csv", "--property", "logp", "--json", "--counts-only")
    words = ("--property", "scorers.py:kekulised", "--property", "logp")
    both = molgen("evaluate", "in.csv", *words, "--json", "--counts-only")
    mean = '"logp_mean_unique"'
    assert [line for line in alone.out.splitlines() if mean in line] == [
        line for line in both.out.splitlines() if mean in line
    ]
    assert '"scorers.py:kekulised_mean_unique": 5.3' in both.out


@pytest.mark.parametrize("option", ["--score-timeout", "--score-workers"])
def test_bad_numbers(molgen: Run, tiny_model: Path, option: str) -> None:
    words = ("sample", tiny_model, "--n", 1, "--out", "out.csv", option, 0)
    assert option in molgen(*words).refused()
