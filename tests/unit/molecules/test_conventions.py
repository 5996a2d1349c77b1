"""Counts by every convention on one small table, computed by hand."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from molgen.errors import MolgenError
from molgen.molecules.conventions import (
    CONVENTIONS,
    GUACAMOL,
    INCHIKEY,
    MOSES,
    PAPER,
    STRICT,
    convention,
    count,
    frontier_point,
    wasserstein,
)
from molgen.molecules.evaluate import evaluate
from molgen.molecules.fingerprints import fingerprints, internal_diversity, nearest_similarity
from molgen.molecules.parsing import Molecule, interpret_all
from molgen.molecules.training_index import TrainingIndex

# ethanol twice and as a copy, both enantiomers of alanine, a training molecule as OC for CO
RAWS = ["CCO", "OCC", "CCO", "OC", "CO", "C1CC", "", "C.C", "C[C@H](N)O", "C[C@@H](N)O", "CCN"]
KNOWN = TrainingIndex.from_smiles(["CO", "CC(N)O"])


@pytest.fixture(scope="module")
def molecules() -> list[Molecule]:
    return interpret_all(RAWS)


@pytest.mark.parametrize(
    ("name", "valid", "unique", "novel", "rates"),
    [
        # valid: all but C1CC, the empty one and C.C; unique: CCO, CO, both enantiomers, CCN
        ("strict", 8, [0, 3, 8, 9, 10], [0, 8, 9, 10], (8 / 11, 5 / 11, 4 / 11)),
        # OCC and OC are distinct strings; only CO is written as in training
        ("paper", 8, [0, 1, 3, 4, 8, 9, 10], [0, 1, 3, 8, 9, 10], (8 / 11, 7 / 11, 6 / 11)),
        # no two of these differ in their InChIKeys alone
        ("inchikey", 8, [0, 3, 8, 9, 10], [0, 8, 9, 10], (8 / 11, 5 / 11, 4 / 11)),
        # C.C is a molecule here; rates are nested
        ("moses", 9, [0, 3, 7, 8, 9, 10], [0, 7, 8, 9, 10], (9 / 11, 6 / 9, 5 / 6)),
        # both enantiomers are one molecule, in the training set
        ("guacamol", 9, [0, 3, 7, 8, 10], [0, 7, 10], (9 / 11, 5 / 9, 3 / 5)),
    ],
)
def test_conventions(
    molecules: list[Molecule],
    name: str,
    valid: int,
    unique: list[int],
    novel: list[int],
    rates: tuple[float, float, float],
) -> None:
    counted = count(molecules, convention(name), KNOWN)
    assert counted.novel is not None
    assert counted.valid.sum() == valid
    assert np.flatnonzero(counted.unique).tolist() == unique
    assert np.flatnonzero(counted.novel).tolist() == novel
    result = counted.rates()
    assert (result["valid"], result["unique"], result["novel"]) == pytest.approx(rates, abs=1e-15)
    assert result["rows"] == len(RAWS)
    assert result["novel_count"] == len(novel)


def test_novelty_is_undefined_without_an_index(molecules: list[Molecule]) -> None:
    counted = count(molecules)
    assert counted.novel is None
    assert counted.rates()["novel"] is None
    assert counted.rates()["novel_count"] is None
    with pytest.raises(ValueError, match="no novel rows"):
        frontier_point(counted, np.zeros(len(RAWS)))


def test_rates_of_no_rows_are_undefined() -> None:
    nothing = interpret_all(["C1CC", ""])
    assert count(nothing, MOSES, KNOWN).rates()["unique"] is None
    assert count(nothing, STRICT, KNOWN).rates()["unique"] == 0.0


def test_frontier_point_averages_exactly_the_novel_rows(molecules: list[Molecule]) -> None:
    values = np.arange(11.0)
    values[[5, 6, 7]] = math.nan  # the invalid ones have no value
    strict = frontier_point(count(molecules, STRICT, KNOWN), values)
    assert (strict.convention, strict.rows, strict.novel) == ("strict", 11, 4)
    assert strict.mean == pytest.approx((0 + 8 + 9 + 10) / 4)
    paper = frontier_point(count(molecules, PAPER, KNOWN), values)
    assert paper.novel == 6
    assert paper.mean == pytest.approx((0 + 1 + 3 + 8 + 9 + 10) / 6)
    all_rows = TrainingIndex.from_smiles(RAWS)
    none = frontier_point(count(molecules, STRICT, all_rows), values)
    assert none.novel == 0
    assert math.isnan(none.mean)
    with pytest.raises(ValueError, match=r"shape \(3,\), expected \(11,\)"):
        frontier_point(count(molecules, GUACAMOL, KNOWN), np.zeros(3))


@settings(deadline=None)
@given(st.lists(st.sampled_from(["C", "CC", "OC", "CO", "x", "", "C.C", "C[C@H](N)O"])))
def test_each_set_contains_the_next(raws: list[str]) -> None:
    for each in CONVENTIONS.values():
        counted = count(interpret_all(raws), each, KNOWN)
        assert counted.novel is not None
        assert not (counted.novel & ~counted.unique).any()
        assert not (counted.unique & ~counted.valid).any()
    strict, paper = (count(interpret_all(raws), c, KNOWN).novel for c in (STRICT, PAPER))
    assert strict is not None
    assert paper is not None
    assert strict.sum() <= paper.sum() + raws.count("CO")  # the paper's count is never the stricter


def test_unknown_convention() -> None:
    with pytest.raises(ValueError, match="'lenient'"):
        convention("lenient")


def test_evaluate_is_json(molecules: list[Molecule]) -> None:
    report = json.loads(json.dumps(evaluate(molecules, known=KNOWN), allow_nan=False))
    assert list(report) == ["strict", "paper", "inchikey", "moses", "guacamol"]
    assert report["strict"]["novel_count"] == 4
    assert report["moses"]["Novelty"] == pytest.approx(5 / 6)
    assert report["moses"]["SNN"] is None, "without a reference"
    broken = evaluate(interpret_all(["C1CC"]), known=KNOWN)
    assert broken["moses"]["valid"] == 0.0
    assert broken["moses"]["IntDiv"] is None
    with pytest.raises(ValueError, match="at least one row"):
        evaluate([])


def test_inchikeys_join_tautomers_and_a_molecule_without_one_is_counted() -> None:
    # triazole tautomers (one of them known), acetone and its enol, more atoms than InChI reads
    raws = ["CCC(C)c1nnc[nH]1", "CCC(C)c1n[nH]cn1", "CC(C)=O", "C=C(C)O", "C" * 1100, "C1CC"]
    molecules = interpret_all(raws)
    index = TrainingIndex.from_smiles(["CCC(C)c1n[nH]cn1"])
    strict, joined = (count(molecules, c, index) for c in (STRICT, INCHIKEY))
    assert strict.novel is not None
    assert joined.novel is not None
    assert strict.novel.tolist() == [True, False, True, True, True, False]
    assert joined.valid.tolist() == [True, True, True, True, False, False]
    assert joined.unique.tolist() == [True, False, True, True, False, False]
    assert joined.novel.tolist() == [False, False, True, True, False, False]
    found = evaluate(molecules, [STRICT, INCHIKEY], index)
    assert (found["inchikey"]["no_inchikey"], found["inchikey"]["novel_count"]) == (1, 2)
    old = replace(index, inchi_keys=None)
    assert INCHIKEY.name not in evaluate(molecules[:2], known=old)
    with pytest.raises(MolgenError, match="molgen index"):
        count(molecules, INCHIKEY, old)


def test_wasserstein() -> None:
    a = np.array([0.0, 1.0, 3.0])
    # by hand: 0 -> 5, 1 -> 6, 3 -> 8 moves each by five
    assert wasserstein(a, a[::-1] + 5.0) == pytest.approx(5.0)
    # one point at 0 against halves at -1 and 2: (1 + 2) / 2
    assert wasserstein(np.zeros(1), np.array([-1.0, 2.0])) == pytest.approx(1.5)
    assert wasserstein(a, np.array([1.0, math.nan, 0.0, 3.0])) == 0.0
    assert math.isnan(wasserstein(a, np.array([math.nan])))


@settings(deadline=None)
@given(
    st.lists(st.floats(-10, 10), min_size=1, max_size=8),
    st.lists(st.floats(-10, 10), min_size=1, max_size=8),
)
def test_wasserstein_is_the_mean_difference_of_quantiles(a: list[float], b: list[float]) -> None:
    x, y = (
        np.sort(np.repeat(a, len(b))),
        np.sort(np.repeat(b, len(a))),
    )  # of equal size
    expected = np.mean(np.abs(x - y))
    assert wasserstein(np.array(a), np.array(b)) == pytest.approx(expected, abs=1e-12)


def test_internal_diversity_by_hand() -> None:
    bits = np.zeros((3, 1024), dtype=np.uint8)
    bits[0, [1, 2]] = bits[1, [2, 3]] = bits[2, [8, 9]] = 1
    # T: 1 on the diagonal, 1/3 between the first two, else 0
    assert internal_diversity(bits) == pytest.approx(1 - (3 + 2 / 3) / 9)
    rows = np.sqrt(np.array([1 + 1 / 9, 1 + 1 / 9, 1]) / 3)
    assert internal_diversity(bits, power=2) == pytest.approx(1 - rows.mean())
    assert math.isnan(internal_diversity(bits[:0]))
    np.testing.assert_allclose(nearest_similarity(bits[:1], bits[1:]), [1 / 3])


def test_similarities_agree_with_rdkit(monkeypatch: pytest.MonkeyPatch) -> None:
    from rdkit import Chem, DataStructs
    from rdkit.Chem import rdFingerprintGenerator

    monkeypatch.setattr(
        "molgen.molecules.fingerprints.BLOCK", 7
    )  # so that blocks and their borders matter
    smiles = ["C" * a + b + "c1ccccc1" * c for a in range(1, 6) for b in "ON" for c in (0, 1)]
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=1024)
    prints = [generator.GetFingerprint(Chem.MolFromSmiles(s)) for s in smiles]
    table = np.array([DataStructs.BulkTanimotoSimilarity(p, prints) for p in prints])
    bits = fingerprints(smiles)
    assert internal_diversity(bits) == pytest.approx(1 - table.mean(), abs=1e-6)
    expected = 1 - np.sqrt((table**2).mean(axis=1)).mean()
    assert internal_diversity(bits, power=2) == pytest.approx(expected, abs=1e-6)
    near = nearest_similarity(bits[:8], bits[8:])
    np.testing.assert_allclose(near, table[:8, 8:].max(axis=1), atol=1e-6)
    with pytest.raises(ValueError, match="'x' is no molecule"):
        fingerprints(["C", "x"])
