"""Processes that are killed at random moments: nothing of five seconds before is lost."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

import kills
from commands import Run


@pytest.mark.slow
def test_a_killed_run_keeps_what_it_had(
    molgen: Run, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["sample", str(tiny_model), "--n", "300", "--property", kills.OWN, "--out"]
    kills.prepare(tmp_path, pause=0)
    assert molgen(*words, "whole.csv").status == 0
    every = kills.calls(tmp_path)
    (tmp_path / "calls.log").unlink()

    kills.prepare(tmp_path, pause=0.1)
    process = kills.start([*words, "out.csv"], tmp_path)
    while len(kills.calls(tmp_path)) < len(every) // 4:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    time.sleep(2.5)
    cut = kills.kill(process, tmp_path, seconds=2)
    assert cut.stored == 300
    assert len(every) // 4 <= len(cut.paid) < len(every)

    kills.prepare(tmp_path, pause=0)
    assert molgen(*words, "out.csv", "--resume").status == 0
    again = kills.calls(tmp_path)
    assert not cut.paid & again
    assert again < every
    assert Path("out.csv").read_bytes() == Path("whole.csv").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("command", kills.COMMANDS)
def test_every_command_keeps_what_it_had(tmp_path: Path, command: str) -> None:
    kills.prepare(tmp_path)
    words = [word.replace("MODEL", "qm9") for word in kills.COMMANDS[command]]
    seconds, expected = kills.whole(words, tmp_path)
    rng = random.Random(command)
    done = [kills.killed(words, tmp_path, rng.uniform(0.1, 0.9) * seconds, expected) for _ in "ab"]
    assert all(kill is None or kill.good for kill in done), done
