from __future__ import annotations

import pytest
from rdkit import Chem

from drugs import REAL
from molgen.molecules.parsing import canonical, parse
from molgen.reports.structures import MOST_ATOMS, Structures, pack, unpack
from small_data import SMILES

STEREO = [
    *("C[C@H](N)C(=O)O", "F/C=C/F", "F/C=C\\F", "C[C@@H]1CC[C@H](O)CC1", "[2H]C([2H])O"),
    *("CC(=O)O[C@@H]1C=C[C@H]2CO[C@@H]1C2", "[O-][N+](=O)c1ccccc1", "C[N+](C)(C)CC(=O)[O-]"),
    *("[NH4+]", "C[CH2]", "C1CC2CCC1C2"),
]
PARTS = ["*C", "[*:1]c1ccc([*:2])cc1", "*C(=O)N*"]
DRUGS = [molecule for _, molecule in REAL.values()]
WHOLE = [canonical(text) for text in (*STEREO, *SMILES, *DRUGS)]


def texts(smiles: list[str]) -> list[str]:
    found = Structures()
    assert [found.add(text) for text in smiles] == list(range(len(smiles)))
    return [text for block in found.blocks() for text in unpack(block)]


def test_the_molfile_of_a_structure_is_the_molecule() -> None:
    for smiles, text in zip(WHOLE, texts(WHOLE), strict=True):
        hydrogens, molfile = text.split("\n", 1)
        mol = Chem.MolFromMolBlock(molfile)
        assert Chem.MolToSmiles(mol) == smiles
        # of every atom, which is what the browser writes behind its symbol
        assert [int(n) for n in hydrogens] == [atom.GetTotalNumHs() for atom in mol.GetAtoms()]


def test_parts_have_their_attachment_points() -> None:
    for smiles, text in zip(PARTS, texts(PARTS), strict=True):
        mol = Chem.MolFromMolBlock(text.split("\n", 1)[1])
        points = sum(atom.GetAtomicNum() == 0 for atom in mol.GetAtoms())
        assert points == smiles.count("*")


def test_equal_structures_are_stored_once_and_what_cannot_be_drawn_has_no_number() -> None:
    found = Structures()
    assert found.add("CCO") == found.add("CCO") == 0
    assert found.add("") is None
    assert found.add("C1CC<script>") is None
    assert found.add("C" * (MOST_ATOMS + 1)) is None
    assert found.add("CCN", drawn=False) == 1
    assert found.add("CCC") == 2
    ethanol, amine, propane = unpack(found.blocks()[0])
    assert not amine
    assert "V2000" in ethanol
    assert "V2000" in propane


def test_what_is_asked_to_be_drawn_once_is_drawn() -> None:
    found = Structures()
    assert found.add("CCN", drawn=False) == found.add("CCN") == 0
    assert "V2000" in unpack(found.blocks()[0])[0]


def test_blocks_are_full_but_for_the_last() -> None:
    found = Structures()
    for i in range(250):
        found.add(f"{'C' * (1 + i % 10)}O{'N' * (1 + i // 10)}", drawn=False)
    assert [len(unpack(block)) for block in found.blocks()] == [100, 100, 50]


@pytest.mark.parametrize("content", [[], [""], ["a", "", "b\nc"]])
def test_packing_is_undone(content: list[str]) -> None:
    assert unpack(pack(content)) == (content or [""])


def test_a_molecule_takes_few_characters() -> None:
    found = Structures()
    for i in range(200):
        found.add(canonical(f"CC(C)c1ccc(NC(=O){'C' * (i % 20)}N2CCC({'C' * (i // 20)}O)CC2)cc1"))
    assert parse(found.smiles[0]) is not None
    assert sum(map(len, found.blocks())) / len(found.smiles) < 400
