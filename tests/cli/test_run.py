"""Records beside outputs, and ``molgen run``, which repeats them and trusts none of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import tiny
from commands import Run, names
from molgen.sampling.settings import from_words
from molgen.utils.run_record import read_record

SEED = ("--seed", 7, "--steps", 8)
COMMANDS = {
    "sample": ("--n", 6, "--target", "qed=max", "--gamma", 2, "--temperature", 0.9),
    "design": ("--n", 2, "--target", "ring_count=0", "--max-draws", 200),
    "search": ("--n", 2, "--target", "qed=max", "--nfe", 30),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_same_rows_again(molgen: Run, tiny_model: Path, tmp_path: Path, command: str) -> None:
    out, again = tmp_path / "a.csv", tmp_path / "b.csv"
    ran = molgen(command, tiny_model, *COMMANDS[command], *SEED, f"--out={out}")
    assert ran.status in (0, 3), ran.err
    record = read_record(tmp_path / "a.csv.json")
    assert (record.command, record.seed) == (command, 7)
    assert record.rows == len(out.read_text().splitlines()) - 1
    assert from_words(record.settings).steps == 8
    assert {"molgen", "torch", "rdkit", "python"} == set(record.versions)
    assert record.model is not None
    assert len(record.model.sha256) == 64
    assert all(record.versions.values())
    assert molgen("run", f"{out}.json", "--out", again).status == ran.status
    assert again.read_bytes() == out.read_bytes()
    assert (tmp_path / "b.csv.json").read_text() == (tmp_path / "a.csv.json").read_text()
    out.unlink()
    assert molgen("run", f"{out}.json").status == ran.status  # the file that it is beside
    assert again.read_bytes() == out.read_bytes()


def test_leads_again(molgen: Run, tiny_model: Path, tmp_path: Path) -> None:
    out, leads = tmp_path / "a.csv", tmp_path / "leads.smi"
    leads.write_text("CCO one\nNCC=O two\n")
    words = ("--target", "qed=max", "--attempts", 4, "--similarity", 0.2, *SEED)
    ran = molgen("optimize", tiny_model, leads, *words, "--out", out)
    assert ran.status in (0, 3), ran.err
    record = read_record(f"{out}.json")
    assert (record.reason, record.counts["leads"]) == ("complete", 2)
    again = molgen("run", f"{out}.json", "--out", "-")
    assert again.out == out.read_text()
    assert names(tmp_path) == {"a.csv", "a.csv.json", "leads.smi"}


def test_without_a_record(molgen: Run, tiny_model: Path, tmp_path: Path) -> None:
    words = ("sample", tiny_model, "--n", 2, "--steps", 4, "--out", tmp_path / "a.csv")
    assert molgen(*words, "--no-record").status == 0
    assert names(tmp_path) == {"a.csv"}


def test_a_file_that_is_no_record_is_never_replaced(
    molgen: Run, tiny_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.csv.json").write_text('{"mine": 1}')
    words = ("sample", tiny_model, "--n", 2, "--steps", 4, "--out", tmp_path / "a.csv")
    assert "is no record of a run" in molgen(*words).refused()
    assert (tmp_path / "a.csv.json").read_text() == '{"mine": 1}'
    assert molgen(*words, "--no-record").status == 0


def drawn(molgen: Run, model: Path, folder: Path, *words: object) -> tuple[Path, dict[str, Any]]:
    """Return the path and the content of the record of a small run."""
    out = folder / "a.csv"
    assert molgen("sample", model, "--n", 2, "--steps", 4, *words, "--out", out).status == 0
    path = Path(f"{out}.json")
    return path, json.loads(path.read_text())


def test_other_weights_are_refused(molgen: Run, tmp_path: Path) -> None:
    model = tiny.save(tmp_path / "m")
    path, _ = drawn(molgen, model, tmp_path)
    weights = model / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(bytes(content))
    assert "has weights" in molgen("run", path).refused()


def test_other_versions_are_named(molgen: Run, tiny_model: Path, tmp_path: Path) -> None:
    path, record = drawn(molgen, tiny_model, tmp_path)
    record["versions"] |= {"torch": "1.0", "other": "3"}
    path.write_text(json.dumps(record))
    ran = molgen("run", path)
    assert ran.status == 0
    assert "made with torch 1.0" in ran.err
    assert ran.err.count("made with") == 1


def test_functions_of_a_record_are_run_only_if_allowed(
    molgen: Run, tiny_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "own.py").write_text(
        "import pathlib\npathlib.Path(__file__).with_name('ran').touch()\n"
        "def atoms(mol):\n    return mol.GetNumAtoms()\n"
    )
    path, _ = drawn(molgen, tiny_model, tmp_path, "--property", f"{tmp_path}/own.py:atoms")
    (tmp_path / "ran").unlink()
    assert "--allow-functions" in molgen("run", path).refused()
    assert not (tmp_path / "ran").exists()
    assert molgen("run", path, "--allow-functions").status == 0
    assert (tmp_path / "ran").exists()
    assert molgen("sample", tiny_model, "--n", 1, "--steps", 4, "--out", tmp_path / "c.csv",
                  "--property", f"{tmp_path}/own.py:atoms").status == 0  # fmt: skip


def test_further_files_of_a_record_are_written_beside_its_output(
    molgen: Run, tiny_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "far").mkdir()
    far = tmp_path / "far" / "events.csv"
    path, _ = drawn(molgen, tiny_model, tmp_path, "--trajectory", far)
    events = far.read_bytes()
    far.unlink()
    assert molgen("run", path).status == 0
    assert (tmp_path / "events.csv").read_bytes() == events
    assert not far.exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"command": "train"}, "command is 'train', expected one of sample"),
        ({"command": "run"}, "command is 'run'"),
        ({"molgen_record": 2}, "molgen_record is 2, expected 1"),
        ({"words": "rm"}, "words is 'rm'"),
        ({"words": [1]}, "words[0] is 1"),
        ({"words": ["nosuch", "--n", "1"]}, "no model 'nosuch'"),
        ({"words": ["--help-me"]}, "molgen sample"),
        ({"model": {"name": "x"}}, "sha256"),
    ],
)
def test_records_that_are_none_are_one_line(
    molgen: Run, tiny_model: Path, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    path, record = drawn(molgen, tiny_model, tmp_path)
    before = path.with_suffix("").read_bytes()
    path.write_text(json.dumps(record | change))
    assert message in molgen("run", path).refused()
    assert path.with_suffix("").read_bytes() == before


def test_a_missing_or_misnamed_record(molgen: Run, tiny_model: Path, tmp_path: Path) -> None:
    assert "No such file" in molgen("run", tmp_path / "a.csv.json").refused()
    path, _ = drawn(molgen, tiny_model, tmp_path)
    path.rename(tmp_path / "record")
    assert "ending in .json" in molgen("run", tmp_path / "record").refused()
