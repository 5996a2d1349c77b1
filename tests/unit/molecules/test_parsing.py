"""Every string is a molecule or has the right status."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem

from molgen.molecules.parsing import (
    MAX_CHARACTERS,
    Molecule,
    Status,
    canonical,
    flat,
    interpret,
    interpret_all,
    mark_unique,
    parse,
)

REASONS = {
    "": "empty",
    " \t\n": "empty",
    "CC(": "parse",
    "C)C": "parse",
    "[CH128]": "parse",  # RDKit raises
    "[NH200+]": "parse",
    "[CH260]": "parse",  # RDKit itself reads methane
    "[C+200]": "parse",
    "[99999C]": "parse",
    "[Xx]": "parse",
    "C..C": "parse",
    "C name": "parse",  # RDKit itself reads methane
    " C": "parse",
    "C\n": "parse",
    "C\x00C": "parse",
    "C\u200bC": "parse",
    "C\ud800": "parse",  # not even encodable
    "C |$x$|": "parse",
    "C1CC": "ring_closure",
    "C12CC1": "ring_closure",
    "C11": "ring_closure",
    "C1C1": "ring_closure",
    "C%12CC": "ring_closure",
    "C=1CC[13CH3]": "ring_closure",  # the 13 is an isotope and not two labels
    "C1CC(": "parse",
    "C(C)(C)(C)(C)C": "valence",
    "O=O=O": "valence",
    "[CH5]": "valence",
    "F=c1cccc1": "valence",  # and not aromatic either: RDKit stops at the valence
    "c1cccc1": "kekulisation",
    "cC": "kekulisation",
    "c1ccccc1c": "kekulisation",
    "C.C": "fragments",
    "[Na+].[Cl-]": "fragments",
    "*C": "dummy_atom",
    "[*:1]C": "dummy_atom",
    "[#0]": "dummy_atom",
    "C" * (MAX_CHARACTERS + 1): "too_long",
}


@pytest.mark.parametrize(("raw", "status"), REASONS.items(), ids=[k[:12] for k in REASONS])
def test_reason(raw: str, status: str) -> None:
    assert interpret(raw) == Molecule(raw, "", Status(status))


@pytest.mark.parametrize(
    ("raw", "smiles"),
    [
        ("OCC", "CCO"),
        ("C1=CC=CC=C1", "c1ccccc1"),
        ("[H]C([H])([H])[H]", "C"),
        ("C1.C1", "CC"),  # a dot, but one fragment
        ("[nH]1cccc1", "c1cc[nH]c1"),
        ("C/C=C\\C", "C/C=C\\C"),
        ("C%(100)CC%(100)", "C1CC1"),
        ("C" * 3000, "C" * 3000),
    ],
    ids=lambda text: text[:12],
)
def test_molecule(raw: str, smiles: str) -> None:
    assert interpret(raw) == Molecule(raw, smiles, Status.OK)
    assert Chem.MolToSmiles(Chem.MolFromSmiles(raw)) == smiles


@pytest.mark.parametrize(
    ("raw", "smiles"),
    [
        ("[CH3:1][OH:2]", "CO"),
        ("[H:1]OC", "CO"),
        ("[CH3:1][C@H:2]([CH3:3])O", "CC(C)O"),  # labels make no stereocentre
        ("[13CH3:1][OH:2]", "[13CH3]O"),
        ("[NH3+:7]C", "C[NH3+]"),
        ("[cH:1]1[cH:2][cH:3][cH:4][cH:5][cH:6]1", "c1ccccc1"),
        ("[CH3][OH]", "CO"),
    ],
)
def test_labels_and_explicit_hydrogens_are_removed(raw: str, smiles: str) -> None:
    assert interpret(raw) == Molecule(raw, smiles, Status.OK)
    assert canonical(raw) == smiles
    assert flat(raw) == flat(smiles)


SMILES_LIKE = st.text(alphabet="CcNnOoS[]()=#12%+-@/\\.*H:F \x00", max_size=40)
ANY_TEXT = st.text(st.characters(codec=None), max_size=60)  # lone surrogates included


@settings(deadline=None)
@given(st.one_of(SMILES_LIKE, ANY_TEXT))
def test_no_string_raises_and_ok_molecules_are_valid(raw: str) -> None:
    molecule = interpret(raw)
    assert molecule.raw == raw
    assert molecule.ok == bool(molecule.smiles)
    if molecule.ok:
        mol = Chem.MolFromSmiles(raw)
        assert len(Chem.GetMolFrags(mol)) == 1
        assert Chem.MolToSmiles(mol) == molecule.smiles
        assert all(atom.GetAtomicNum() for atom in mol.GetAtoms())


@settings(deadline=None)
@given(st.lists(st.sampled_from(["C", "OCC", "CCO", "C1CC", "", "C.C"]), max_size=20))
def test_all_rows_are_returned_in_order(raws: list[str]) -> None:
    assert interpret_all(raws) == [interpret(raw) for raw in raws]


def test_processes_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("molgen.utils.parallel.CHUNK", 20)
    raws = ["C" * n + tail for n in range(1, 30) for tail in ("", "O", "1", "(")]
    assert interpret_all(raws, processes=2) == interpret_all(raws)


def test_processes_must_be_positive() -> None:
    with pytest.raises(ValueError, match="processes is 0, expected at least 1"):
        interpret_all(["C"], processes=0)


def test_canonical_of_strings_that_rdkit_reads() -> None:
    assert canonical("O.OCC") == "CCO.O"
    assert canonical("C*") == "*C"
    assert canonical("C1CC") == ""
    assert flat("C[C@H](N)[13CH3]") == "CC(C)N"
    assert flat("x") == ""
    assert parse("C name") is None


def test_unique_marks_first_occurrences_and_never_empty_strings() -> None:
    assert mark_unique(["C", "", "CC", "C", "", "CC", "O"]).tolist() == [
        True, False, True, False, False, False, True,
    ]  # fmt: skip


def test_rdkit_is_silenced_inside_and_not_outside() -> None:
    script = (
        "from rdkit import Chem; from molgen.molecules.parsing import interpret, canonical;"
        "interpret('c1cc'); canonical('c1cccc1'); print('-', flush=True);"
        "Chem.MolFromSmiles('CC(')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0
    assert "c1cc" not in done.stderr
    assert "CC(" in done.stderr


def test_chemistry_is_imported_without_the_slow_libraries() -> None:
    script = (
        "import sys, property_models, molgen.data.tables;"
        "from molgen.molecules import parsing, training_index, conventions, captions, evaluate;"
        "slow = {'torch', 'pandas', 'matplotlib', 'PIL'} & set(sys.modules); sys.exit(str(slow))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stderr.strip() == "set()"
