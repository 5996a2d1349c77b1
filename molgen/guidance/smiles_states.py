"""The states of well-formed SMILES, and the steps of the forward-backward recursion over them.

A state is the kind of the last token, the depth of nested parentheses and the set of open ring
labels. Weights of states are arrays with shape (5, levels, 2, ..., 2, rows): the first axis is the
last kind, ``levels`` is the maximum depth plus one (fewer where no deeper state can be reached),
the axes of length 2 are labels, and rows are last, so that operations run over whole vectors. Left
to right,

    q(kind of the next token | text so far)  ~  w reach(states, behind)
    states  <-  forward(states, w of the drawn kind alone)

with the weight ``behind`` of all continuations, which :meth:`SmilesStates.backward` computes from
the right.
"""

from __future__ import annotations

import string
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from molgen.guidance.prefixes import Prefixes
from molgen.molecules.smiles import ATOM, BOND, CLOSING, LABEL, OPENING
from molgen.utils.arrays import Floats, Ids, Mask

DOT = LABEL  # kinds of this module; each label is a kind of its own
FIRST_LABEL = DOT + 1
OUTSIDE = -1  # of tokens that are in no text of the language
# kinds of the last token, which determine the possible next ones
WANTS_ATOM, OPENED, BONDED, PLACED, CLOSED = range(5)
NEXT = {
    WANTS_ATOM: {ATOM: PLACED},
    OPENED: {ATOM: PLACED, BOND: WANTS_ATOM},
    BONDED: {ATOM: PLACED, FIRST_LABEL: PLACED},
    PLACED: {
        ATOM: PLACED,
        BOND: BONDED,
        OPENING: OPENED,
        CLOSING: CLOSED,
        DOT: WANTS_ATOM,
        FIRST_LABEL: PLACED,
    },
    CLOSED: {ATOM: PLACED, BOND: WANTS_ATOM, OPENING: OPENED},
}
"""The kind after each kind of last token and each kind of token, all labels alike."""
DEAD = -1
_NEXT = np.array(
    [[NEXT[last].get(kind, DEAD) for kind in (*range(FIRST_LABEL + 1), OUTSIDE)] for last in NEXT]
    + [[DEAD] * (FIRST_LABEL + 2)]
)
DEPTH_CHANGE = np.array([{OPENING: 1, CLOSING: -1}.get(kind, 0) for kind in range(FIRST_LABEL + 2)])


class FixedState(NamedTuple):
    """One state of each row.

    Attributes:
        last: kind of the last token; :data:`DEAD` after a text outside the language.
        depth: of nested parentheses.
        labels: bits of the open labels.
    """

    last: Ids
    depth: Ids
    labels: Ids


class Sums(NamedTuple):
    """Weight of states summed over some kinds of last token, shape (levels, 2, ..., 2, rows).

    Attributes:
        every: over all kinds, behind which an atom may follow.
        bound: placed or bonded, behind which a label may follow.
        open: opened or closed, behind which a bond to an atom may follow.
        branch: placed or closed, behind which a branch may follow.
    """

    every: Floats
    bound: Floats
    open: Floats
    branch: Floats


@dataclass(frozen=True, eq=False)
class SmilesStates:
    """The states of texts over a vocabulary.

    Attributes:
        kinds: of each token, shape (vocab,); :data:`OUTSIDE` for none.
        depth: maximum depth.
        labels: number of ring labels.
    """

    kinds: Ids
    depth: int
    labels: int

    def prefixes(self, tokens: Ids, masked: Mask) -> Prefixes | None:
        """Return the texts of rows from the left, if their draws are checked; else None.

        Args:
            tokens: of the rows, shape (rows, longest), padded at the end.
            masked: masked positions, same shape.
        """
        return None

    def start(self, rows: int) -> Floats:
        """Return the weight of each state before the first token."""
        return self._closed(rows, WANTS_ATOM)

    def end(self, rows: int) -> Floats:
        """Return the states in which a text may end."""
        return self._closed(rows, PLACED)

    def _closed(self, rows: int, last: int) -> Floats:
        """Return the state with this last kind in which nothing is open."""
        states = np.zeros((5, self.depth + 1, *(2,) * self.labels, rows))
        states[last, 0][(0,) * self.labels] = 1.0
        return states

    def after(self, before: FixedState, kinds: Ids) -> FixedState:
        """Return the states after fixed tokens, as :meth:`forward` for one state a row.

        Args:
            before: the states; one that is dead stays dead.
            kinds: of the tokens, of the same shape.
        """
        last = _NEXT[before.last, np.minimum(kinds, FIRST_LABEL)]
        depth = before.depth + DEPTH_CHANGE[np.minimum(kinds, FIRST_LABEL)]
        dead = (depth < 0) | (depth > self.depth) | ((kinds == DOT) & (depth > 0))
        bit = np.where(kinds >= FIRST_LABEL, 1 << np.maximum(kinds - FIRST_LABEL, 0), 0)
        return FixedState(np.where(dead, DEAD, last), depth, before.labels ^ bit)

    def states(self, fixed: FixedState) -> Floats:
        """Return weight 1 of the given states of each row, of shape (any number, rows)."""
        found = np.zeros((5, self.depth + 1, *(2,) * self.labels, fixed.last.shape[1]))
        each, row = np.nonzero(fixed.last != DEAD)
        last, depth, labels = (array[each, row] for array in fixed)
        bits = ((labels >> label) & 1 for label in range(self.labels))
        found[(last, depth, *bits, row)] = 1.0
        return found

    def sums(self, states: Floats) -> Sums:
        """Return the sums of states that :meth:`forward` and :meth:`reach` share."""
        wants, opened, bonded, placed, closed = states
        bound, either = placed + bonded, opened + closed
        return Sums(bound + either + wants, bound, either, placed + closed)

    def forward(
        self, states: Floats, w: Floats, levels: int = 0, sums: Sums | None = None
    ) -> Floats:
        """Return the weight of states after a token.

        Args:
            states: before it.
            w: weight of each kind of token there, shape (kinds, rows).
            levels: of the result; 0 for all.
            sums: of the states, if they are known.
        """
        found, sums = self._zeros(w, levels), sums or self.sums(states)
        same, up, down = _levels(states.shape[1], found.shape[1])
        used, placed = np.asarray(w.any(1)), states[PLACED]
        np.multiply(w[ATOM], sums.every[:same], out=found[PLACED, :same])
        if used[FIRST_LABEL:].any():
            found[PLACED, :same] += self._label_sum(sums.bound[:same], w, used)
        if used[BOND]:
            np.multiply(w[BOND], placed[:same], out=found[BONDED, :same])
            np.multiply(w[BOND], sums.open[:same], out=found[WANTS_ATOM, :same])
        if used[OPENING]:
            np.multiply(w[OPENING], sums.branch[:up], out=found[OPENED, 1 : up + 1])
        if used[CLOSING]:
            np.multiply(w[CLOSING], placed[1 : down + 1], out=found[CLOSED, :down])
        if used[DOT]:
            found[WANTS_ATOM, 0] += w[DOT] * placed[0]
        return found

    def backward(self, states: Floats, w: Floats, levels: int = 0) -> Floats:
        """Return the weight of all continuations of states before a token, given those after it.

        Arguments are those of :meth:`forward`.
        """
        found = self._zeros(w, levels)
        same, up, down = _levels(found.shape[1], states.shape[1])
        used, placed = np.asarray(w.any(1)), states[PLACED, :same]
        found[:, :same] = w[ATOM] * placed
        if used[FIRST_LABEL:].any():
            paired = self._label_sum(placed, w, used)
            found[PLACED, :same] += paired
            found[BONDED, :same] += paired
        if used[BOND]:
            bonded = w[BOND] * states[WANTS_ATOM, :same]
            found[OPENED, :same] += bonded
            found[CLOSED, :same] += bonded
            found[PLACED, :same] += w[BOND] * states[BONDED, :same]
        if used[OPENING]:
            branch = w[OPENING] * states[OPENED, 1 : up + 1]
            found[PLACED, :up] += branch
            found[CLOSED, :up] += branch
        if used[CLOSING]:
            found[PLACED, 1 : down + 1] += w[CLOSING] * states[CLOSED, :down]
        if used[DOT]:
            found[PLACED, 0] += w[DOT] * states[WANTS_ATOM, 0]
        return found

    def reach(self, before: Floats, behind: Floats, sums: Sums | None = None) -> Floats:
        """Return the weight of all texts with each kind of token between two sets of states.

        Args:
            before: weight of states before the token.
            behind: weight of all continuations of states after it.
            sums: of ``before``, if they are known.

        Returns:
            Weights with shape (kinds, rows), without the token's own weight.
        """
        sums = sums or self.sums(before)
        same, up, down = _levels(before.shape[1], behind.shape[1])
        before_placed, placed, bound = before[PLACED], behind[PLACED, :same], sums.bound[:same]
        found = np.empty((FIRST_LABEL + self.labels, before.shape[-1]))
        found[ATOM] = _dot(sums.every[:same], placed)
        found[BOND] = _dot(before_placed[:same], behind[BONDED, :same])
        found[BOND] += _dot(sums.open[:same], behind[WANTS_ATOM, :same])
        found[OPENING] = _dot(sums.branch[:up], behind[OPENED, 1 : up + 1])
        found[CLOSING] = _dot(before_placed[1 : down + 1], behind[CLOSED, :down])
        found[DOT] = _dot(before_placed[0], behind[WANTS_ATOM, 0])
        for label, toggle in enumerate(self._toggles):
            found[FIRST_LABEL + label] = _dot(bound, placed[toggle])
        return found

    def _zeros(self, w: Floats, levels: int) -> Floats:
        """Return states of weight zero."""
        levels = levels or self.depth + 1
        return np.zeros((5, levels, *(2,) * self.labels, w.shape[1]), w.dtype)

    @cached_property
    def _toggles(self) -> list[tuple[slice, ...]]:
        """Indices of states of one last kind that open or close each label."""
        every, reverse = slice(None), slice(None, None, -1)
        return [(*[every] * (1 + label), reverse) for label in range(self.labels)]

    def _label_sum(self, states: Floats, w: Floats, used: Mask) -> Floats:
        """Return the weight of states of one last kind with any label opened or closed."""
        found, product = np.zeros_like(states), np.empty_like(states)
        for label in FIRST_LABEL + np.flatnonzero(used[FIRST_LABEL:]):
            found += np.multiply(w[label], states[self._toggles[label - FIRST_LABEL]], out=product)
        return found


def _levels(before: int, after: int) -> tuple[int, int, int]:
    """Return from how many levels a token leads to the same one, one up and one down."""
    return min(before, after), min(before, after - 1), min(before - 1, after)


def _dot(a: Floats, b: Floats) -> Floats:
    """Return the sums of products over all but the last axis, for each row alike in any batch."""
    if a.shape[-1] == 1:  # a single row would be summed in another order
        return _dot(np.repeat(a, 2, -1), np.repeat(b, 2, -1))[:1]
    axes = string.ascii_lowercase[: a.ndim]
    return np.asarray(np.einsum(f"{axes},{axes}->{axes[-1]}", a, b))
