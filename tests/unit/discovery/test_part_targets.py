"""Targets of parts: limits on what is beside a scaffold, with hydrogen at its open bonds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import molgen
from molgen.discovery.part_targets import read_part_targets
from molgen.errors import MolgenError
from molgen.model import Model
from property_models import compute

COLUMNS = ("R1", "part_2", "linker")
ROWS = pd.DataFrame(
    {
        "constraint": ["ok", "ok", "ok", "missing"],
        "R1": ["*CC", "*CCCC", "", "*C"],
        "part_2": ["*F", "*F", "", ""],
        "linker": ["", "", "[*:1]C[*:2].[*:1]CCC[*:2]", ""],
    }
)


@pytest.mark.parametrize(
    ("target", "met"),
    [
        ({"heavy_atoms": "..3"}, [True, False, True, False]),
        ({"heavy_atoms": "..2"}, [True, False, False, False]),
        ({"linker:heavy_atoms": "1..3"}, [True, True, True, False]),
        ({"R1:heavy_atoms": 2}, [True, False, True, False]),
        ({"part_2:mw": "20..20.1"}, [True, True, True, False]),  # hydrogen fluoride
    ],
)
def test_rows_with_a_part_that_misses_do_not_meet(target: dict[str, Any], met: list[bool]) -> None:
    (found,) = read_part_targets(target, COLUMNS)
    assert found.met(ROWS).tolist() == met


@pytest.mark.parametrize(
    ("target", "named"),
    [
        ({"R2:mw": "..150"}, "R2:mw.*R1, part_2, linker"),
        ({"mw": "max"}, "mw=max"),
        ({"mw": 150}, "mw=150"),
        ({"R1:massiveness": "..3"}, "massiveness"),
    ],
)
def test_other_targets_are_refused(target: dict[str, Any], named: str) -> None:
    with pytest.raises(MolgenError, match=named):
        read_part_targets(target, COLUMNS)


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Model:
    return molgen.load(tiny_model)


GIVEN: dict[str, Any] = {"steps": 6, "allow_training_molecules": True}
SCAFFOLDS = ["*CO", "[*:1]CCN", "*CN*"]


def test_parts_are_limited_and_counted(model: Model) -> None:
    limits = {"heavy_atoms": "..2", "R1:mw": "..20"}
    found = molgen.design(model, None, 12, scaffold=SCAFFOLDS, part_targets=limits, **GIVEN)
    assert len(found) == 12
    missed = {name for name, n in found.counts.rejected.items() if n and "part" in name}
    assert "part missed: heavy_atoms" in missed
    assert found.counts.drawn == sum(found.counts.fates.values())
    assert "part heavy_atoms=..2" in found.counts.met
    for row in found.table.itertuples():
        part = (row.part_1 or row.R1).replace("*", "[H]")
        assert compute(["heavy_atoms"], [part])["heavy_atoms"] <= 2


def test_a_number_for_each_scaffold(model: Model) -> None:
    few = molgen.design(model, scaffold=SCAFFOLDS, per_scaffold=4, seed=3, **GIVEN)
    assert len(few) == few.asked == 12
    assert few.reason == "complete"
    assert few["scaffold"].tolist() == [text for text in SCAFFOLDS for _ in range(4)]
    counts = few.counts.scaffolds
    assert [counts[text].accepted for text in SCAFFOLDS] == [4, 4, 4]
    assert sum(one.drawn for one in counts.values()) == few.counts.drawn
    for i, (_, rows) in enumerate(few.table.groupby("scaffold", sort=False)):
        assert set(rows["index"] % 3) == {i}
        assert rows["index"].is_monotonic_increasing
    # rows of a scaffold are those of a run in which the scaffolds cycle
    cycled = molgen.design(model, None, 60, scaffold=SCAFFOLDS, no_filter=True, seed=3, **GIVEN)
    drawn = cycled.table.set_index("index")["raw"]
    inside = few.table[few["index"] < 60]
    assert len(inside) > 6
    assert drawn[inside["index"]].tolist() == inside["raw"].tolist()


def test_a_shortfall_is_counted_for_each_scaffold(model: Model) -> None:
    given = {"scaffold": SCAFFOLDS, "per_scaffold": 9, "max_draws": 10, **GIVEN}
    found = molgen.design(model, **given, part_targets={"R1:heavy_atoms": "..0"})
    counts = found.counts.scaffolds
    assert found.reason == "the budget of 10 draws a scaffold ended"
    assert counts["[*:1]CCN"].accepted == 0
    assert counts["[*:1]CCN"].drawn == 10
    assert counts["[*:1]CCN"].fates["part missed: R1:heavy_atoms"] > 0
    assert found.table["scaffold"].value_counts().to_dict() == {
        text: one.accepted for text, one in counts.items() if one.accepted
    }


@pytest.mark.parametrize("given", [{"per_scaffold": 2}, {"part_targets": {"mw": "..150"}}])
def test_a_scaffold_is_needed(model: Model, given: dict[str, Any]) -> None:
    with pytest.raises(MolgenError, match="without scaffold or scaffold-file"):
        molgen.design(model, {"qed": ".1.."}, **given)
