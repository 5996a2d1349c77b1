"""Donors: the nearest good ones, their fragments, and the attempts made of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rdkit import Chem

import molgen
from asking import request
from molgen.api.donors import donors_of
from molgen.discovery.donors import Donors, children, cuts, joined
from molgen.discovery.goals import read_goals
from molgen.discovery.leads.optimize import optimize
from molgen.errors import MolgenError
from molgen.model import Model
from property_models import compute
from tiny import KNOWN

DONORS = (
    "NCCC=O",
    "OCCC=O",
    "CCNCC=O",
    "NCC(C)=O",
    "OCC(N)=O",
    "CNCCO",
    "COCCN",
    "CCCNC",
    "CC(N)CO",
)
MW = {"mw": "70.."}


def test_a_molecule_is_cut_at_single_bonds_outside_of_rings() -> None:
    found = cuts(Chem.CanonSmiles("NCC1CC1"))
    assert {frozenset(map(Chem.CanonSmiles, both)) for both in found} == {
        frozenset(map(Chem.CanonSmiles, both))
        for both in (("N[*:1]", "C1CC1C[*:1]"), ("NC[*:1]", "C1CC1[*:1]"))
    }
    assert cuts("C") == ()


def test_children_join_a_part_of_each() -> None:
    u = np.random.default_rng(0).random((200, 2))
    found = children("CCO", ["NC=O"], u)
    own = ["C[*:1]", "OC[*:1]", "CC[*:1]", "O[*:1]"]
    expected = {joined(part, other) for part in own for other in ("N[*:1]", "O=C[*:1]")}
    assert set(found) == {text for text in expected if text != "CCO"}
    assert found["CCN"] == "O*"


def test_the_nearest_good_donors_come_first() -> None:
    lead = Chem.CanonSmiles("NCCC=O")
    goals = read_goals(MW)
    donors = Donors(("NCCC=O", "OCCC=O", "C", "NCCCC=O"))
    found = donors.near(lead, goals, 0.4)
    assert list(found) == ["NCCCC=O", "OCCC=O", "C"], "not the lead itself"
    mw = compute(["mw"], list(found))["mw"]
    assert [values[0] for _, values in found.values()] == mw.tolist()
    known = Donors(donors.smiles, {"mw": np.array([0.0, 90.0, 10.0, 20.0])})
    assert next(iter(known.near(lead, goals, 0.4))) == "OCCC=O"


def run(model: Model, **options: Any) -> pd.DataFrame:
    words: dict[str, Any] = {"similarity": 0.3, "attempts": 18, "seed": 1, "guided_by": {}}
    words |= {"oracle_calls": 12, "settings": model.settings(steps=12, gamma=2.0), **options}
    return optimize(model, ["NCCCO", "CCCC"], request(MW, **words)).table


def test_fragments_of_donors_are_tried(tiny: Model) -> None:
    table = run(tiny, donors=Donors(DONORS))
    plain = run(tiny)
    assert (plain["nfe"] > 0).all()
    tried = table[table["nfe"] == 0]
    assert len(tried) >= 6
    assert (tried["similarity"] >= 0.3).all()
    assert not tried["smiles"].isin([*KNOWN, *tried["lead"]]).any()
    parts = {part for donor in DONORS for both in cuts(donor) for part in both}
    for row in tried.itertuples():
        halves = {half for both in cuts(row.smiles) for half in both}
        assert halves & parts, row.smiles
        assert "*" in row.part
    assert table.groupby("lead_index").size().max() <= 18
    assert table["try"].tolist() == [*range(1, 19)] * 2
    assert (table["outcome"] == "ok").sum() > (plain["outcome"] == "ok").sum()


def test_donors_of_the_training_set_are_no_answer(tiny: Model) -> None:
    table = run(tiny, donors=Donors(("CCO", "NCO", *DONORS)))
    known = table["smiles"].isin(KNOWN)
    assert not (table.loc[known, "outcome"] == "ok").any()


def test_a_file_of_donors_with_values(tmp_path: Path) -> None:
    path = tmp_path / "donors.csv"
    path.write_text("id,smiles,mw\n1,OCC,46\n2,CCO,47\n3,nonsense,\n4,CC(=O)[O-].[Na+],60.5\n")
    donors, notes = donors_of(path, read_goals(MW))
    assert donors is not None
    assert donors.smiles == ("CCO", "CC(=O)[O-]")
    assert donors.values["mw"].tolist() == [46.0, 60.5]
    assert "2 donors, with values of mw" in notes[-1]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("smiles,mw\nCCO,heavy\n", "column mw"),
        ("smiles\nnonsense\nC1CC\n", "no molecule|SMILES"),
        ("id,value\n1,2\n", "donors.csv"),
    ],
)
def test_a_wrong_file_is_one_clear_line(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "donors.csv"
    path.write_text(text)
    with pytest.raises(MolgenError, match=named) as raised:
        donors_of(path, read_goals(MW))
    assert "\n" not in str(raised.value)
    assert "donors" in str(raised.value)


def test_values_of_a_costly_property_are_not_computed() -> None:
    def costly(mol: Chem.Mol) -> float:
        raise AssertionError("called")

    goals = {costly: "max"}
    with pytest.raises(MolgenError, match=r"donors has no column .*costly"):
        molgen.optimize("qm9", "CCO", goals, donors=["CCN", "CCC"], oracle_calls=4)


def test_donors_need_something_that_ranks(tiny: Model) -> None:
    with pytest.raises(MolgenError, match=r"donors .* oracle_calls"):
        run(tiny, oracle_calls=0, donors=Donors(DONORS))
