"""Values of a property are aligned with rows, and its direction is checked."""

from __future__ import annotations

import math

import numpy as np
import pytest
from rdkit import Chem

from property_models import Property

ATOMS = Property("atoms", "", "min", lambda mol: mol.GetNumAtoms(), True, "heavy atoms")


def test_strings_molecules_and_invalid_rows() -> None:
    mixed = ["CCO", Chem.MolFromSmiles("C"), None, "", "C1CC", "C name", Chem.Mol()]
    values = ATOMS(mixed)
    assert values.dtype == np.float64
    np.testing.assert_array_equal(values, [3.0, 1.0] + [math.nan] * 5)
    assert ATOMS([]).shape == (0,)


def test_unknown_direction() -> None:
    with pytest.raises(ValueError, match="direction of x is 'up', expected one of"):
        Property("x", "", "up", lambda mol: 0.0)  # type: ignore[arg-type]


def test_undefined_is_nan_but_an_error_in_the_function_is_raised() -> None:
    assert math.isnan(Property("x", "", "none", lambda mol: None).value(Chem.MolFromSmiles("C")))
    assert math.isnan(Property("x", "", "none", lambda mol: 1 / 0).value(Chem.MolFromSmiles("C")))

    def broken(mol: Chem.Mol) -> float:
        raise KeyError("mistake")

    with pytest.raises(KeyError):
        Property("x", "", "none", broken)(["C"])
