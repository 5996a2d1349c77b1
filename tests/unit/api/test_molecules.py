"""Molecules are read from whatever a caller has them in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rdkit import Chem

from molgen.api.molecules import read_molecules
from molgen.errors import MolgenError
from molgen.molecules.fate import Ledger
from molgen.sampling.result import Result

SMILES = ["CCO", "c1ccccc1", "CC(=O)O"]
FRAME = pd.DataFrame({"id": [1, 2, 3], "smiles": SMILES})


@pytest.mark.parametrize(
    "given",
    [
        SMILES,
        tuple(SMILES),
        np.array(SMILES),
        np.array(SMILES, dtype=object),
        pd.Series(SMILES),
        FRAME,
        FRAME.rename(columns={"smiles": "raw"}),
        Result(FRAME, Ledger(), 3),
        [Chem.MolFromSmiles(text) for text in SMILES],
        (text for text in SMILES),
    ],
    ids=lambda given: type(given).__name__,
)
def test_containers(given: Any) -> None:
    read = read_molecules(given)
    assert [Chem.CanonSmiles(text) for text in read.raw] == list(map(Chem.CanonSmiles, SMILES))
    assert not read.single


@pytest.mark.parametrize("one", ["CCO", " CCO ethanol", np.str_("CCO"), Chem.MolFromSmiles("CCO")])
def test_a_single_molecule_is_one(one: Any) -> None:
    read = read_molecules(one)
    assert read.raw == ["CCO"]
    assert read.single


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "three.csv"
    FRAME.to_csv(path, index=False)
    for given in (path, str(path)):
        read = read_molecules(given)
        assert read.raw == SMILES
        assert read.facts["column"] == "smiles"
        assert not read.single


def test_rows_without_a_molecule_stay(tmp_path: Path) -> None:
    assert read_molecules(["CCO", None, float("nan"), ""]).raw == ["CCO", "", "", ""]
    frame = pd.DataFrame({"raw": ["C", ""], "smiles": ["CC", ""]})
    assert read_molecules(frame).raw == ["CC", ""]
    assert read_molecules(frame, drawn=True).raw == ["C", ""], "as it was drawn"
    assert read_molecules(frame, column="raw").raw == ["C", ""]


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        ("nosuch.csv", {}, "leads is 'nosuch.csv', expected a file or a molecule"),
        ("C1CC", {}, "leads is 'C1CC', expected a file or a molecule"),
        ([], {}, "leads is empty"),
        ([1.5], {}, "leads has 1.5, expected SMILES or an RDKit molecule"),
        (7, {}, "leads is 7, expected SMILES"),
        (FRAME[["id"]], {}, "leads has no column smiles, only id"),
        (FRAME, {"column": "x"}, "column is 'x', expected one of id, smiles"),
        ("CCO", {"column": "x"}, "column is 'x', but leads is no file or table"),
    ],
)
def test_anything_else_is_refused(given: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(MolgenError, match=message):
        read_molecules(given, "leads", **options)


def test_other_columns_are_kept_if_requested(tmp_path: Path) -> None:
    path = tmp_path / "three.csv"
    FRAME.to_csv(path, index=False)
    assert read_molecules(FRAME).others == {}
    assert read_molecules(FRAME, others=True).others == {"id": [1, 2, 3]}
    assert read_molecules(path, others=True).others == {"id": ("1", "2", "3")}
