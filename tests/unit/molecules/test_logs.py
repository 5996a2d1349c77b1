"""Nothing that RDKit or numpy has to say about an odd molecule reaches standard error."""

from __future__ import annotations

import threading
import warnings

import numpy as np
import pandas as pd
import pytest
from rdkit import Chem

from molgen.data.tables import write_table
from molgen.molecules.conventions import wasserstein
from molgen.molecules.distribution import describe
from molgen.molecules.drawing import svg
from molgen.molecules.evaluate import evaluate
from molgen.molecules.filters import Filters
from molgen.molecules.logs import quiet
from molgen.molecules.parents import largest_fragment, neutral
from molgen.molecules.parsing import canonical, flat, interpret_all, random_spellings
from molgen.molecules.training_index import TrainingIndex
from property_models import compute, names
from property_models.property import Property

ODD = [
    *("[H][H]", "[H+]", "[2H][2H]", "[Og]", "[U]", "[He]", "[C]", "[H-]", "[OH-]", "[NH4+]"),
    *("CC(=O)O[Pt](Cl)(N)N", "[Fe+2].[Cl-].[Cl-]", "[Cu]1(Cl)NCCN1", "C~C", "C$C", "[te]1cccc1"),
    *("c1cccc1", "CC(C)(C)(C)(C)C", "C1CC", "[CH128]", "*C", "", "x", "F/C=C\\C=C/C"),
    *("[C@](F)(Cl)(Br)I", "[C@@H2](F)Cl", "O=Cl(=O)(=O)O", "CN(=O)=O", "[H]C([H])([H])[H]"),
]
WRONG = "c1cccc1"  # cannot be kekulised, which RDKit logs


@pytest.mark.parametrize("smiles", [ODD, ODD[:1], ["CCO"], ["C"] * 3, ["", "x"]])
def test_nothing_is_said_of_odd_molecules(
    capfd: pytest.CaptureFixture[str], smiles: list[str], tmp_path: object
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        molecules = interpret_all(smiles)
        readable = [molecule.smiles for molecule in molecules if molecule.ok]
        index = TrainingIndex.from_smiles(smiles)
        found = evaluate(molecules, None, index, describe(readable) if readable else None)
        assert found["strict"]["novel_count"] == 0
        values = compute([*names(), "rdkit:MaxPartialCharge", "similarity:CCO"], smiles)
        assert all(len(column) == len(smiles) for column in values.values())
        Filters.read(["pains", "brenk", "moses", "smarts:[#6]"]).without_radicals().met(readable)
        for text in readable:
            neutral(text), largest_fragment(text), flat(text), random_spellings(text, 2, 1)
            if len(text) < 100:
                svg(text)
        table = pd.DataFrame({"smiles": [canonical(text) for text in smiles], "qed": np.nan})
        for kind in ("csv", "sdf", "smi"):
            write_table(table, f"{tmp_path}/a.{kind}")
            write_table(table[:0], f"{tmp_path}/a.{kind}")
        assert np.isnan(wasserstein(values["qed"] * np.nan, values["qed"]))
    assert capfd.readouterr() == ("", "")


def test_a_property_that_overflows_is_silent(capfd: pytest.CaptureFixture[str]) -> None:
    def overflowing(mol: Chem.Mol) -> float:
        return float(np.float64(1e308) * mol.GetNumAtoms() * 10 / np.float64(0))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isinf(Property("large", "", "max", overflowing)(["CCO"])[0])
    assert capfd.readouterr().err == ""


def test_the_users_own_log_is_as_before(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet:
        with quiet:
            Chem.MolFromSmiles(WRONG)
        Chem.MolFromSmiles(WRONG)  # still inside the outer one
    assert capfd.readouterr().err == ""
    Chem.MolFromSmiles(WRONG)
    assert "kekulize" in capfd.readouterr().err
    with pytest.raises(ZeroDivisionError), quiet:
        raise ZeroDivisionError
    Chem.MolFromSmiles(WRONG)
    assert "kekulize" in capfd.readouterr().err


def test_it_stays_quiet_until_the_last_thread_is_done(capfd: pytest.CaptureFixture[str]) -> None:
    inside, leave = threading.Event(), threading.Event()

    @quiet
    def other() -> None:
        inside.set()
        assert leave.wait(10)
        Chem.MolFromSmiles(WRONG)

    thread = threading.Thread(target=other)
    with quiet:
        thread.start()
        assert inside.wait(10)
    leave.set()
    thread.join()
    assert capfd.readouterr().err == ""
