"""Completions of rows whose masked tokens are conditioned on well-formed SMILES.

The recursion runs from the first masked token of a row to its last; fixed tokens outside of this
span have one state each. Depths that no text can have are left out.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from molgen.guidance.prefixes import Prefixes, draw_one, until_alive
from molgen.guidance.smiles_states import (
    DEAD,
    DEPTH_CHANGE,
    FIRST_LABEL,
    PLACED,
    WANTS_ATOM,
    FixedState,
    SmilesStates,
)
from molgen.utils.arrays import Floats, Ids, Mask
from molgen.utils.randomness import normalised

CHUNK = 128  # rows at once; it changes memory and speed, not results


class Completions:
    """The distribution ``q`` over completions of each row.

    Attributes:
        language: of the texts.
        masked: masked tokens, shape (rows, longest).
        p: the prediction there, shape (rows, longest, vocab).
        kinds: of each token, shape (vocab,).
        weights: of each kind at each position, shape (rows, longest, kinds).
        first: position of the first masked token of each row, shape (rows,).
        chunks: rows that are computed together, those with masked tokens.
    """

    def __init__(self, language: SmilesStates, tokens: Ids, masked: Mask, p: Floats) -> None:
        """Sum over completions; see :meth:`molgen.guidance.smiles_grammar.Language.given`."""
        self.language, self.tokens, self.masked, self.p = language, tokens, masked, p
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

        def draw(rows: Ids, u: Floats) -> tuple[Ids, Floats, Mask]:
            if len(rows) == len(place):
                return self._draw_once(place, u)
            here, further = np.zeros_like(place), quantile.copy()
            here[rows], further[rows] = place[rows], u
            token, psi, dead = self._draw_once(here, further)
            return token[rows], psi[rows], dead[rows]

        return until_alive(draw, quantile)

    def _draw_once(self, place: Mask, quantile: Floats) -> tuple[Ids, Floats, Mask]:
        """Draw tokens; also return which rows came to a dead end."""
        token, psi = np.zeros(place.shape, dtype=np.int64), np.zeros(place.shape)
        jointly = np.asarray(place.any(1))
        prefixes = self.language.prefixes(self.tokens, self.masked)
        if "_marginals" in vars(self):  # a token alone is drawn from its marginal
            alone = np.asarray(place.sum(1) == 1)
            rows, columns = np.nonzero(place & alone[:, None])
            at = rows, columns
            token[at], psi[at] = draw_one(
                prefixes, rows, columns, self._marginals[at], quantile[at]
            )
            jointly &= ~alone
        for chunk, behind in zip(self.chunks, self.behind, strict=True):
            chosen = np.flatnonzero(jointly[chunk])
            if len(chosen):
                self._draw(chunk, chosen, behind, place, quantile, token, psi, prefixes)
        dead = np.zeros(len(place), dtype=bool) if prefixes is None else prefixes.dead
        return token, psi, dead

    def _draw(
        self,
        chunk: Ids,
        chosen: Ids,
        behind: list[Floats],
        place: Mask,
        quantile: Floats,
        token: Ids,
        psi: Floats,
        prefixes: Prefixes | None,
    ) -> None:
        """Draw tokens of the chosen rows of a chunk, into ``token`` and ``psi``."""
        rows = chunk[chosen]
        levels, states = self._levels(chunk), self.start(rows)
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
                token[here], psi[here] = draw_one(prefixes, *here, q, quantile[here])
                w[:, now] = np.arange(len(w))[:, None] == self.kinds[token[here]]
            sums = self.language.sums(states)
            w /= largest(sums.every)
            states = self.language.forward(states, w, levels[i + 1], sums)

    @cached_property
    def _marginals(self) -> Floats:
        found = self.p.copy()
        for rows, behind in zip(self.chunks, self.behind, strict=True):
            levels, states = self._levels(rows), self.start(rows)
            for i, after in enumerate(behind):
                rows = rows[: after.shape[-1]]
                at, states = self.first[rows] + i, states[..., : len(rows)]
                now, sums = np.flatnonzero(self.masked[rows, at]), self.language.sums(states)
                if len(now):
                    here = rows[now], at[now]
                    found[here] = self._at(here, self.language.reach(states, after, sums)[:, now])
                w = self.weights[rows, at].T / largest(sums.every)
                states = self.language.forward(states, w, levels[i + 1], sums)
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
        levels, states = self._levels(rows), end[..., :0]
        for i in reversed(range(self._span[rows[0]])):
            here = rows[: (self._span[rows] > i).sum()]
            if len(here) > states.shape[-1]:  # spans that end here
                ended = end[:, : levels[i + 1], ..., states.shape[-1] : len(here)]
                states = np.concatenate([states[:, : levels[i + 1]], ended], -1)
            found.append(states)
            # what may follow another state may follow PLACED, so its weights are the largest
            w = self.weights[here, self.first[here] + i].T / largest(states[PLACED])
            states = self.language.backward(states, w, levels[i])
        return found[::-1]

    def _levels(self, rows: Ids) -> list[int]:
        """Return the levels of states before each token of the span of rows, and after the last.

        Neither two opening nor two closing parentheses are neighbours, so that two tokens change
        the depth by one at most.
        """
        first = self._before.depth[rows].max()
        last = (2 * self._suffix.depth[0, rows] + self._span[rows]).max()
        before = np.arange(self._span[rows[0]] + 1)
        deepest = np.minimum(first - -before // 2, -((before - last) // 2))
        return (deepest.clip(0, self.language.depth) + 1).tolist()

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
            reach: weight of all texts with each kind of token there, shape (kinds, tokens).
        """
        outside = np.zeros_like(reach[:1])  # OUTSIDE is last
        q = own * np.concatenate([reach, outside]).T[:, self.kinds]
        return normalised(q, own)

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
        change = np.where(behind, DEPTH_CHANGE[np.minimum(kinds, FIRST_LABEL)], 0).sum(1)
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


def largest(states: Floats) -> Floats:
    """Return the largest weight of each row, 1 where all are zero."""
    most = states.max(tuple(range(states.ndim - 1)))
    return np.where(most > 0, most, 1.0)


def _where(rows: Mask, a: FixedState, b: FixedState) -> FixedState:
    """Return the states of ``a`` in the marked rows and of ``b`` in the others."""
    return FixedState(*(np.where(rows, x, y) for x, y in zip(a, b, strict=True)))
