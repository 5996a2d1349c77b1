"""Hard filters: RDKit's own catalogues, MOSES's filters and patterns, by name."""

from __future__ import annotations

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem.FilterCatalog import FilterCatalog, FilterCatalogParams

from molgen.molecules.filters import CATALOGUES, Filters, names
from molgen.molecules.moses_filters import pass_filters

CATECHOL, RHODANINE, NITRO = "Oc1ccccc1O", "O=C1CSC(=S)N1", "CC[N+](=O)[O-]"
ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"
MANY = [
    CATECHOL, RHODANINE, NITRO, ASPIRIN, "C", "CCO", "c1ccccc1", "CC(C)Cc1ccc(cc1)C(C)C(=O)O",
    "O=Cc1ccccc1", "CCBr", "N#CC(C#N)=Cc1ccccc1", "C1CCCCCCCC1", "CN1C=NC2=C1C(=O)N(C(=O)N2C)C",
    "CCCCCCCCCCCCCCCC", "O=C(Cl)C", "C[N+](C)(C)C", "O=C1C=CC(=O)C=C1", "C=CC(=O)C", "CSSC",
    "O=S(=O)(N)c1ccccc1", "NN", "CI", "[SiH4]", "C/C=C/C", "N[C@@H](C)C(=O)O",
]  # fmt: skip


@pytest.mark.parametrize("name", list(CATALOGUES))
def test_catalogues_agree_with_rdkit(name: str) -> None:
    catalogue = FilterCatalog(FilterCatalogParams(CATALOGUES[name]))
    mols = [Chem.MolFromSmiles(smiles) for smiles in MANY]
    truth = [catalogue.HasMatch(mol) for mol in mols]
    assert [reason is not None for reason in Filters.read([name]).reasons(MANY)] == truth


def test_reasons_name_the_filter_and_the_alert() -> None:
    filters = Filters.read(["PAINS", "smarts:[N+](=O)[O-]", "need:c1ccccc1"])
    assert filters.names == ("pains", "smarts:[N+](=O)[O-]", "need:c1ccccc1")
    found = filters.reasons([CATECHOL, ASPIRIN, NITRO, "CCO", RHODANINE, "", "c1c", CATECHOL])
    assert found == [
        "pains: catechol_A(92)", None, "smarts:[N+](=O)[O-]", "need:c1ccccc1",
        "pains: rhod_sat_A(33)",
        "no molecule", "no molecule", "pains: catechol_A(92)",
    ]  # fmt: skip
    assert filters.reason(Chem.MolFromSmiles(ASPIRIN)) is None


def test_every_filter_is_counted_separately() -> None:
    filters = Filters.read(["smarts:O", "need:c", "pains"])
    met = filters.met([CATECHOL, "c1ccccc1", "CCO", "", "CCO"])
    assert list(met) == ["smarts:O", "need:c", "pains"]
    assert met.to_numpy().tolist() == [
        [False, True, False], [True, True, True], [False, False, True], [False] * 3,
        [False, False, True],
    ]  # fmt: skip
    assert set(map(str, met.dtypes)) == {"bool"}
    assert filters.met([]).shape == (0, 3)


def test_moses_filters_are_those_of_the_metrics() -> None:
    truth = pass_filters([Chem.MolFromSmiles(smiles) for smiles in MANY])
    assert 0 < truth.sum() < len(MANY)
    np.testing.assert_array_equal(Filters.read(["moses"]).met(MANY)["moses"], truth)


def test_no_filter_passes_every_molecule() -> None:
    none = Filters.read([])
    assert not len(none)
    assert none.reasons(["C", ""]) == [None, "no molecule"]
    assert none.met(["C", ""]).shape == (2, 0)


def test_plain_names() -> None:
    assert {"pains", "pains_a", "brenk", "nih", "zinc", "chembl", "chembl_bms", "moses"} < {
        *names()
    }
    assert all(name == name.lower() for name in names())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["pain"], "; did you mean pains?"),
        (["xyzzy"], "filter is 'xyzzy', expected pains_a, "),
        ([""], "filter is '', expected pains_a, "),
        (["pains", "PAINS"], "filter pains is given twice"),
        (["smarts:[N+"], "filter 'smarts:[N+': SMARTS '[N+' cannot be read"),
        (["smarts:"], "filter 'smarts:': the SMARTS is empty"),
        (["need:c1cc"], "filter 'need:c1cc': SMARTS 'c1cc' cannot be read"),
        (["smart:C"], "smarts:PATTERN or need:PATTERN"),
    ],
)
def test_bad_filters(words: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        Filters.read(words)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_radicals_are_unpaired_electrons_and_nothing_else() -> None:
    radicals = ["O=C(NCC1CC1)N2C[CH]CCC2", "C[CH2]", "CC[O]", "[H]", "C[N]C"]
    others = ["CCO", "[Na+].[Cl-]", "C[N+](=O)[O-]", "[C-]#[O+]", "O=O", "[2H]C", *MANY]
    filters = Filters().without_radicals()
    assert filters.names == ("radicals",)
    assert filters.reasons(radicals) == ["radicals"] * len(radicals)
    assert filters.reasons(others) == [None] * len(others)
    both = Filters.read(["pains", "radicals"])
    assert both.without_radicals() is both
