"""Coordinates of drawings: common parts lie on each other, highlights are the matched atoms."""

from __future__ import annotations

import numpy as np
import pytest
from rdkit import Chem

from molgen.molecules.coordinates import Structure, structures
from molgen.molecules.drawing import HIGHLIGHT, drawings, element, image

PYRIDINE = "c1ccncc1"
AMIDES = ["Cc1ccc(NC(=O)c2ccccc2)cc1", "O=C(Nc1cccc(Cl)c1)c1ccc(Br)cc1", "O=C(Nc1ccccc1)c1ccccc1C"]


def shape(structure: Structure, pattern: str) -> np.ndarray:
    """Return the coordinates of a matched part, from its centre."""
    atoms = structure.mol.GetSubstructMatch(Chem.MolFromSmarts(pattern))
    points = structure.points[list(atoms)]
    return points - points.mean(axis=0)


def test_molecules_with_one_scaffold_are_aligned() -> None:
    found = structures(AMIDES)
    amide = "*C(=O)N*"
    first = shape(found[0], amide)
    for other in found[1:]:
        assert np.abs(shape(other, amide) - first).max() < 0.02  # bonds
    alone = [shape(structures([smiles])[0], amide) for smiles in AMIDES]
    assert max(np.abs(one - alone[0]).max() for one in alone) > 0.3, "equal without alignment"


def test_a_highlighted_part_is_aligned_among_different_scaffolds() -> None:
    smiles = ["Cc1ccncc1CC(=O)NC1CC1", "CCOC(=O)N1CCC(c2ccncc2)CC1", "O=C(O)c1ccncc1F"]
    found = structures(smiles, ["*" + PYRIDINE] * 3)
    rings = [one.points[list(one.atoms)] for one in found]
    rings = [ring - ring.mean(axis=0) for ring in rings]
    assert max(np.abs(ring - rings[0]).max() for ring in rings) < 0.02


def test_attachment_points_are_not_highlighted() -> None:
    (found,) = structures(["CCOC(=O)N1CCC(c2ccncc2)CC1"], ["*c1ccncc1"])
    symbols = sorted(found.mol.GetAtomWithIdx(i).GetSymbol() for i in found.atoms)
    assert symbols == ["C"] * 5 + ["N"]
    assert len(found.bonds) == 6
    (open_,) = structures([PYRIDINE], ["*" + PYRIDINE])  # a hydrogen at the attachment point
    assert len(open_.atoms) == 6


@pytest.mark.parametrize("pattern", ["C1=CC=NC=C1", "[n;r6]1ccccc1", "c1ccncc1"])
def test_smiles_and_smarts_are_patterns(pattern: str) -> None:
    assert len(structures(["Cc1ccncc1"], [pattern])[0].atoms) == 6


def test_a_molecule_without_the_pattern_is_drawn_plainly() -> None:
    (found,) = structures(["CCO"], [PYRIDINE])
    assert found.atoms == ()
    assert HIGHLIGHT not in element(found, 26, 150, 112)


def test_a_pattern_that_cannot_be_read_is_named() -> None:
    with pytest.raises(ValueError, match=r"highlight 'c1cc'.*character 2"):
        structures(["CCO"], ["c1cc"])


def test_a_highlight_is_a_band_below_the_drawing() -> None:
    (plain,), (marked,) = structures(["Cc1ccncc1"]), structures(["Cc1ccncc1"], [PYRIDINE])
    text = element(marked, 26, 150, 112)
    assert text.index(HIGHLIGHT) < text.index('stroke="#162128"')
    assert text.count("<path") == element(plain, 26, 150, 112).count("<path") + 1
    pixels = np.asarray(image(marked, 40, 340, 270))
    band = (np.abs(pixels[..., :3].astype(int) - (255, 227, 161)).max(axis=-1) < 3) & (
        pixels[..., 3] > 250
    )
    assert band.sum() > 6 * 40 * 40 * 0.2  # six bonds, of which a fifth of a bond's square is seen


def test_molecules_of_rdkit_keep_their_own_coordinates() -> None:
    mol = Chem.MolFromMolBlock(Chem.MolToMolBlock(Chem.MolFromSmiles("CCO")))
    before = mol.GetConformer().GetPositions()
    structures([mol])
    assert np.array_equal(mol.GetConformer().GetPositions(), before)


def test_a_crowded_molecule_is_laid_out_alone() -> None:
    # paracyclophane: its benzene cannot keep the flat ring's place with its bridge around it
    bridged = "C1Cc2ccc(cc2)CCc2ccc1cc2"
    (alone,), (_, beside) = structures([bridged]), structures(["c1ccccc1CC", bridged])
    apart = np.linalg.norm(beside.points[:, None] - beside.points[None], axis=-1)
    np.fill_diagonal(apart, 9)
    assert apart.min() > 0.3
    assert len(alone.points) == len(beside.points)
    assert drawings([bridged], 200, 150)[0].size == (200, 150)
