"""Fragment moves: a fragment is masked, and the rest of the molecule is clamped."""

from __future__ import annotations

import numpy as np
import pytest
from rdkit import Chem

import molgen
from asking import request
from molgen.discovery.metropolis import Metropolis
from molgen.discovery.moves import fragment, masked_fragments
from molgen.discovery.search import search
from molgen.model import Model
from molgen.sampling.recipe import resolve

MOLECULES = ["CC(=O)NC1CCOC1", "", "c1ccncc1", "OCC1CC1C#N", "OCCBr", "CCO"]


@pytest.fixture(scope="module")
def model() -> Model:
    return molgen.load("qm9")


def test_a_fragment_consists_of_whole_pieces_and_has_the_least_size() -> None:
    mol = Chem.MolFromSmiles("CC(=O)NC1CCOC1")
    seen = set()
    for number in range(200):
        share = 0.1 + 0.5 * (number % 7) / 6
        atoms = fragment(mol, share, 0, number)
        assert len(atoms) >= round(share * mol.GetNumAtoms())
        assert len(Chem.GetMolFrags(Chem.MolFromSmiles(Chem.MolFragmentToSmiles(mol, atoms)))) == 1
        ring = frozenset(range(4, 9))
        assert ring <= atoms or not ring & atoms, "rings are masked whole"
        assert ({1, 2} <= atoms) or not {1, 2} & atoms, "double bonds too"
        seen.add(atoms)
    assert len(seen) > 8


def test_the_rest_is_clamped_and_the_fragment_is_masked(model: Model) -> None:
    mask_id = model.denoiser.mask_id
    numbers = np.arange(len(MOLECULES)) + 2**33
    prior_draw = resolve(model, model.settings(), {}).draw_prior(len(MOLECULES), 0)
    share = np.full(len(MOLECULES), 0.3)
    index, rows = masked_fragments(model, prior_draw, MOLECULES, share, 0, numbers, 22)
    assert index.tolist() == [0, 3, 5], (
        "invalid rows, single pieces and unknown tokens are left out"
    )
    assert rows.given.fixed is not None
    np.testing.assert_array_equal(rows.index, numbers[index])
    for i, at in enumerate(index):
        tokens = rows.given.tokens[i, : rows.lengths[i]]
        mol = Chem.MolFromSmiles(MOLECULES[at])
        cut = fragment(mol, 0.3, 0, int(numbers[at]))
        kept = [a for a in range(mol.GetNumAtoms()) if a not in cut]
        elements = sorted(mol.GetAtomWithIdx(a).GetSymbol().lower() for a in kept)
        fixed = model.tokenizer.decode(tokens[tokens != mask_id])
        assert sorted(letter.lower() for letter in fixed if letter.isalpha()) == elements
        assert (rows.given.fixed[i, : rows.lengths[i]] == (tokens != mask_id)).all()
        assert (tokens == mask_id).any()


def test_fragments_need_a_smiles_model(model: Model) -> None:
    class Selfies:
        representation = "selfies"

    other = object.__new__(Model)
    for name, value in vars(model).items():
        object.__setattr__(other, name, value)
    object.__setattr__(other, "tokenizer", Selfies())
    with pytest.raises(ValueError, match=r"fragments is 0\.5 with representation selfies"):
        search(other, request({"qed": "max"}, 4), Metropolis(fragments=0.5))
    with pytest.raises(ValueError, match="fragments is 2"):
        Metropolis(fragments=2)
