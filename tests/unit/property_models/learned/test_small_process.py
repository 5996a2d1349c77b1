"""Gaussian processes that a search refits."""

from __future__ import annotations

import numpy as np
import pytest

from property_models import get
from property_models.learned.features import Features
from property_models.learned.small_process import fitted
from small_data import SMILES


def test_predictions_are_close_to_values_and_less_certain_elsewhere() -> None:
    known, other = SMILES[:30], ["c1ccc2c(c1)cccc2S(=O)(=O)N", "BrC(Br)(Br)I"]
    values = get("mw")(known)
    process = fitted(Features.of_smiles(known), values)
    mean, deviation = process.predict(Features.of_smiles(known))
    assert np.abs(mean - values).mean() < 0.3 * values.std()
    _, away = process.predict(Features.of_smiles(other))
    assert away.min() > deviation.mean()


def test_held_out_molecules_are_ranked() -> None:
    values = get("mw")(SMILES)
    half = np.arange(len(SMILES)) % 2 == 0
    features = Features.of_smiles(SMILES)
    process = fitted(features[np.flatnonzero(half)], values[half])
    mean, _ = process.predict(features[np.flatnonzero(~half)])
    assert np.corrcoef(mean, values[~half])[0, 1] > 0.8


def test_equal_values_are_no_error_and_one_molecule_is() -> None:
    features = Features.of_smiles(["CCO", "CCN", "CCC"])
    mean, _ = fitted(features, np.ones(3)).predict(features)
    assert np.allclose(mean, 1.0)
    with pytest.raises(ValueError, match="1 molecules"):
        fitted(Features.of_smiles(["CCO"]), np.ones(1))
