"""The size of a sweep, and its estimated duration, against draws that take a known time."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from molgen.frontiers.duration import TIMED, Duration, duration, words
from molgen.frontiers.method import Method
from molgen.frontiers.objective import Objective
from molgen.frontiers.plan import Sweep
from molgen.frontiers.sweep import run
from molgen.model import Model

OBJECTIVE = Objective("qed", "max", 256, 0.4, 1)


def sweep(model: Model, n: int = 256, methods: tuple[str, ...] = ("MDLM",), **axes: Any) -> Sweep:
    objective = Objective("qed", "max", n, 0.4, 1)
    parsed = tuple(Method.parse(text, model.name) for text in methods)
    given: dict[str, Any] = {"gammas": (1.0, 2.0), "steps": (4,), "seeds": (0,), **axes}
    return Sweep(objective, parsed, **given)


def test_the_size_of_what_is_missing(tiny: Model, tmp_path: Path) -> None:
    models = {tiny.name: tiny}
    small = sweep(tiny, n=8)
    assert str(duration(small, models, tmp_path)) == "2 runs, 16 rows to draw"
    run(small, models, tmp_path)
    assert duration(small, models, tmp_path) == Duration(0, 2, 0, None)
    more = sweep(tiny, n=8, seeds=(0, 1))
    assert str(duration(more, models, tmp_path)) == (
        "2 runs, 16 rows to draw (2 more are finished)"
    )
    with pytest.raises(ValueError, match="a sweep with n 8, not 256"):
        duration(sweep(tiny), models, tmp_path)


def test_the_estimate_is_near_the_duration(tiny: Model, tmp_path: Path) -> None:
    """Within a factor of four, on a machine that does other things meanwhile."""
    models = {tiny.name: tiny}
    wanted = sweep(tiny, 512, ("MDLM", "ReMDM; remask=rescale:eta=.3"), steps=(8,))
    found = duration(wanted, models, tmp_path)
    assert (found.runs, found.rows) == (4, 2048)
    assert found.seconds is not None
    start = time.perf_counter()
    run(wanted, models, tmp_path)
    assert 0.25 < found.seconds / (time.perf_counter() - start) < 4
    assert f"by the time of {TIMED} rows of each method" in str(found)


def test_more_steps_take_longer_under_remasking_alone(
    tiny: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 10**6, 7))
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(clock)))
    one: dict[Any, float] = {}
    for words_ in ("MDLM", "ReMDM; remask=rescale:eta=.3"):
        for steps in ((4,), (4, 16)):
            given = sweep(tiny, methods=(words_,), steps=steps, gammas=(2.0,))
            seconds = duration(given, {tiny.name: tiny}, tmp_path).seconds
            assert seconds is not None
            one[words_[0], len(steps)] = seconds
    assert one["M", 2] / one["M", 1] == pytest.approx(2)
    assert one["R", 2] / one["R", 1] == pytest.approx(1 + 16 / 4)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.1, "5 seconds"), (62, "60 seconds"), (110, "2 minutes"), (5000, "83 minutes"),
     (9000, "2.5 hours"), (100_000, "28 hours")],
)  # fmt: skip
def test_durations_in_words(seconds: float, text: str) -> None:
    assert words(seconds) == text
