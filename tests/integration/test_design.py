"""Design: the first rows by sample index that are valid, unique, novel and on target."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import molgen
import tiny
from asking import request
from molgen.discovery.counts import DesignCounts
from molgen.discovery.design import design
from molgen.model import Model
from molgen.sampling.result import Result
from molgen.sampling.settings import Settings
from molgen.targets import Range, Target

TARGETS: dict[str, Target] = {"qed": Range(0.36, 0.42), "logp": "max"}


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Model:
    return molgen.load(tiny_model)


@pytest.fixture(scope="module")
def settings(model: Model) -> Settings:
    return model.settings(steps=6, gamma=2.0)


def drawn(model: Model, rows: int, targets: dict[str, Target], seed: int = 3) -> pd.DataFrame:
    return model.sample(rows, targets, seed, steps=6, gamma=2.0).table


def test_it_delivers_the_first_accepted_rows(model: Model, settings: Settings) -> None:
    designs = design(model, request(TARGETS, 12, seed=3, settings=settings))
    assert designs.reason == "complete"
    counts = designs.counts
    table = drawn(model, counts.drawn, TARGETS)
    lost = {"invalid": 0, "duplicate": 0, "in training set": 0, "goal missed: qed": 0}
    kept, seen = [], set()
    for row in table.itertuples():
        if row.status != "ok":
            lost["invalid"] += 1
        elif row.smiles in seen:
            lost["duplicate"] += 1
        elif row.smiles in tiny.KNOWN:
            lost["in training set"] += 1
        elif not 0.36 <= row.qed <= 0.42:
            lost["goal missed: qed"] += 1
        else:
            kept.append(row.index)
        seen.add(row.smiles)
    assert designs.table["index"].tolist() == kept
    assert len(kept) == 12
    assert kept[-1] == counts.drawn - 1, "rows after the last one delivered are not counted"
    assert dict(counts.rejected) == {**lost, "goal missed: logp": 0, "filter failed: radicals": 0}
    assert min(lost.values()) > 0, "the test needs each of these"
    assert counts.drawn == counts.accepted + sum(counts.rejected.values())
    assert counts.forwards == table["nfe"].sum()
    pd.testing.assert_frame_equal(
        designs.table.drop(columns=["unique", "novel_inchikey", "score"]).reset_index(drop=True),
        table.loc[kept].drop(columns="unique").reset_index(drop=True),
    )
    assert designs.table["unique"].all()
    assert designs.table["novel"].all()


def test_fewer_are_the_first_of_more(model: Model, settings: Settings) -> None:
    few, many = (design(model, request(TARGETS, n, seed=3, settings=settings)) for n in (3, 9))
    pd.testing.assert_frame_equal(few.table, many.table.head(3))
    other = design(model, request(TARGETS, 9, seed=4, settings=settings))
    assert other.table["smiles"].tolist() != many.table["smiles"].tolist()


def test_targets_may_be_texts(model: Model, settings: Settings) -> None:
    words: dict[str, Any] = {"qed": "0.36..0.42", "logp": "max"}
    a, b = (design(model, request(w, 4, seed=3, settings=settings)) for w in (words, TARGETS))
    pd.testing.assert_frame_equal(a.table, b.table)


def test_a_number_is_met_within_the_tolerance(model: Model, settings: Settings) -> None:
    std = model.prior.std["qed"]
    found = design(model, request({"qed": 0.38}, 4, 3, settings=settings, draws=900, tolerance=0.1))
    assert len(found.table)
    assert (found.table["qed"] - 0.38).abs().max() <= 0.1 * std
    wider = design(model, request({"qed": 0.38}, 4, 3, settings=settings, draws=900, tolerance=1.0))
    assert wider.counts.drawn < found.counts.drawn


def test_a_whole_number_is_met_exactly(model: Model, settings: Settings) -> None:
    none = design(
        model, request({"ring_count": 0.5}, 2, 0, settings=settings, draws=60, tolerance=9.0)
    )
    assert len(none.table) == 0
    assert none.counts.rejected["goal missed: ring_count"] > 0
    some = design(
        model, request({"ring_count": 0}, 2, 0, settings=settings, draws=200, tolerance=0.0)
    )
    assert some.table["ring_count"].tolist() == [0, 0]


@pytest.mark.parametrize("budget", [1, 31, 70])
def test_a_budget_is_exact(model: Model, settings: Settings, budget: int) -> None:
    found = design(model, request({"qed": Range(0.9, 1)}, 5, 0, settings=settings, draws=budget))
    assert found.counts.drawn == budget
    assert found.reason == f"the budget of {budget} draws ended"
    assert found.asked == 5
    columns = list(drawn(model, 1, {"qed": "max"}))
    columns.insert(columns.index("novel") + 1, "novel_inchikey")
    assert list(found.table) == [*columns, "score"]
    assert len(found.table) == 0
    assert f"{budget} drawn: 0 kept, " in str(found.counts)


def test_training_molecules_on_request(tmp_path: Path, model: Model, settings: Settings) -> None:
    strict = design(model, request({"qed": "max"}, 30, 0, settings=settings))
    free = design(
        model, request({"qed": "max"}, 30, 0, settings=settings, allow_training_molecules=True)
    )
    assert strict.table["novel"].all()
    assert not free.table["novel"].all()
    assert free.table["smiles"].is_unique
    assert "in training set" not in free.counts.rejected
    bare = molgen.load(tiny.save(tmp_path / "bare", index=False))
    with pytest.raises(ValueError, match="no training-set index, so novelty is unknown"):
        design(bare, request({"qed": "max"}, 2))
    assert (
        len(
            design(
                bare, request({"qed": "max"}, 2, settings=settings, allow_training_molecules=True)
            ).table
        )
        == 2
    )


def test_it_reports_after_each_round_and_can_be_interrupted(
    model: Model, settings: Settings
) -> None:
    found: list[pd.DataFrame] = []
    rounds: list[int] = []

    def on_round(counts: DesignCounts) -> None:
        rounds.append(counts.drawn)
        if len(rounds) == 3:
            raise KeyboardInterrupt

    many = request(TARGETS, 400, 3, settings=settings)
    designs = design(model, many, found.append, on_round)
    assert isinstance(designs, Result)
    assert designs.reason == "interrupted"
    assert rounds == sorted(rounds)
    assert rounds[0] == 8, "the first round is small, for a first molecule early"
    pd.testing.assert_frame_equal(
        pd.concat(found, ignore_index=True),
        designs.table.drop(columns=["novel_inchikey", "score"]),
    )
    assert len(designs.table) == designs.counts.accepted > 0


def test_bad_targets(model: Model) -> None:
    with pytest.raises(ValueError, match="target sa: the model is not conditioned on it"):
        design(model, request({"sa": "min"}, 2))
    with pytest.raises(ValueError, match="target qed: value is 'best'"):
        design(model, request({"qed": "best"}, 2))  # type: ignore[dict-item]
