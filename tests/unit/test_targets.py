from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from molgen.targets import Range, parse_target, read_targets

numbers = st.floats(allow_nan=False, allow_infinity=False)


@given(numbers)
def test_any_number_is_a_target(value: float) -> None:
    assert parse_target(repr(value)) == value
    assert parse_target(f"  {value!r}\n") == value


@given(numbers, numbers)
def test_any_two_numbers_in_order_are_a_range(a: float, b: float) -> None:
    low, high = min(a, b), max(a, b)
    assert parse_target(f"{low!r}..{high!r}") == Range(low, high)
    if low < high:
        with pytest.raises(ValueError, match=r"is empty: low must not exceed high"):
            parse_target(f"{high!r}..{low!r}")


@given(st.text(max_size=12))
def test_whatever_is_written_is_read_or_refused_by_name(text: str) -> None:
    try:
        target = parse_target(text)
    except ValueError as error:
        assert len(str(error).splitlines()) == 1 or "\n" in text  # noqa: PT017
        return
    assert target in ("max", "min") or isinstance(target, float | Range)


def test_words_and_open_ranges() -> None:
    assert parse_target("max") == "max"
    assert parse_target(" min ") == "min"
    assert parse_target("-1..+1e1") == Range(-1, 10)
    assert parse_target("5..inf") == Range(5, math.inf)
    assert parse_target("1..1") == Range(1, 1)
    for text in ("0.8..", ">=0.8", " 0.8 .. ", ">= .8", "0.8..inf"):
        assert parse_target(text) == Range(0.8, math.inf)
    for text in ("..3", "<=3", " .. 3", "-inf..3"):
        assert parse_target(text) == Range(-math.inf, 3)


@given(st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_a_range_is_written_as_it_is_read(a: float, b: float) -> None:
    low, high = min(a, b), max(a, b)
    assume(low < math.inf and high > -math.inf)
    found = parse_target(str(Range(low, high)))
    assert isinstance(found, Range)
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-11)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("abc", "value is 'abc', expected max, min, a number, or LO..HI"),
        ("", "value is '', expected"),
        ("MAX", "value is 'MAX', expected"),
        (">= ", "value is '>= ', expected max, min, a number, or LO..HI"),
        (">0.5", "value is '>0.5', expected max, min, a number, or LO..HI"),
        (">=0..1", "expected max, min, a number, or LO..HI"),
        ("0.5...", "expected max, min, a number, or LO..HI"),
        (">=nan", "both bounds must be numbers"),
        ("nan..", "both bounds must be numbers"),
        ("inf..", "is empty"),
        ("..-inf", "is empty"),
        ("..", "expected max, min, a number, or LO..HI"),
        ("0..1..2", "expected max, min, a number, or LO..HI"),
        ("nan", "value is 'nan', expected a finite number"),
        ("-inf", "value is '-inf', expected a finite number"),
        ("1e999", "expected a finite number"),
        ("2..1", r"range 2.0\.\.1.0 is empty"),
        ("nan..1", "both bounds must be numbers"),
        ("0..nan", "both bounds must be numbers"),
        ("inf..inf", "is empty"),
        ("-inf..-inf", "is empty"),
    ],
)
def test_errors_say_what_came(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_target(text)


def test_targets_from_python() -> None:
    given: dict[str, Any] = {
        "a": "max",
        "b": 1,
        "c": np.float32(0.5),
        "d": "0..1",
        "e": Range(2, 3),
        "f": 0.25,
    }
    assert read_targets(given) == {
        "a": "max", "b": 1.0, "c": 0.5, "d": Range(0, 1), "e": Range(2, 3), "f": 0.25
    }  # fmt: skip
    assert all(isinstance(read_targets(given)[name], float) for name in "bcf")
    with pytest.raises(ValueError, match="target qed: value is 'high'"):
        read_targets({"qed": "high"})
    with pytest.raises(ValueError, match="target qed: value is 'nan'"):
        read_targets({"qed": math.nan})
    for wrong in (None, [1], (0, 1)):
        with pytest.raises(ValueError, match=r"target qed is"):
            read_targets({"qed": wrong})  # type: ignore[dict-item]
