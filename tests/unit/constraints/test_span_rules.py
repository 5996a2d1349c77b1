"""A token is allowed in a span exactly where some completion of the span has it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from molgen.constraints.span_rules import NEVER, SpanPredictor, SpanRules, numbered
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
    """Say whether a whole text keeps to the rules, one by one."""
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
    allowed = SpanRules(span, barred, VOCAB).allowed(np.array([0]), tokens)[0]
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
    assert not lost.any(), "nothing possible is barred"
    loose = (allowed[places] & ~expected[places]).sum() / allowed[places].sum()
    assert loose <= 0.3, "and little else is allowed"


class Fixed:
    """A predictor that says the same everywhere, and remembers what it was asked."""

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
    ) -> Prediction:
        self.condition = condition
        return Prediction(np.tile(self.p, (wanted.sum(), 1)), np.arange(len(tokens)))


def rules(text: str, layout: str) -> SpanRules:
    span = span_of(layout, len(text))[None].repeat(3, 0)
    barred = np.zeros((*span.shape, len(VOCAB)), dtype=bool)
    barred[2, :, 0] = True  # no atom in the last row
    return SpanRules(span, barred, VOCAB)


def test_what_is_not_allowed_gets_no_probability_and_the_rest_is_scaled() -> None:
    inner = Fixed([0.3, 0.2, 0.3, 0.2, 0, 0, 0, 0])
    predict = SpanPredictor(inner, rules("C(_)C", "--a--"))
    tokens, wanted = row("C(_)C", 5)[None].repeat(3, 0), np.zeros((3, 5), dtype=bool)
    wanted[:, 2] = True
    found = predict(tokens, wanted, numbered(None, 3), np.zeros(3))
    assert inner.condition is None
    np.testing.assert_array_equal(found.p[:2], [[1, 0, 0, 0, 0, 0, 0, 0]] * 2)
    np.testing.assert_array_equal(found.p[2], inner.p)  # nothing is left: as it was
    np.testing.assert_array_equal(found.classifier_forwards, [0, 1, 2])
    assert (predict.forwards, predict.mask_id, predict.pad_id) == (2, MASK, PAD)

    predict = SpanPredictor(inner, rules("C(__)C", "--aa--"))
    tokens = row("C(__)C", 6)[None]
    wanted = tokens == MASK
    found = predict(tokens, wanted, numbered(None, 3)[1:2], np.zeros(1))
    # an atom, or a bond before one; then an atom
    expected = np.array([[0.6, 0.4, 0, 0, 0, 0, 0, 0], [1.0, 0, 0, 0, 0, 0, 0, 0]])
    np.testing.assert_allclose(found.p, expected)


def test_rows_are_known_by_their_numbers_in_any_company() -> None:
    inner = Fixed([0.5, 0.5, 0, 0, 0, 0, 0, 0])
    predict = SpanPredictor(inner, rules("C_C", "-a-"))
    condition = np.array([[0.5, np.nan], [1.5, 2], [2.5, 3]], dtype=np.float32)
    all_numbered = numbered(condition, 3)
    tokens = row("C_C", 3)[None].repeat(2, 0)
    found = predict(tokens, tokens == MASK, all_numbered[[2, 0]], np.zeros(2))
    np.testing.assert_array_equal(inner.condition, condition[[2, 0]])
    np.testing.assert_array_equal(found.p[:, :2], [[0, 1], [0.5, 0.5]])
    with pytest.raises(ValueError, match="condition is None"):
        predict(tokens, tokens == MASK, None, np.zeros(2))
