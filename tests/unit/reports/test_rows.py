from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from rdkit import Chem, DataStructs

from molgen.molecules.fingerprints import BITS, fingerprints, morgan, nearest
from molgen.reports.data import ReportData
from molgen.reports.rows import COMPUTED, DIVERSE, SCAFFOLD, Column, Rows, analyse, diverse
from property_models import compute
from small_data import SMILES

DRUGS = [
    "CC(=O)Oc1ccccc1C(=O)O", "CC(C)Cc1ccc(cc1)C(C)C(=O)O", "CN1C=NC2=C1C(=O)N(C)C(=O)N2C",
    "CC(=O)Nc1ccc(O)cc1", "OC(=O)c1ccccc1O",
]  # fmt: skip


def column(rows: Rows, name: str) -> Column:
    (found,) = (each for each in rows.columns if each.name == name)
    return found


def report(table: pd.DataFrame, **more: object) -> Rows:
    return analyse(ReportData(table, "title", **more))  # type: ignore[arg-type]


def test_nearest_is_the_most_similar_of_the_reference() -> None:
    bits, others = fingerprints(DRUGS), fingerprints(SMILES)
    which, similarity = nearest(bits, others)
    vectors = [morgan(BITS).GetFingerprint(Chem.MolFromSmiles(text)) for text in SMILES]
    for i, text in enumerate(DRUGS):
        own = morgan(BITS).GetFingerprint(Chem.MolFromSmiles(text))
        all_of_them = DataStructs.BulkTanimotoSimilarity(own, vectors)
        # single precision of a quotient of whole numbers
        assert similarity[i] == pytest.approx(max(all_of_them), abs=1e-6)
        assert which[i] == int(np.argmax(all_of_them))


def test_nearest_of_a_large_reference_is_that_of_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    bits, others = fingerprints(DRUGS), fingerprints(SMILES)
    whole = nearest(bits, others)
    monkeypatch.setattr("molgen.molecules.fingerprints.BLOCK", 3)
    for left, right in zip(whole, nearest(bits, others), strict=True):
        assert np.array_equal(left, right)


def test_a_diverse_subset_avoids_what_is_alike() -> None:
    alike = ["C" * n + "O" for n in range(8, 40)]
    bits = fingerprints([*alike[:1], *DRUGS, *alike[1:]])
    chosen = diverse(bits, 6)
    assert chosen[0] == 0
    assert set(chosen[1:]) == {1, 2, 3, 4, 5}
    assert diverse(bits[:3], 6) == [0, 1, 2]


def test_properties_are_those_of_molgen_and_rows_that_are_no_molecule_have_none() -> None:
    smiles = [DRUGS[0], "", DRUGS[2]]
    rows = report(pd.DataFrame({"smiles": smiles, "raw": [DRUGS[0], "C1CC", DRUGS[2]]}))
    assert rows.strings == [DRUGS[0], "C1CC", DRUGS[2]]
    assert rows.molecules == [0, None, 1]
    for name in COMPUTED:
        values = compute([name], [DRUGS[0], DRUGS[2]])[name]
        own = column(rows, name).values
        assert own[1] is None
        assert [own[0], own[2]] == pytest.approx(values.tolist(), rel=1e-5)  # six digits


def test_a_column_of_the_table_is_not_computed_again() -> None:
    rows = report(pd.DataFrame({"smiles": DRUGS, "qed": [1.0, 2.0, 3.0, float("nan"), 5.0]}))
    assert column(rows, "qed").values == [1, 2, 3, None, 5]


def test_identifiers_keep_their_digits() -> None:
    table = pd.DataFrame({"smiles": DRUGS[:2], "id": [123456789012, 7], "x": [1.23456789, 2.0]})
    rows = report(table)
    assert column(rows, "id").values == [123456789012, 7]
    assert column(rows, "id").integer
    assert column(rows, "x").values == [1.23457, 2]
    assert not column(rows, "x").integer


def test_parts_are_structures_unless_they_are_no_smiles() -> None:
    table = pd.DataFrame(
        {"smiles": DRUGS[:3], "R1": ["*C", "*O", ""], "R2": ["methyl", "*O", "*C"]}
    )
    table["part_1"], table["linker"], table["R1x"] = ["*C"] * 3, ["*CC*"] * 3, ["*C"] * 3
    rows = report(table)
    kinds = {c.name: c.kind for c in rows.columns}
    assert [kinds[n] for n in ("R1", "R2", "part_1", "linker", "R1x")] == [
        "structure", "text", "structure", "structure", "text"
    ]  # fmt: skip
    first, second, none = column(rows, "R1").values
    assert [rows.structures.smiles[first], rows.structures.smiles[second]] == ["*C", "*O"]
    assert none is None


def test_scaffolds_and_the_diverse_subset_are_of_distinct_molecules() -> None:
    rows = report(pd.DataFrame({"smiles": [DRUGS[0], DRUGS[0], DRUGS[3], "", "CCO"]}))
    cores = column(rows, SCAFFOLD).values
    assert rows.structures.smiles[cores[0]] == "c1ccccc1"
    assert cores[0] == cores[1] == cores[2]
    assert cores[3] is None
    assert cores[4] is None
    assert rows.diverse == [0, 2, 4]
    assert len(rows.diverse) <= DIVERSE


def test_a_table_without_molecules_has_its_rows() -> None:
    rows = report(pd.DataFrame({"smiles": ["", ""], "raw": ["C(", ""], "note": ["a", "b"]}))
    assert rows.molecules == [None, None]
    assert [c.name for c in rows.columns] == ["note"]
    assert rows.diverse == []
