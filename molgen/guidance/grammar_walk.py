"""Joint draws of well-formed texts: a language's weights for distributions that come one by one.

    q(x_l | tokens to the left)  ∝  p(x_l | tokens to the left) Z(x_l)

where ``Z`` is the weight of all completions with this token, with the drawn tokens on its left and
the product of marginals at all other masked tokens. With ``p`` a product this is the exact joint
draw of :meth:`molgen.guidance.completions.Completions.draw`; with another ``p`` every text is
still well-formed wherever one is possible, and ``Z`` is an estimate of the tokens to come.
"""

from __future__ import annotations

import numpy as np

from molgen.guidance.completions import Completions, largest
from molgen.utils.arrays import Floats, Ids, Mask


class Walk:
    """Rows that are drawn from left to right, each at a position of its own."""

    def __init__(self, completions: Completions) -> None:
        """Start before the first masked token of each row."""
        self.completions, self.language = completions, completions.language
        count = len(completions.masked)
        self._weights = completions.weights.copy()
        self._states = completions.start(np.arange(count))
        self._offset = np.zeros(count, dtype=np.int64)
        self._chunk, self._place = np.zeros((2, count), dtype=np.int64)
        for number, rows in enumerate(completions.chunks):
            self._chunk[rows], self._place[rows] = number, np.arange(len(rows))

    def weigh(self, at: Ids, use: Mask, p: Floats) -> Floats:
        """Return distributions of tokens weighted by their completions.

        Args:
            at: position of a token of each row, shape (rows,).
            use: whether the row draws it; all tokens to draw on its left have been put.
            p: its distribution, shape (rows, vocab).

        Returns:
            Distributions with the shape of ``p``, unchanged where there is no completion.
        """
        rows = np.flatnonzero(use)
        target = at[rows] - self.completions.first[rows]
        while len(behind := rows[self._offset[rows] < target]):
            states = self._states[..., behind]
            place = self.completions.first[behind] + self._offset[behind]
            weight = self._weights[behind, place].T / largest(states)
            self._states[..., behind] = self.language.forward(states, weight)
            self._offset[behind] += 1
        after = np.zeros((*self._states.shape[:-1], len(rows)))
        for chunk, offset in {*zip(self._chunk[rows].tolist(), target.tolist(), strict=True)}:
            here = (self._chunk[rows] == chunk) & (target == offset)
            states = self.completions.behind[chunk][offset]
            after[:, : states.shape[1], ..., here] = states[..., self._place[rows[here]]]
        reach = self.language.reach(self._states[..., rows], after)
        found = p.copy()
        found[rows] = self.completions.weighted(p[rows], reach)
        return found

    def put(self, at: Ids, token: Ids, use: Mask) -> None:
        """Set a token of each row that is used, all with shape (rows,)."""
        rows = np.flatnonzero(use)
        kinds = self.completions.kinds[token[rows]]
        self._weights[rows, at[rows]] = kinds[:, None] == np.arange(self._weights.shape[2])
