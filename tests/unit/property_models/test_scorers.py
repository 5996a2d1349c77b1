"""Runs of user's functions: when they stop, and what they keep then."""

from __future__ import annotations

import numpy as np
import pytest
from rdkit import Chem

from property_models import compute, from_function, scoring
from property_models.failures import FIRST, MOST, RECENT, Failures
from property_models.scorers import ScoringStopped

CHAINS = ["C" * n for n in range(1, 131)]


def failing(least: int, most: int = 1000) -> list[float]:
    """The values of chains by a function that fails on some lengths."""

    def length(mol: Chem.Mol) -> float:
        if least <= mol.GetNumAtoms() <= most:
            raise RuntimeError(f"too long: {mol.GetNumAtoms()}")
        return float(mol.GetNumAtoms())

    return list(from_function(length, "length")(CHAINS))


def test_a_run_stops_if_all_of_the_first_fail() -> None:
    with scoring() as run:
        values = failing(1, FIRST)
    assert run.failures["length"].scored == FIRST
    assert "'length': failed on 20 of 20 molecules; first: C: RuntimeError" in run.stopped
    assert np.isnan(values).all()
    assert run.skipped == set(CHAINS[FIRST:])
    assert run.missing(["length"], ["CCC", CHAINS[50], "N"]) == [
        "scorer failed: length (RuntimeError: too long: 3)",
        "not scored",
        "",
    ]


def test_a_run_goes_on_if_one_of_the_first_has_a_value() -> None:
    with scoring() as run:
        values = failing(2, FIRST + 5)
    assert not run.stopped
    assert (run.failures["length"].failed, np.isnan(values).sum()) == (FIRST + 4, FIRST + 4)


def test_a_run_stops_if_most_of_the_last_fail() -> None:
    with scoring() as run:
        values = failing(31)
        others = from_function(lambda mol: 1.0, "other")(["C"])
    assert run.failures["length"].scored == 30 + MOST + 1
    np.testing.assert_array_equal(values[:30], np.arange(1.0, 31))
    assert np.isnan(values[30:]).all()
    assert np.isnan(others).all()
    assert "other" not in {name for name, each in run.failures.items() if each.scored}


def test_failures_of_long_ago_do_not_count() -> None:
    failures = Failures()
    cycle: list[float | str] = ["no"] * MOST + [1.0] * (RECENT - MOST)
    for _ in range(5):
        for outcome in cycle:
            failures.add("C", outcome if failures.scored else 1.0)
            assert not failures.too_many
    failures = Failures()
    for outcome in [1.0, *cycle[:MOST]]:
        failures.add("C", outcome)
    assert not failures.too_many
    failures.add("C", "no")
    assert failures.too_many


def test_a_stop_outside_of_a_run_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ScoringStopped, match="failed on 20 of 20 molecules; first: C: "):
        failing(1)
    assert capsys.readouterr().err == ""


def test_invalid_molecules_are_no_failures() -> None:
    with scoring() as run:
        found = from_function(lambda mol: 1.0, "one")(["", "C1CC", "x", None, "C"])
    np.testing.assert_array_equal(found, [np.nan] * 4 + [1])
    assert (run.failures["one"].scored, run.failures["one"].failed) == (1, 0)
    assert compute([], ["C"]) == {}
