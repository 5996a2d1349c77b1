"""``molgen sample`` interrupted: finished rows are written, and no other file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from commands import Run, cells, names
from molgen.sampling.finished import Finished
from molgen.utils.run_record import read_record


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_writes_finished_rows(
    molgen: Run,
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: signal.Signals,
) -> None:
    words = ("sample", tiny_model, "--n", 40, "--steps", 8, "--batch-size", 4, "--property", "mw")
    assert molgen(*words, "--out", tmp_path / "whole.csv").status == 0
    keep, handler = Finished.add, signal.getsignal(signal.SIGTERM)
    calls: list[int] = []

    def interrupted(finished: Finished, *rows: Any) -> None:
        keep(finished, *rows)
        calls.append(0)
        if len(calls) == 4:
            signal.raise_signal(kind)

    monkeypatch.setattr(Finished, "add", interrupted)
    ran = molgen(*words, "--out", tmp_path / "part.csv", "--trajectory", tmp_path / "events.csv")
    assert ran.status == 130
    part, whole = cells(tmp_path / "part.csv"), cells(tmp_path / "whole.csv")
    assert 4 <= len(part) < 40
    assert ran.err == f"interrupted: {len(part)} of 40 rows written\n"
    same = whole.set_index("index").loc[part["index"]].reset_index()
    assert part["raw"].tolist() == same["raw"].tolist()
    assert part["mw"].tolist() == same["mw"].tolist()
    assert part["index"].astype(int).is_monotonic_increasing
    kept = {"part.csv", "part.csv.json", "part.csv.journal", "whole.csv", "whole.csv.json"}
    assert names(tmp_path) == kept
    assert read_record(tmp_path / "part.csv.json").reason == "interrupted"
    assert signal.getsignal(signal.SIGTERM) is handler


def test_interrupted_before_the_first_row_writes_no_file(
    molgen: Run, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("molgen.guidance.predictor.NetworkPredictor.__call__", interrupted)
    ran = molgen("sample", tiny_model, "--n", 40, "--out", tmp_path / "a.csv")
    assert (ran.status, ran.err, ran.out) == (130, "molgen sample: interrupted\n", "")
    assert not list(tmp_path.iterdir())


REPORTING = """
import sys
from molgen.cli import main
from molgen.sampling.finished import Finished
keep = Finished.add
def report(*rows):
    keep(*rows)
    print("rows", flush=True)
Finished.add = report
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_a_terminated_process_writes_finished_rows(tiny_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.csv"
    words = [
        "sample", str(tiny_model), "--n", "200000", "--steps", "8", "--batch-size", "16",
        "--out", str(out),
    ]  # fmt: skip
    with subprocess.Popen(
        [sys.executable, "-c", REPORTING, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "rows\n", process.communicate()[1]
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=300)
    assert process.returncode == 130, err
    table = cells(out)
    assert err == f"interrupted: {len(table)} of 200000 rows written\n"
    assert 0 < len(table) < 200000
