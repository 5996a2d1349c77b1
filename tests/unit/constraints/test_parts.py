"""Parts: cut at the attachment points, so that scaffold and parts are the molecule again."""

from __future__ import annotations

import pytest
from rdkit import Chem

from molgen.constraints.parts import capped, parts
from molgen.constraints.scaffolds import Constraint, read, read_lead
from molgen.constraints.verify import OK, Verifier

CASES = {
    ("*c1ccc(*)cc1", "CCc1ccc(F)cc1"): {"part_1": "*CC", "part_2": "*F"},
    ("[*:2]c1ccc([*:1])cc1", "CCc1ccc(F)cc1"): {"R2": "*CC", "R1": "*F"},
    ("[3*]c1ccncc1*", "COc1ccncc1C#N"): {"R3": "*OC", "part_2": "*C#N"},
    ("[*:1]C1CC1.[*:1]C#N", "N#CCOC1CC1"): {"linker": "[*:1]OC[*:2]"},
    ("c1ccccc1*|*C1CCNCC1", "O=C(Cc1ccccc1)NC1CCNCC1"): {"linker": "[*:1]CC(=O)N[*:2]"},
    ("*c1ccccc1 |$_R7;;;;;;$|", "CN(C)c1ccccc1"): {"R7": "*N(C)C"},
    ("*c1ccccc1 |$_AP1;;;;;;$|", "CN(C)c1ccccc1"): {"AP1": "*N(C)C"},
    ("*c1ccccc1*", "c1ccc2c(c1)CCC2"): dict.fromkeys(("part_1", "part_2"), "[*:1]CCC[*:2]"),
    ("*c1ccccc1*", "c1ccc2c(c1)C2"): dict.fromkeys(("part_1", "part_2"), "[*:1]C[*:2]"),
    ("*=C1C=CNC=C1", "O=c1cc[nH]cc1"): {"part_1": "*=O"},
    ("*n1cccc1", "c1ccc(-n2cccc2)cc1"): {"part_1": "*c1ccccc1"},
    ("*C(*)*", "CC[C@H](O)c1ccccc1"): {"part_1": "*CC", "part_2": "*O", "part_3": "*c1ccccc1"},
    ("*N1CC1*", "C1CC2CN12"): dict.fromkeys(("part_1", "part_2"), "[*:1]CC[*:2]"),
    ("[*:1]C1CCC([*:3])CC1.[*:2]C#N", "CC1CCC(OCC#N)CC1"): {
        "linker": "[*:1]OC[*:2]",
        "R1": "",
        "R3": "*C",
        "R2": "",
    },
    ("*C#N.*CO.*C1CC1", "OCC(C#N)C1CC1"): {"linker": "[*:1]C([*:2])[*:3]"},
}


def numbered(text: str, number: int) -> str:
    """Number the only point of a part; several have their numbers already."""
    return text if ":" in text else text.replace("*", f"[*:{number}]")


def joined(constraint: Constraint, found: dict[str, str]) -> str:
    """Return the molecule of a scaffold and its parts, joined by RDKit at equal numbers."""
    numbers = {name: i for i, name in enumerate(constraint.points, 1)}
    shown = {name: int("".join(filter(str.isdigit, name))) for name in constraint.points}
    pieces = []
    for fragment in constraint.fragments:
        mol = Chem.Mol(fragment.mol)
        for atom in mol.GetAtoms():
            if not atom.GetAtomicNum():
                atom.SetAtomMapNum(shown[constraint.points[atom.GetIsotope() - 1]])
                atom.SetIsotope(0)
        pieces.append(Chem.MolToSmiles(mol))
    assert set(found) - set(numbers) <= {"linker"}
    texts = {numbered(text, shown.get(name, 0)) for name, text in found.items() if text}
    both = Chem.MolFromSmiles(".".join([*pieces, *texts]))
    assert both is not None
    return str(Chem.MolToSmiles(Chem.molzip(both)))


@pytest.mark.parametrize(("scaffold", "smiles"), CASES)
def test_parts_are_cut_at_the_points_and_give_the_molecule_again(
    scaffold: str, smiles: str
) -> None:
    constraint = read(scaffold)
    verifier = Verifier(constraint)
    assert verifier(smiles) == OK
    found = parts(verifier, smiles)
    expected = CASES[scaffold, smiles]
    assert tuple(found) == constraint.parts
    if "C(*)*" in scaffold:  # three points on one atom are in no order
        assert sorted(found.values()) == sorted(expected.values())
        return
    assert found == expected
    same = Chem.MolToSmiles(Chem.MolFromSmiles(smiles))
    assert Chem.CanonSmiles(joined(constraint, found)) == same


def test_parts_outside_a_core_or_the_kept_atoms_of_a_lead() -> None:
    core = Verifier(read("c1ccoc1", "superstructure"))
    assert parts(core, "Cc1oc2ccccc2c1OC") == {"outside": "*=CC=CC=*.*C.*OC"}
    lead = Verifier(read_lead("CC(=O)Nc1ccc(O)cc1", keep="c1ccccc1"))
    assert parts(lead, "CCc1ccc(OC)cc1") == {"outside": "*CC.*OC"}
    assert parts(lead, "c1ccccc1") == {"outside": ""}


def test_there_are_no_parts_without_the_scaffold() -> None:
    verifier = Verifier(read("*c1ccc(*)cc1"))
    for smiles in ("", "C(", "CCO", "Cc1ccccc1"):
        assert parts(verifier, smiles) == {"part_1": "", "part_2": ""}


def test_the_choice_in_a_symmetric_scaffold_does_not_depend_on_the_spelling() -> None:
    verifier = Verifier(read("*c1cc(*)cc(*)c1"))
    mol = Chem.MolFromSmiles("Oc1cc(CC)cc(C#N)c1")
    texts = [Chem.MolToSmiles(mol, doRandom=True) for _ in range(12)]
    assert len({tuple(parts(verifier, text).values()) for text in texts}) == 1


@pytest.mark.parametrize(
    ("part", "molecule"),
    [
        ("*C", "C"),
        ("*=O", "O"),
        ("*#N", "N"),
        ("*n1cccc1", "c1cc[nH]c1"),
        ("[*:1]CC(=O)N[*:2]", "CC(N)=O"),
        ("*=CC=CC=*", "CC=CC"),
        ("*[C@H](F)Cl", "FCCl"),
        ("*[NH2+]C", "C[NH3+]"),
        ("", ""),
    ],
)
def test_open_bonds_of_a_part_are_filled_with_hydrogen(part: str, molecule: str) -> None:
    assert capped(part) == (Chem.CanonSmiles(molecule) if molecule else "")


def test_labels_that_repeat_name_no_columns() -> None:
    assert read("[*:1]c1ccc([*:1])cc1").points == ("part_1", "part_2")
    assert read("*c1ccc(*)cc1 |$_R2;;;;;_R1;;$|").points == ("R2", "R1")
    assert read("*c1ccc(*)cc1 |$_R2;;;;;x;;$|").points == ("R2", "part_2")
    molecule = Chem.MolFromSmiles("[*:2]c1ccc([*:1])cc1")
    named = read(molecule)
    assert sorted(named.points) == ["R1", "R2"]
