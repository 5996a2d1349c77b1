"""Goals: reading, tests of values, and weights."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from molgen.data.prior import Prior
from molgen.discovery.goals import Goal, Goals, read_goals
from molgen.targets import Range

RNG = np.random.default_rng(0)
ROWS = 4000
VALUES = np.stack(
    [RNG.normal(0.5, 0.1, ROWS), RNG.normal(2.0, 1.5, ROWS), np.full(ROWS, np.nan)], axis=1
)
PRIOR = Prior.from_training(RNG.integers(3, 20, ROWS), VALUES, ["qed", "logp", "tpsa"])
STD, MEAN = PRIOR.std, PRIOR.mean
TABLE = pd.DataFrame(
    {
        "qed": [0.82, 0.80, 0.70, math.nan, 0.90],
        "logp": [2.5, 3.5, 1.0, 2.0, -1.0],
        "hbd": [1.0, 2.0, 1.0, 0.0, math.nan],
    },
    index=[4, 5, 6, 7, 8],
)


def test_goals_are_read_in_order() -> None:
    words = [
        "qed=0.8..", "logp>=2", "tpsa<=90", " sa = ..3", "hba=>=2", "mw=300", "hbd=1",
        "fsp3=max", "similarity:CC=O>=0.4", "has:[#6]=O=1", "rdkit:TPSA=-1..+1e1",
    ]  # fmt: skip
    goals = read_goals(words, {"logp": 2})
    assert goals.targets == {
        "qed": Range(0.8, math.inf),
        "logp": Range(2, math.inf),
        "tpsa": Range(-math.inf, 90),
        "sa": Range(-math.inf, 3),
        "hba": Range(2, math.inf),
        "mw": 300.0,
        "hbd": 1.0,
        "fsp3": "max",
        "similarity:CC=O": Range(0.4, math.inf),
        "has:[#6]=O": 1.0,
        "rdkit:TPSA": Range(-1, 10),
    }
    assert goals.weights == dict.fromkeys(goals.targets, 1.0) | {"logp": 2.0}
    assert read_goals(goals.targets, goals.weights) == goals
    assert [str(goal) for goal in goals][:7] == [
        "qed=0.8..", "logp=2..", "tpsa=..90", "sa=..3", "hba=2..", "mw=300", "hbd=1"
    ]  # fmt: skip
    assert read_goals([str(goal) for goal in goals]).targets == goals.targets


def test_met_by_hand() -> None:
    goals = read_goals(["qed=0.8..", "logp=2..3", "hbd=1"])
    met = goals.met(TABLE)
    assert met.index.tolist() == TABLE.index.tolist()
    assert met["qed"].tolist() == [True, True, False, False, True]
    assert met["logp"].tolist() == [True, False, False, True, False]
    assert met["hbd"].tolist() == [True, False, True, False, False]
    for extreme in ("max", "min"):
        assert read_goals({"qed": extreme}).met(TABLE)["qed"].tolist() == [1, 1, 1, 0, 1]


def test_a_number_is_met_within_training_deviations_and_a_whole_one_exactly() -> None:
    near = Goal("qed", 0.34, slack=0.011)
    assert near.met(np.array([0.3, 0.33, 0.35, 0.4, math.nan])).tolist() == [0, 1, 1, 0, 0]
    rings = Goal("ring_count", 3.0, slack=9.0)
    assert rings.met(np.array([2.0, 3.0, 4.0, math.nan])).tolist() == [0, 1, 0, 0]
    (qed,) = read_goals({"qed": 0.5}, tolerance=0.3).measured(PRIOR)
    assert isinstance(qed, Goal)
    assert qed.slack == pytest.approx(0.3 * STD["qed"])
    edge = 0.5 + qed.slack
    assert qed.met(np.array([edge - 1e-6, edge + 1e-6])).tolist() == [True, False]


def test_scores_are_weighted_sums_in_training_deviations() -> None:
    words = ["qed=max", "logp=2..3", "hbd=1"]
    goals = read_goals(words, {"logp": 3.0, "hbd": 0.5}).measured(PRIOR)
    outside = np.array([0, 0.5, 1.0, 0, 3.0])
    away = np.array([0, 1, 0, 1, math.nan])  # without a unit in the prior, hbd has its own
    truth = (TABLE["qed"].to_numpy() - MEAN["qed"]) / STD["qed"]
    truth = truth - 3.0 * outside / STD["logp"] - 0.5 * away
    found = goals.score(TABLE)
    np.testing.assert_allclose(found[:3], truth[:3], rtol=1e-12)
    assert (found[3:] == -np.inf).all(), "missing values score minus infinity"


def test_a_weight_changes_the_order() -> None:
    pair = pd.DataFrame({"qed": [0.9, 0.6], "logp": [5.0, 3.0]})
    words = ["qed=0.9..", "logp=..3"]
    heavy = [
        read_goals(words, {name: 10.0}).measured(PRIOR).score(pair).argmax()
        for name in ("qed", "logp")
    ]
    assert heavy == [0, 1]


def test_no_goals_are_met_by_all() -> None:
    none = read_goals([])
    assert (len(none), none.targets, none.measured(PRIOR)) == (0, {}, Goals())
    assert none.met(TABLE).shape == (5, 0)
    assert none.score(TABLE).tolist() == [0.0] * 5


def test_an_unknown_spread_leaves_no_tolerance() -> None:
    for words in (["tpsa=60"], ["sa=2.5"]):
        goals = read_goals(words)
        with pytest.raises(ValueError, match=r"standard deviation of \w+ in the training data"):
            goals.measured(PRIOR)
    assert len(read_goals(["tpsa=..60", "hbd=2", "sa=min"]).measured(PRIOR)) == 3
    for wrong in (-0.1, math.nan, math.inf):
        with pytest.raises(ValueError, match=r"tolerance is .*, expected at least 0"):
            read_goals(["qed=0.5"], tolerance=wrong)


@pytest.mark.parametrize(
    ("words", "weights", "message"),
    [
        (["qedd=max"], {}, "did you mean qed?"),
        (["qed"], {}, "target is 'qed', expected PROP=VALUE such as qed=max or sa=..3"),
        (["=0.8"], {}, "target is '=0.8', expected PROP=VALUE"),
        (["qed="], {}, "target is 'qed=', expected PROP=VALUE"),
        (["qed=nan"], {}, "target qed: value is 'nan', expected a finite number"),
        (["qed>=nan"], {}, "target qed: range nan..inf: both bounds must be numbers"),
        (["qed=0.9..0.8"], {}, "target qed: range 0.9..0.8 is empty"),
        (["qed=..", "logp=1"], {}, "target qed: value is '..', expected max, min, a number"),
        (["qed>0.8"], {}, "target is 'qed>0.8', expected PROP=VALUE"),
        (["qed=0.8..", "qed<=0.9"], {}, "target qed is given twice"),
        (["qed=max"], {"sa": 2.0}, "weight of sa is given, expected one of the targets qed"),
        ([], {"sa": 2.0}, "weight of sa is given, expected a goal"),
        (["qed=max"], {"qed": math.nan}, "weight of qed is nan, expected more than 0"),
        (["qed=max"], {"qed": 0.0}, "weight of qed is 0.0, expected more than 0"),
        (["has:[#6=1"], {}, "SMARTS '[#6' cannot be read"),
    ],
)
def test_bad_goals(words: list[str], weights: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        read_goals(words, weights)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
