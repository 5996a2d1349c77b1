"""Fitting a property predictor: split, fit, calibrate and test, with a record of each.

    measured -> split -> fit on training -> conformal scores on calibration -> errors on test

The predictor is not fitted again to all molecules after the test, because its intervals would no
longer be calibrated. The other kind of split is measured as well: *random* estimates errors on
molecules similar to the training data, *scaffold* on new ring systems, as needed in design.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from rdkit import rdBase

from molgen.errors import MolgenError
from molgen.utils.arrays import Floats
from property_models.learned import splits
from property_models.learned.calibration import Conformal, coverage_curve, errors
from property_models.learned.features import RADIUS, Features
from property_models.learned.fitting import check_library, fit
from property_models.learned.gaussian_process import GaussianProcess
from property_models.learned.measured import Measured
from property_models.learned.predictor import PROBES, PropertyPredictor
from property_models.property import Direction

FEWEST = 30  # molecules; with fewer, tests and intervals are not meaningful


@dataclass(frozen=True)
class Assessment:
    """A fitted process, and its predictions.

    Attributes:
        split: training, calibration and test parts.
        process: fitted to the training part.
        conformal: from the calibration part.
        mean: predicted for every molecule, shape (molecules,).
        spread: predicted standard deviation, same shape.
        report: the test part's size, errors and coverage.
    """

    split: splits.Split
    process: GaussianProcess
    conformal: Conformal
    mean: Floats
    spread: Floats
    report: dict[str, Any]


def fit_predictor(
    measured: Measured,
    name: str,
    unit: str = "",
    direction: Direction = "none",
    split: splits.Kind = "scaffold",
    seed: int = 0,
    also: bool = True,
    on_stage: Callable[[str], None] = lambda stage: None,
) -> tuple[PropertyPredictor, Assessment]:
    """Fit a property predictor and test it.

    Args:
        measured: the molecules and their values.
        name: of the property.
        unit: of the values.
        direction: whether more or less of it is better.
        split: ``"scaffold"`` or ``"random"``: of the predictor.
        seed: of the split and the fit.
        also: measure the other split as well.
        on_stage: called with the name of each stage at its start.

    Returns:
        The predictor, whose card has the counts, the split, the seed, and errors and coverage on
        the test part; and the predictions for every molecule.

    Raises:
        MolgenError: if scikit-learn is missing, there are fewer than :data:`FEWEST` molecules, they
            cannot be split, or all values are equal.
    """
    check_library()
    if len(measured.smiles) < FEWEST:
        raise MolgenError(
            f"{len(measured.smiles)} molecules with a value, expected at least {FEWEST}"
        )
    on_stage("features")
    features = Features.of_smiles(measured.smiles, progress="features")
    on_stage(f"{split} split")
    tested = assess(measured, features, split, seed)
    reports: dict[str, Any] = {split: tested.report}
    other: splits.Kind = "random" if split == "scaffold" else "scaffold"
    if also:
        on_stage(f"{other} split, for comparison")
        reports[other] = _comparison(measured, features, other, seed)
    card = {
        "data": _data(measured),
        "model": "Gaussian process on Morgan counts "
        f"(radius {RADIUS}) and {features.descriptors.shape[1]} RDKit descriptors",
        "rdkit": rdBase.rdkitVersion,
        "split": split,
        "seed": seed,
        "test": reports,
    }
    chosen = tested.split.test[:PROBES]
    predicted = tested.process.predict(features[chosen], variance=False)[0].tolist()
    probes = tuple(zip((measured.smiles[i] for i in chosen), predicted, strict=True))
    predictor = PropertyPredictor(
        name, unit, direction, tested.process, tested.conformal, probes, card
    )
    return predictor, tested


def assess(measured: Measured, features: Features, kind: splits.Kind, seed: int) -> Assessment:
    """Fit on one part, calibrate on another, test on the third."""
    y = measured.values
    parts = splits.split(measured.smiles, kind, seed)
    process = fit(features[parts.train], y[parts.train], seed)
    mean, spread = process.predict(features)
    at = parts.calibration
    conformal = Conformal.fit(y[at], mean[at], spread[at])
    at = parts.test
    report = {
        "training": len(parts.train),
        "calibration": len(parts.calibration),
        "test": len(at),
        **errors(y[at], mean[at]),
        "coverage": coverage_curve(conformal, y[at], mean[at], spread[at]),
        "rmse_of_the_training_mean": errors(y[at], np.full(len(at), process.mean))["rmse"],
    }
    return Assessment(parts, process, conformal, mean, spread, report)


def _comparison(
    measured: Measured, features: Features, kind: splits.Kind, seed: int
) -> dict[str, Any]:
    """Return the report of the other split, or the reason why it cannot be made."""
    try:
        return assess(measured, features, kind, seed).report
    except ValueError as error:  # such as too few scaffolds
        return {"not_measured": str(error)}


def _data(measured: Measured) -> dict[str, Any]:
    """Return the entry of a card on the measurements."""
    return {
        "source": measured.source,
        **measured.counts,
        "largest_difference_of_repeats": measured.apart,
        "mean": float(measured.values.mean()),
        "std": float(measured.values.std()),
    }
