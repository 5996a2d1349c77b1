"""The registry's numbers are the field's: literature values, and RDKit's own functions."""

from __future__ import annotations

import csv
import gzip
import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem, RDConfig
from rdkit.Chem import QED, Crippen, Descriptors, Lipinski

import property_models
from paths import DATA
from property_models import compute, get

ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"
CAFFEINE = "CN1C=NC2=C1C(=O)N(C(=O)N2C)C"
IBUPROFEN = "CC(C)Cc1ccc(cc1)C(C)C(=O)O"
MORPHINE = "CN1CCC23C4Oc5c(O)ccc(CC1C2C=CC4O)c35"
DRUGS = [ASPIRIN, CAFFEINE, IBUPROFEN, MORPHINE]


@pytest.mark.parametrize(
    ("name", "smiles", "expected", "tolerance"),
    [
        # counted on the structure by hand
        ("ring_count", ASPIRIN, 1, 0),
        ("ring_count", CAFFEINE, 2, 0),
        ("ring_count", MORPHINE, 5, 0),
        ("ring_count", "C1C2CC3CC1CC(C2)C3", 4, 0),  # adamantane: all four, though three span them
        ("ring_count", "C12C3C4C1C5C2C3C45", 6, 0),  # cubane: all six faces
        ("rings_cyclomatic", "C12C3C4C1C5C2C3C45", 5, 0),  # one face follows from the others
        ("rings_cyclomatic", "C1C2CC3CC1CC(C2)C3", 3, 0),
        ("rings_cyclomatic", MORPHINE, 5, 0),
        ("rings_cyclomatic", "C1CC1.C1CCC1.CC", 2, 0),
        ("aromatic_rings", MORPHINE, 1, 0),
        ("aromatic_rings", CAFFEINE, 2, 0),
        ("heavy_atoms", ASPIRIN, 13, 0),
        ("hbd", ASPIRIN, 1, 0),
        ("hbd", CAFFEINE, 0, 0),
        ("rotatable_bonds", IBUPROFEN, 4, 0),
        ("fsp3", CAFFEINE, 3 / 8, 1e-12),
        ("fsp3", ASPIRIN, 1 / 9, 1e-12),
        # published: weights and polar surface areas (PubChem CID 2244, 2519, 3672), QED of RDKit's
        # documentation after Bickerton's own program, SA as in the range given for simple drugs
        ("mw", ASPIRIN, 180.16, 0.01),
        ("mw", CAFFEINE, 194.19, 0.01),
        ("mw", IBUPROFEN, 206.28, 0.01),
        ("tpsa", ASPIRIN, 63.6, 0.05),
        ("tpsa", IBUPROFEN, 37.3, 0.05),
        ("qed", "N=C(CCSCc1csc(N=C(N)N)n1)NS(N)(=O)=O", 0.253, 1e-3),
        ("qed", "CNC(=NCCSCc1nc[nH]c1C)NC#N", 0.234, 1e-3),
        ("sa", ASPIRIN, 1.6, 0.2),
        ("sa", MORPHINE, 4.8, 0.5),
        ("np", MORPHINE, 2.4, 0.8),  # a natural product, and caffeine-like synthetics are below 0
    ],
)
def test_known_values(name: str, smiles: str, expected: float, tolerance: float) -> None:
    assert get(name)([smiles])[0] == pytest.approx(expected, abs=tolerance)


def test_values_are_rdkits_own() -> None:
    theirs = {
        "qed": QED.qed,
        "logp": Crippen.MolLogP,
        "tpsa": Descriptors.TPSA,
        "mw": Descriptors.MolWt,
        "hba": Lipinski.NumHAcceptors,
        "hbd": Lipinski.NumHDonors,
        "rotatable_bonds": Lipinski.NumRotatableBonds,
        "rdkit:BertzCT": Descriptors.BertzCT,
    }
    ours = compute(list(theirs), DRUGS)
    for name, function in theirs.items():
        expected = [function(Chem.MolFromSmiles(smiles)) for smiles in DRUGS]
        np.testing.assert_allclose(ours[name], expected, rtol=1e-12, err_msg=name)


def test_sa_is_the_contrib_scorer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path, str(Path(RDConfig.RDContribDir, "SA_Score"))])
    scorer = importlib.import_module("sascorer")
    expected = [scorer.calculateScore(Chem.MolFromSmiles(smiles)) for smiles in DRUGS]
    np.testing.assert_allclose(get("sa")(DRUGS), expected, rtol=1e-12)


def test_every_property_of_every_row() -> None:
    rows = [ASPIRIN, "", "C1CC", "[H][H]", "[Na+].[Cl-]", "C", "[U]"]
    names = [*property_models.names(), "rdkit:SPS"]
    values = compute(names, rows)
    assert list(values) == names
    for name in names:
        assert values[name].shape == (7,)
        assert np.isnan(values[name][[1, 2]]).all()
        assert np.isfinite(values[name][[0, 5]]).all()
        if name in property_models.names() and get(name).integer:
            assert values[name][0] == round(values[name][0])


def test_processes_change_nothing_and_nothing_gives_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("molgen.utils.parallel.CHUNK", 7)
    rows = ["C" * n + "O" for n in range(30)]
    one, two = (compute(["qed", "mw"], rows, processes=n) for n in (1, 2))
    np.testing.assert_array_equal(one["qed"], two["qed"])
    np.testing.assert_array_equal(one["mw"], two["mw"])
    assert compute(["qed"], [])["qed"].shape == (0,)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("QED", "did you mean qed"),
        ("ringcount", "did you mean ring_count"),
        ("beauty", "expected qed, ring_count"),
        ("rdkit:bertz", "RDKit has no descriptor 'bertz'; did you mean BertzCT"),
    ],
)
def test_unknown_name(name: str, message: str) -> None:
    with pytest.raises(ValueError, match="unknown") as error:
        get(name)
    assert message in str(error.value)
    with pytest.raises(ValueError, match="unknown"):
        compute(["qed", name], ["C"])


def test_an_rdkit_without_contrib(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(RDConfig, "RDContribDir", str(tmp_path))
    with pytest.raises(ValueError, match="'sa' needs RDKit's Contrib/SA_Score/sascorer"):
        get("sa")
    assert get("qed").name == "qed"


def test_qm9_means() -> None:
    """The design's data means: 1.74 rings and QED 0.465 over QM9 (here on every 100th molecule)."""
    path = DATA / "qm9.csv.gz"
    if not path.is_file():
        pytest.skip("needs MOLGEN_DATA_DIR with qm9.csv.gz")
    with gzip.open(path, "rt") as file:
        rows = [row["smiles"] for row in csv.DictReader(file)][::100]
    values = compute(["qed", "ring_count"], rows)
    assert np.mean(values["ring_count"]) == pytest.approx(1.74, abs=0.1)  # standard error 0.03
    assert np.mean(values["qed"]) == pytest.approx(0.465, abs=0.008)  # standard error 0.002
