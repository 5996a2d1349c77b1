"""A part of the hostile inputs of ``make fuzz``, and the watch over them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fuzz.watch import Watch
from paths import ROOT


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_thousand_hostile_inputs_do_no_harm(tmp_path: Path) -> None:
    words = ["--inputs", "1000", "--seed", "1", "--out", str(tmp_path / "fuzz")]
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "fuzz"), *words],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_watch_sees_what_it_is_there_for(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    module = inside / "evil.py"
    module.write_text("x = 1\n")
    watch = Watch(inside)
    with watch.over() as seen:
        (inside / "allowed").write_text("")
    assert not seen
    with watch.over() as seen:
        (tmp_path / "elsewhere").write_text("")
        subprocess.run([sys.executable, "-c", ""], check=True)
        exec(compile("y = 2", str(module), "exec"))
    assert [line.split()[0] for line in seen] == ["opened", "subprocess.Popen", "ran"]
