"""The oracle's values, counts and cache, and scores from several gains."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

import tiny
from molgen.discovery import oracle as module
from molgen.discovery.goals import read_goals
from molgen.discovery.objectives import (
    AGGREGATES,
    Objective,
    WeightedSum,
    aggregated,
    read_objectives,
)
from molgen.discovery.oracle import Oracle
from molgen.targets import Range
from molgen.utils.pareto import ParetoRank, crowding, nondominated
from property_models import compute

LOGP = Objective("logp", "max")
RINGS = Objective("ring_count", "min")


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """All molecules whose properties were computed."""
    found: list[str] = []

    def spy(names: Sequence[str], smiles: Sequence[str]) -> dict[str, NDArray[np.float64]]:
        found.extend(smiles)
        return compute(names, smiles)

    monkeypatch.setattr(module, "compute", spy)
    return found


def test_each_molecule_is_computed_and_counted_once(computed: list[str]) -> None:
    oracle = Oracle((LOGP, RINGS))
    first = oracle(["CCO", "", "C1CC1", "CCO"])
    assert oracle.calls == 2
    again = oracle(["C1CC1", "CCO", "CC"])
    assert oracle.calls == 3
    assert computed == ["CCO", "C1CC1", "CC"]
    assert np.isnan(first[1]).all()
    np.testing.assert_array_equal(first[0], first[3])
    np.testing.assert_array_equal(again[:2], first[[2, 0]])
    assert not oracle.spent
    truth = compute(["logp", "ring_count"], ["CCO", "C1CC1"])
    np.testing.assert_array_equal(oracle.values(["CCO", "C1CC1"]), np.stack(list(truth.values())).T)
    assert oracle([]).shape == (0, 2)


def test_a_budget_ends_among_the_molecules(computed: list[str]) -> None:
    oracle = Oracle((LOGP,), budget=3)
    oracle(["C", "CC"])
    assert not oracle.spent
    found = oracle(["CC", "", "CCC", "CCCC", "C"])
    assert np.isnan(found[:, 0]).tolist() == [False, True, False, True, False]
    assert (oracle.calls, oracle.spent) == (3, True)
    assert np.isnan(oracle(["CCCCC"])).all()
    assert computed == ["C", "CC", "CCC"]


def test_gains_point_upwards_in_training_deviations() -> None:
    prior = tiny.prior()
    mean, std = prior.mean, prior.std
    value = np.array([0.2, 0.7, np.nan])
    up, down = (read_objectives({"qed": word}, prior)[0].gain(value) for word in ("max", "min"))
    np.testing.assert_allclose(up, (value - mean["qed"]) / std["qed"])
    np.testing.assert_allclose(down, -up)
    near = read_objectives({"qed": 0.5}, prior)[0].gain(value)
    np.testing.assert_allclose(near, [-0.3 / std["qed"], -0.2 / std["qed"], np.nan])
    inside = read_objectives({"qed": Range(0.1, 0.5)}, prior)[0].gain(value)
    np.testing.assert_allclose(inside, [0, -0.2 / std["qed"], np.nan])
    other = read_objectives({"rotatable_bonds": "min"}, prior)[0]  # not in the training data
    np.testing.assert_array_equal(other.gain(np.array([3.0])), [-3.0])


def test_sums_are_weighted() -> None:
    prior = tiny.prior()
    objectives = read_objectives({"qed": "max", "logp": "min"}, prior, {"logp": 2.5})
    assert [o.weight for o in objectives] == [1.0, 2.5]
    gains = np.array([[1.0, 2.0], [0.0, -1.0], [np.nan, 9.0]])
    score = WeightedSum((1.0, 2.5))
    np.testing.assert_array_equal(score(gains), [6.0, -2.5, -np.inf])


@pytest.mark.parametrize("objectives", [2, 3])
def test_ranks_are_those_of_peeled_fronts(objectives: int) -> None:
    gains = np.random.default_rng(objectives).normal(size=(60, objectives)).round(1)
    gains[7] = np.nan
    scores = ParetoRank()(gains)
    assert scores[7] == -np.inf
    left = np.array([i for i in range(60) if i != 7])
    rank = 0
    while len(left):
        front = nondominated(gains[left])
        found = scores[left[front]]
        assert ((found >= -rank) & (found <= -rank + 0.5)).all()
        assert found.max() == -rank + 0.5  # the front's ends
        left, rank = left[~front], rank + 1
    assert rank > 3
    some = ParetoRank()(gains, 10)
    best = np.argsort(-scores, kind="stable")[:10]
    np.testing.assert_array_equal(np.argsort(-some, kind="stable")[:10], best)
    assert (some == -np.inf).sum() > (scores == -np.inf).sum()


def test_crowding_by_hand() -> None:
    front = np.array([[0.0, 10.0], [1.0, 6.0], [4.0, 5.0], [10.0, 0.0]])
    found = crowding(front)
    assert np.isinf(found[[0, 3]]).all()
    np.testing.assert_allclose(found[1:3], [0.4 + 0.5, 0.9 + 0.6])
    assert (crowding(np.ones((5, 2))) == 0).sum() == 3


@pytest.mark.parametrize(
    ("targets", "weights", "message"),
    [
        ({}, {}, "targets is empty"),
        ({"qde": "max"}, {}, "qde"),
        ({"qed": "best"}, {}, "target qed: value is 'best'"),
        ({"qed": "max"}, {"logp": 1.0}, "weight of logp is given, expected one of the targets qed"),
        ({"qed": "max"}, {"qed": 0.0}, "weight of qed is 0.0, expected more than 0"),
        ({"qed": "max"}, {"qed": np.inf}, "weight of qed is inf"),
    ],
)
def test_bad_objectives(targets: dict[str, str], weights: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_objectives(targets, tiny.prior(), weights)


GRADED = {"qed": "sigmoid(.4,.8)", "logp": "gaussian(2,1)"}


def test_aggregates_of_desirabilities_by_hand() -> None:
    objectives = read_objectives(GRADED, tiny.prior(), {"qed": 3.0})
    gains = np.stack(
        [o.gain(np.array(v)) for o, v in zip(objectives, ([0.4, 0.8], [2.0, 9.0]), strict=True)], 1
    )
    far = np.exp(-24.5)
    np.testing.assert_allclose(gains, [[0.05, 1], [0.95, far]])
    gains = np.concatenate([gains, [[0.0, 1.0], [np.nan, 1.0]]])
    found = {how: aggregated(how, objectives)(gains) for how in AGGREGATES}
    np.testing.assert_allclose(found["sum"], [1.15, 2.85 + far, 1, -np.inf])
    np.testing.assert_allclose(found["weighted-mean"], found["sum"] / 4)
    expected = [0.05**0.75, 0.95**0.75 * far**0.25, 0, -np.inf]
    np.testing.assert_allclose(found["product"], expected)
    assert found["pareto"][2] < found["pareto"][0]  # dominated


def test_products_need_desirabilities() -> None:
    objectives = read_objectives({"qed": "sigmoid(.4,.8)", "logp": "min"}, tiny.prior())
    for how in ("product", "weighted-mean"):
        with pytest.raises(ValueError, match=f"aggregate {how} .* target logp=min has none"):
            aggregated(how, objectives)
    with pytest.raises(ValueError, match="aggregate is 'best', expected sum, product"):
        aggregated("best", objectives)
    with pytest.raises(ValueError, match="target qed: value is 'sigmoid"):
        read_objectives({"qed": "sigmoid(1)"}, tiny.prior())


def test_a_desirability_grades_and_rejects_nothing() -> None:
    goals = read_goals(["qed=sigmoid(.4,.8)", "logp=..2"], aggregate="sum").measured(tiny.prior())
    graded, bounded = goals
    assert not graded.bounds
    assert str(graded) == "qed=sigmoid(0.4,0.8)"
    values = np.array([0.1, 0.9, np.nan])
    np.testing.assert_array_equal(graded.met(values), [True, True, False])
    assert goals.targets["qed"] == Range(0.8, np.inf)  # guides the draws
    better = np.array([[0.5, 1.0], [0.3, 1.0], [0.5, 3.0]])
    np.testing.assert_array_equal(goals.reached(better, better[1]), [True, False, False])
    assert bounded.bounds
