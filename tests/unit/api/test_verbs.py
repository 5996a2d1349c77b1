"""The verbs of the public face: what goes in, what comes out, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rdkit import Chem

import molgen
from molgen.api.progress import Progress
from molgen.constraints.scaffolds import read
from molgen.errors import MolgenError
from molgen.model import Model
from molgen.sampling.result import Result
from property_models import scoring

FEW: dict[str, Any] = {"steps": 6, "batch_size": 64, "allow_training_molecules": True}
RANGE = {"qed": ".3.."}


def oxygens(mol: Chem.Mol) -> int:
    """Count oxygen atoms."""
    return sum(atom.GetSymbol() == "O" for atom in mol.GetAtoms())


@molgen.vectorised
def length(smiles: list[str]) -> list[int]:
    return [len(text) for text in smiles]


@molgen.vectorised(integer=True)
def atoms(smiles: Sequence[str]) -> list[int]:
    return [Chem.MolFromSmiles(text).GetNumAtoms() for text in smiles]


def test_importing_is_instant_and_lists_the_face() -> None:
    code = "import sys, molgen; assert 'torch' not in sys.modules and 'rdkit' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    verbs = "design search optimize evaluate frontier scaling tune score train train_classifier"
    names = f"load models {verbs} fit_property Model Settings Range Property MolgenError".split()
    assert set(names) <= set(dir(molgen))
    for name in names:
        assert callable(getattr(molgen, name))


def test_a_result_is_its_table(model: Model, tmp_path: Path) -> None:
    found = model.sample(20, {"qed": "max"}, seed=3, steps=6)
    table = found.table
    assert isinstance(found, Result)
    assert isinstance(table, pd.DataFrame)
    assert (len(found), list(found)) == (len(table), list(table))
    assert "qed" in found
    assert found["qed"].mean() == table["qed"].mean() == found.qed.mean()
    pd.testing.assert_frame_equal(found[found.unique], table[table["unique"]])
    assert found.counts.drawn == 20
    assert found.counts.valid == (table["status"] == "ok").sum()
    assert found.counts.accepted == table["novel"].sum()
    assert sum(found.counts.fates.values()) == 20
    assert found.counts.forwards == table["nfe"].sum()
    assert (found.reason, found.request.n, found.request.seed) == ("complete", 20, 3)
    assert "<table" in found._repr_html_()
    assert "20 rows" in repr(found)
    found.save(tmp_path / "rows.csv")
    assert len(pd.read_csv(tmp_path / "rows.csv")) == 20
    with pytest.raises(AttributeError, match="nosuch"):
        _ = found.nosuch


def test_a_model_by_name_and_goals_in_any_form(tiny_model: Path, model: Model) -> None:
    tables = [
        molgen.design(which, goals, 3, seed=2, **FEW).table
        for which in (model, str(tiny_model))
        for goals in (RANGE, "qed=.3..", ["qed>=.3"], {"qed": molgen.Range(0.3, np.inf)})
    ]
    for table in tables[1:]:
        pd.testing.assert_frame_equal(table, tables[0])


def test_own_functions_are_columns_and_goals(model: Model) -> None:
    with scoring(workers=1):  # processes are started once
        own_functions(model)


def own_functions(model: Model) -> None:
    found = molgen.design(model, {oxygens: "1..", **RANGE}, 3, properties=length, **FEW)
    assert list(found["oxygens"]) == [oxygens(Chem.MolFromSmiles(t)) for t in found["smiles"]]
    assert (found["oxygens"] >= 1).all()
    assert list(found["length"]) == length(list(found["smiles"]))
    assert [str(goal) for goal in found.request.goals] == ["oxygens=1..", "qed=.3.."] or len(found)
    rows = model.sample(5, properties=[oxygens, "mw"], steps=6)
    assert {"oxygens", "mw"} <= set(rows)
    best = molgen.search(model, {atoms: "max"}, 3, nfe=20, **FEW)
    assert list(best["atoms"]) == sorted(best["atoms"], reverse=True)
    how: dict[str, Any] = {"attempts": 3, "oracle_calls": 4, "steps": 6}
    better = molgen.optimize(model, "OCCO", {oxygens: "min"}, properties=atoms, **how)
    assert {"lead_oxygens", "atoms"} <= set(better)
    assert better["lead_oxygens"].eq(2).all()
    plain = molgen.Property("doubled", "", "none", lambda mol: 2.0 * mol.GetNumAtoms())
    rows = model.sample(5, properties=[plain, atoms], steps=6)
    assert rows["doubled"].equals(2.0 * rows["atoms"])


def test_functions_that_cannot_be_properties(model: Model, tmp_path: Path) -> None:
    def qed(mol: Chem.Mol) -> float:
        return 0.0

    def other() -> Any:
        def oxygens(mol: Chem.Mol) -> int:
            return 0

        return oxygens

    with pytest.raises(MolgenError, match=r"oxygens is a function.*molgen\.search.*fit_property"):
        model.sample(3, {oxygens: "max"})
    with pytest.raises(MolgenError, match=r"oxygens is a function.*molgen\.search.*fit_property"):
        molgen.frontier(model, oxygens, tmp_path / "out")
    with pytest.raises(MolgenError, match="property 'qed' is built in"):
        model.sample(3, properties=[qed])
    with pytest.raises(MolgenError, match="two functions are called 'oxygens'"):
        model.sample(3, properties=[oxygens, other()])
    with pytest.raises(MolgenError, match="a function without a name"):
        model.sample(3, properties=lambda mol: 1.0)
    with pytest.raises(MolgenError, match="no effect"):
        molgen.design(model, {oxygens: "max"}, 3)


def test_a_function_defined_again_replaces_the_first(model: Model) -> None:
    values = []
    for number in (1.0, 2.0):

        def constant(mol: Chem.Mol, number: float = number) -> float:
            return number

        values.append(model.sample(3, properties=constant, steps=6)["constant"].max())
    assert values == [1.0, 2.0]


def test_scaffolds_in_words_and_objects(model: Model) -> None:
    given: dict[str, Any] = {"no_filter": True, **FEW}
    tables = [
        molgen.design(model, None, 4, scaffold=one, **given).table
        for one in ("*CO", ["*CO"], read("*CO"))
    ]
    for table in tables[1:]:
        pd.testing.assert_frame_equal(table, tables[0])
    assert set(tables[0]["scaffold"]) == {"*CO"}


@pytest.mark.parametrize("lead", ["OCCO", ["OCCO"], np.array(["OCCO"]), Chem.MolFromSmiles("OCCO")])
def test_leads_in_any_form(model: Model, lead: Any) -> None:
    found = molgen.optimize(model, lead, {"qed": "max"}, attempts=2, steps=6)
    assert found.counts.leads == found.asked == 1
    assert set(found["lead"]) == {"OCCO"}


def test_atoms_of_an_rdkit_lead_are_numbered_as_in_the_molecule(model: Model) -> None:
    mol = Chem.MolFromSmiles("OCCC")
    turned = Chem.RenumberAtoms(mol, [3, 2, 1, 0])  # the oxygen is the last atom
    found = molgen.optimize(model, turned, {"qed": "max"}, attempts=6, keep=[3], steps=6)
    kept = found[found["outcome"].isin(["ok", "goal missed"])]
    assert all("O" in text for text in kept["smiles"])
    assert found.request.likeness.keep == [Chem.MolToSmiles(mol).index("O")]
    for row in found.table.itertuples():
        assert (row.outside != "") == (row.smiles != "" and row.outcome != "constraint lost")
        assert all(part.count("*") >= 1 for part in row.outside.split(".") if part)


@pytest.mark.parametrize("salt", ["Cl.OCCC", "OCCC.Cl", Chem.MolFromSmiles("Cl.OCCC")])
def test_atoms_of_a_lead_with_a_salt_are_numbered_as_in_the_input(model: Model, salt: Any) -> None:
    oxygen = 0 if salt == "OCCC.Cl" else 1
    found = molgen.optimize(model, salt, {"qed": "max"}, attempts=4, keep=[oxygen], steps=6)
    assert set(found["lead"].map(Chem.CanonSmiles)) == {"CCCO"}
    (kept,) = found.request.likeness.keep
    assert Chem.MolFromSmiles(found["lead"].iloc[0]).GetAtomWithIdx(kept).GetSymbol() == "O"
    with pytest.raises(MolgenError, match=r"keep has atom \d+, expected indices in"):
        molgen.optimize(model, salt, {"qed": "max"}, keep=[4 if oxygen == 0 else 0])


def test_evaluate_and_score_take_what_a_draw_returns(model: Model, tmp_path: Path) -> None:
    rows = model.sample(20, steps=6)
    rows.save(tmp_path / "rows.csv")
    given: list[Any] = [rows, rows.table, list(rows["raw"]), tmp_path / "rows.csv"]
    found = [molgen.evaluate(one, train=model, workers=1, properties="qed") for one in given]
    for other in found[1:]:
        pd.testing.assert_frame_equal(other.table, found[0].table)
    assert list(found[0].table) == ["strict", "paper", "inchikey"]
    assert found[0].table.loc["unique", "strict"] == rows["unique"].mean()
    for one in found:
        assert one.output.counts == one.counts["status"]
        for name in ("raw", "smiles", "status", "unique", "novel"):
            assert list(one.output[name]) == list(rows[name])
    scored = [molgen.score(model, one) for one in (["CCO", "CO"], pd.Series(["CCO", "CO"]))]
    pd.testing.assert_frame_equal(scored[0].table, scored[1].table)
    single = molgen.score(model, Chem.MolFromSmiles("CCO"))
    assert single["nats"].tolist() == scored[0]["nats"].tolist()[:1]


def test_the_rows_of_evaluate_carry_the_columns_of_the_input() -> None:
    frame = pd.DataFrame({"dose": [1.5, np.nan, 3], "smiles": ["CCO", "C1CC", "OCC"], "valid": 7})
    found = molgen.evaluate(frame, properties=["ring_count", oxygens], workers=1)
    assert list(found.table) == ["strict", "paper"]
    rows = found.output.table
    assert list(rows) == [
        *("index", "raw", "smiles", "status", "valid", "unique"),
        *("ring_count", "rings_cyclomatic", "oxygens", "dose", "valid_input"),
    ]
    pd.testing.assert_series_equal(rows["dose"], frame["dose"])
    assert list(rows["unique"]) == [True, False, False]
    assert list(rows["valid_input"]) == [7, 7, 7]
    assert molgen.evaluate(frame, rows=False, counts_only=True, workers=1).output is None
    first = molgen.evaluate(frame, conventions="paper", workers=1).output
    assert list(first["unique"]) == [True, False, True]


@pytest.mark.parametrize("n", [2.5, True, "10", 0, -1, None])
def test_numbers_of_molecules(model: Model, n: Any) -> None:
    for verb in (molgen.design, molgen.search):
        with pytest.raises(MolgenError, match=r"n is .*, expected"):
            verb(model, RANGE, n)
    if n != 0:
        with pytest.raises(MolgenError, match=r"n is .*, expected (a whole number|at least 0)"):
            model.sample(n)
    assert len(model.sample(np.int64(2), steps=6)) == 2  # type: ignore[arg-type]


def test_what_else_is_refused_at_once(model: Model) -> None:
    class Forbidden(Progress):
        def begin(self, total: int, unit: str) -> None:
            raise AssertionError("it began")

    given: dict[str, Any] = {"progress": Forbidden()}
    with pytest.raises(MolgenError, match="seed is -1, expected at least 0"):
        molgen.design(model, RANGE, 1, seed=-1, **given)
    with pytest.raises(MolgenError, match="device 'gpu' cannot be used, expected cpu"):
        molgen.design(model, RANGE, 1, device="gpu", **given)
    with pytest.raises(MolgenError, match="goals is 5, expected properties to targets"):
        molgen.design(model, 5, 1, **given)  # type: ignore[arg-type]
    with pytest.raises(MolgenError, match="model is 5, expected a model"):
        molgen.design(5, RANGE, 1, **given)  # type: ignore[arg-type]
    with pytest.raises(MolgenError, match=r"keep is \[0\] for a file of leads, expected SMARTS"):
        molgen.optimize(model, ["OCCO", "CCO"], RANGE, keep=[0], **given)
    with pytest.raises(TypeError, match=r"search\(\) got .*'methd'; did you mean method"):
        molgen.search(model, RANGE, 1, methd="smc")  # type: ignore[call-arg]


def test_targets_outside_the_data_are_warnings(model: Model) -> None:
    with pytest.warns(UserWarning, match=r"target qed=\.\.-5 is outside the training data"):
        molgen.design(model, {"qed": "..-5"}, 1, max_draws=8, **FEW)


def test_a_scaffold_that_is_no_file_name_is_a_scaffold(model: Model) -> None:
    with pytest.raises(MolgenError, match="scaffold"):
        molgen.design(model, RANGE, 1, scaffold="C(" * 3000)
