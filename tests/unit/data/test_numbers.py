"""Cells as chemists' tables have them: read as what they say, or counted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from molgen.data.numbers import read_numbers

NAN = float("nan")


@pytest.mark.parametrize(
    ("cells", "delimiter", "values"),
    [
        (["6.1", "5,9"], ";", [6.1, 5.9]),
        (["6,1", "1,200"], ";", [6.1, 1.2]),
        (["1,200", "2,300"], ";", [1.2, 2.3]),  # a table of semicolons has decimal commas
        (["1,200.5", "2,300"], ";", [1200.5, 2300]),
        (["1,200", "2,300,000", "3"], ",", [1200, 2_300_000, 3]),
        (["1,200.5", "-7"], ",", [1200.5, -7]),
        (["6,1", "1,200"], ",", [6.1, 1.2]),  # 6,1 can be nothing else
        (["1.200,5", "3.000", "2,5"], ";", [1200.5, 3000, 2.5]),
        (["3.000", "2,5"], ";", [3, 2.5]),
        (["1 200", "1\u202f200,5", "1'000.5"], ";", [1200, 1200.5, 1000.5]),
        (["\u22125", " 7 ", "=8", "1e-3", "1,5e2", ".5", ",5", "5."], "\t",
         [-5, 7, 8, 1e-3, 150, 0.5, 0.5, 5]),
        (["1_000", "0x10", "12a", "1,2,3", "1e999", "inf", "٣"], ",", [NAN] * 7),
        (["", "NaN", "n/a", "-", ">7", "<= 5", "~3", "≥1", None], ",", [NAN] * 9),
    ],
)  # fmt: skip
def test_values(cells: list[str | None], delimiter: str, values: list[float]) -> None:
    found = read_numbers(cells, range(len(cells)), delimiter)
    np.testing.assert_array_equal(found.values, values)


def test_every_cell_is_accounted_for_with_the_first_of_its_kind() -> None:
    cells = ["6,1", ">7", "", "<5", "high", None, "inf", "1e999", "5,2"]
    found = read_numbers(cells, range(2, 11), ";")
    assert found.counts() == {
        "read": 2,
        "with a qualifier": 2,
        "empty": 1,
        "no number": 1,
        "in a row of more cells than headings": 1,
        "not finite": 2,
    }
    assert found.lost["with a qualifier"] == (2, 3, ">7")
    assert found.commas == {"read as decimal commas": (2, 2, "6,1")}
    assert "2 of 9 values read; 2 with a qualifier (first: '>7' in line 3)" in found.summary()


@given(st.lists(st.text(max_size=12)), st.sampled_from(",;\t"))
def test_no_text_raises_and_nothing_is_lost_unseen(cells: list[str], delimiter: str) -> None:
    found = read_numbers(cells, range(len(cells)), delimiter)
    assert sum(found.counts().values()) == len(cells)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_numbers_written_by_programs_come_back(numbers: list[float]) -> None:
    cells = [repr(number) for number in numbers]
    for delimiter in ",;\t":
        found = read_numbers(cells, range(len(cells)), delimiter).values
        np.testing.assert_array_equal(found, numbers)
    swapped = [cell.replace(".", ",") for cell in cells]
    np.testing.assert_array_equal(read_numbers(swapped, range(len(cells)), ";").values, numbers)
