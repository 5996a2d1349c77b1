"""All notations of a constraint are equivalent; invalid ones are rejected with one line."""

from __future__ import annotations

import pytest
from rdkit import Chem

from drugs import SPELLINGS, spelled
from molgen.constraints.scaffolds import Constraint, Task, read, read_lead


def written(constraint: Constraint) -> list[str]:
    return [Chem.MolToSmiles(fragment.mol) for fragment in constraint.fragments]


SCAFFOLDS = {
    "*c1ccco1": (Task.MOTIF, ["[1*]c1ccco1"]),
    "C1CC1*": (Task.MOTIF, ["[1*]C1CC1"]),
    "*C(=O)N*": (Task.DECORATION, ["[1*]C(=O)N[2*]"]),
    "O=C1C=CNC(=*)N1*": (Task.DECORATION, ["[1*]=C1NC=CC(=O)N1[2*]"]),
    "*[C@H](*)C": (Task.DECORATION, ["[1*][C@H]([2*])C"]),  # two equal neighbours, but for labels
    "C[C@@H](*)*": (Task.DECORATION, ["[1*][C@@H]([2*])C"]),
    "*/C=C\\*": (Task.DECORATION, ["[1*]/C=C\\[2*]"]),
    "*C1CC1.*C#N": (Task.LINKER, ["[1*]C1CC1", "[2*]C#N"]),
    "C1CC1(*)*.N#C*.CO*": (Task.LINKER, ["[1*]C1([2*])CC1", "[3*]C#N", "[4*]OC"]),
    "  *C\n": (Task.MOTIF, ["[1*]C"]),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("scaffold", SCAFFOLDS)
def test_all_spellings_are_read_alike(scaffold: str, spelling: str) -> None:
    task, expected = SCAFFOLDS[scaffold]
    text = spelled(scaffold, spelling)
    constraint = read(text)
    assert constraint.source == text.strip()
    assert constraint.task is task
    assert written(constraint) == expected
    for fragment in constraint.fragments:
        assert len(fragment.cuts) == len(fragment.mol.GetAtoms()) - len(fragment.kept)
        assert all(fragment.mol.GetAtomWithIdx(i).GetAtomicNum() for i in fragment.kept)


@pytest.mark.parametrize("scaffold", SCAFFOLDS)
def test_a_molecule_object_is_read_like_its_smiles(scaffold: str) -> None:
    mol = Chem.MolFromSmiles(spelled(scaffold, "[*:{}]").strip())
    before = Chem.MolToSmiles(mol)
    constraint = read(mol)
    assert constraint.task is SCAFFOLDS[scaffold][0]
    assert Chem.MolToSmiles(mol) == before, "the caller's molecule is unchanged"
    if "@" not in before and "/" not in before:  # which RDKit keeps for labelled points alone
        assert sorted(written(constraint)) == sorted(written(read(constraint.source)))


def test_labels_are_no_isotopes_and_no_maps() -> None:
    assert written(read("[*H]C[*+]")) == ["[1*]C[2*]"]
    assert written(read("[CH3:4]c1c[nH:2]c([2*])c1[*:2]")) == ["[1*]c1[nH]cc(C)c1[2*]"]


def test_a_core_without_points_is_read_as_a_superstructure_on_request() -> None:
    constraint = read("c1ccoc1", "superstructure")
    assert constraint.task is Task.SUPERSTRUCTURE
    assert constraint.fragments[0].cuts == []
    assert read("*c1ccoc1", "decoration").task is Task.DECORATION


REJECTED: dict[tuple[str, str | None], str] = {
    ("", None): "scaffold is empty, expected SMILES",
    (" ", None): "scaffold is empty",
    ("*c1ccc", None): r"scaffold is '\*c1ccc', which is not readable SMILES: ring_closure",
    ("*C(C)(C)(C)C", None): "not readable SMILES: valence",
    ("[R1]C", None): r"not readable SMILES: parse \(write an R group as \[\*:1\]\)",
    ("c1ccccc1R", None): "write an R group as",
    ("*C name", None): r"not readable SMILES: parse \(expected SMILES alone",
    ("*C |$_R1;$", None): "expected SMILES alone, without a name",
    ("*C |$_R1;$| name", None): "expected SMILES alone, without a name",
    ("*C |(1|", None): "not readable CXSMILES",
    ("*C||*C", None): "not readable SMILES: parse",
    ("[*;!#1]C", None): "not readable SMILES: parse$",  # SMARTS, not SMILES
    ("[*,N]C", None): "not readable SMILES: parse$",
    ("c1ccoc1", None): r"'c1ccoc1' has no attachment point, expected \* where it may grow, task",
    ("c1ccoc1", "decoration"): "has no attachment point",
    ("*C.CC", None): r"fragment 2 of scaffold '\*C.CC' \(CC\) has no attachment point",
    ("*C.[Cl-]", None): "where the linker begins; remove salts",
    ("*", None): r"attachment point 1 of scaffold '\*' has 0 bonds, expected 1$",
    ("C*C", None): r"attachment point 1 of scaffold 'C\*C' has 2 bonds, expected 1: to change an",
    ("C*.*1CC1", None): "attachment point 2 .* has 2 bonds, expected 1",
    ("**", None): "attachment point 1 .* is bonded to another attachment point, expected",
    ("*~C", None): "attachment point 1 .* has a bond UNSPECIFIED, expected single,",
    ("*C*", "motif"): r"has 1 fragment\(s\) with 2 attachment point\(s\), .* decoration, not motif",
    ("*C.*C", "decoration"): r"has 2 fragment\(s\) .* a task of linker, not decoration",
    ("*C", "linker"): "a task of motif, not linker",
    ("*C", "superstructure"): "a task of motif, not superstructure",
    ("*C", "lead"): "task is 'lead', expected one of decoration, motif, linker, superstructure",
    ("C.C", "superstructure"): "fragment 1 .* has no attachment point",
    (f"*{'C' * 5000}", None): "too_long",
}


@pytest.mark.parametrize(("scaffold", "task"), REJECTED)
def test_unreadable_scaffolds_are_rejected_in_one_line(scaffold: str, task: str | None) -> None:
    with pytest.raises(ValueError, match=REJECTED[scaffold, task]) as caught:
        read(scaffold, task)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250


LEAD = "CC(=O)Nc1ccc(O)cc1"


@pytest.mark.parametrize(
    ("chosen", "kept"),
    [
        ({"change": [0]}, [{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}]),
        ({"change": [4]}, [{0, 1, 2, 3}, {5, 6, 7, 8, 9, 10}]),
        ({"change": "c"}, [{0, 1, 2, 3}, {8}]),
        ({"change": "[NX3][CX3]=O"}, [{0}, {4, 5, 6, 7, 8, 9, 10}]),
        ({"keep": "[NX3][CX3]=O"}, [{1, 2, 3}]),
        ({"keep": [10, 8, 0]}, [{0}, {8}, {10}]),
    ],
)
def test_atoms_of_a_lead(chosen: dict[str, str | list[int]], kept: list[set[int]]) -> None:
    for lead in (LEAD, Chem.MolFromSmiles(LEAD)):
        constraint = read_lead(lead, **chosen)
        assert constraint.task is Task.LEAD
        assert [set(fragment.kept) for fragment in constraint.fragments] == kept
        assert constraint.kept == set().union(*kept)
    assert read_lead(LEAD, change=[0]).fragments[0].cuts == [(1, 0)]


@pytest.mark.parametrize(
    ("lead", "chosen", "reason"),
    [
        ("CC(", {"change": [0]}, r"lead is 'CC\(', expected a molecule: parse"),
        ("", {"change": [0]}, "lead is '', expected a molecule: empty"),
        ("CC.O", {"change": [2]}, r"change has atom 2, expected indices in 0\.\.1"),
        ("*CC", {"change": [0]}, "expected a whole molecule without attachment points"),
        ("CCO", {}, "change and keep are both given or both missing"),
        ("CCO", {"change": [0], "keep": [1]}, "change and keep are both given or both missing"),
        ("CCO", {"change": [3]}, r"change has atom 3, expected indices in 0\.\.2"),
        ("CCO", {"keep": [-1]}, r"keep has atom -1, expected indices in 0\.\.2"),
        ("CCO", {"change": "C("}, r"change is 'C\(', which is not readable SMARTS"),
        ("CCO", {"keep": "N"}, "keep is 'N', which matches nothing in the lead"),
        ("CCO", {"change": []}, "no atom of lead 'CCO' may change"),
        ("CCO", {"change": "*"}, "every atom of lead 'CCO' may change"),
        ("CCO", {"keep": [0, 1, 2]}, "no atom of lead 'CCO' may change"),
    ],
)
def test_unreadable_leads_are_rejected(
    lead: str, chosen: dict[str, str | list[int]], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        read_lead(lead, **chosen)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("salt", ["{}.Cl", "Cl.{}", "[Na+].{}.[Cl-]"])
def test_the_salt_of_a_lead_is_left_out_and_its_atoms_keep_their_numbers(salt: str) -> None:
    text = salt.format(LEAD)
    first = 0 if salt[0] == "{" else 1
    for chosen in ({"change": [first + 3]}, {"change": "N"}):
        constraint = read_lead(text, **chosen)
        assert constraint.source == text
        assert constraint.kept == read_lead(LEAD, change=[3]).kept
        assert Chem.MolToSmiles(constraint.fragments[0].mol) == Chem.CanonSmiles(LEAD)


def test_a_bar_between_the_ends_of_a_linker_is_a_dot() -> None:
    barred, dotted = read("*C1CC1|*C#N"), read("*C1CC1.*C#N")
    assert barred.task is Task.LINKER
    assert written(barred) == written(dotted)
    assert barred.source == "*C1CC1|*C#N"


def test_a_lead_that_cannot_be_sanitised_is_rejected() -> None:
    mol = Chem.MolFromSmiles("C(C)(C)(C)(C)C", sanitize=False)
    with pytest.raises(ValueError, match="that RDKit can sanitise"):
        read_lead(mol, change=[0])
