"""A salt is the molecule that it is written for, where molecules are given and compared."""

from __future__ import annotations

import pytest

from molgen.molecules.conventions import GUACAMOL, MOSES, PAPER, STRICT, count
from molgen.molecules.parents import parent
from molgen.molecules.parsing import Status, interpret, interpret_all
from molgen.molecules.training_index import KnownMolecules


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
def test_what_is_no_molecule_has_no_parent(raw: str) -> None:
    assert parent(interpret(raw)) == interpret(raw)


def test_a_mixture_is_known_by_its_parent() -> None:
    known = KnownMolecules.from_smiles(["CCN", "[CH3:1][OH:2]"])
    rows = interpret_all(["CCN.Cl", "[CH3:5]O", "C[C@H](N)O.Cl"])
    assert count(rows, STRICT, known).novel.tolist() == [False, False, False]
    assert count(rows, PAPER, known).novel.tolist() == [False, False, False]
    assert count(rows, MOSES, known).novel.tolist() == [False, False, True]
    assert count(rows, GUACAMOL, known).novel.tolist() == [False, False, True]
    assert count(rows, MOSES, known).unique.all()


def test_a_spelling_of_one_fragment_may_hold_a_dot() -> None:
    known = KnownMolecules.from_smiles(["CC"])
    assert count(interpret_all(["C1.C1"]), PAPER, known).novel.tolist() == [True]
    assert count(interpret_all(["C1.C1"]), STRICT, known).novel.tolist() == [False]
