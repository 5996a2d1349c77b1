from __future__ import annotations

import pytest

import tiny_masked
from molgen.data.sequence_tokenizer import SequenceTokenizer

LETTERS = SequenceTokenizer(tiny_masked.tokenizer(), 11)
WORDS = SequenceTokenizer(tiny_masked.tokenizer(tiny_masked.WORDS), 14)


def test_letters_are_read_and_written_without_blanks() -> None:
    assert LETTERS.letters
    assert not WORDS.letters
    assert LETTERS.encode("ACG") == LETTERS.encode("A C G") == [2, 5, 6, 10, 3]
    assert LETTERS.decode([2, 5, 6, 10, 3, 0]) == "ACG"
    assert WORDS.decode(WORDS.encode("the big cat")) == "the big cat"


@pytest.mark.parametrize("tokenizer", [LETTERS, WORDS])
def test_masks_may_be_counted(tokenizer: SequenceTokenizer) -> None:
    assert tokenizer.encode("[MASK*3]") == tokenizer.masks(3) == [2, 4, 4, 4, 3]
    assert LETTERS.encode("A[MASK]C[MASK*2]") == [2, 5, 4, 6, 4, 4, 3]
    assert WORDS.encode("the [MASK] [MASK*1] cat")[2:4] == [4, 4]


def test_the_mask_of_another_tokenizer_is_written_in_both_ways() -> None:
    backend = tiny_masked.tokenizer()
    backend.add_special_tokens({"mask_token": "<mask>"})
    other = SequenceTokenizer(backend, 12)
    assert other.mask_id == 11
    assert other.encode("A[MASK]C<mask>") == [2, 5, 11, 6, 11, 3]


def test_special_tokens_are_known_and_ids_without_a_token_among_them() -> None:
    assert SequenceTokenizer(tiny_masked.tokenizer(), 13).special == {0, 1, 2, 3, 4, 11, 12}
    marked = SequenceTokenizer(tiny_masked.tokenizer(("A", "<null_1>", "C")), 8)
    assert marked.letters
    assert marked.special == {0, 1, 2, 3, 4, 6}


@pytest.mark.parametrize(
    ("tokenizer", "text", "part"),
    [(LETTERS, "AC1", "'1'"), (WORDS, "the dog", "no token"), (LETTERS, "A[MASK*0]", "'['")],
)
def test_a_part_that_is_no_token_is_an_error(
    tokenizer: SequenceTokenizer, text: str, part: str
) -> None:
    with pytest.raises(ValueError, match="template") as caught:
        tokenizer.encode(text)
    assert part in str(caught.value)


def test_the_mask_must_be_among_the_ids_of_the_network() -> None:
    with pytest.raises(ValueError, match="mask token"):
        SequenceTokenizer(tiny_masked.tokenizer(), 4)
