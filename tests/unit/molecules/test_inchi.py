"""What a standard InChIKey joins, and what it does not."""

from __future__ import annotations

import pytest

from molgen.molecules.inchi import inchikey, inchikeys


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("CCC(C)c1nnc[nH]1", "CCC(C)c1n[nH]cn1"),  # a triazole
        ("Oc1ccccn1", "O=c1cccc[nH]1"),  # hydroxypyridine and pyridone
        ("CC(N)=O", "CC(=N)O"),  # an amide and its imidic acid
        ("CN=C(N)N", "CNC(N)=N"),  # a guanidine
        ("NCC(=O)O", "[NH3+]CC(=O)[O-]"),  # an amino acid and its zwitterion
        ("C[N+](=O)[O-]", "CN(=O)=O"),  # a nitro group
        ("CC(=O)O[Na]", "CC(=O)[O-].[Na+]"),  # a salt of a metal
    ],
)
def test_joined(one: str, other: str) -> None:
    assert inchikey(one) == inchikey(other) != ""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("CC(C)=O", "C=C(C)O"),  # ketone and enol
        ("CC(=O)CC(C)=O", "CC(O)=CC(C)=O"),  # the enol of a diketone
        ("CC(=O)O", "CC(=O)[O-]"),  # acid and anion
        ("C[C@H](O)F", "C[C@@H](O)F"),  # enantiomers
        ("C[C@H](O)F", "CC(O)F"),
        ("CO", "[2H]CO"),  # isotopes
    ],
)
def test_not_joined(one: str, other: str) -> None:
    assert "" != inchikey(one) != inchikey(other) != ""


def test_a_known_key() -> None:
    assert inchikey("CCO") == "LFQSCWFLJHTTHZ-UHFFFAOYSA-N"


def test_no_key_is_no_error(capfd: pytest.CaptureFixture[str]) -> None:
    """More atoms than InChI reads, an unknown atom, no molecule; nothing is printed."""
    texts = ["C" * 1024, "*C", "", "C1CC", "[CH128]", "CC(C)(C)(C)(C)C"]
    assert inchikeys(texts) == [""] * len(texts)
    assert inchikey("C" * 1023) != ""
    for odd in ("[H][H]", "[Og]", "[Fe+2]", "[U](F)(F)(F)(F)(F)F", "CC(=O)O[Pt]", "[C]", "[He]"):
        assert inchikey(odd) != ""
    assert capfd.readouterr() == ("", "")


def test_each_row_has_its_key_in_any_number_of_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("molgen.utils.parallel.CHUNK", 5)
    texts = ["C" * n for n in range(1, 20)] * 2
    assert inchikeys(texts, processes=2) == [inchikey(text) for text in texts]
