from __future__ import annotations

import shlex
from typing import Any

from molgen.reports import record
from molgen.targets import Range
from molgen.utils.run_record import FORMAT, ModelHash, RunRecord

WORDS = ["zinc250k", "--target", "qed=.8..", "--target=sa=..3", "--n", "40", "--filter", "pains"]


def run(**changes: Any) -> RunRecord:
    counts = {
        "drawn": 59, "forwards": 1595, "oracle_calls": 0, "distinct": 56,
        "fates": {"invalid": 3, "duplicate": 0, "goal missed: qed": 16, "ok": 40},
        "met": {"qed=.8..": {"rows": 43, "distinct": 43}, "odd": 3},
    }  # fmt: skip
    given = {
        "molgen_record": FORMAT, "command": "design", "words": WORDS, "seed": 3,
        "reason": "complete",
        "model": ModelHash("zinc250k", "e2" * 32), "counts": counts, "settings": {"steps": 128},
    }  # fmt: skip
    return RunRecord(**{**given, **changes})


def test_goals_are_read_from_the_words() -> None:
    inf = float("inf")
    assert record.goals(run()) == {"qed": Range(0.8, inf), "sa": Range(-inf, 3.0)}
    odd = ["--target", "qed=???", "--target", "logp=2..3", "--", "--target", "sa=1"]
    assert record.goals(run(words=odd)) == {"logp": Range(2.0, 3.0)}


def test_the_request_is_in_words() -> None:
    found = record.request(run())
    assert found["goals"] == "qed 0.8 at least; sa 3 at most"
    assert found["molecules requested"] == "40"
    assert found["filters"] == "pains"
    assert found["seed"] == "3"
    assert found["cost"] == "1,595 forwards of the network"
    assert found["sampling"] == "steps 128"


def test_targets_in_words() -> None:
    assert record.in_words("max") == "as high as possible"
    assert record.in_words("min") == "as low as possible"
    assert record.in_words(2.0) == "near 2"
    assert record.in_words(Range(2, 3)) == "2 to 3"


def test_the_funnel_counts_every_row() -> None:
    found = record.funnel(run())
    assert found is not None
    assert (found.total, found.accepted) == (59, 40)
    assert [reason for reason, _, _ in found.steps] == ["invalid", "goal missed: qed"]
    assert found.steps[-1][2] == 40
    assert found.checks == {"qed=.8..": (43, 56)}


def test_counts_of_another_kind_make_no_funnel() -> None:
    given: list[dict[str, Any]] = [{}, {"fates": 3}, {"fates": {}}]
    for counts in (*given, {"fates": {"ok": "many", "invalid": -4}}):
        assert record.funnel(run(counts=counts)) is None


def test_commands_are_quoted_for_a_shell() -> None:
    words = ["my model", "--scaffold", "*c1ccc('$x')cc1", "--", "-odd"]
    found = record.commands(run(words=words), "my designs.csv")
    assert shlex.split(found["the run"]) == [
        "molgen", "design", *words[:3], "--out", "my designs.csv", "--", "-odd"
    ]  # fmt: skip
    assert shlex.split(found["the run, from its record"])[-1] == "my designs.csv.json"


def test_an_early_end_is_in_the_outcome() -> None:
    assert "40 rows from 59 drawn" in record.outcome(run(), 40)
    assert "the budget ended" in record.outcome(run(reason="the budget ended"), 4)
