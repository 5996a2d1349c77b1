"""Processes that are killed at random moments: nothing of five seconds before is lost."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

import kills


def test_a_killed_run_keeps_what_it_had(tiny_model: Path, tmp_path: Path) -> None:
    """One kill, of a run whose calls take long enough to be interrupted among them."""
    kills.prepare(tmp_path)
    words = ["sample", str(tiny_model), "--n", "400", "--property", kills.OWN]
    seconds, expected = kills.whole(words, tmp_path)
    kill = kills.killed(words, tmp_path, 0.8 * seconds, expected)
    assert kill is None or kill.good, kill


@pytest.mark.slow
@pytest.mark.parametrize("command", kills.COMMANDS)
def test_every_command_keeps_what_it_had(tmp_path: Path, command: str) -> None:
    kills.prepare(tmp_path)
    words = [word.replace("MODEL", "qm9") for word in kills.COMMANDS[command]]
    seconds, expected = kills.whole(words, tmp_path)
    rng = random.Random(command)
    done = [kills.killed(words, tmp_path, rng.uniform(0.1, 0.9) * seconds, expected) for _ in "ab"]
    assert all(kill is None or kill.good for kill in done), done
