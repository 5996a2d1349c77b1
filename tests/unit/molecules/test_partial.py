"""Texts that can begin a molecule: no false alarm among all short molecules, errors found early."""

from __future__ import annotations

from itertools import product

import pytest
from rdkit import Chem, rdBase

from molgen.molecules.partial import can_begin
from molgen.molecules.smiles import split


def molecules(vocab: str, length: int) -> list[list[str]]:
    """All molecules of so many tokens, written as canonical SMILES are."""
    found = []
    with rdBase.BlockLogs():
        for tokens in product(vocab, repeat=length):
            text = "".join(tokens)
            if text[-1] not in "=(" and "=1" not in text and Chem.MolFromSmiles(text):
                found.append(list(tokens))
    return found


@pytest.mark.parametrize(
    ("vocab", "length"), [("CO=()", 6), ("cnC1", 7), ("C=1N", 6), ("cs1(C)", 6)]
)
def test_no_beginning_of_a_short_molecule_is_refused(vocab: str, length: int) -> None:
    whole = [m for m in molecules(vocab, length) if split(Chem.CanonSmiles("".join(m))) == m]
    assert len(whole) >= 5
    for tokens in whole:
        for end in range(1, length + 1):
            text = "".join(tokens[:end])
            assert can_begin(text, end < length), f"{text} of {''.join(tokens)}"


@pytest.mark.parametrize(
    "text",
    [
        "CC(=O)Nc1ccc(S(N)(=O)=O)cc1", "O=[N+]([O-])c1ccc(F)cc1", "c1ccc2[nH]ccc2c1",
        "C[C@H](N)C(=O)[O-]", "CN1C(=O)N(C)c2ncn(C)c2C1=O", "N#Cc1ccsc1-c1ccncc1",
    ],
)  # fmt: skip
def test_beginnings_of_drugs(text: str) -> None:
    tokens = split(text)
    for end in range(1, len(tokens) + 1):
        assert can_begin("".join(tokens[:end]), end < len(tokens)), tokens[:end]


@pytest.mark.parametrize(
    "text",
    [
        "CC(C)(C)(C)C", "C=O=", "CF(", "C#C=", "O=C(=O)(", "C1=C1", "C11", "Cc(C)", "c1ccccn1(",
        "c1cccc1C(", "C(=O)(=O)C", "CFC", "c1ccc(C)c1)",
    ],
)  # fmt: skip
def test_what_no_molecule_begins_with(text: str) -> None:
    assert not can_begin(text, more=True)


def test_a_whole_text_is_a_molecule_or_not() -> None:
    assert can_begin("C1CC1", more=False)
    assert not can_begin("C1CC", more=False)
    assert can_begin("C1CC", more=True)


def test_a_text_that_must_go_on_needs_a_free_bond() -> None:
    assert can_begin("CCF", more=False)
    assert not can_begin("CCF", more=True)
    assert can_begin("CC(F", more=True)
