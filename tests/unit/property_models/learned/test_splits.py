"""Parts that share no scaffold, whatever the seed."""

from __future__ import annotations

import csv
import gzip
from typing import Any

import numpy as np
import pytest

from paths import DATA
from property_models.learned.splits import scaffold, split

RINGS = ("c1ccccc1", "C1CC1", "C1CCC1", "C1CCCC1", "C1CCCCC1", "c1ccncc1", "c1ccoc1", "C1CO1")
SMILES = [
    "C" * n + ring for ring in RINGS for n in range(6)
] + ["C" * n + "O" for n in range(1, 21)]  # fmt: skip


@pytest.mark.parametrize(
    ("smiles", "expected"),
    [
        ("CC(=O)Oc1ccccc1C(=O)O", "c1ccccc1"),
        ("CCO", ""),
        # two rings and the chain between them; what hangs on them is gone
        ("Cc1ccccc1CCC1CCC1O", "c1ccc(CCC2CCC2)cc1"),
        ("O=C1CCCC1", "O=C1CCCC1"),  # a double bond to the ring belongs to it
        ("C[C@H]1CCO1", "C1COC1"),
    ],
)
def test_scaffold(smiles: str, expected: str) -> None:
    assert scaffold(smiles) == expected


@pytest.mark.parametrize("seed", range(8))
def test_parts_share_no_scaffold_and_hold_every_row_once(seed: int) -> None:
    parts = split(SMILES, "scaffold", seed, 0.2, 0.2)
    rows = np.concatenate([parts.train, parts.calibration, parts.test])
    assert sorted(rows.tolist()) == list(range(len(SMILES)))
    seen = [{scaffold(SMILES[i]) for i in p} for p in (parts.train, parts.calibration, parts.test)]
    assert not seen[0] & seen[1]
    assert not seen[0] & seen[2]
    assert not seen[1] & seen[2]
    assert "" in seen[0]  # 20 of 68 molecules: far more than half a test part


def test_seed_decides_and_nothing_else() -> None:
    for kind in ("scaffold", "random"):
        same, again, other = (split(SMILES, kind, seed, 0.2, 0.2) for seed in (3, 3, 4))  # type: ignore[arg-type]
        np.testing.assert_array_equal(same.test, again.test)
        assert same.test.tolist() != other.test.tolist()


def test_random_parts_have_the_requested_sizes() -> None:
    parts = split(SMILES, "random", 0, 0.25, 0.125)
    assert [len(p) for p in (parts.train, parts.calibration, parts.test)] == [42, 17, 9]


def test_esol_has_no_scaffold_in_two_parts() -> None:
    path = DATA / "esol.csv.gz"
    if not path.is_file():
        pytest.skip("needs MOLGEN_DATA_DIR with esol.csv.gz")
    with gzip.open(path, "rt") as file:
        smiles = [row["smiles"] for row in csv.DictReader(file)]
    parts = split(smiles, "scaffold", 0)
    train, test = ({scaffold(smiles[i]) for i in p} for p in (parts.train, parts.test))
    assert not train & test
    assert len(parts.test) == pytest.approx(len(smiles) / 10, abs=12)
    assert len(parts.calibration) == pytest.approx(len(smiles) / 10, abs=12)


@pytest.mark.parametrize(
    ("smiles", "arguments", "message"),
    [
        (SMILES, {"kind": "time"}, "split is 'time', expected one of scaffold, random"),
        (SMILES, {"test": 0.0}, "expected fractions above 0"),
        (SMILES, {"test": 0.5, "calibration": 0.5}, "expected fractions above 0"),
        (["CCO", "CCC", "CCN"] * 9, {}, "27 molecules in 1 groups are too few.*at random instead"),
        (["C", "CC"], {"kind": "random"}, "2 molecules in 2 groups are too few"),
        (["C", "c1cc"], {}, "'c1cc' is no molecule"),
    ],
)
def test_what_cannot_be_split(smiles: list[str], arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        split(smiles, **arguments)
