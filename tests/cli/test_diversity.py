"""The option ``--diversity`` of ``molgen design`` and ``molgen sample``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from commands import Run, cells
from molgen.sampling.diversity import write_stops

PRESET = {
    **{"format": 1, "model": "tiny", "target": "qed=0.4..", "molgen": "0.1.0"},
    "sampling": {"steps": 12, "temperature": 0.5},
    "measured": {"n": 64, "quality": 0.5, "diversity": 0.8},
}


@pytest.fixture
def stepped(tiny_model: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "tiny"
    shutil.copytree(tiny_model, folder)
    write_stops(folder / "diversity.json", {"narrow": PRESET})
    return folder


@pytest.mark.parametrize("command", ["design", "sample"])
def test_a_stop_is_named_and_its_settings_give_way(
    molgen: Run, stepped: Path, tmp_path: Path, command: str
) -> None:
    out = tmp_path / "a.csv"
    ran = molgen(command, stepped, "--diversity", 0.7, "--n", 4, "--temperature", 0.9, "--out", out)
    assert ran.status == 0
    assert ran.out.startswith("stop narrow: diversity 0.800 and quality 50.0%")
    assert "qed" in cells(out)
    settings = json.loads((tmp_path / "a.csv.json").read_text())["settings"]
    assert (settings["steps"], settings["temperature"]) == (12, 0.9)


@pytest.mark.parametrize("command", ["design", "sample"])
def test_what_is_refused(
    molgen: Run, stepped: Path, tiny_model: Path, tmp_path: Path, command: str
) -> None:
    more = "--n", 4, "--out", tmp_path / "a.csv"
    wrong = molgen(command, stepped, "--diversity", "narow", *more).refused()
    assert "diversity is 'narow'" in wrong
    assert "did you mean narrow?" in wrong
    assert (
        "has no diversity.json" in molgen(command, tiny_model, "--diversity", 0.8, *more).refused()
    )
    (stepped / "diversity.json").write_text("{}")
    assert (
        "diversity.json has no stops"
        in molgen(command, stepped, "--diversity", 0.8, *more).refused()
    )
    (stepped / "p.json").write_text(json.dumps(PRESET))
    both = molgen(command, stepped, "--diversity", 0.8, "--preset", stepped / "p.json", *more)
    assert "preset and diversity" in both.refused()
    assert not (tmp_path / "a.csv").exists()
