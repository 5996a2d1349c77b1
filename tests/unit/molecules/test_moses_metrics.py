"""MOSES' numbers for MOSES' samples, and its definitions on sets small enough to count."""

from __future__ import annotations

import csv
import gzip

import numpy as np
import pytest
from rdkit import Chem

from molgen.molecules import fcd, moses_filters
from molgen.molecules.conventions import MOSES, wasserstein
from molgen.molecules.distribution import Reference, describe
from molgen.molecules.evaluate import ChemNet, Metrics, evaluate
from molgen.molecules.moses_filters import pass_filters
from molgen.molecules.moses_metrics import cosine, fragments, scaffold
from molgen.molecules.parsing import Molecule, interpret_all
from molgen.nn.chemnet import available, chemnet
from paths import DATA
from property_models import compute

PUBLISHED = DATA / "moses_char_rnn_published.csv"

needs_data = pytest.mark.skipif(not PUBLISHED.is_file(), reason="needs MOLGEN_DATA_DIR")


def rows(name: str) -> list[str]:
    with gzip.open(DATA / f"{name}.csv.gz", "rt") as file:
        return [row["smiles"] for row in csv.DictReader(file)]


def moses_metrics(
    molecules: list[Molecule],
    reference: Reference | None = None,
    processes: int = 1,
    chemnet: ChemNet | None = None,
) -> Metrics:
    return evaluate(molecules, [MOSES], None, reference, processes, chemnet=chemnet)["moses"]


def test_small_set_by_hand() -> None:
    molecules = interpret_all(["CCO", "OCC", "x", "c1ccccc1"])
    reference = describe(["CCO", "c1ccccc1"])
    metrics = moses_metrics(molecules, reference)
    assert list(metrics) == [
        "valid", "unique@1000", "unique@10000",
        "IntDiv", "IntDiv2", "SNN", "Frag", "Scaf", "Filters",
    ]  # fmt: skip
    assert metrics["valid"] == 0.75
    assert metrics["unique@1000"] == pytest.approx(2 / 3)
    assert metrics["SNN"] == pytest.approx(1.0)
    # ethanol and benzene have no bond in common: T is 1 for ethanol's pairs and 0 across
    assert metrics["IntDiv"] == pytest.approx(1 - 5 / 9, abs=1e-6)
    assert metrics["Frag"] == pytest.approx(3 / np.sqrt(5 * 2))  # (2, 1) against (1, 1)
    assert metrics["Scaf"] is None  # benzene has only one ring
    assert metrics["Filters"] == 1.0
    with pytest.raises(ValueError, match="no molecule"):
        describe(["x"])


def test_unique_at_k_is_over_the_first_k_valid_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("molgen.molecules.moses_metrics.UNIQUE_AT", (3, 9))
    metrics = moses_metrics(interpret_all(["x", "C", "C", "CC", "CC", "CC"]))
    assert metrics["unique@3"] == pytest.approx(2 / 3)
    assert metrics["unique@9"] == pytest.approx(2 / 5), "fewer than 9: over those there are"


def test_moses_counts_rows_that_rdkit_reads() -> None:
    metrics = moses_metrics(interpret_all(["CC.O", "O.CC", "*C", "[NH4+]", "C[C@H](N)O", "C name"]))
    assert metrics["valid"] == pytest.approx(5 / 6), "a string with a blank is no SMILES here"
    assert metrics["unique@1000"] == pytest.approx(4 / 5), "fragments in another order"
    assert metrics["Filters"] == pytest.approx(3 / 5), "a dummy atom and a charge fail"


def test_without_valid_rows_metrics_are_undefined() -> None:
    metrics = moses_metrics(interpret_all(["x", ""]), describe(["CCO"]))
    assert metrics.pop("valid") == 0
    assert set(metrics.values()) == {None}


def test_parts() -> None:
    assert scaffold(Chem.MolFromSmiles("CCc1ccc2ccccc2c1")) == "c1ccc2ccccc2c1"
    assert scaffold(Chem.MolFromSmiles("CCc1ccccc1")) == ""
    # the amide bond is cut; stars carry the kinds of the ends
    pieces = fragments(Chem.MolFromSmiles("CC(=O)NC1CC1"))
    assert len(pieces) >= 2
    assert any("C(C)=O" in piece for piece in pieces)


@pytest.mark.parametrize(
    ("smiles", "passes"),
    [
        ("Cc1ccc(C(=O)NCCO)cc1", True),
        ("C1CO1", False),  # epoxide, MCF5
        ("CN=C=O", False),  # isocyanate, MCF6
        ("CC=O", False),  # aldehyde, MCF7
        ("ClC(Cl)(Cl)CCl", False),  # four chlorines in one pattern of four parts, MCF21
        ("O=C1NC(=S)SC1=Cc1ccccc1", False),  # rhodanine, the best known interfering compound
        ("C1CCCCCCC1", False),  # ring of eight
        ("C1CCCCCC1", True),
        ("C[NH3+]", False),
        ("CSi", None),
        ("C[Si](C)(C)C", False),
        ("CCBr", False),  # alkyl bromide, MCF4
        ("Brc1ccccc1", True),
    ],
)
def test_filters(smiles: str, passes: bool | None) -> None:
    mol = Chem.MolFromSmiles(smiles)
    assert (mol is None) == (passes is None)
    if mol is not None:
        assert pass_filters([mol]).tolist() == [passes]


@needs_data
def test_the_screen_misses_no_match() -> None:
    mols = [Chem.MolFromSmiles(s) for s in rows("zinc250k")[::2500]]
    patterns, _ = moses_filters._patterns()
    assert len(patterns) == 502
    quick = pass_filters(mols)
    for mol, passed in zip(mols, quick, strict=True):
        with_hydrogens = Chem.AddHs(mol)
        every = any(with_hydrogens.HasSubstructMatch(pattern) for pattern in patterns)
        assert passed == (moses_filters._plain(mol) and not every)
    assert 0.2 < quick.mean() < 0.9


def test_cosine() -> None:
    from collections import Counter

    assert cosine(Counter(a=3, b=4), Counter(a=3, b=4)) == pytest.approx(1.0)
    assert cosine(Counter(a=1), Counter(b=1)) == 0.0
    assert cosine(Counter(a=3, b=4), Counter(a=1)) == pytest.approx(0.6)
    assert cosine(Counter(), Counter(a=1)) is None


@needs_data
def test_published_metrics_that_need_no_reference() -> None:
    published = read_published()
    metrics = moses_metrics(interpret_all(rows("moses_char_rnn")[:2000]))
    # A part of the samples: three standard errors of a rate p over n rows are 3 sqrt(p (1-p) / n)
    for name, n in (("valid", 2000), ("Filters", 1970)):
        error = 3 * np.sqrt(published[name] * (1 - published[name]) / n)
        assert metrics[name] == pytest.approx(published[name], abs=error)
    assert metrics["unique@1000"] == published["unique@1000"]
    # each molecule's similarity to itself counts 1/2,000 here and 1/30,000 there
    assert metrics["IntDiv"] == pytest.approx(published["IntDiv"], abs=2e-3)
    assert metrics["IntDiv2"] == pytest.approx(published["IntDiv2"], abs=2e-3)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@needs_data
def test_published_metrics() -> None:
    """All 30,000 samples against all 176,074 test molecules: minutes."""
    published = read_published()
    molecules = interpret_all(rows("moses_char_rnn"))
    test = rows("moses_test")
    network = chemnet()
    seen = ChemNet(fcd.reference_moments(test, network), network) if available() else None
    metrics = moses_metrics(molecules, describe(test, processes=2), 2, seen)
    for name, value in metrics.items():
        theirs = published.get(name, published.get(f"{name}/Test"))
        # scaffolds depend on the RDKit release; the rest is reproduced as printed
        assert value == pytest.approx(theirs, abs=1e-2 if name == "Scaf" else 1e-3), name


@pytest.mark.slow
@pytest.mark.timeout(3600)
@needs_data
def test_published_property_distances() -> None:
    published = read_published()
    names = {"logp": "logP", "mw": "weight", "sa": "SA", "qed": "QED"}
    # a fifth of each set: the distances are estimated a little too large
    samples = compute(list(names), rows("moses_char_rnn")[::5])
    test = compute(list(names), rows("moses_test")[::20])
    for ours, theirs in names.items():
        spread = np.nanstd(test[ours]) / np.sqrt(6000)
        distance = wasserstein(samples[ours], test[ours])
        assert distance == pytest.approx(published[theirs], abs=3 * spread), ours


def read_published() -> dict[str, float]:
    with PUBLISHED.open() as file:
        return {row["metric"]: float(row["value"]) for row in csv.DictReader(file)}
