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
from property_models import alongside, compute, described, from_function, get, scoring, vectorised

ASPIRIN, CAFFEINE = "CC(=O)Oc1ccccc1C(=O)O", "CN1C=NC2=C1C(=O)N(C(=O)N2C)C"
ROWS = [ASPIRIN, CAFFEINE, "OCC", "", "C1CC", "c1ccccc1C(=O)O"]
BESIDE = {
    "ring_count": "rings_cyclomatic",
    "model:my folder": "uncertainty:my folder",
    "dock:DRD2,seed=3": "efficiency:dock:DRD2,seed=3",
}
SCORES = """
from property_models import described, vectorised
from rdkit import Chem

def fluorines(mol):
    "Fluorine atoms."
    return sum(atom.GetSymbol() == "F" for atom in mol.GetAtoms())

@described(unit="Å", direction="min", integer=True)
def size(mol):
    return mol.GetNumAtoms()

@vectorised(unit="kcal/mol", direction="min")
def batched(smiles):
    with open("calls.txt", "a") as file:
        file.write(" ".join(smiles) + chr(10))
    return [len(text) for text in smiles]

@vectorised()
def short(smiles):
    return [1.0]

def undefined(mol):
    return None if mol.GetNumAtoms() > 1 else 7

def broken(mol):
    return {"C": 1.0}[mol.GetAtomWithIdx(0).GetSymbol()]

def kekulised(mol):
    Chem.Kekulize(mol, clearAromaticFlags=True)
    return mol.GetNumBonds()

def infinite(mol):
    return 2 if mol.GetAtomWithIdx(0).GetSymbol() == "C" else float("inf")

def pair(mol):
    return [1.0, 2.0]

def talks(mol):
    print("talking")
    return 2

def words(mol):
    return "many"

@vectorised()
def broken_batch(smiles):
    if "CC" in smiles:
        raise RuntimeError("no licence\\nanywhere")
    return [len(text) for text in smiles]

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


def calls(scores: Path) -> list[list[str]]:
    """The batches that a vectorised function was called with."""
    return [line.split() for line in (scores.parent / "calls.txt").read_text().splitlines()]


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
    assert calls(scores) == [valid]
    np.testing.assert_array_equal(get(name)(["", "C1CC"]), [np.nan, np.nan])  # not called for none
    assert len(calls(scores)) == 1


@pytest.mark.parametrize(
    ("function", "values", "messages"),
    [
        ("broken", [1, None], {"OC": "KeyError: 'O'"}),
        ("words", [None] * 2, dict.fromkeys(("CC", "OC"), "returned a str, expected a number")),
        ("pair", [None] * 2, dict.fromkeys(("CC", "OC"), "returned a list of shape (2,)")),
        ("infinite", [2, None], {"OC": "returned inf, expected a finite number"}),
        ("undefined", [None] * 2, dict.fromkeys(("CC", "OC"), "returned None")),
        ("short", [1] * 2, {}),  # one number is right for one molecule
        ("broken_batch", [None, 2], {"CC": "RuntimeError: no licence"}),
    ],
)
def test_a_failure_costs_one_molecule_its_value(
    scores: Path,
    function: str,
    values: list[float],
    messages: dict[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = f"{scores.name}:{function}"
    with scoring() as run:
        found = compute([name, "count:C"], ["CC", "OC", "C1CC", "CC"])
    np.testing.assert_array_equal(found[name], np.array([*values, None, values[0]], dtype=float))
    np.testing.assert_array_equal(found["count:C"], [2, 1, np.nan, 2])
    failures = run.failures[name]
    assert (failures.scored, failures.failed) == (2, len(messages))
    assert failures.messages.keys() == messages.keys()
    for text, message in messages.items():
        assert failures.messages[text].startswith(message)
    said = capsys.readouterr()
    assert said.out == ""
    for text in list(messages)[:1]:
        assert f"{name!r}: failed on {len(messages)} of 2 molecules; first: {text}: " in said.err
    assert said.err.count("\n") == bool(messages)


def test_what_a_function_prints_goes_to_stderr(
    scores: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    np.testing.assert_array_equal(get(f"{scores.name}:talks")(["CC"]), [2])
    said = capfd.readouterr()
    assert "talking" in said.err
    assert said.out == ""


def test_a_function_that_changes_its_molecule_changes_no_other_property(scores: Path) -> None:
    changing = f"{scores.name}:kekulised"
    found = compute([changing, "logp", "count:c"], ROWS)
    np.testing.assert_array_equal(found[changing], [13, 15, 2, np.nan, np.nan, 9])
    for name in ("logp", "count:c"):
        np.testing.assert_array_equal(found[name], compute([name], ROWS)[name])


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
    with scoring() as run:
        np.testing.assert_array_equal(from_function(lambda mol: 1 / 0, "zero")(["C"]), [np.nan])
    assert run.failures["zero"].messages == {"C": "ZeroDivisionError: division by zero"}


def test_names_are_column_names(tmp_path: Path) -> None:
    names = ["qed", f"similarity:{ASPIRIN}", "count:[C,N;R]", "has:[$([#6]-[#7]),$(C=O)]"]
    frame = pd.DataFrame({"smiles": ROWS[:3], **compute(names, ROWS[:3])})
    write_table(frame, tmp_path / "t.csv")
    found = read_table(tmp_path / "t.csv")
    assert list(found.columns) == ["smiles", *names]
    np.testing.assert_allclose(found[names[1]], frame[names[1]], rtol=1e-5)  # six digits


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


def test_what_stands_beside_a_property() -> None:
    for name, beside in BESIDE.items():
        assert alongside([name, "qed"]) == [name, beside, "qed"]
        assert alongside([beside]) == [beside]


def test_a_property_per_heavy_atom() -> None:
    found = compute(["efficiency:tpsa"], ["OCC", "[H][H]", "C1CC"])["efficiency:tpsa"]
    np.testing.assert_allclose(found, [20.23 / 3, np.nan, np.nan])
    assert get("efficiency:qed").direction == "max"
