"""Well-formed SMILES: predictions conditioned on a regular language.

A prediction is a product over the masked tokens, and a product cannot express that one parenthesis
requires another. Most invalid rows fail on this, and more so the less a network is trained. Here a
prediction is conditioned on the language ``L`` of texts with

- balanced parentheses and paired ring labels,
- neighbours as in canonical SMILES: no empty branch, no bond without an atom after it,

    q(x)  =  prod_l p_l(x_l) [x in L] / sum_y prod_l p_l(y_l) [y in L]

With bounded depth and few labels ``L`` is regular: a state is the kind of the last token, the
depth, and the set of open labels. The sum over all completions, the marginals of ``q`` and joint
draws from it are therefore exact, by the forward-backward recursion (Rabiner, "A Tutorial on Hidden
Markov Models", 1989), at a few percent of the time of a forward. Probability ratios between texts
in ``L`` do not change. ``L`` has no valence and no aromaticity: a row that RDKit rejects for these
is still invalid, and no row is corrected.

A row with no completion in ``L`` (fixed tokens that use a further label) is predicted without it.

Suresh et al., "DINGO: Constrained Inference for Diffusion LLMs" (2025), compute the likeliest text
of a regular language under such a product; here one is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from molgen.errors import MolgenError
from molgen.molecules.smiles import ATOM, BOND, CLOSING, LABEL, OPENING, kind
from molgen.utils.arrays import Floats, Ids, Mask
from molgen.utils.randomness import inverse_cdf

DOT = LABEL  # kinds of this module; each label is a kind of its own
FIRST_LABEL = DOT + 1
OUTSIDE = -1  # of tokens that are in no text of the language
CHUNK = 32  # rows at once; it changes memory, not results
# kinds of the last token, which determine the possible next ones
WANTS_ATOM, OPENED, BONDED, PLACED, CLOSED = range(5)


@dataclass(frozen=True)
class SmilesGrammar:
    """The language of well-formed SMILES texts.

    Attributes:
        depth: maximum depth of nested parentheses.
        labels: number of ring labels that may be used, the first ones of the vocabulary.
    """

    depth: int = 5
    labels: int = 5

    def __post_init__(self) -> None:
        """Check the bounds.

        Raises:
            MolgenError: if one is not a whole number in its range.
        """
        for name, most in (("depth", 20), ("labels", 9)):
            value: Any = getattr(self, name)
            if not isinstance(value, int) or not 0 <= value <= most:
                raise MolgenError(f"{name} is {value!r}, expected a whole number of 0 to {most}")

    def language(self, vocab: Sequence[str]) -> Language:
        """Return the language over a vocabulary, with padding and the mask last."""
        kinds = np.array([kind(token) for token in vocab[:-2]] + [OUTSIDE] * 2)
        kinds[[token == "." for token in vocab]] = DOT
        at = [i for i in range(len(vocab) - 2) if kind(vocab[i]) == LABEL]
        used = sorted(at, key=lambda i: (len(vocab[i]), vocab[i]))
        for place, i in enumerate(used):
            kinds[i] = FIRST_LABEL + place if place < self.labels else OUTSIDE
        return Language(kinds, self.depth, min(self.labels, len(used)))


GRAMMARS = {"none": None, "smiles": SmilesGrammar}


@dataclass(frozen=True, eq=False)
class Language:
    """A grammar over a vocabulary.

    Attributes:
        kinds: of each token, shape (vocab,); :data:`OUTSIDE` for none.
        depth: maximum depth.
        labels: number of ring labels.
    """

    kinds: Ids
    depth: int
    labels: int

    def given(self, tokens: Ids, masked: Mask, p: Floats) -> Completions:
        """Return the distribution over completions of rows.

        Args:
            tokens: of the rows, shape (rows, longest), padded at the end.
            masked: masked positions, same shape.
            p: the prediction there, shape (rows, longest, vocab).
        """
        return Completions(self, tokens, masked, p)

    def start(self, rows: int) -> Floats:
        """Return the weight of each state before the first token.

        The shape of states is (5, rows, depth + 1, 2, ..., 2); the last axes are open labels.
        """
        return self._closed(rows, WANTS_ATOM)

    def end(self, rows: int) -> Floats:
        """Return the states in which a text may end."""
        return self._closed(rows, PLACED)

    def _closed(self, rows: int, last: int) -> Floats:
        """Return the state with this last kind in which nothing is open."""
        states = np.zeros((5, rows, self.depth + 1, *(2,) * self.labels))
        states[last].reshape(rows, -1)[:, 0] = 1.0
        return states

    def toggled(self, states: Floats, label: int) -> Floats:
        """Return states, shape (rows, depth + 1, 2, ..., 2), with a label opened or closed."""
        return np.flip(states, 2 + label)

    def forward(self, states: Floats, w: Floats) -> Floats:
        """Return the weight of states after a token.

        Args:
            states: before it.
            w: weight of each kind of token there, shape (rows, kinds).
        """
        weight = w.reshape(*w.shape, *(1,) * (states.ndim - 2))
        found = np.zeros_like(states)
        found[PLACED] = weight[:, ATOM] * states.sum(0)
        bound = states[PLACED] + states[BONDED]
        for label in range(self.labels):
            if w[:, FIRST_LABEL + label].any():
                found[PLACED] += weight[:, FIRST_LABEL + label] * self.toggled(bound, label)
        if w[:, BOND].any():
            found[BONDED] = weight[:, BOND] * states[PLACED]
            found[WANTS_ATOM] = weight[:, BOND] * (states[OPENED] + states[CLOSED])
        if w[:, OPENING].any():
            branching = states[PLACED, :, :-1] + states[CLOSED, :, :-1]
            found[OPENED, :, 1:] = weight[:, OPENING] * branching
        if w[:, CLOSING].any():
            found[CLOSED, :, :-1] = weight[:, CLOSING] * states[PLACED, :, 1:]
        if w[:, DOT].any():
            found[WANTS_ATOM, :, :1] += weight[:, DOT] * states[PLACED, :, :1]
        return found

    def backward(self, states: Floats, w: Floats) -> Floats:
        """Return the weight of all continuations of states before a token, given those after it."""
        weight = w.reshape(*w.shape, *(1,) * (states.ndim - 2))
        placed = states[PLACED]
        found = np.broadcast_to(weight[:, ATOM] * placed, states.shape).copy()
        for label in range(self.labels):
            if w[:, FIRST_LABEL + label].any():
                paired = weight[:, FIRST_LABEL + label] * self.toggled(placed, label)
                found[PLACED] += paired
                found[BONDED] += paired
        if w[:, BOND].any():
            wants = weight[:, BOND] * states[WANTS_ATOM]
            found[OPENED] += wants
            found[CLOSED] += wants
            found[PLACED] += weight[:, BOND] * states[BONDED]
        if w[:, OPENING].any():
            branch = weight[:, OPENING] * states[OPENED, :, 1:]
            found[PLACED, :, :-1] += branch
            found[CLOSED, :, :-1] += branch
        if w[:, CLOSING].any():
            found[PLACED, :, 1:] += weight[:, CLOSING] * states[CLOSED, :, :-1]
        if w[:, DOT].any():
            found[PLACED, :, :1] += weight[:, DOT] * states[WANTS_ATOM, :, :1]
        return found

    def reach(self, before: Floats, behind: Floats) -> Floats:
        """Return the weight of all texts with each kind of token between two sets of states.

        Args:
            before: weight of states before the token.
            behind: weight of all continuations of states after it.

        Returns:
            Weights with shape (rows, kinds), without the token's own weight.
        """
        placed, bound = behind[PLACED], before[PLACED] + before[BONDED]
        found = np.empty((before.shape[1], FIRST_LABEL + self.labels))
        found[:, ATOM] = _dot(before.sum(0), placed)
        found[:, BOND] = _dot(before[PLACED], behind[BONDED])
        found[:, BOND] += _dot(before[OPENED] + before[CLOSED], behind[WANTS_ATOM])
        branching = before[PLACED, :, :-1] + before[CLOSED, :, :-1]
        found[:, OPENING] = _dot(branching, behind[OPENED, :, 1:])
        found[:, CLOSING] = _dot(before[PLACED, :, 1:], behind[CLOSED, :, :-1])
        found[:, DOT] = _dot(before[PLACED, :, :1], behind[WANTS_ATOM, :, :1])
        for label in range(self.labels):
            found[:, FIRST_LABEL + label] = _dot(bound, self.toggled(placed, label))
        return found


class Completions:
    """Completions of rows: ``q`` of this module for each row."""

    def __init__(self, language: Language, tokens: Ids, masked: Mask, p: Floats) -> None:
        """Sum over completions; see :meth:`Language.given`."""
        self.language, self.masked, self.p = language, masked, p
        kinds = language.kinds[: p.shape[-1]]
        self._kinds = kinds
        each = kinds == np.arange(FIRST_LABEL + language.labels)[:, None]  # (kinds, vocab)
        here = language.kinds[tokens][..., None] == np.arange(len(each))
        weights = np.stack([p[..., one].sum(-1) for one in each], -1)
        self._weights = np.where(masked[..., None], weights, here)
        count = len(tokens)
        self._chunks = [np.arange(i, min(i + CHUNK, count)) for i in range(0, count, CHUNK)]
        self._past = tokens == len(language.kinds) - 2  # padding, at the end, changes no state

    def marginals(self) -> Floats:
        """Return the marginals of ``q`` where a token is masked, shape (rows, longest, vocab)."""
        found = self.p.copy()
        for rows, behind in zip(self._chunks, self._behind, strict=True):
            states = self.language.start(len(rows))
            for at in range(self.masked.shape[1]):
                now = self.masked[rows, at]
                if now.any():
                    q, possible = self._at(rows, at, states, behind[at + 1])
                    use = now & possible
                    found[rows[use], at] = q[use]
                states = self._step(rows, at, states)
        return found

    def draw(self, place: Mask, quantile: Floats) -> tuple[Ids, Floats]:
        """Draw some masked tokens jointly, marginalised over the others.

        Args:
            place: the tokens to draw, shape (rows, longest).
            quantile: of each token in its distribution given the tokens to its left; in [0, 1),
                same shape.

        Returns:
            Tokens and their probabilities, both with the shape of ``place``; 0 elsewhere.
        """
        token, psi = np.zeros(place.shape, dtype=np.int64), np.zeros(place.shape)
        for rows, behind in zip(self._chunks, self._behind, strict=True):
            states = self.language.start(len(rows))
            columns = np.flatnonzero(place[rows].any(0))
            for at in range(columns[-1] + 1 if len(columns) else 0):
                w = self._weights[rows, at].copy()
                now = np.flatnonzero(place[rows, at])
                if len(now):
                    q, _ = self._at(rows, at, states, behind[at + 1])
                    drawn = inverse_cdf(q[now], quantile[rows[now], at])
                    token[rows[now], at], psi[rows[now], at] = drawn, q[now, drawn]
                    w[now] = self._kinds[drawn][:, None] == np.arange(w.shape[1])
                states = self._step(rows, at, states, w)
        return token, psi

    @cached_property
    def _behind(self) -> list[list[Floats]]:
        """Weight of all continuations of states before each token, and at the end, by chunk."""
        return [self._backward(rows) for rows in self._chunks]

    def _backward(self, rows: Ids) -> list[Floats]:
        found = [self.language.end(len(rows))]
        for at in reversed(range(self.masked.shape[1])):
            states = self.language.backward(found[-1], self._weights[rows, at])
            found.append(_normalised(_where(self._past[rows, at], found[-1], states)))
        return found[::-1]

    def _step(self, rows: Ids, at: int, states: Floats, w: Floats | None = None) -> Floats:
        """Return the states after a token."""
        now = self.language.forward(states, self._weights[rows, at] if w is None else w)
        return _normalised(_where(self._past[rows, at], states, now))

    def _at(self, rows: Ids, at: int, before: Floats, behind: Floats) -> tuple[Floats, Mask]:
        """Return ``q`` of a token, (rows, vocab), and whether there is a completion, (rows,)."""
        reach = np.pad(self.language.reach(before, behind), ((0, 0), (0, 1)))  # OUTSIDE is last
        own = self.p[rows, at]
        q = own * reach[:, self._kinds]
        total = q.sum(1, keepdims=True)
        possible = total[:, 0] > 0
        return np.where(total > 0, q / np.where(total > 0, total, 1.0), own), possible


def spread(p: Floats, masked: Mask) -> Floats:
    """Return predictions of masked tokens, (masked tokens, vocab), as (rows, longest, vocab)."""
    found = np.zeros((*masked.shape, p.shape[1]))
    found[masked] = p
    return found


def _dot(a: Floats, b: Floats) -> Floats:
    """Return the sums of products over all but the first axis."""
    return np.asarray((a * b).reshape(len(a), -1).sum(1))


def _where(rows: Mask, a: Floats, b: Floats) -> Floats:
    """Return the states of ``a`` in the marked rows and of ``b`` in the others."""
    return np.where(rows.reshape(1, -1, *(1,) * (a.ndim - 2)), a, b) if rows.any() else b


def _normalised(states: Floats) -> Floats:
    """Return states whose largest weight is one in each row, or that are all zero."""
    most = states.max(axis=(0, *range(2, states.ndim)), keepdims=True)
    return np.asarray(states / np.where(most > 0, most, 1.0))
