"""A token is allowed in a span exactly where some completion of the span has it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from molgen.constraints.span_rules import NEVER, SpanPredictor, SpanRules
from molgen.guidance.predictor import Prediction
from molgen.molecules.smiles import kind

VOCAB = ["C", "=", "(", ")", "1", "2", "[PAD]", "[MASK]"]
WORDS = range(6)  # ids of real tokens
PAD, MASK = 6, 7
DEPTH = {"(": 1, ")": -1}


def row(text: str, width: int) -> NDArray[np.int64]:
    ids = [MASK if token == "_" else VOCAB.index(token) for token in text]
    return np.array(ids + [PAD] * (width - len(ids)))


def span_of(layout: str, width: int) -> NDArray[np.int64]:
    """Read ``-`` for fixed, ``a``, ``b``, ... for spans."""
    ids = [-1 if letter == "-" else ord(letter) - ord("a") for letter in layout]
    return np.array(ids + [-1] * (width - len(ids)))


def lawful(tokens: list[str], layout: str, barred: NDArray[np.bool_]) -> bool:
    """Return whether a whole text obeys the rules, checked one by one."""
    framed = ["[PAD]", *tokens, "[PAD]"]
    for i, (first, second) in enumerate(itertools.pairwise(framed)):
        touches = layout[max(i - 1, 0)] != "-" or layout[min(i, len(layout) - 1)] != "-"
        inside = (i > 0 and layout[i - 1] != "-") or (i < len(layout) and layout[i] != "-")
        if touches and inside and kind_of(second) in NEVER.get(kind_of(first), ()):
            return False
    for name in set(layout) - {"-"}:
        depth = 0
        for token, place in zip(tokens, layout, strict=True):
            depth += DEPTH.get(token, 0) if place == name else 0
            if depth < 0:
                return False
        if depth:
            return False
    for label in "12":
        fixed = any(t == label and p == "-" for t, p in zip(tokens, layout, strict=True))
        names = sorted(set(layout) - {"-"})
        counts = [
            sum(t == label and p == name for t, p in zip(tokens, layout, strict=True))
            for name in names
        ]
        if any(count % 2 for count in counts) if fixed else sum(counts) % 2:
            return False
    return not any(
        barred[i, VOCAB.index(token)] for i, token in enumerate(tokens) if layout[i] != "-"
    )


def kind_of(token: str) -> int:
    return 5 if token == "[PAD]" else kind(token)


CASES = [
    ("C(___)C", "--aaa--"),
    ("C(____)C", "--aaaa--"),
    ("____C1CC1", "aaaa-----"),
    ("C1CC(___)C1", "-----aaa---"),
    ("__C__", "aa-bb"),
    ("___(C)__", "aaa---bb"),
    ("C___)__", "-aaaaaa"),
    ("C(__(__)C)C", "--aaaaaaa--"),
    ("C1CC1____", "-----aaaa"),
    ("_=_C__1", "aaa-bbb"),
]


@pytest.mark.parametrize(("text", "layout"), CASES)
def test_a_token_is_allowed_where_it_can_be_completed(text: str, layout: str) -> None:
    tokens, span = row(text, len(text))[None], span_of(layout, len(text))[None]
    barred = np.zeros((1, len(text), len(VOCAB)), dtype=bool)
    first = layout.index("a")
    barred[0, first, 1] = True  # no double bond in front
    allowed = SpanRules(np.array([7]), span, barred, VOCAB).allowed(np.array([7]), tokens)[0]
    places = [i for i, token in enumerate(text) if token == "_"]
    expected = np.zeros((len(text), len(VOCAB)), dtype=bool)
    for choice in itertools.product(WORDS, repeat=len(places)):
        whole = list(text)
        for place, word in zip(places, choice, strict=True):
            whole[place] = VOCAB[word]
        if lawful(whole, layout, barred[0]):
            expected[places, list(choice)] = True
    assert expected[places].any(1).all(), "the case itself must be possible"
    lost = expected[places] & ~allowed[places]
    assert not lost.any(), "no possible token is barred"
    loose = (allowed[places] & ~expected[places]).sum() / allowed[places].sum()
    assert loose <= 0.3, "few other tokens are allowed"


class Fixed:
    """A predictor with one distribution for every position, which records its condition."""

    forwards, mask_id, pad_id, max_length = 2, MASK, PAD, 9

    def __init__(self, p: list[float]) -> None:
        self.p = np.array(p)
        self.condition: NDArray[np.float32] | None = None

    def __call__(
        self,
        tokens: NDArray[np.int64],
        wanted: NDArray[np.bool_],
        condition: NDArray[np.float32] | None,
        alpha_t: NDArray[np.float64],
        rows: NDArray[np.int64] | None = None,
    ) -> Prediction:
        self.condition = condition
        return Prediction(np.tile(self.p, (wanted.sum(), 1)), np.arange(len(tokens)))


INDEX = np.array([40, 2**40, 41])


def rules(text: str, layout: str) -> SpanRules:
    span = span_of(layout, len(text))[None].repeat(3, 0)
    barred = np.zeros((*span.shape, len(VOCAB)), dtype=bool)
    barred[2, :, 0] = True  # no atom in the last row
    return SpanRules(INDEX, span, barred, VOCAB)


def test_barred_tokens_get_probability_zero_and_the_rest_is_normalised() -> None:
    inner = Fixed([0.3, 0.2, 0.3, 0.2, 0, 0, 0, 0])
    predict = SpanPredictor(inner, rules("C(_)C", "--a--"))
    tokens, wanted = row("C(_)C", 5)[None].repeat(3, 0), np.zeros((3, 5), dtype=bool)
    wanted[:, 2] = True
    found = predict(tokens, wanted, None, np.zeros(3), INDEX)
    assert inner.condition is None
    np.testing.assert_array_equal(found.p[:2], [[1, 0, 0, 0, 0, 0, 0, 0]] * 2)
    np.testing.assert_array_equal(found.p[2], inner.p)  # no token is allowed: unchanged
    np.testing.assert_array_equal(found.classifier_forwards, [0, 1, 2])
    assert (predict.forwards, predict.mask_id, predict.pad_id) == (2, MASK, PAD)

    predict = SpanPredictor(inner, rules("C(__)C", "--aa--"))
    tokens = row("C(__)C", 6)[None]
    wanted = tokens == MASK
    found = predict(tokens, wanted, None, np.zeros(1), INDEX[1:2])
    # an atom, or a bond before one; then an atom
    expected = np.array([[0.6, 0.4, 0, 0, 0, 0, 0, 0], [1.0, 0, 0, 0, 0, 0, 0, 0]])
    np.testing.assert_allclose(found.p, expected)


def test_rows_are_identified_by_their_sample_index_in_any_batch() -> None:
    inner = Fixed([0.5, 0.5, 0, 0, 0, 0, 0, 0])
    predict = SpanPredictor(inner, rules("C_C", "-a-"))
    condition = np.array([[0.5, np.nan], [1.5, 2], [2.5, 3]], dtype=np.float32)
    tokens = row("C_C", 3)[None].repeat(2, 0)
    found = predict(tokens, tokens == MASK, condition[[2, 0]], np.zeros(2), INDEX[[2, 0]])
    np.testing.assert_array_equal(inner.condition, condition[[2, 0]])
    np.testing.assert_array_equal(found.p[:, :2], [[0, 1], [0.5, 0.5]])
    with pytest.raises(ValueError, match="rows is None"):
        predict(tokens, tokens == MASK, None, np.zeros(2))
