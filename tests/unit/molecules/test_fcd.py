"""The Fréchet distance against its definition, and ChemNet against the package's own call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from molgen.molecules import fcd
from molgen.nn.chemnet import chemnet
from molgen.utils.arrays import Floats

SMILES = ["CCO", "c1ccccc1", "CC(N)=O", "CCCCN", "O=C1CCCN1", "Clc1ccncc1", "C#N", "CC.O"]


def gaussian(seed: int, size: int = 6) -> fcd.Moments:
    rows = np.random.default_rng(seed).normal(size=(40, size)) @ np.diag(np.arange(1, size + 1))
    return fcd.Moments(rows.mean(0), np.cov(rows.T))


def test_distance_by_its_definition() -> None:
    linalg = pytest.importorskip("scipy.linalg")
    a, b = gaussian(1), gaussian(2)
    root = linalg.sqrtm(a.covariance @ b.covariance).real
    gap = ((a.mean - b.mean) ** 2).sum()
    expected = gap + np.trace(a.covariance + b.covariance - 2 * root)
    assert fcd.distance(a, b) == pytest.approx(expected, rel=1e-9)
    assert fcd.distance(a, b) == pytest.approx(fcd.distance(b, a), rel=1e-9)
    assert fcd.distance(a, a) == pytest.approx(0, abs=1e-9)


def test_distance_in_one_dimension_and_for_singular_covariances() -> None:
    # between N(m, s^2) and N(m', s'^2) it is (m - m')^2 + (s - s')^2
    a = fcd.Moments(np.array([1.0, 0.0]), np.diag([4.0, 0.0]))
    b = fcd.Moments(np.array([4.0, 0.0]), np.diag([25.0, 0.0]))
    assert fcd.distance(a, b) == pytest.approx(9 + 9)


def test_moments_round_trip(tmp_path: Path) -> None:
    rows = np.random.default_rng(3).normal(size=(30, fcd.FEATURES))
    made = fcd.Moments(rows.mean(0), np.cov(rows.T))
    fcd._keep(made, 30, tmp_path / "a" / "x.safetensors")
    read = fcd._load(tmp_path / "a" / "x.safetensors")
    assert read is not None
    assert read.covariance == pytest.approx(made.covariance, abs=1e-6)
    assert np.array_equal(read.covariance, read.covariance.T)
    (tmp_path / "y.safetensors").write_bytes(b"cut short")
    assert fcd._load(tmp_path / "y.safetensors") is None
    (tmp_path / "file").write_text("")
    fcd._keep(made, 30, tmp_path / "file" / "z.safetensors")  # an unwritable cache is ignored


def test_a_set_has_one_name_in_any_order() -> None:
    assert fcd._digest(SMILES) == fcd._digest(SMILES[::-1]) != fcd._digest(SMILES[1:])


def test_the_bundled_moments_are_sound() -> None:
    files = list(fcd.BUNDLED.glob("*.safetensors"))
    assert files
    for file in files:
        found = fcd._load(file)
        assert found is not None
        assert np.linalg.eigvalsh(found.covariance).min() > -1e-5
        assert file.stem in (fcd.BUNDLED / "README.md").read_text()


def test_chemnet_is_the_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fcd_torch = pytest.importorskip("fcd_torch")
    if not hasattr(np, "row_stack"):
        monkeypatch.setattr(np, "row_stack", np.vstack, raising=False)  # removed in NumPy 2.5
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    theirs = fcd_torch.FCD(canonize=False).get_predictions(SMILES).astype(np.float64)
    assert np.concatenate(list(chemnet()(SMILES, ""))) == pytest.approx(theirs, abs=1e-5)

    weights = np.array([[1] * 8, [3, 0, 2, 0, 0, 1, 0, 1], [1, 0, 0, 0, 0, 0, 0, 0]])
    plain, weighted, single = fcd.moments(SMILES, weights, chemnet())
    assert single is None, "one molecule has no covariance"
    for found, w in ((plain, weights[0]), (weighted, weights[1])):
        assert found is not None
        assert found.mean == pytest.approx(np.repeat(theirs, w, axis=0).mean(0), abs=1e-5)
        expected = np.cov(np.repeat(theirs, w, axis=0).T)
        assert found.covariance == pytest.approx(expected, abs=1e-5)

    monkeypatch.setattr(fcd, "KEPT_FROM", 4)
    first = fcd.reference_moments(["OCC", *SMILES[1:], "no molecule"], chemnet())

    def unwanted(smiles: Sequence[str], progress: str) -> Iterator[Floats]:
        raise AssertionError("a second call must not need the network")

    again = fcd.reference_moments([*SMILES[1:], "no molecule", "OCC"], unwanted)
    assert first is not None
    assert again is not None
    assert plain is not None
    assert fcd.distance(first, plain) == pytest.approx(0, abs=1e-5), "canonicalised first"
    assert again.covariance == pytest.approx(first.covariance, abs=1e-6)
