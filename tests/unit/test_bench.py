"""The benchmark runs at tiny sizes, and marks what became slower."""

from __future__ import annotations

import json
from pathlib import Path

import bench
import pytest
from bench_parts import history, sampling
from bench_parts.part import Part

TINY = ["--size", "0.01", "--repetitions", "2"]
RATIO = "store: store against bare sqlite"


def test_a_part_is_measured_and_appended_and_a_slower_ratio_is_marked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "history.jsonl"
    words = ["--parts", "store", *TINY, "--history", str(path)]
    assert bench.main(words) == 0
    (run,) = history.read(path)
    ratio = run["ratios"][RATIO]
    assert 0 < ratio["lowest"] <= ratio["median"] <= ratio["highest"]
    faster = {name: 1e3 * value for name, value in ratio.items()}
    history.append(run | {"ratios": {RATIO: faster}}, path)
    capsys.readouterr()
    assert bench.main(words) == 1
    marked = [line for line in capsys.readouterr().out.splitlines() if "REGRESSION" in line]
    assert len(marked) == 1
    assert marked[0].startswith(RATIO)
    assert len(history.read(path)) == 3, "a run with a regression is kept, too"


def test_only_runs_on_this_processor_and_of_this_size_count() -> None:
    now = {"processor": "a", "size": 1.0}
    slow, fast = ({"median": m, "lowest": m - 1, "highest": m + 1} for m in (4, 8))
    runs = [
        {"processor": "a", "size": 1.0, "ratios": {"x": slow}},
        {"processor": "b", "size": 1.0, "ratios": {"x": fast}},
        {"processor": "a", "size": 0.5, "ratios": {"x": fast}},
    ]
    assert history.best(now, runs) == {"x": slow}
    assert history.best(now, [*runs, {**runs[0], "ratios": {"x": fast}}]) == {"x": fast}


def test_ranges_that_overlap_are_no_regression() -> None:
    before = {"x": {"median": 8.0, "lowest": 7.0, "highest": 9.0}}
    for highest, expected in ((7.1, []), (6.9, ["x"])):
        now = {"x": {"median": 6.5, "lowest": 6.0, "highest": highest}}
        assert history.regressions(now, before) == expected
    assert history.regressions({"new": before["x"]}, before) == []


def test_a_ratio_is_formed_within_a_repetition() -> None:
    part = Part("p", "row", lambda size: lambda seed: {}, {"r": ("old", "new")})
    found = history.compare(part, [{"old": 4.0, "new": 2.0}, {"old": 9.0, "new": 3.0}])
    assert found == {"p: r": {"median": 2.5, "lowest": 2.0, "highest": 3.0}}


@pytest.mark.parametrize("part", bench.PARTS.values(), ids=lambda part: part.name)
def test_every_ratio_has_its_cases(part: Part) -> None:
    cases = {case for pair in part.ratios.values() for case in pair}
    assert len(part.ratios) >= 1
    if part is sampling.PART:
        assert cases <= {*sampling.PLAIN, *sampling.DRAWN}


@pytest.mark.slow
def test_all_parts_run(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    assert bench.main([*TINY[:2], "--repetitions", "1", "--history", str(path)]) == 0
    (run,) = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    expected = {f"{part.name}: {name}" for part in bench.PARTS.values() for name in part.ratios}
    assert set(run["ratios"]) == expected
    assert all(value["lowest"] > 0 for value in run["ratios"].values())


def test_an_unknown_part_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        bench.main(["--parts", "weather"])
    assert end.value.code == 2
    assert "weather" in capsys.readouterr().err
