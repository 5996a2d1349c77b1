"""Salts are reduced to their parents where molecules are given and compared."""

from __future__ import annotations

import pytest

from molgen.molecules.conventions import GUACAMOL, MOSES, PAPER, STRICT, Convention, count
from molgen.molecules.parents import parent
from molgen.molecules.parsing import Status, interpret, interpret_all
from molgen.molecules.training_index import TrainingIndex


def novel(rows: list[str], convention: Convention, *known: str) -> list[bool]:
    index = TrainingIndex.from_smiles(known)
    found = count(interpret_all(rows), convention, index).novel
    assert found is not None
    return [bool(mark) for mark in found]


@pytest.mark.parametrize(
    ("raw", "smiles"),
    [
        ("CCN.Cl", "CCN"),
        ("[Na+].CC(=O)[O-]", "CC(=O)[O-]"),
        ("[CH3:1][NH2:2].Br", "CN"),
        ("OCC", "CCO"),
    ],
)
def test_the_parent_of_a_given_row(raw: str, smiles: str) -> None:
    found = parent(interpret(raw))
    assert (found.raw, found.smiles, found.status) == (raw, smiles, Status.OK)


@pytest.mark.parametrize("raw", ["", "C1CC", "*C", "*C.Cl"])
def test_an_invalid_row_has_no_parent(raw: str) -> None:
    assert parent(interpret(raw)) == interpret(raw)


@pytest.mark.parametrize(
    ("convention", "expected"),
    [
        (STRICT, [False, False, False]),
        (PAPER, [False, False, False]),
        (MOSES, [False, False, True]),
        (GUACAMOL, [False, False, True]),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_a_mixture_is_found_by_its_parent(convention: Convention, expected: list[bool]) -> None:
    rows = ["CCN.Cl", "[CH3:5]O", "C[C@H](N)O.Cl"]
    assert novel(rows, convention, "CCN", "[CH3:1][OH:2]") == expected


def test_a_string_of_one_fragment_may_have_a_dot() -> None:
    assert novel(["C1.C1"], PAPER, "CC") == [True]
    assert novel(["C1.C1"], STRICT, "CC") == [False]
