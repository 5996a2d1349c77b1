"""Features are RDKit's numbers, and the unary code is what it claims to be."""

from __future__ import annotations

import numpy as np
from rdkit import Chem
from rdkit.Chem import Descriptors, rdFingerprintGenerator

from property_models.learned.features import (
    BITS,
    DESCRIPTORS,
    LIMIT,
    MOST_COUNT,
    Features,
    Scaler,
    unary,
    unary_columns,
)

ASPIRIN, CAFFEINE = "CC(=O)Oc1ccccc1C(=O)O", "CN1C=NC2=C1C(=O)N(C(=O)N2C)C"
ODD = ["[H][H]", "[U]", "*C", "[Na+].[Cl-]", "O=c1c2ccccc2[se]n1-c1ccccc1", "C" * 300, "[H+]"]


def test_descriptors_are_rdkits() -> None:
    found = Features.of_smiles([ASPIRIN, CAFFEINE]).descriptors
    assert found.shape == (2, len(DESCRIPTORS))
    theirs = {
        "exactmw": Descriptors.ExactMolWt,
        "CrippenClogP": Descriptors.MolLogP,
        "tpsa": Descriptors.TPSA,
        "NumRotatableBonds": Descriptors.NumRotatableBonds,
        "kappa2": Descriptors.Kappa2,
        "PEOE_VSA1": Descriptors.PEOE_VSA1,
        "SlogP_VSA5": Descriptors.SlogP_VSA5,
        "SMR_VSA10": Descriptors.SMR_VSA10,
        "MQN12": lambda mol: mol.GetNumHeavyAtoms(),
    }
    for name, function in theirs.items():
        for i, smiles in enumerate((ASPIRIN, CAFFEINE)):
            expected = function(Chem.MolFromSmiles(smiles))
            at = DESCRIPTORS.index(name)
            np.testing.assert_allclose(found[i, at], expected, rtol=1e-6, err_msg=name)


def test_counts_are_rdkits_up_to_the_most() -> None:
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=BITS)
    for smiles in (ASPIRIN, "C" * 40):
        expected = np.zeros(BITS)
        for bit, count in generator.GetCountFingerprint(
            Chem.MolFromSmiles(smiles)
        ).GetNonzeroElements().items():  # fmt: skip
            expected[bit] = min(count, MOST_COUNT)
        np.testing.assert_array_equal(Features.of_smiles([smiles]).counts[0], expected)
    assert expected.max() == MOST_COUNT


def test_the_product_of_unary_codes_is_the_sum_of_minima() -> None:
    rng = np.random.default_rng(0)
    some, others = rng.integers(0, MOST_COUNT + 1, (2, 12, BITS)) * (
        rng.random((2, 12, BITS)) < 0.1
    )
    some, others = some.astype(np.uint8), others.astype(np.uint8)
    expected = np.minimum(some[:, None], others[None]).sum(-1)
    for columns in (unary_columns(some), unary_columns(others)):  # either side's will do
        found = unary(some, columns) @ unary(others, columns).T
        np.testing.assert_array_equal(found, expected)


def test_odd_molecules_have_features() -> None:
    found = Features.of_smiles(ODD)
    scores = Scaler.fit(found.descriptors)(found.descriptors)
    assert np.isfinite(scores).all()
    assert np.abs(scores).max() <= LIMIT


def test_scores_are_standard_and_unknowns_are_average() -> None:
    rng = np.random.default_rng(1)
    table = rng.uniform(-1, 9, size=(500, 3))
    table[:, 1] = 7.0  # constant
    table[3, 2] = np.nan
    scaler = Scaler.fit(table)
    scores = scaler(table)
    assert scores.shape == (500, 2)
    np.testing.assert_allclose(scores.mean(0), 0, atol=1e-10)
    assert scores[3, 1] == 0
    np.testing.assert_allclose(scores[:, 0].std(), 1)
    assert scaler(np.array([[1e30, 0.0, -1e30]])).tolist() == [[LIMIT, -LIMIT]]


def test_no_molecules() -> None:
    assert len(Features.of_smiles([])) == 0
    assert Features.of([]).descriptors.shape == (0, len(DESCRIPTORS))
