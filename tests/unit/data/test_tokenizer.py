from __future__ import annotations

import csv
import gzip
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from molgen.data.tokenizer import MASK, PAD, Tokenizer, selfies_to_smiles, smiles_to_selfies
from molgen.molecules.parsing import canonical
from molgen.molecules.smiles import TokenError, split
from molgen.utils.parallel import map_chunks
from paths import DATA, TESTS

ALPHABET = [
    "C",
    "c",
    "Cl",
    "Br",
    "[nH]",
    "[C@@H]",
    "[13C]",
    "%12",
    "%(105)",
    "@@",
    "(",
    ")",
    "=",
    "#",
]
ALPHABET += ["-", "/", "\\", ".", "1", "0", "N", "[Si]", "[NH3+]", ":", "~", "$", ">", "*"]
SELFIES = ["[C]", "[=C]", "[Branch1]", "[Ring1]", "[#Branch2]", "[C@@H1]", "[13CH1]", "."]
MOLECULES = [
    "CC(=O)Oc1ccccc1C(=O)O",
    "C[C@@H](N)C(=O)O",
    "[NH3+]CC(=O)[O-]",
    "FC(F)(Cl)Br",
    "c1cc[nH]c1",
]

texts = st.lists(st.sampled_from(ALPHABET), max_size=30).map("".join)
selfies_texts = st.lists(st.sampled_from(SELFIES), max_size=30).map("".join)


@given(texts)
@settings(deadline=None)
def test_smiles_go_to_ids_and_back(text: str) -> None:
    tokenizer = Tokenizer.from_corpus([text])
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert "".join(split(text)) == text
    assert all(0 <= i < tokenizer.pad_id for i in ids)


@given(selfies_texts)
@settings(deadline=None)
def test_selfies_go_to_ids_and_back(text: str) -> None:
    tokenizer = Tokenizer.from_corpus([text], "selfies")
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert len(tokenizer.encode(text)) == text.count("[") + text.count(".")


@given(st.text(max_size=20), st.sampled_from(["smiles", "selfies"]))
@settings(deadline=None)
def test_any_text_is_read_whole_or_refused_at_a_character(text: str, representation: str) -> None:
    try:
        end = len("".join(split(text, representation)))
    except TokenError as error:
        end = error.position
    assert end == len(text) or "".join(split(text[:end], representation)) == text[:end]


@given(texts, texts, st.sampled_from(["P", "[Xe]", "%34", "I", "!", "é", " ", "[PAD]", "[MASK]"]))
@settings(deadline=None)
def test_an_unknown_token_is_pointed_at(before: str, after: str, unknown: str) -> None:
    tokenizer = Tokenizer(ALPHABET)
    text = before + unknown + after
    with pytest.raises(TokenError) as caught:
        tokenizer.encode(text)
    assert caught.value.position == len(before)
    assert caught.value.text == text


def test_the_error_shows_the_place() -> None:
    with pytest.raises(TokenError) as caught:
        Tokenizer(["C", "O"]).encode("CCNO")
    assert str(caught.value) == ("unknown token 'N' at character 3 of 'CCNO'\n  CCNO\n    ^")
    with pytest.raises(TokenError, match=r"unknown token '\[' at character 2"):
        split("C[Na")


def test_two_letter_elements_and_ring_labels_are_one_token() -> None:
    assert split("ClCBr") == ["Cl", "C", "Br"]
    assert split("C%12C%(123)C1") == ["C", "%12", "C", "%(123)", "C", "1"]
    assert split("Sc1ncc[nH]1") == ["S", "c", "1", "n", "c", "c", "[nH]", "1"]
    assert split("C/C=C\\[C@@H](F)O") == [
        "C",
        "/",
        "C",
        "=",
        "C",
        "\\",
        "[C@@H]",
        "(",
        "F",
        ")",
        "O",
    ]


def test_ids_are_laid_out_with_the_mask_last() -> None:
    tokenizer = Tokenizer.from_corpus(["CO", "CN"])
    assert tokenizer.vocab == ["C", "N", "O", PAD, MASK]
    assert (tokenizer.pad_id, tokenizer.mask_id, len(tokenizer)) == (3, 4, 5)
    assert tokenizer.decode([0, 4, 2, 3, 3]) == "C[MASK]O"


def test_a_vocabulary_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="token twice"):
        Tokenizer(["C", "C"])
    with pytest.raises(ValueError, match="'inchi', expected one of"):
        Tokenizer(["C"], "inchi")


@pytest.mark.parametrize("representation", ["smiles", "selfies"])
def test_the_fast_tokenizer_agrees_and_is_loaded_again(tmp_path: Path, representation: str) -> None:
    written = [Tokenizer([], representation).text(s) for s in MOLECULES]
    tokenizer = Tokenizer.from_corpus(written, representation)
    fast = tokenizer.fast()
    found = fast(written, padding=True, add_special_tokens=False)["input_ids"]
    longest = max(len(tokenizer.encode(text)) for text in written)
    for text, ids in zip(written, found, strict=True):
        own = tokenizer.encode(text)
        assert ids == own + [tokenizer.pad_id] * (longest - len(own))
        assert fast.decode(own) == text
    assert (fast.pad_token_id, fast.mask_token_id) == (tokenizer.pad_id, tokenizer.mask_id)
    tokenizer.save(tmp_path)
    again = Tokenizer.load(tmp_path)
    assert (again.vocab, again.representation) == (tokenizer.vocab, representation)
    for text in written:
        assert again.encode(text) == tokenizer.encode(text)


def test_transformers_loads_what_was_saved(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = Tokenizer.from_corpus(MOLECULES)
    tokenizer.save(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert loaded(MOLECULES[0], add_special_tokens=False)["input_ids"] == tokenizer.encode(
        MOLECULES[0]
    )
    assert loaded.mask_token_id == tokenizer.mask_id


def test_a_foreign_tokenizer_is_refused(tmp_path: Path) -> None:
    Tokenizer(["C"]).save(tmp_path)
    path = tmp_path / "tokenizer.json"
    data = json.loads(path.read_text())
    data["pre_tokenizer"]["pattern"]["Regex"] = "."
    path.write_text(json.dumps(data))
    with pytest.raises(ValueError, match="not a molgen tokenizer"):
        Tokenizer.load(tmp_path)


def test_selfies_that_cannot_be_made_say_why() -> None:
    assert selfies_to_smiles(smiles_to_selfies("CCO")) == "CCO"
    with pytest.raises(ValueError, match="no SELFIES for 'C1CC'") as caught:
        smiles_to_selfies("C1CC")
    assert "\n" not in str(caught.value)


# Every molecule of the public sets, where they are at hand.

SETS = ("qm9", "zinc250k")


def molecules(name: str) -> list[str]:
    path = DATA / f"{name}.csv.gz"
    if not path.is_file():
        pytest.skip(f"{name} is not at hand")
    with gzip.open(path, "rt", newline="") as file:
        return [row["smiles"].strip() for row in csv.DictReader(file)]


def unlike_after_tokens(smiles: Sequence[str]) -> list[str]:
    """Return what tokens do not spell exactly."""
    return [text for text in smiles if "".join(split(text)) != text]


def unlike_after_selfies(smiles: Sequence[str]) -> list[str]:
    """Return molecules that are another one after SMILES -> SELFIES -> SMILES."""
    found = []
    for text in map(canonical, smiles):
        try:
            selfies = smiles_to_selfies(text)
            exact = "".join(split(selfies, "selfies")) == selfies
            same = exact and canonical(selfies_to_smiles(selfies)) == text
        except ValueError:
            same = False
        if not same:
            found.append(text)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", SETS)
def test_every_molecule_goes_to_ids_and_back(name: str) -> None:
    smiles = molecules(name)
    assert unlike_after_tokens(smiles) == []
    tokenizer = Tokenizer.from_corpus(smiles)
    fast = tokenizer.fast()
    for start in range(0, len(smiles), 5000):
        part = smiles[start : start + 5000]
        found = fast(part, add_special_tokens=False)["input_ids"]
        for text, ids in zip(part, found, strict=True):
            assert ids == tokenizer.encode(text)
            assert tokenizer.decode(ids) == text


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", SETS)
def test_every_molecule_goes_to_selfies_and_back(name: str) -> None:
    listed = (TESTS / "selfies_exceptions.txt").read_text().splitlines()
    expected = {line.split()[1] for line in listed if re.match(rf"{name}\s", line)}
    found = map_chunks(unlike_after_selfies, molecules(name), os.cpu_count() or 1)
    assert {text for part in found for text in part} == expected
