"""Verification of molecules, with the reasons of failures."""

from __future__ import annotations

import csv

import pytest
from rdkit import Chem

from molgen.constraints.scaffolds import read, read_lead
from molgen.constraints.verify import (
    ELSEWHERE,
    MISSING,
    NO_LINKER,
    NO_MOLECULE,
    OVERLAP,
    STEREO,
    Verifier,
)
from paths import DATA

DRUGS = DATA / "drug_fragments.csv"

EXPECTED: dict[str, dict[str, str]] = {
    "*c1ccco1": {
        "CCc1ccco1": "ok",
        "c1coc(C2CC2)c1": "ok",
        "O=Cc1cc2ccccc2o1": ELSEWHERE,
        "Cc1ccc(C)o1": ELSEWHERE,
        "c1ccoc1": ELSEWHERE,  # nothing grew
        "Cc1ccoc1": ELSEWHERE,  # but at another atom
        "CCc1cccs1": MISSING,
        "CC1CCCO1": MISSING,
        "": NO_MOLECULE,
        "C1CC": NO_MOLECULE,
    },
    "*c1ccccc1*": {
        "Cc1ccccc1F": "ok",
        "c1ccc2c(c1)CCC2": "ok",  # through a ring of its own
        "c1ccc2c(c1)C2": "ok",  # both on one atom
        "Cc1ccc(F)cc1": ELSEWHERE,
        "c1ccc2ccccc2c1": ELSEWHERE,  # no single bonds
    },
    "*C(*)=O": {
        "CC(C)=O": "ok",
        "O=C1CC1": "ok",
        "CC=O": ELSEWHERE,
        "CC(O)C": MISSING,
    },
    "*N(C)C": {"CCN(C)C": "ok", "C[N+](C)(C)C": MISSING, "CNCC": ELSEWHERE},
    "*C#N": {"CC#N": "ok", "C#N": ELSEWHERE, "CN=C": MISSING},
    "*=C1CCC1": {
        "C=C1CCC1": "ok",
        "CN=C1CCC1": "ok",
        "CC1CCC1": ELSEWHERE,
        "C1CCC1": ELSEWHERE,
        "CC1(C)CCC1": ELSEWHERE,  # two single bonds instead
    },
    "*=C1C=CNC=C1": {"O=c1cc[nH]cc1": "ok", "C=C1C=CNC=C1": "ok", "Oc1ccncc1": ELSEWHERE},
    "*n1cccc1": {"Cn1cccc1": "ok", "c1cc[nH]c1": ELSEWHERE},
    "*c1c[nH]cn1": {"Cc1c[nH]cn1": "ok", "Cc1cnc[nH]1": ELSEWHERE},  # the other tautomer
    "*[C@H](C)O": {
        "CC[C@H](C)O": "ok",
        "C[C@H](O)CC": "ok",  # the same
        "CC[C@@H](C)O": STEREO,
        "CCC(C)O": STEREO,
        "CC(C)O": STEREO,  # no centre any more
        "CC[C@](C)(O)F": ELSEWHERE,
    },
    "*[C@](C)(O)F": {"CC[C@](C)(O)F": "ok", "CC[C@@](C)(O)F": STEREO},
    "[1*][C@H]([2*])C": {"CC[C@H](C)O": "ok", "CC[C@@H](C)O": "ok", "CCC(C)O": STEREO},
    "*O[C@H]1CC[C@@H](*)C1": {
        "CO[C@H]1CC[C@@H](F)C1": "ok",
        "CO[C@@H]1CC[C@H](F)C1": STEREO,
        "CO[C@H]1CC[C@H](F)C1": STEREO,
    },
    "*/C=C/C": {
        "CC/C=C/C": "ok",
        "C/C=C/F": "ok",
        "CC/C=C\\C": STEREO,
        "CCC=CC": STEREO,
        "CC(C)=CC": ELSEWHERE,
    },
    "*/C(F)=C(/Cl)*": {
        "C/C(F)=C(/Cl)C": "ok",
        "C/C(F)=C(\\Cl)C": STEREO,
        "Br/C(F)=C(/Cl)I": "ok",  # other neighbours rank first
        "Br/C(F)=C(\\Cl)I": STEREO,
    },
    "*C1CC1.*C#N": {
        "N#CCC1CC1": "ok",
        "N#CNC(=O)C1CC1": "ok",
        "N#CC1CC1": NO_LINKER,
        "N#CCC1CC1C": f"fragment 1 {ELSEWHERE}",
        "CCC1CC1": f"fragment 2 {MISSING}",
        "N#CCC1C(C2CC2)C1": "ok",  # one ring is whole, the other part of the linker
    },
    "*CO*.*CO*": {"COCCOCC": "ok", "COCCNC": OVERLAP},
    "*C1CC1.*C1CC1": {"C1CC1CC1CC1": "ok", "CC1CC1": OVERLAP, "C1CC1C1CC1": NO_LINKER},
}


@pytest.mark.parametrize("scaffold", EXPECTED)
def test_scaffolds_are_verified(scaffold: str) -> None:
    verify = Verifier(read(scaffold))
    assert {smiles: verify(smiles) for smiles in EXPECTED[scaffold]} == EXPECTED[scaffold]


@pytest.mark.parametrize("scaffold", EXPECTED)
def test_the_result_does_not_depend_on_spelling(scaffold: str) -> None:
    verify = Verifier(read(scaffold))
    for smiles, expected in EXPECTED[scaffold].items():
        mol = Chem.MolFromSmiles(smiles)
        for seed in range(5) if mol is not None and smiles else ():
            (other,) = Chem.MolToRandomSmilesVect(mol, 1, randomSeed=seed + 1)
            assert verify(other) == expected, (smiles, other)
    mol = read(scaffold).fragments[0].mol
    if len(read(scaffold).fragments) == 1:
        for seed in range(5):
            (other,) = Chem.MolToRandomSmilesVect(mol, 1, randomSeed=seed + 1)
            again = Verifier(read(other))
            assert {smiles: again(smiles) for smiles in EXPECTED[scaffold]} == EXPECTED[scaffold]


def test_a_superstructure_contains_its_core_as_a_substructure() -> None:
    verify = Verifier(read("c1ccoc1", "superstructure"))
    expected = {"Cc1cc(C)co1": "ok", "c1ccc2occc2c1": "ok", "C1CCOC1": MISSING, "": NO_MOLECULE}
    assert {smiles: verify(smiles) for smiles in expected} == expected
    verify = Verifier(read("C[C@H](N)O", "superstructure"))
    expected = {"CC[C@H](N)O": "ok", "CC[C@@H](N)O": STEREO, "CCC(N)O": STEREO, "CCO": MISSING}
    assert {smiles: verify(smiles) for smiles in expected} == expected


LEADS = [
    ("CC(=O)Nc1ccc(O)cc1", {"change": [0]}, "FC(=O)Nc1ccc(O)cc1", "ok"),
    ("CC(=O)Nc1ccc(O)cc1", {"change": [0]}, "O=CNc1ccc(O)cc1", "ok"),  # it may go
    ("CC(=O)Nc1ccc(O)cc1", {"change": [0]}, "CC(=O)Nc1ccc(OC)cc1", ELSEWHERE),
    ("CC(=O)Nc1ccc(O)cc1", {"change": [0]}, "CC(=O)Nc1ccc(N)cc1", MISSING),
    ("CC(=O)Nc1ccc(O)cc1", {"change": [8]}, "CC(=O)Nc1ccc(N)cc1", "ok"),
    ("CC(=O)Nc1ccc(O)cc1", {"change": [8]}, "CC(=O)Nc1ccccc1", "ok"),
    ("CCC(O)C", {"change": [3]}, "CCC(=O)C", "ok"),  # by another bond
    ("c1ccccc1C", {"change": [1]}, "Cc1cccnc1", "ok"),
    ("c1ccccc1C", {"change": [1]}, "Cc1ccccn1", MISSING),
    ("CCCOCC", {"change": [2]}, "CCOCC", "ok"),
    ("CCCOCC", {"change": [2]}, "CCOC", OVERLAP),
    ("CCCOCC", {"change": [2]}, "CCNOCC", "ok"),
    ("CCCOCC", {"change": [2]}, "CCOCCC", "ok"),  # OCC is there, and so is CC
    ("C[C@H](F)CN", {"change": [4]}, "C[C@H](F)CO", "ok"),
    ("C[C@H](F)CN", {"change": [4]}, "C[C@@H](F)CO", STEREO),
]


@pytest.mark.parametrize(("lead", "chosen", "smiles", "expected"), LEADS)
def test_kept_atoms_of_a_lead(
    lead: str, chosen: dict[str, list[int]], smiles: str, expected: str
) -> None:
    constraint = read_lead(lead, **chosen)
    assert Verifier(constraint)(smiles) == expected
    assert Verifier(constraint)(lead) == "ok"


@pytest.mark.skipif(not DRUGS.is_file(), reason="needs MOLGEN_DATA_DIR")
def test_ten_drugs_keep_the_fragments_they_were_cut_into() -> None:
    bonded = {("CYCLOTHIAZIDE", "linker_design"), ("MARIBAVIR", "linker_design")}  # to each other
    seen = 0
    with DRUGS.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            for column in list(row)[2:]:
                task = "superstructure" if column.startswith("superstructure") else None
                found = Verifier(read(row[column], task))(row["smiles"])
                expected = NO_LINKER if (row["name"], column) in bonded else "ok"
                assert found == expected, (row["name"], column)
                seen += 1
    assert seen == 40
