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
from typing import Any, NamedTuple

import numpy as np

from molgen.errors import MolgenError
from molgen.molecules.smiles import ATOM, BOND, CLOSING, LABEL, OPENING, kind
from molgen.utils.arrays import Floats, Ids, Mask
from molgen.utils.randomness import inverse_cdf

DOT = LABEL  # kinds of this module; each label is a kind of its own
FIRST_LABEL = DOT + 1
OUTSIDE = -1  # of tokens that are in no text of the language
CHUNK = 128  # rows at once; it changes memory and speed, not results
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
_DEPTH = np.array([{OPENING: 1, CLOSING: -1}.get(kind, 0) for kind in range(FIRST_LABEL + 2)])


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

        The shape of states is (5, depth + 1, 2, ..., 2, rows); the axes of length 2 are open
        labels. Rows are last, so that operations run over whole vectors.
        """
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
        depth = before.depth + _DEPTH[np.minimum(kinds, FIRST_LABEL)]
        dead = (depth < 0) | (depth > self.depth) | ((kinds == DOT) & (depth > 0))
        bit = np.where(kinds >= FIRST_LABEL, 1 << np.maximum(kinds - FIRST_LABEL, 0), 0)
        return FixedState(np.where(dead, DEAD, last), depth, before.labels ^ bit)

    def states(self, fixed: FixedState) -> Floats:
        """Return the states of :meth:`start` of rows that may be in several, shape (any, rows)."""
        rows = fixed.last.shape[1]
        found = np.zeros((5, self.depth + 1, *(2,) * self.labels, rows))
        each, row = np.nonzero(fixed.last != DEAD)
        last, depth, labels = (array[each, row] for array in fixed)
        bits = ((labels >> label) & 1 for label in range(self.labels))
        found[(last, depth, *bits, row)] = 1.0
        return found

    def forward(self, states: Floats, w: Floats) -> Floats:
        """Return the weight of states after a token.

        Args:
            states: before it.
            w: weight of each kind of token there, shape (kinds, rows).
        """
        used, placed, closed = w.any(1), states[PLACED], states[CLOSED]
        found = np.zeros_like(states)
        np.multiply(w[ATOM], states.sum(0), out=found[PLACED])
        if used[FIRST_LABEL:].any():
            found[PLACED] += self._label_sum(placed + states[BONDED], w, used)
        if used[BOND]:
            np.multiply(w[BOND], placed, out=found[BONDED])
            np.multiply(w[BOND], states[OPENED] + closed, out=found[WANTS_ATOM])
        if used[OPENING]:
            np.multiply(w[OPENING], placed[:-1] + closed[:-1], out=found[OPENED, 1:])
        if used[CLOSING]:
            np.multiply(w[CLOSING], placed[1:], out=found[CLOSED, :-1])
        if used[DOT]:
            found[WANTS_ATOM, 0] += w[DOT] * placed[0]
        return found

    def backward(self, states: Floats, w: Floats) -> Floats:
        """Return the weight of all continuations of states before a token, given those after it."""
        used, placed = w.any(1), states[PLACED]
        found = np.empty_like(states)
        found[:] = w[ATOM] * placed
        if used[FIRST_LABEL:].any():
            paired = self._label_sum(placed, w, used)
            found[PLACED] += paired
            found[BONDED] += paired
        if used[BOND]:
            bonded = w[BOND] * states[WANTS_ATOM]
            found[OPENED] += bonded
            found[CLOSED] += bonded
            found[PLACED] += w[BOND] * states[BONDED]
        if used[OPENING]:
            branch = w[OPENING] * states[OPENED, 1:]
            found[PLACED, :-1] += branch
            found[CLOSED, :-1] += branch
        if used[CLOSING]:
            found[PLACED, 1:] += w[CLOSING] * states[CLOSED, :-1]
        if used[DOT]:
            found[PLACED, 0] += w[DOT] * states[WANTS_ATOM, 0]
        return found

    def reach(self, before: Floats, behind: Floats) -> Floats:
        """Return the weight of all texts with each kind of token between two sets of states.

        Args:
            before: weight of states before the token.
            behind: weight of all continuations of states after it.

        Returns:
            Weights with shape (kinds, rows), without the token's own weight.
        """
        placed, bound = behind[PLACED], before[PLACED] + before[BONDED]
        found = np.empty((FIRST_LABEL + self.labels, before.shape[-1]))
        found[ATOM] = _dot(before.sum(0), placed)
        found[BOND] = _dot(before[PLACED], behind[BONDED])
        found[BOND] += _dot(before[OPENED] + before[CLOSED], behind[WANTS_ATOM])
        branching = before[PLACED, :-1] + before[CLOSED, :-1]
        found[OPENING] = _dot(branching, behind[OPENED, 1:])
        found[CLOSING] = _dot(before[PLACED, 1:], behind[CLOSED, :-1])
        found[DOT] = _dot(before[PLACED, 0], behind[WANTS_ATOM, 0])
        for label, toggle in enumerate(self._toggles):
            found[FIRST_LABEL + label] = _dot(bound, placed[toggle])
        return found

    @cached_property
    def _toggles(self) -> list[tuple[slice, ...]]:
        """Indices of states of one last kind that open or close each label."""
        every, reverse = slice(None), slice(None, None, -1)
        return [(*[every] * (1 + label), reverse) for label in range(self.labels)]

    def _label_sum(self, states: Floats, w: Floats, used: Mask) -> Floats:
        """Return the weight of states of one last kind with any label opened or closed."""
        found, product = np.zeros_like(states), np.empty_like(states)
        for kind, toggle in enumerate(self._toggles, FIRST_LABEL):
            if used[kind]:
                found += np.multiply(w[kind], states[toggle], out=product)
        return found


class Completions:
    """Completions of rows: ``q`` of this module for each row.

    The recursion runs from the first masked token of a row to its last; fixed tokens outside of
    this span have one state each.

    Attributes:
        language: of the texts.
        masked: masked tokens, shape (rows, longest).
        p: the prediction there, shape (rows, longest, vocab).
        kinds: of each token, shape (vocab,).
        weights: of each kind at each position, shape (rows, longest, kinds).
        first: position of the first masked token of each row, shape (rows,).
        chunks: rows that are computed together, those with masked tokens.
    """

    def __init__(self, language: Language, tokens: Ids, masked: Mask, p: Floats) -> None:
        """Sum over completions; see :meth:`Language.given`."""
        self.language, self.masked, self.p = language, masked, p
        self.kinds = language.kinds[: p.shape[-1]]
        each = np.arange(FIRST_LABEL + language.labels)
        fixed = language.kinds[tokens]
        self.weights = (fixed[..., None] == each).astype(np.float64)
        own = p[masked]
        self.weights[masked] = np.stack([own[:, self.kinds == k].sum(1) for k in each], 1)
        self.first = masked.argmax(1)
        self._span = masked.shape[1] - masked[:, ::-1].argmax(1) - self.first
        real = tokens != len(language.kinds) - 2
        self._before = self._prefixes(fixed)
        self._suffix = self._suffixes(fixed, real.sum(1))
        # the longest first: the rows of a chunk that have a token at a position are a slice
        order = np.argsort(-self._span, kind="stable")
        order = order[masked[order].any(1)]
        self.chunks = [order[i : i + CHUNK] for i in range(0, len(order), CHUNK)]

    def marginals(self) -> Floats:
        """Return the marginals of ``q`` where a token is masked, shape (rows, longest, vocab)."""
        return self._marginals

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
        jointly = place.any(1)
        if "_marginals" in vars(self):  # a token alone is drawn from its marginal
            alone = place.sum(1) == 1
            at = np.nonzero(place & alone[:, None])
            q = self._marginals[at]
            token[at] = inverse_cdf(q, quantile[at])
            psi[at] = q[np.arange(len(q)), token[at]]
            jointly &= ~alone
        for chunk, behind in zip(self.chunks, self.behind, strict=True):
            chosen = np.flatnonzero(jointly[chunk])
            if len(chosen):
                self._draw(chunk, chosen, behind, place, quantile, token, psi)
        return token, psi

    def _draw(
        self,
        chunk: Ids,
        chosen: Ids,
        behind: list[Floats],
        place: Mask,
        quantile: Floats,
        token: Ids,
        psi: Floats,
    ) -> None:
        """Draw tokens of the chosen rows of a chunk, into ``token`` and ``psi``."""
        rows = chunk[chosen]
        states = self.start(rows)
        end = place.shape[1] - place[rows, ::-1].argmax(1) - self.first[rows]
        for i in range(end.max()):
            rows = rows[: (self._span[rows] > i).sum()]
            at, states = self.first[rows] + i, states[..., : len(rows)]
            w = self.weights[rows, at].T.copy()
            now = np.flatnonzero(place[rows, at])
            if len(now):
                here = rows[now], at[now]
                after = behind[i][..., chosen[now]]
                q = self._at(here, self.language.reach(states[..., now], after))
                drawn = inverse_cdf(q, quantile[here])
                token[here], psi[here] = drawn, q[np.arange(len(drawn)), drawn]
                w[:, now] = np.arange(len(w))[:, None] == self.kinds[drawn]
            states = self.language.forward(states, w / largest(states))

    @cached_property
    def _marginals(self) -> Floats:
        found = self.p.copy()
        for rows, behind in zip(self.chunks, self.behind, strict=True):
            states = self.start(rows)
            for i, after in enumerate(behind):
                rows = rows[: after.shape[-1]]
                at, states = self.first[rows] + i, states[..., : len(rows)]
                now = np.flatnonzero(self.masked[rows, at])
                if len(now):
                    here = rows[now], at[now]
                    found[here] = self._at(here, self.language.reach(states, after)[:, now])
                w = self.weights[rows, at].T / largest(states)
                states = self.language.forward(states, w)
        return found

    @cached_property
    def behind(self) -> list[list[Floats]]:
        """Weight of all continuations of states after each token of the span, by chunk.

        The last axis has the rows of the chunk whose span has a token there.
        """
        return [self._backward(rows) for rows in self.chunks]

    def _backward(self, rows: Ids) -> list[Floats]:
        found: list[Floats] = []
        end = self.language.states(FixedState(*(x[:, rows] for x in self._suffix)))
        states = end[..., :0]
        for i in reversed(range(self._span[rows[0]])):
            here = rows[: (self._span[rows] > i).sum()]
            if len(here) > states.shape[-1]:  # spans that end here
                states = np.concatenate([states, end[..., states.shape[-1] : len(here)]], -1)
            found.append(states)
            # what may follow another state may follow PLACED, so its weights are the largest
            w = self.weights[here, self.first[here] + i].T / largest(states[PLACED])
            states = self.language.backward(states, w)
        return found[::-1]

    def start(self, rows: Ids) -> Floats:
        """Return the states before the spans of rows."""
        return self.language.states(FixedState(*(x[None, rows] for x in self._before)))

    def _at(self, at: tuple[Ids, Ids], reach: Floats) -> Floats:
        """Return ``q`` of tokens, (tokens, vocab); ``p`` where there is no completion.

        Args:
            at: rows and positions of the tokens.
            reach: weight of all texts with each kind of token there, shape (kinds, tokens).
        """
        return self.weighted(self.p[at], reach)

    def weighted(self, own: Floats, reach: Floats) -> Floats:
        """Return distributions times the weight of each kind, normalised.

        Args:
            own: distributions with shape (tokens, vocab); they stay where nothing is possible.
            reach: see :meth:`Language.reach`, shape (kinds, tokens).
        """
        outside = np.zeros_like(reach[:1])  # OUTSIDE is last
        q = own * np.concatenate([reach, outside]).T[:, self.kinds]
        total = q.sum(1, keepdims=True)
        return np.where(total > 0, q / np.where(total > 0, total, 1.0), own)

    def _prefixes(self, kinds: Ids) -> FixedState:
        """Return the state of each row before its span."""
        none = np.zeros(len(kinds), dtype=np.int64)
        state = FixedState(none + WANTS_ATOM, none, none)
        for at in range(self.first.max(initial=0)):
            state = _where(at < self.first, self.language.after(state, kinds[:, at]), state)
        return state

    def _suffixes(self, kinds: Ids, lengths: Ids) -> FixedState:
        """Return the states after the span of each row from which its text is well-formed.

        All of them have the same depth and labels. Shape (5, rows); :data:`DEAD` where there is
        none.
        """
        end = self.first + self._span
        columns = np.arange(kinds.shape[1])
        behind = (columns >= end[:, None]) & (columns < lengths[:, None])
        change = np.where(behind, _DEPTH[np.minimum(kinds, FIRST_LABEL)], 0).sum(1)
        bits = np.where(behind & (kinds >= FIRST_LABEL), 1 << np.maximum(kinds - FIRST_LABEL, 0), 0)
        last = np.broadcast_to(np.arange(5)[:, None], (5, len(kinds)))
        deep = (change > 0) | (change < -self.language.depth)
        first = FixedState(
            np.where(deep, DEAD, last),
            np.broadcast_to(-change, last.shape),
            np.broadcast_to(np.bitwise_xor.reduce(bits, axis=1), last.shape),
        )
        state = first
        for at in np.flatnonzero(behind.any(0)):
            now = self.language.after(state, np.broadcast_to(kinds[:, at], last.shape))
            state = _where(behind[:, at], now, state)
        return first._replace(last=np.where(state.last == PLACED, first.last, DEAD))


def spread(p: Floats, masked: Mask) -> Floats:
    """Return predictions of masked tokens, (masked tokens, vocab), as (rows, longest, vocab)."""
    found = np.zeros((*masked.shape, p.shape[1]))
    found[masked] = p
    return found


def _dot(a: Floats, b: Floats) -> Floats:
    """Return the sums of products over all but the last axis, for each row alike in any batch."""
    if a.shape[-1] == 1:  # a single row would be summed in another order
        return _dot(np.repeat(a, 2, -1), np.repeat(b, 2, -1))[:1]
    axes = list(range(a.ndim))
    return np.asarray(np.einsum(a, axes, b, axes, axes[-1:]))


def largest(states: Floats) -> Floats:
    """Return the largest weight of each row, 1 where all are zero."""
    most = states.max(tuple(range(states.ndim - 1)))
    return np.where(most > 0, most, 1.0)


def _where(rows: Mask, a: FixedState, b: FixedState) -> FixedState:
    """Return the states of ``a`` in the marked rows and of ``b`` in the others."""
    return FixedState(*(np.where(rows, x, y) for x, y in zip(a, b, strict=True)))
