"""Diversity and nearest neighbours, against sums written out pair by pair."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest

from molgen.molecules import fingerprints as similarity
from molgen.molecules.fingerprints import (
    Bits,
    fingerprints,
    internal_diversities,
    internal_diversity,
    nearest_similarity,
    pairwise_diversity,
    weighted_diversities,
)


def tanimoto(a: Bits, b: Bits) -> float:
    either = int((a | b).sum())
    return float((a & b).sum() / either) if either else 1.0


def random_bits(rows: int, seed: int) -> Bits:
    bits = (np.random.default_rng(seed).random((rows, 64)) < 0.2).astype(np.uint8)
    bits[0] = 0  # a molecule without bits
    return bits


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(similarity, "BLOCK", 7)  # so that there are several


@pytest.mark.parametrize("power", [1.0, 2.0, 3.0])
def test_diversity_pair_by_pair(power: float) -> None:
    bits = random_bits(23, 1)
    table = np.array([[tanimoto(a, b) for b in bits] for a in bits])
    expected = 1 - np.mean(np.mean(table**power, axis=1) ** (1 / power))
    assert internal_diversity(bits, power) == pytest.approx(expected, abs=1e-6)


def test_a_weight_is_a_repetition() -> None:
    bits = random_bits(20, 2)
    sets = np.random.default_rng(3).integers(0, 4, (3, 20))
    found = weighted_diversities(bits, (1.0, 2.0), sets)
    for weights, values in zip(sets, found, strict=True):
        repeated = internal_diversities(np.repeat(bits, weights, axis=0), (1.0, 2.0))
        assert values == pytest.approx(repeated, abs=1e-6)


def test_an_empty_set_has_no_diversity() -> None:
    assert math.isnan(internal_diversity(np.zeros((0, 64), np.uint8)))
    assert np.isnan(weighted_diversities(random_bits(5, 4), (1.0,), np.zeros((1, 5), int))).all()


def test_the_nearest_of_all() -> None:
    bits, others = random_bits(19, 5), random_bits(40, 6)
    expected = [max(tanimoto(a, b) for b in others) for a in bits]
    assert nearest_similarity(bits, others) == pytest.approx(expected, abs=1e-6)


def test_fingerprints_are_those_of_moses() -> None:
    from rdkit import Chem, rdBase
    from rdkit.Chem import rdMolDescriptors

    smiles = ["C", "CC(=O)Oc1ccccc1C(=O)O", "C[C@H](N)C(=O)O", "[Na+].[Cl-]", "c1ccc2[nH]ccc2c1"]
    with rdBase.BlockLogs():  # the call that MOSES makes, deprecated since
        old = [
            list(rdMolDescriptors.GetMorganFingerprintAsBitVect(Chem.MolFromSmiles(s), 2, 1024))
            for s in smiles
        ]
    assert fingerprints(smiles).tolist() == old
    with pytest.raises(ValueError, match="'x' is no molecule"):
        fingerprints(["C", "x"])


@pytest.mark.parametrize("size", [64, 2048])
def test_pairwise_diversity_is_the_mean_over_different_pairs(size: int) -> None:
    smiles = ["CCO", "c1ccccc1O", "CC(=O)Nc1ccc(O)cc1", "C1CCNCC1"]
    bits = fingerprints(smiles, size=size)
    assert bits.shape == (len(smiles), size)
    expected = 1 - np.mean([tanimoto(a, b) for a, b in combinations(bits, 2)])
    assert pairwise_diversity(bits) == pytest.approx(expected, abs=1e-6)
    assert math.isnan(pairwise_diversity(bits[:1]))
