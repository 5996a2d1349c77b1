"""Draws that leave out tokens with which the text so far cannot begin a molecule.

    token ~ p  ->  text from the left up to the next mask: can it begin a molecule?
                   no: the token is left out, and another one is drawn from the others

A token is checked as soon as everything on its left is known, together with the fixed tokens behind
it; the last one completes a text, which must be a molecule. In an order from left to right every
token is checked, in other orders those that are drawn when their left is complete.

Tokens are left out one by one and as long as one is drawn that cannot stand there, which gives
exactly the distribution over the possible ones: with the drawn token's interval of quantiles
excluded, the quantile's place within this interval is uniform again. A text is never rejected as a
whole, so that a prefix with few possible continuations keeps its probability (what Park et al.,
"Grammar-Aligned Decoding", 2024, correct by sampling again and again). Where no token is possible
the first one stays: the row has come to a dead end, and its tokens of this step are drawn again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from molgen.utils.arrays import Floats, Ids, Mask
from molgen.utils.randomness import inverse_cdf, rehashed


class Prefixes:
    """The texts of rows from the left, while their masked tokens are drawn.

    Attributes:
        dead: rows for which no token was possible, shape (rows,).
    """

    def __init__(
        self,
        possible: Callable[[str, bool], bool],
        vocab: Sequence[str],
        tokens: Ids,
        masked: Mask,
    ) -> None:
        """Start with rows.

        Args:
            possible: whether a text can begin a molecule; and whether more tokens follow it.
            vocab: text of each token, padding and the mask last.
            tokens: of the rows, shape (rows, longest), padded at the end.
            masked: tokens that are not known, same shape.
        """
        self._possible, self._vocab = possible, vocab
        self._tokens, self._masked = tokens.copy(), masked.copy()
        self._lengths = (tokens != len(vocab) - 2).sum(1)
        self.dead = np.zeros(len(tokens), dtype=bool)
        self._text = [""] * len(tokens)
        self._hole = np.zeros(len(tokens), dtype=np.int64)
        for row in range(len(tokens)):
            self._text[row], self._hole[row] = self._known(row, 0)

    def draw(self, rows: Ids, at: Ids, p: Floats, quantile: Floats) -> tuple[Ids, Floats]:
        """Draw a token of each row.

        Args:
            rows: distinct ones, shape (rows,).
            at: position of the token, shape (rows,).
            p: its distribution, shape (rows, vocab).
            quantile: numbers in [0, 1), shape (rows,).

        Returns:
            Tokens, and their probabilities among those not left out, both with shape (rows,).
        """
        token = inverse_cdf(p, quantile)
        chance = p[np.arange(len(token)), token]
        checked = (self._hole[rows] == at) & ~self.dead[rows]
        for i in np.flatnonzero(checked):
            behind, hole = self._known(rows[i], at[i] + 1)
            more = hole < self._lengths[rows[i]]
            token[i], chance[i], self.dead[rows[i]] = self._first_possible(
                p[i],
                float(quantile[i]),
                int(token[i]),
                lambda v, i=i, behind=behind, more=more: self._possible(  # type: ignore[misc]
                    self._text[rows[i]] + self._vocab[v] + behind, more
                ),
            )
            self._text[rows[i]] += self._vocab[token[i]] + behind
            self._hole[rows[i]] = hole
        self._tokens[rows, at], self._masked[rows, at] = token, False
        return token, chance

    def _known(self, row: int, start: int) -> tuple[str, int]:
        """Return the text from a position up to the next unknown token, and that one's position."""
        end = int(self._lengths[row])
        masked = self._masked[row, start:end]
        hole = start + int(masked.argmax()) if masked.any() else end
        return "".join(self._vocab[v] for v in self._tokens[row, start:hole]), hole

    @staticmethod
    def _first_possible(
        p: Floats, quantile: float, token: int, possible: Callable[[int], bool]
    ) -> tuple[int, float, bool]:
        """Return a possible token, its probability, and whether there is none."""
        first, left = token, p.copy()
        while not possible(token):
            start, own, total = left[:token].sum(), left[token], left.sum()
            quantile = float(np.clip((quantile * total - start) / own, 0.0, 1.0 - 2.0**-53))
            left[token] = 0.0
            if not left.any():
                return first, float(p[first]), True
            token = int(inverse_cdf(left[None], np.array([quantile]))[0])
        return token, float(left[token] / left.sum()), False


REDRAWS = 8  # of the tokens of a step that come to a dead end


def until_alive(
    draw: Callable[[Ids, Floats], tuple[Ids, Floats, Mask]], quantile: Floats
) -> tuple[Ids, Floats]:
    """Draw tokens of rows, and those of a row again while they come to a dead end.

    Args:
        draw: from rows, shape (rows,), and the quantiles of their tokens, (rows, longest), returns
            tokens and their probabilities, same shape, and which rows came to a dead end.
        quantile: of the first draw, shape (all rows, longest).

    Returns:
        Tokens and their probabilities, shape (all rows, longest).
    """
    token, psi, dead = draw(np.arange(len(quantile)), quantile)
    for attempt in range(1, 1 + REDRAWS):
        rows = np.flatnonzero(dead)
        if not len(rows):
            break
        token[rows], psi[rows], dead[rows] = draw(rows, rehashed(quantile[rows], attempt))
    return token, psi


def draw_one(
    prefixes: Prefixes | None, rows: Ids, at: Ids, p: Floats, quantile: Floats
) -> tuple[Ids, Floats]:
    """Draw a token of each row, from the possible ones if texts are checked.

    See :meth:`Prefixes.draw`.
    """
    if prefixes is not None:
        return prefixes.draw(rows, at, p, quantile)
    token = inverse_cdf(p, quantile)
    return token, p[np.arange(len(token)), token]
