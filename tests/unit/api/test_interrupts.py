"""Ctrl-C in Python keeps what there is: the rows, molecules and attempts that have ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import molgen
from molgen.model import Model
from molgen.sampling.finished import Finished

FEW: dict[str, Any] = {"steps": 8, "batch_size": 4}


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Model:
    return molgen.load(tiny_model)


def interrupt_after(calls: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupt a sampler when rows have ended a number of times."""
    add, made = Finished.add, []

    def interrupted(finished: Finished, *rows: Any) -> None:
        add(finished, *rows)
        made.append(0)
        if len(made) == calls:
            raise KeyboardInterrupt

    monkeypatch.setattr(Finished, "add", interrupted)


def test_a_sample_has_the_rows_that_have_ended(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {"seed": 3, "first": 5, **FEW}
    whole = model.sample(40, **given)
    interrupt_after(4, monkeypatch)
    part = model.sample(40, **given)
    assert (part.reason, part.asked) == ("interrupted", 40)
    assert 4 <= len(part) < 40
    assert part["index"].is_monotonic_increasing
    same = whole.table.set_index("index").loc[part["index"]]
    for name in ("raw", "smiles", "status", "nfe"):
        assert part[name].tolist() == same[name].tolist()
    assert part.counts.drawn == len(part)


def test_a_sample_interrupted_at_once_is_empty(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("molgen.guidance.predictor.NetworkPredictor.__call__", interrupted)
    found = model.sample(10, steps=8)
    assert (len(found), found.reason) == (0, "interrupted")
    assert "raw" in found


@pytest.mark.parametrize(
    ("no_filter", "scaffold", "adapt"),
    [
        (False, None, "none"),
        (False, "*CO", "none"),
        (True, None, "none"),
        (False, None, "restart:until=valid+unique,budget=40"),
    ],
)
def test_a_design_has_the_molecules_of_an_unfinished_round(
    model: Model,
    monkeypatch: pytest.MonkeyPatch,
    no_filter: bool,
    scaffold: str | None,
    adapt: str,
) -> None:
    given: dict[str, Any] = {"scaffold": scaffold, "no_filter": no_filter, "adapt": adapt, **FEW}
    whole = molgen.design(model, None, 24, allow_training_molecules=True, **given)
    interrupt_after(3, monkeypatch)
    part = molgen.design(model, None, 24, allow_training_molecules=True, **given)
    assert part.reason == "interrupted"
    assert 0 < len(part) < 24
    assert part.counts.drawn == sum(part.counts.fates.values())
    if "unique" not in adapt:
        drawn = whole.table.set_index("index")["raw"]
        both = [row for row in part.table.itertuples() if row.index in drawn.index]
        assert both
        assert [row.raw for row in both] == [drawn[row.index] for row in both]


def test_a_search_keeps_what_its_first_draw_has(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt_after(6, monkeypatch)
    found = molgen.search(model, {"qed": "max"}, 40, nfe=50, allow_training_molecules=True, **FEW)
    assert found.reason == "interrupted"
    assert 0 < len(found) == found.counts.delivered
    assert found.counts.drawn < 40


LEADS = ["OCCO", "CCOC", "NCCCO", "CCNCO"]


@pytest.mark.parametrize("calls", [0, 8])
def test_leads_keep_the_attempts_that_have_ended(
    model: Model, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    given: dict[str, Any] = {"attempts": 12, "oracle_calls": calls, "similarity": 0.2, **FEW}
    whole = molgen.optimize(model, LEADS, {"qed": "max"}, **given)
    interrupt_after(7, monkeypatch)
    part = molgen.optimize(model, LEADS, {"qed": "max"}, **given)
    assert (part.reason, part.asked) == ("interrupted", 4)
    assert 0 < len(part) < len(whole)
    same = whole.table.set_index("index").loc[part["index"]]
    for name in ("lead_index", "try", "raw", "smiles", "part"):
        assert part[name].tolist() == same[name].tolist()
    assert part.counts.tries == len(part)
