"""Every kind of name is a property, and every fault in a name is one clear line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rdkit import Chem, DataStructs
from rdkit.Chem import rdFingerprintGenerator

import property_models
from molgen.data.tables import read_table, write_table
from property_models import compute, described, from_function, get, vectorised

ASPIRIN, CAFFEINE = "CC(=O)Oc1ccccc1C(=O)O", "CN1C=NC2=C1C(=O)N(C(=O)N2C)C"
ROWS = [ASPIRIN, CAFFEINE, "OCC", "", "C1CC", "c1ccccc1C(=O)O"]
SCORES = """
from property_models import described, vectorised
calls = []

def fluorines(mol):
    "Fluorine atoms."
    return sum(atom.GetSymbol() == "F" for atom in mol.GetAtoms())

@described(unit="Å", direction="min", integer=True)
def size(mol):
    return mol.GetNumAtoms()

@vectorised(unit="kcal/mol", direction="min")
def batched(smiles):
    calls.append(list(smiles))
    return [len(text) for text in smiles]

@vectorised()
def short(smiles):
    return [1.0]

def undefined(mol):
    return None if mol.GetNumAtoms() > 1 else 7

def broken(mol):
    return {"C": 1.0}[mol.GetAtomWithIdx(0).GetSymbol()]

def words(mol):
    return "many"

@vectorised()
def broken_batch(smiles):
    raise RuntimeError("no\\nlicence")

class Group:
    @staticmethod
    def inner(mol):
        return 3

number = 3
"""


@pytest.fixture
def scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of functions in the working directory."""
    path = tmp_path / "molgen_test_scores.py"
    path.write_text(SCORES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "molgen_test_scores", raising=False)
    return path


def test_similarity_is_rdkits() -> None:
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=1024)
    bits = {s: generator.GetFingerprint(Chem.MolFromSmiles(s)) for s in (ASPIRIN, CAFFEINE, "OCC")}
    found = get(f"similarity:{ASPIRIN}")([ASPIRIN, CAFFEINE, "OCC", "C1CC"])
    expected = [DataStructs.TanimotoSimilarity(bits[ASPIRIN], bits[s]) for s in bits]
    np.testing.assert_allclose(found, [*expected, np.nan], rtol=1e-12)
    assert found[0] == 1.0


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("count:[#6X3]=O", [2, 2, 0, np.nan, np.nan, 1]),  # carbonyls, counted on the structures
        ("has:[#6X3]=O", [1, 1, 0, np.nan, np.nan, 1]),
        ("count:c1ccccc1", [1, 0, 0, np.nan, np.nan, 1]),  # twelve mappings, one ring
        ("count:[#7]", [0, 4, 0, np.nan, np.nan, 0]),
    ],
)
def test_substructures(name: str, expected: list[float]) -> None:
    np.testing.assert_array_equal(get(name)(ROWS), expected)
    assert get(name).integer


def test_more_matches_than_rdkits_default_limit() -> None:
    assert get("count:C")(["C" * 1500])[0] == 1500


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("similarity:CC(C", "extra open parentheses at character 3, '('"),
        ("similarity:CN(C)(C)(C)C", "N, 5 at character 2, 'N'"),
        ("similarity:C1CC%12C1", "unclosed ring at character 5, '%'"),
        ("similarity:CCXC", "syntax error at character 3, 'X'"),
        ("similarity:C C", "at character 2, ' '"),
        ("similarity:", "the SMILES is empty"),
        ("count:[C;", "syntax error at character 3, ';'"),
        ("has:[#6]~zC", "at character 6, 'z'"),
        ("has:C1CC", "unclosed ring at character 2, '1'"),
        ("has:C C", "at character 2, ' '"),
        ("count:", "the SMARTS is empty"),
        ("nowhere_at_all:f", "'nowhere_at_all' cannot be imported (ModuleNotFoundError"),
        ("nowhere.py:f", "there is no file 'nowhere.py'"),
        ("json:nothing", "json has no 'nothing'"),
        ("math:pi", "pi is a float, expected a function"),
        ("model:nowhere", "has no learned property"),
        ("uncertainty:nowhere", "has no learned property"),
        ("beauty", "similarity:SMILES, count:SMARTS"),
        ("json:", "is unknown"),
        ("", "is unknown"),
        ("x" * 5000, "is unknown"),
        ("a\0b", "is unknown"),
    ],
)
def test_an_error_in_a_name_is_one_line(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=r"\A[^\n]*\Z") as error:
        get(name)
    assert message in str(error.value)


def test_functions(scores: Path) -> None:
    module, file = "molgen_test_scores", scores.name
    for source in (module, file):
        np.testing.assert_array_equal(
            get(f"{source}:fluorines")(["FC(F)F", "C", "C1CC"]), [3, 0, np.nan]
        )
    assert get(f"{module}:fluorines").description == "Fluorine atoms."
    size = get(f"{file}:size")
    assert (size.name, size.unit, size.direction, size.integer) == (
        f"{file}:size", "Å", "min", True
    )  # fmt: skip
    assert get(f"{module}:Group.inner").value(Chem.MolFromSmiles("C")) == 3
    np.testing.assert_array_equal(get(f"{file}:undefined")(["C", "CC"]), [7, np.nan])


def test_a_vectorised_function_gets_canonical_smiles_once(scores: Path) -> None:
    name = "molgen_test_scores:batched"
    np.testing.assert_array_equal(compute([name], ROWS)[name][[2, 3, 4]], [3, np.nan, np.nan])
    valid = [Chem.CanonSmiles(s) for s in (ASPIRIN, CAFFEINE, "OCC", "c1ccccc1C(=O)O")]
    assert sys.modules["molgen_test_scores"].calls == [valid]
    np.testing.assert_array_equal(get(name)(["", "C1CC"]), [np.nan, np.nan])  # not called for none
    assert len(sys.modules["molgen_test_scores"].calls) == 1


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("broken", r"the function failed \(KeyError: 'O'\) on 'CO'"),
        ("words", r"the function failed \(ValueError: could not convert .*\) on 'CC'"),
        ("short", "the function returned 1 numbers for 2 molecules"),
        ("broken_batch", r"\(RuntimeError: no licence\) on a batch of 2 that starts with 'CC'"),
    ],
)
def test_an_error_in_a_function_is_raised_and_never_nan(
    scores: Path, function: str, message: str
) -> None:
    name = f"{scores.name}:{function}"
    with pytest.raises(ValueError, match=message) as error:
        compute([name], ["CC", "OC"])
    assert name in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_fails_and_one_that_changes(scores: Path) -> None:
    scores.write_text("raise RuntimeError('cannot load')")
    with pytest.raises(ValueError, match=r"cannot be imported \(RuntimeError: cannot load\)"):
        get(f"{scores.name}:fluorines")
    scores.write_text("def fluorines(mol): return 41 + 1")
    assert get(f"{scores.name}:fluorines")(["C"])[0] == 42


def test_a_callable_as_an_object() -> None:
    plain = from_function(lambda mol: mol.GetNumBonds(), "bonds")
    np.testing.assert_array_equal(plain(["CCC", ""]), [2, np.nan])

    @described(unit="u", direction="max")
    def one(mol: Chem.Mol) -> float:
        return 1.0

    @vectorised(integer=True)
    def two(smiles: list[str]) -> np.ndarray:
        return np.full(len(smiles), 2)

    assert (from_function(one).name, from_function(one).unit) == ("one", "u")
    assert from_function(one).direction == "max"
    np.testing.assert_array_equal(from_function(two)(["C", "x", "CC"]), [2, np.nan, 2])
    with pytest.raises(ValueError, match=r"property 'zero'.*ZeroDivisionError.*on 'C'"):
        from_function(lambda mol: 1 / 0, "zero")(["C"])  # not NaN: the user's own error


def test_names_are_column_names(tmp_path: Path) -> None:
    names = ["qed", f"similarity:{ASPIRIN}", "count:[C,N;R]", "has:[$([#6]-[#7]),$(C=O)]"]
    frame = pd.DataFrame({"smiles": ROWS[:3], **compute(names, ROWS[:3])})
    write_table(frame, tmp_path / "t.csv")
    found = read_table(tmp_path / "t.csv")
    assert list(found.columns) == ["smiles", *names]
    np.testing.assert_allclose(found[names[1]], frame[names[1]])


def test_processes_share_every_kind(scores: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("molgen.utils.parallel.CHUNK", 4)
    names = ["qed", "count:C", "similarity:CCO", f"{scores.name}:size"]
    rows = ["C" * n + "O" for n in range(1, 11)]
    one, two = (compute(names, rows, processes=n) for n in (1, 2))
    for name in names:
        np.testing.assert_array_equal(one[name], two[name])


def test_import_is_light() -> None:
    script = (
        "import sys, property_models; property_models.get('count:C');"
        "sys.exit(str({'torch', 'sklearn', 'pandas', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stderr.strip() == "set()"
    assert property_models.names()[0] == "qed"
