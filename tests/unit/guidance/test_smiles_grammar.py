"""The grammar of SMILES: its language, and exact conditioning on it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from molgen.data.tokenizer import MASK, PAD
from molgen.guidance.smiles_grammar import (
    OUTSIDE,
    Completions,
    Language,
    SmilesGrammar,
    ValenceGrammar,
    ValenceLanguage,
)

VOCAB = ["(", ")", "1", "2", "=", "C", "O", PAD, MASK]
LANGUAGE = SmilesGrammar(depth=2, labels=2).language(VOCAB)
MASK_ID, PAD_ID = len(VOCAB) - 1, len(VOCAB) - 2


def well_formed(text: str) -> bool:
    """Read a text by hand: a stack, a set of labels, and which neighbours there are."""
    open_labels: set[str] = set()
    before, depth = "start", 0
    follows = {
        "start": "CO",
        "(": "CO=",
        ")": "CO=(",
        "atom": "CO=()12",
        "label": "CO=()12",
        "=": "CO12",
        "= first": "CO",
    }
    for c in text:
        if c not in follows[before]:
            return False
        depth += {"(": 1, ")": -1}.get(c, 0)
        if not 0 <= depth <= 2:
            return False
        if c in "12":
            open_labels ^= {c}
        first = c == "=" and before in ("(", ")")
        before = (
            "= first"
            if first
            else {"C": "atom", "O": "atom"}.get(c, c if c not in "12" else "label")
        )
    return before in ("atom", "label") and depth == 0 and not open_labels


def texts(length: int) -> list[list[int]]:
    """Return every text of the language of that length."""
    every = itertools.product(range(PAD_ID), repeat=length)
    return [list(ids) for ids in every if well_formed("".join(VOCAB[i] for i in ids))]


def prediction(rows: int, length: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    p = np.zeros((rows, length, len(VOCAB)))
    p[..., :PAD_ID] = rng.dirichlet(np.full(PAD_ID, 0.5), (rows, length))
    return p


def posterior(tokens: list[int], p: np.ndarray) -> dict[tuple[int, ...], float]:
    """Return the weight of every completion of a row, summed up over all texts."""
    found = {}
    for ids in texts(len(tokens)):
        if all(t in (MASK_ID, i) for t, i in zip(tokens, ids, strict=True)):
            w = [
                p[at, i] for at, (t, i) in enumerate(zip(tokens, ids, strict=True)) if t == MASK_ID
            ]
            found[tuple(ids)] = float(np.prod(w))
    total = sum(found.values())
    return {ids: w / total for ids, w in found.items()}


def completions(
    tokens: list[list[int]], p: np.ndarray, language: Language = LANGUAGE
) -> Completions:
    ids = np.array(tokens)
    return language.given(ids, ids == MASK_ID, p)


ROWS = [
    [MASK_ID] * 6,
    [VOCAB.index("C"), MASK_ID, MASK_ID, VOCAB.index("C"), MASK_ID, MASK_ID],
    [MASK_ID, VOCAB.index("1"), MASK_ID, MASK_ID, MASK_ID, MASK_ID],
    [MASK_ID, MASK_ID, VOCAB.index("("), MASK_ID, MASK_ID, MASK_ID],
    [MASK_ID, MASK_ID, MASK_ID, MASK_ID, PAD_ID, PAD_ID],
]


def test_the_reader_by_hand_accepts_smiles() -> None:
    assert all(map(well_formed, ("C", "C1CC1", "CC(C)C", "C(=O)O", "C12CC1C2", "C=1CC=1")))
    wrong = ("", "C1CC", "CC(C", "C()C", "(C)C", "C)C", "=C", "C=", "C(C)", "C(C)1CC1", "C(=1)C1")
    assert not any(map(well_formed, wrong))


@pytest.mark.parametrize("row", range(len(ROWS)))
def test_marginals_are_sums_over_all_completions(row: int) -> None:
    tokens, p = ROWS[row], prediction(len(ROWS), 6, 1)
    found = completions(ROWS, p).marginals()[row]
    own = [t for t in tokens if t != PAD_ID]
    expected = np.zeros((len(own), len(VOCAB)))
    for ids, w in posterior(own, p[row]).items():
        for at, i in enumerate(ids):
            expected[at, i] += w
    for at, token in enumerate(own):
        if token == MASK_ID:
            np.testing.assert_allclose(found[at], expected[at], atol=1e-12)


@pytest.mark.parametrize(
    "text",
    ["C1__C1", "C(__)C", "___C)C", "C(=_)_", "_=_CC1", "1_C___", "__(C)C", "C1_)__", "___==C"],
)
def test_fixed_tokens_before_and_behind_the_masks(text: str) -> None:
    tokens = [MASK_ID if c == "_" else VOCAB.index(c) for c in text]
    masked, p = np.array([tokens]) == MASK_ID, prediction(1, 6, 4)
    every = LANGUAGE.given(np.array([tokens]), masked, p)
    found = every.marginals()[0]
    try:
        texts_of_row = posterior(tokens, p[0])
    except ZeroDivisionError:  # there is no completion
        texts_of_row = {}
    for at in np.flatnonzero(masked[0]):
        expected = np.zeros(len(VOCAB)) if texts_of_row else p[0, at].copy()
        for ids, w in texts_of_row.items():
            expected[ids[at]] += w
        np.testing.assert_allclose(found[at], expected, atol=1e-12)
        place = np.arange(6)[None] == at
        u = np.full((1, 6), 0.4)
        alone = LANGUAGE.given(np.array([tokens]), masked, p).draw(place, u)
        for a, b in zip(every.draw(place, u), alone, strict=True):
            np.testing.assert_array_equal(a, b)


def test_steps_from_left_to_right_give_the_probability_of_a_text() -> None:
    ids, p = [VOCAB.index(c) for c in "C=1C1O"], prediction(1, 6, 6)
    kinds = np.arange(LANGUAGE.kinds.max() + 1)
    w = np.stack([p[0, :, kind == LANGUAGE.kinds].sum(0) for kind in kinds])[..., None]
    behind = [LANGUAGE.end(1)]
    for at in reversed(range(1, 6)):
        behind.insert(0, LANGUAGE.backward(behind[0], w[:, at]))
    states, chance = LANGUAGE.start(1), 1.0
    for at, token in enumerate(ids):
        reach = LANGUAGE.reach(states, behind[at])
        q = np.where(LANGUAGE.kinds < 0, 0.0, p[0, at] * reach[LANGUAGE.kinds, 0])
        chance *= q[token] / q.sum()
        states = LANGUAGE.forward(states, (kinds == LANGUAGE.kinds[token])[:, None].astype(float))
    assert chance == pytest.approx(posterior([MASK_ID] * 6, p[0])[tuple(ids)], rel=1e-12)


def test_draws_have_the_joint_distribution() -> None:
    n, tokens = 20_000, ROWS[2]
    p = prediction(1, 6, 3)
    u = np.random.default_rng(0).random((n, 6))
    rows = np.tile(tokens, (n, 1))
    place = rows == MASK_ID
    drawn, psi = LANGUAGE.given(rows, place, np.tile(p, (n, 1, 1))).draw(place, u)
    found = np.where(place, drawn, rows)
    expected = posterior(tokens, p[0])
    seen: dict[tuple[int, ...], int] = {}
    for ids in map(tuple, found.tolist()):
        seen[ids] = seen.get(ids, 0) + 1
    assert seen.keys() <= expected.keys(), "whatever is placed at once is well-formed together"
    for ids, w in expected.items():
        assert seen.get(ids, 0) / n == pytest.approx(w, abs=4 * (w / n) ** 0.5 + 1e-3)
    chance = {
        ids: float(np.prod(row[place[0]]))
        for ids, row in zip(map(tuple, found.tolist()), psi, strict=True)
    }
    for ids, w in chance.items():
        assert w == pytest.approx(expected[ids])


def test_undrawn_tokens_are_marginalised() -> None:
    p, rows = prediction(1, 6, 5), np.tile(ROWS[0], (4000, 1))
    place = np.zeros(rows.shape, dtype=bool)
    place[:, 3] = True
    u = np.random.default_rng(2).random(rows.shape)
    drawn, _ = LANGUAGE.given(rows, rows == MASK_ID, np.tile(p, (4000, 1, 1))).draw(place, u)
    assert not drawn[~place].any()
    marginal = completions([ROWS[0]], p).marginals()[0, 3]
    share = np.bincount(drawn[:, 3], minlength=len(VOCAB)) / 4000
    np.testing.assert_allclose(share, marginal, atol=0.03)


def test_rows_are_independent() -> None:
    p, u = prediction(len(ROWS), 6, 7), np.random.default_rng(1).random((len(ROWS), 6))
    ids = np.array(ROWS)
    together = completions(ROWS, p)
    place = ids == MASK_ID
    for i in range(len(ROWS)):
        alone = completions(ROWS[i : i + 1], p[i : i + 1])
        np.testing.assert_array_equal(alone.marginals()[0], together.marginals()[i])
        for a, b in zip(
            alone.draw(place[i : i + 1], u[i : i + 1]), together.draw(place, u), strict=True
        ):
            np.testing.assert_array_equal(a[0], b[i])


def test_a_row_without_a_completion_is_predicted_as_without() -> None:
    p = prediction(2, 3, 9)
    tokens = [[VOCAB.index(")"), MASK_ID, MASK_ID], [MASK_ID, MASK_ID, MASK_ID]]
    found = completions(tokens, p)
    np.testing.assert_array_equal(found.marginals()[0, 1:], p[0, 1:])
    assert not np.allclose(found.marginals()[1], p[1])
    place = np.array([[False, True, True], [True, True, True]])
    drawn, psi = found.draw(place, np.full((2, 3), 0.5))
    assert psi[0, 1] == p[0, 1, drawn[0, 1]]


def test_vocabularies_with_missing_or_further_tokens() -> None:
    language = SmilesGrammar(labels=1).language(["1", "2", "C", ".", PAD, MASK])
    assert language.kinds[1] == OUTSIDE
    assert (language.labels, language.kinds[4], language.kinds[5]) == (1, OUTSIDE, OUTSIDE)
    two = np.array([[5, 3, 5]])  # a dot: two molecules
    p = np.full((1, 3, 6), 1 / 4)
    p[..., 4:] = 0
    found = language.given(two, two == 5, p).marginals()
    assert found[0, 0].tolist() == found[0, 2].tolist() == [0, 0, 1, 0, 0, 0]
    with pytest.raises(ValueError, match="labels is 10"):
        SmilesGrammar(labels=10)


def test_texts_with_an_atom_of_unknown_valence_are_not_judged() -> None:
    language = ValenceGrammar().language(["C", "F", "[Pt]", "[PAD]", "[MASK]"])
    assert isinstance(language, ValenceLanguage)
    assert not language.possible("CFC", True)
    assert language.possible("[Pt]CFC", True)
