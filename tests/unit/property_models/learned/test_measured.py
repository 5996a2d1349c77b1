"""Every row of a table of measurements is used or reported."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest

from property_models.learned.measured import read_measured

TABLE = """name,SMILES,y
ethanol,CCO,1.0
ethanol again,OCC,3.0
no number,CCN,
a word,CCCC,high
not a molecule,c1cc,2.0
empty,,2.0
a salt,CC(=O)[O-].[Na+],5.0
ethanol once more,C(O)C,2.5
infinite,CCF,inf
a pattern,*CC,1
propane,CCC,-4e0
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "y.csv.gz"
    path.write_bytes(gzip.compress(TABLE.encode()))
    return path


def test_rows_are_used_or_counted(table: Path, tmp_path: Path) -> None:
    found = read_measured(table, "y", "SMILES")
    assert found.smiles == ("CCO", "CC(=O)[O-]", "CCC")
    np.testing.assert_allclose(found.values, [6.5 / 3, 5.0, -4.0])
    assert found.counts == {
        "rows": 11, "molecules": 3, "unreadable": 2, "empty": 1, "merged": 2, "salts": 1,
        "no number": 3,
    }  # fmt: skip
    used = found.counts["molecules"] + found.counts["merged"]
    assert used + len(found.left_out) == 11
    assert found.apart == 2.0
    assert [row[0] for row in found.left_out] == [4, 5, 6, 7, 10, 11]
    assert found.summary() == (
        "3 molecules from 11 rows; left out: 2 unreadable, 1 empty, 3 no number; "
        "2 repeated, averaged (at most 2 apart); 1 salts, reduced to their largest fragment"
    )
    found.write_left_out(tmp_path / "left.csv")
    rows = list(csv.DictReader((tmp_path / "left.csv").open()))
    assert rows[0] == {"line": "4", "smiles": "CCN", "reason": "no number", "detail": ""}
    assert rows[2]["detail"] == "ring_closure"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("smiles,y\nCCO,a\n", "column 'y' has no number: 0 of 1 values read; 1 no number"),
        ("smiles,y\nc1cc,1\n", "no SMILES in column"),
        ("smiles,z\nCCO,1\n", "no column 'y'; the columns are 'smiles', 'z'"),
        ("s,y\nCCO,1\n", "no column 'smiles'"),
        ("smiles,y\n", "a header line and no rows"),
        ("", "the file is empty"),
    ],
)
def test_what_cannot_be_read(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_measured(path, "y")
