"""Bemis-Murcko scaffolds."""

from __future__ import annotations

import time

import pytest
from rdkit import Chem

from molgen.molecules.frameworks import MOST_ATOMS, framework


@pytest.mark.parametrize(
    ("smiles", "expected"),
    [
        ("Cc1ccccc1CCC1CC(=O)C1", "O=C1CC(CCc2ccccc2)C1"),
        ("OCC1CC1", "C1CC1"),
    ],
)
def test_rings_and_what_joins_them_are_kept(smiles: str, expected: str) -> None:
    core = framework(Chem.MolFromSmiles(smiles))
    assert core is not None
    assert Chem.MolToSmiles(core) == expected


@pytest.mark.parametrize("smiles", ["CCO", "C" * 3000, "C1CC1" * 900])
def test_without_rings_or_with_too_many_atoms_there_is_none_at_once(smiles: str) -> None:
    mol = Chem.MolFromSmiles(smiles)
    started = time.process_time()
    assert framework(mol) is None
    assert time.process_time() - started < 0.1


def test_a_molecule_of_the_most_atoms_has_one() -> None:
    core = framework(Chem.MolFromSmiles("C1CC1" + "C" * (MOST_ATOMS - 3)))
    assert core is not None
    assert Chem.MolToSmiles(core) == "C1CC1"
