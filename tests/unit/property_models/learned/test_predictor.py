"""Property predictors: the round trip through a folder, and their properties."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rdkit import Chem
from safetensors.numpy import load_file, save_file

from predictors import SMILES, measured
from property_models import compute, get
from property_models.learned.fit import Assessment, fit_predictor
from property_models.learned.predictor import ARRAYS, INFO, PropertyPredictor, read_info
from property_models.learned.splits import scaffold

pytest.importorskip("sklearn", reason="needs the extra 'learn'")


@pytest.fixture(scope="module")
def made() -> tuple[PropertyPredictor, Assessment]:
    return fit_predictor(measured(), "greasiness", "au", "max", "random", 1)


@pytest.fixture
def folder(made: tuple[PropertyPredictor, Assessment], tmp_path: Path) -> Path:
    made[0].save(tmp_path / "my predictor")
    return tmp_path / "my predictor"


def test_it_learns_the_rule(made: tuple[PropertyPredictor, Assessment]) -> None:
    report = made[0].card["test"]["random"]
    assert report["rmse"] < 0.4 * report["rmse_of_the_training_mean"]
    assert report["spearman"] > 0.9
    assert report["training"] + report["calibration"] + report["test"] == len(SMILES)
    kept, other = made[0].card["split"], made[0].card["test"]["scaffold"]
    assert (kept, made[0].card["seed"]) == ("random", 1)
    assert other["rmse"] < other["rmse_of_the_training_mean"]


def test_the_card_describes_the_saved_predictor(made: tuple[PropertyPredictor, Assessment]) -> None:
    """The error of the saved predictor on test molecules is that of the card."""
    predictor, tested = made
    table = measured()
    rows = tested.split.test
    found = predictor.as_property()([table.smiles[i] for i in rows])
    rmse = float(np.sqrt(np.mean((found - table.values[rows]) ** 2)))
    assert rmse == pytest.approx(predictor.card["test"]["random"]["rmse"], rel=1e-9)


def test_round_trip_is_exact(made: tuple[PropertyPredictor, Assessment], folder: Path) -> None:
    again = PropertyPredictor.load(folder)
    assert (again.name, again.unit, again.direction) == ("greasiness", "au", "max")
    assert again.card == json.loads(json.dumps(made[0].card))
    mols = [Chem.MolFromSmiles(text) for text in SMILES[:20]]
    for ours, theirs in zip(made[0].predict(mols), again.predict(mols), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(made[0].uncertainty(mols), again.uncertainty(mols))
    assert again.check() is None


def test_it_is_a_property_by_name(made: tuple[PropertyPredictor, Assessment], folder: Path) -> None:
    rows = [SMILES[0], "", "C1CC", SMILES[7]]
    names = [f"model:{folder}", str(folder), f"uncertainty:{folder}"]
    found = compute(names, rows)
    assert list(found) == names
    expected = made[0].as_property()(rows)
    np.testing.assert_array_equal(found[names[0]], expected)
    np.testing.assert_array_equal(found[names[1]], expected)
    assert np.isnan(expected).tolist() == [False, True, True, False]
    low, high = made[0].interval(rows, 0.6827)
    np.testing.assert_allclose(found[names[2]], (high - low) / 2, rtol=1e-9)
    assert (get(names[0]).unit, get(names[0]).direction, get(names[2]).direction) == (
        "au", "max", "min"
    )  # fmt: skip
    assert "rule.csv" in get(names[0]).description


def test_rows_do_not_influence_each_other(made: tuple[PropertyPredictor, Assessment]) -> None:
    rows = list(SMILES[:9])
    together = made[0].as_property()(rows)
    alone = np.concatenate([made[0].as_property()([text]) for text in rows])
    np.testing.assert_allclose(together, alone, rtol=1e-10)


def test_a_split_by_scaffold_keeps_them_apart() -> None:
    table = measured()
    _, tested = fit_predictor(table, "x", split="scaffold", also=False)
    train, test = (
        {scaffold(table.smiles[i]) for i in part}
        for part in (tested.split.train, tested.split.test)
    )
    assert not train & test


def test_prediction_needs_neither_scikit_learn_nor_torch(folder: Path) -> None:
    script = (
        "import sys; sys.modules['sklearn'] = None; from property_models import get;"
        f"get({str(folder)!r})(['CCO']);"
        "sys.exit(str({'torch', 'pandas', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stderr.strip() == "set()"


def test_nothing_is_pickled(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == {INFO, ARRAYS}
    assert (folder / ARRAYS).read_bytes()[8:9] == b"{"  # safetensors: a length, then JSON


def test_another_rdkit_is_detected(folder: Path) -> None:
    info = json.loads((folder / INFO).read_text())
    info["probes"][0][1] += 0.5
    (folder / INFO).write_text(json.dumps(info))
    with pytest.raises(ValueError, match=r"greasiness differ .* up to 0\.5: its files are damaged"):
        get(f"model:{folder}")
    info["card"]["rdkit"] = "2001.03.1"
    (folder / INFO).write_text(json.dumps(info))
    message = r"greasiness was fitted with RDKit .* \(by up to 0\.5"
    with pytest.warns(UserWarning, match=message):
        get(f"model:{folder}")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / INFO).unlink(), "has no learned property .no property.json"),
        (lambda f: (f / INFO).write_text("{"), "is damaged"),
        (lambda f: (f / INFO).write_text("[]"), r"content is \[\], expected object"),
        (lambda f: (f / INFO).write_text("{}"), "is not a learned property"),
        (lambda f: (f / INFO).write_text('{"kind": "property"}'), "has format None, expected 1"),
        (lambda f: (f / ARRAYS).unlink(), "is damaged"),
        (lambda f: (f / ARRAYS).write_bytes(b"x" * 99), "is damaged"),
        (lambda f: change(f, "kernel", {"noise": 1}), "is damaged"),
        (
            lambda f: change(f, "direction", "sideways"),
            "direction is 'sideways', expected one of",
        ),
        (lambda f: change(f, "descriptors", ["mass"]), "other descriptors than this molgen"),
    ],
)
def test_a_spoiled_folder(folder: Path, spoil: object, message: str) -> None:
    spoil(folder)  # type: ignore[operator]
    with pytest.raises(ValueError, match=message):
        get(f"model:{folder}")


OTHER: tuple[Any, ...] = (None, True, -1, 10**30, float("nan"), "", [], [["C"]], {}, {"a": 1})


@pytest.mark.parametrize("key", ["name", "unit", "kernel", "probes", "card", "format", "kind"])
def test_every_key_is_checked(folder: Path, key: str) -> None:
    refused, info = 0, read_info(folder)
    for value in OTHER:
        (folder / INFO).write_text(json.dumps({**info, key: value}))
        try:
            get(f"model:{folder}")(["CCO"])
            reason = ""
        except ValueError as error:
            reason = str(error)
        refused += bool(reason)
        assert len(reason.splitlines()) <= 1
    assert refused >= 7


ARRAY_FAULTS = {
    "sizes": np.array([10**9]),
    "bits": np.full(3, 65_535, np.uint16),
    "bits_per_molecule": np.zeros(3, np.uint16),
    "scores": np.zeros((3, 2), np.float32),
    "weights": np.zeros(3, np.int32),
    "property": np.array([np.nan, 1.0]),
    "calibration_scores": None,
}


@pytest.mark.parametrize("name", ARRAY_FAULTS)
def test_every_array_is_checked(folder: Path, name: str) -> None:
    arrays = load_file(folder / ARRAYS)
    value = ARRAY_FAULTS[name]
    changed = {**arrays, name: value} if value is not None else arrays
    if value is None:
        del changed[name]
    save_file(changed, folder / ARRAYS)
    with pytest.raises(ValueError, match=rf"is damaged: .*({name[:4]}|expected \(3)"):
        get(f"model:{folder}")


def change(folder: Path, key: str, value: object) -> None:
    info = {**read_info(folder), key: value}
    (folder / INFO).write_text(json.dumps(info))


def test_too_few_molecules() -> None:
    table = measured()
    few = type(table)(table.smiles[:29], table.values[:29], table.counts, 0.0, ())
    with pytest.raises(ValueError, match="29 molecules with a value"):
        fit_predictor(few, "x")


def test_thirty_molecules_are_enough_but_not_for_wide_intervals() -> None:
    table = measured()
    few = type(table)(table.smiles[::4][:30], table.values[::4][:30], table.counts, 0.0, ())
    predictor, tested = fit_predictor(few, "x", split="random", also=False)
    assert len(tested.split.calibration) == 3
    low, high = predictor.interval(["CCO"], 0.9)  # undefined with three molecules
    assert np.isneginf(low[0])
    assert np.isposinf(high[0])
    assert np.isfinite(predictor.as_uncertainty()(["CCO"])).all()


def test_without_scikit_learn_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.gaussian_process", None)
    with pytest.raises(ValueError, match=r"needs scikit-learn: pip install '.+\[learn\]'"):
        fit_predictor(measured(), "x")
