from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

import molgen
from molgen.reports import training
from molgen.reports.content import content
from molgen.reports.data import Distribution, Funnel, ReportData
from molgen.targets import Range
from small_data import SMILES


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"smiles": SMILES, "R1": ["*C", "*O"] * 20, "one": 1.0})
    table["dock"] = rng.normal(size=len(table))
    table["parts"] = rng.integers(0, 9, len(table))
    values = {"parts": np.array([0.0, 1, 1, 4, np.nan]), "qed": rng.uniform(size=5)}
    known = Distribution("here", values, np.array([1.0, 2, 1, 4, 9]))
    history = pd.DataFrame({"calls": [3, 1, 2, 4], "score": [0.3, 0.1, float("nan"), 0.2]})
    goals = {"sa": Range(-np.inf, 3.0), "dock": "min"}
    found = content(
        ReportData(table, "t", goals=goals, training=known, history=history)  # type: ignore[arg-type]
    )
    json.dumps(found, allow_nan=False)
    return found


def named(entries: list[dict[str, Any]], name: str) -> dict[str, Any]:
    (found,) = (entry for entry in entries if entry["name"] == name)
    return found


def test_goals_are_the_first_axes_with_their_directions(made: dict[str, Any]) -> None:
    assert made["axes"][:2] == [{"name": "sa", "sign": -1}, {"name": "dock", "sign": -1}]
    assert named(made["axes"], "qed")["sign"] == 1
    assert "one" not in [axis["name"] for axis in made["axes"]]
    assert named(made["columns"], "one")["aside"]


def test_a_histogram_has_the_training_set_by_weight(made: dict[str, Any]) -> None:
    entry = named(made["histograms"], "parts")
    edges, part = np.array(entry["edges"]), np.array(entry["training"])
    assert np.all(np.diff(edges) == 1)
    at = {whole: part[np.searchsorted(edges, whole) - 1] for whole in (0, 1, 4)}
    assert at == pytest.approx({0: 1 / 8, 1: 3 / 8, 4: 4 / 8}, abs=1e-3)  # four digits
    assert entry["mean"] == pytest.approx((0 + 3 + 16) / 8)
    own = [value for value in named(made["columns"], "parts")["values"]]
    assert edges[0] < min(own) <= max(own) < edges[-1]


def test_a_target_is_marked(made: dict[str, Any]) -> None:
    assert named(made["histograms"], "sa")["target"] == [None, 3]
    assert named(made["histograms"], "dock")["target"] is None
    assert named(made["columns"], "sa")["goal"] == "3 at most"


def test_groups_count_rows(made: dict[str, Any]) -> None:
    parts, scaffolds = made["groups"]
    assert made["columns"][parts["column"]]["name"] == "R1"
    smiles = made["structures"]["smiles"]
    assert {smiles[value]: n for value, n in parts["top"]} == {"*C": 20, "*O": 20}
    assert scaffolds["rows"] == sum(n for _, n in scaffolds["top"])


def test_calls_are_in_order(made: dict[str, Any]) -> None:
    assert made["history"] == {"calls": [1, 3, 4], "score": [0.1, 0.3, 0.2]}


def test_the_prior_of_a_model_is_its_training_set(qm9: molgen.Model) -> None:
    found = training.of_prior(qm9.prior, "qm9")
    for name, values in found.values.items():
        kept = np.isfinite(values)
        mean = np.average(values[kept], weights=found.weights[kept])
        assert mean == pytest.approx(qm9.prior.mean[name])


def test_a_large_reference_is_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "SAMPLED", 7)
    found = training.of_molecules(SMILES, "set")
    assert len(found.weights) == 7
    assert found.label == "set, 7 of 40 molecules"
    assert not found.trained


def test_a_funnel_ends_at_what_is_accepted() -> None:
    funnel = Funnel(10, "rows", {"invalid": 3, "duplicate": 0, "goal missed: qed": 5}, 2)
    assert funnel.steps == [("invalid", 3, 7), ("goal missed: qed", 5, 2)]
