"""Draws without the tokens that cannot stand there: exactly the distribution of the others."""

from __future__ import annotations

import numpy as np
import pytest

from molgen.guidance.prefixes import Prefixes
from molgen.utils.randomness import rehashed

VOCAB = ("a", "b", "c", "d", "[PAD]", "[MASK]")
PAD, MASK = 4, 5
P = np.array([0.1, 0.4, 0.2, 0.3, 0.0, 0.0])


def prefixes(rows: list[list[int]], *forbidden: str) -> Prefixes:
    """Texts in which no beginning may end with a forbidden one."""
    tokens = np.array(rows)
    return Prefixes(
        lambda text, more: not text.endswith(forbidden or ("?",)), VOCAB, tokens, tokens == MASK
    )


@pytest.mark.parametrize("forbidden", [(), ("b",), ("a", "b"), ("b", "d"), ("c", "a", "d")])
def test_the_distribution_of_the_possible_tokens(forbidden: tuple[str, ...]) -> None:
    n = 2000
    quantile = (np.arange(n) + 0.5) / n
    found, _ = prefixes([[MASK]] * n, *forbidden).draw(
        np.arange(n), np.zeros(n, dtype=int), np.tile(P, (n, 1)), quantile
    )
    allowed = np.array([token not in forbidden for token in VOCAB])
    expected = np.where(allowed, P, 0) / P[allowed].sum()
    share = np.bincount(found, minlength=len(VOCAB)) / n
    np.testing.assert_allclose(share, expected, atol=0.002)


def test_probabilities_are_among_those_not_left_out() -> None:
    token, chance = prefixes([[MASK]], "b").draw(
        np.array([0]), np.array([0]), P[None], np.array([0.3])
    )
    assert token[0] != 1
    assert chance[0] == pytest.approx(P[token[0]] / 0.6)


def test_a_token_is_checked_with_the_fixed_ones_behind_it() -> None:
    rows = prefixes([[0, MASK, 2, MASK]], "abc")
    token, _ = rows.draw(np.array([0]), np.array([1]), P[None], np.array([0.3]))
    assert token[0] != 1
    free = prefixes([[0, MASK, 3, MASK]], "abc")
    assert free.draw(np.array([0]), np.array([1]), P[None], np.array([0.3]))[0] == [1]


def test_behind_an_unknown_token_nothing_is_checked() -> None:
    rows = prefixes([[MASK, MASK]], "b")
    assert rows.draw(np.array([0]), np.array([1]), P[None], np.array([0.3]))[0] == [1]
    assert not rows.dead.any()
    token, _ = rows.draw(np.array([0]), np.array([0]), P[None], np.array([0.3]))
    assert token[0] == 1, "with b behind it every token is impossible"
    assert rows.dead.all()


def test_padding_ends_a_text() -> None:
    seen = []
    tokens = np.array([[MASK, PAD], [MASK, MASK]])

    def possible(text: str, more: bool) -> bool:
        seen.append((text, more))
        return True

    Prefixes(possible, VOCAB, tokens, tokens == MASK).draw(
        np.array([0, 1]), np.array([0, 0]), np.tile(P, (2, 1)), np.array([0.3, 0.3])
    )
    assert seen == [("b", False), ("b", True)]


def test_further_uniforms_are_uniform_and_new() -> None:
    u = (np.arange(4000) + 0.5) / 4000
    first, second = rehashed(u, 1), rehashed(u, 2)
    assert (first != second).all()
    for found in (first, second):
        counts = np.histogram(found, bins=10, range=(0, 1))[0]
        assert ((counts - 400) ** 2 / 400).sum() < 27.9, "chi-squared, 9 degrees, p = 0.001"
        assert abs(np.corrcoef(u, found)[0, 1]) < 0.06
