"""Former names of options and commands are equivalent to the current ones."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from commands import Run
from molgen.cli.former import COMMANDS, OPTIONS, renamed


def test_former_names_are_replaced() -> None:
    before = ["optimize", "qm9", "--tries=5", "--propose", "2", "--out", "train-guide"]
    now = ["optimize", "qm9", "--attempts=5", "--top-k", "2", "--out", "train-guide"]
    assert renamed(before) == now
    assert renamed(now) == now
    assert renamed(["train-guide", "x.npz"]) == ["train-classifier", "x.npz"]
    assert not set(OPTIONS) & set(OPTIONS.values())
    assert not set(COMMANDS) & set(COMMANDS.values())


def test_a_former_command_draws_the_same(molgen: Run, tiny_model: Path, tmp_path: Path) -> None:
    command = ("optimize", tiny_model, "CCO", "--target", "qed=max", "--similarity", 0, "--seed", 1)
    few = ("--steps", 6, "--oracle-calls", 9)
    now = molgen(*command, *few, "--attempts", 6, "--stop-after", 1, "--out", tmp_path / "now.csv")
    before = molgen(*command, *few, "--tries", 6, "--enough", 1, "--out", tmp_path / "before.csv")
    assert now.status == before.status
    tables = [pd.read_csv(tmp_path / f"{name}.csv") for name in ("now", "before")]
    pd.testing.assert_frame_equal(*tables)
