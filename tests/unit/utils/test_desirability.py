"""Desirabilities: values by hand, words that are read back, and words that are none."""

from __future__ import annotations

import math

import numpy as np
import pytest

from molgen.targets import Range
from molgen.utils.desirability import KINDS, Desirability, read_desirability


def read(text: str) -> Desirability:
    found = read_desirability(text)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("sigmoid(2,4)", {2: 0.05, 3: 0.5, 4: 0.95, -1e9: 0, 1e9: 1}),
        ("sigmoid(-8,-11)", {-8: 0.05, -9.5: 0.5, -11: 0.95, 3: 0}),
        ("reverse-sigmoid(2,4)", {2: 0.95, 3: 0.5, 4: 0.05}),
        ("double-sigmoid(0,1,9,12)", {0: 0.05, 1: 0.95, 5: 1, 9: 0.95, 12: 0.05, 99: 0}),
        ("gaussian(3,.5)", {3: 1, 3.5: math.exp(-0.5), 2: math.exp(-2)}),
        ("step(.6..)", {0.6: 1, 0.59: 0, 7: 1}),
        ("step(1..2)", {0.9: 0, 1: 1, 2: 1, 2.1: 0}),
    ],
)
def test_values_by_hand(text: str, values: dict[float, float]) -> None:
    found = read(text)(np.array([*values, math.nan], dtype=np.float64))
    np.testing.assert_allclose(found, [*values.values(), math.nan], atol=1e-4)  # the plateau
    assert np.nanmin(found) >= 0
    assert np.nanmax(found) <= 1
    assert read(str(read(text))) == read(text)


def test_what_draws_are_guided_towards_is_good() -> None:
    assert read("sigmoid(2,4)").target == Range(4, math.inf)
    assert read("sigmoid(-8,-11)").target == Range(-math.inf, -11)
    assert read("reverse-sigmoid(2,4)").target == Range(-math.inf, 2)
    assert read("double-sigmoid(0,1,9,12)").target == Range(1, 9)
    assert read("gaussian(3,.5)").target == 3
    assert read("step(..2)").target == Range(-math.inf, 2)


@pytest.mark.parametrize("text", ["max", "3", "1..2", "", "..3"])
def test_other_targets_are_none(text: str) -> None:
    assert read_desirability(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "sigmoid(1,1)", "sigmoid(1)", "sigmoid()", "sigmoid(1,x)", "sigmoid(nan,1)", "wave(1,2)",
        "gaussian(1,0)", "gaussian(inf,1)", "double-sigmoid(1,2,4,3)", "step(3)", "step(max)",
        "step(1,2)", "sigmoid(inf,1)", "double-sigmoid(1,2,3,3)",
    ],
)  # fmt: skip
def test_words_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"value is .* expected sigmoid"):
        read_desirability(text)


def test_every_kind_is_covered() -> None:
    assert set(KINDS) == {
        "sigmoid", "reverse-sigmoid", "double-sigmoid", "gaussian", "step"
    }  # fmt: skip
