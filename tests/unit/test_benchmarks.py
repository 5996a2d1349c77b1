"""Benchmarks: a run leaves the measured tables alone."""

import re
from pathlib import Path

import pytest

SCRIPTS = sorted((Path(__file__).parents[2] / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_no_script_writes_into_results_unless_told_to(script: Path) -> None:
    assert not re.search(r"""["']results["'/]""", script.read_text(encoding="utf-8"))
