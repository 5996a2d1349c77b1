"""Rules on the tokens of open spans, so that a span does not change the fixed text around it.

A span is free text, but some text would affect its fixed context: an extra parenthesis ends the
branch around the span, a leading ``=`` turns the given single bond into a double bond, an open ring
label closes on an atom of the scaffold. Such tokens get probability zero,

    p'(v)  =  p(v) [v is allowed] / sum_w p(w) [w is allowed]

where a token is allowed if the span can still be completed with it. There are three checks:

- rules known in advance, for each position: :attr:`SpanRules.barred`;
- pairs of neighbours that canonical SMILES never has, and balanced parentheses: for each kind of
  token at a position, the depths after it that are reachable from the left and those that lead to
  depth 0 at the right end (as intervals) must intersect;
- ring labels come in pairs: within one span if the fixed text has the label too, else anywhere in
  the row. Unpaired labels must not outnumber the masks left for their partners.

Tokens placed by one forward are independent of each other, so a row may still break a rule;
molecules are verified in any case.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from molgen.errors import MolgenError
from molgen.guidance.joint_predictor import JointPredictor, JointStep, restricted
from molgen.guidance.predictor import Prediction, Predictor
from molgen.guidance.smiles_grammar import Language
from molgen.molecules.smiles import BOND, CLOSING, END, LABEL, OPENING, kind
from molgen.utils.arrays import Ids, Mask

DEPTH = np.array([0, 0, 1, -1, 0, 0])
"""By how much a token of each kind changes the depth of parentheses."""
NEVER = {
    END: (OPENING, CLOSING, BOND, LABEL),
    OPENING: (OPENING, CLOSING, LABEL, END),
    CLOSING: (CLOSING, LABEL, END),  # the last branch is written without parentheses
    BOND: (OPENING, CLOSING, BOND, END),
}
"""Kinds that never follow a kind; the end is that of the text, or its start."""
NOWHERE = 1 << 20  # a depth that no text reaches


@dataclass(eq=False)
class SpanRules:
    """The allowed tokens of each position.

    Attributes:
        index: sample index of each row, shape (rows,).
        span: number of each token's span, shape (rows, longest); -1 for fixed tokens and padding.
            Two spans are separated by fixed tokens.
        barred: tokens excluded at a position, shape (rows, longest, vocab).
        vocab: the tokens, padding and the mask last.
    """

    index: Ids
    span: Ids
    barred: Mask
    vocab: Sequence[str]

    def __post_init__(self) -> None:
        """Compute the kinds of tokens that each position allows."""
        self._kind = np.array([kind(token) for token in self.vocab[:-2]] + [END, END])
        self._labels = np.flatnonzero(self._kind == LABEL)
        self._follows = np.ones((END + 1, END + 1), dtype=bool)
        for first, seconds in NEVER.items():
            self._follows[first, list(seconds)] = False
        kinds = [~self.barred[:, :, self._kind == one] for one in range(END)]
        self._able = np.stack(
            [*(able.any(2) for able in kinds), np.zeros(self.span.shape, bool)], -1
        )

    def allowed(self, rows: Ids, tokens: Ids) -> Mask:
        """Return the allowed tokens of each position of some rows: (rows, longest, vocab).

        Args:
            rows: their sample indices, shape (rows,).
            tokens: current ids, shape (rows, longest); further columns are padding.
        """
        order = np.argsort(self.index)
        rows = order[np.searchsorted(self.index, rows, sorter=order)]
        given = self.span.shape[1]
        beyond, tokens = tokens.shape[1] - given, tokens[:, :given]
        span, able = self.span[rows], self._able[rows]
        found = self._kinds(span, able, tokens)[:, :, self._kind] & ~self.barred[rows]
        paired = self._paired(span, tokens)
        found &= paired[:, :, -1:] | (self._kind == LABEL)
        found[:, :, self._labels] &= paired[:, :, :-1]
        return np.pad(found, ((0, 0), (0, beyond), (0, 0)))

    def _kinds(self, span: Ids, able: Mask, tokens: Ids) -> Mask:
        """Return the kinds of tokens with which a span can be completed: (rows, longest, kinds).

        Args:
            span: number of each token's span, shape (rows, longest).
            able: kinds allowed by the rules of each position, shape (rows, longest, kinds).
            tokens: current ids, shape (rows, longest).
        """
        masked = tokens == len(self.vocab) - 1
        able = np.where(
            masked[:, :, None], able, self._kind[tokens][:, :, None] == np.arange(END + 1)
        )
        inside = span >= 0
        left = _reach(able, inside, self._follows, DEPTH, DEPTH * 0)
        back = slice(None, None, -1)
        right = _reach(able[:, back], inside[:, back], self._follows.T, DEPTH * 0, -DEPTH)
        (low, high), (least, most) = left, (edge[:, back] for edge in right)
        return np.asarray(np.maximum(low, least) <= np.minimum(high, most))

    def _paired(self, span: Ids, tokens: Ids) -> Mask:
        """Return where labels, and last other tokens, are allowed: (rows, longest, labels + 1).

        With ``odd`` unpaired labels and ``free`` masks, placing a token leaves ``free - 1`` masks.
        """
        inside, labels = span >= 0, self._labels
        here = (tokens[:, :, None] == labels) & inside[:, :, None]
        shared = ((tokens[:, :, None] == labels) & ~inside[:, :, None]).any(1)  # with fixed text
        masked = (tokens == len(self.vocab) - 1) & inside
        within = span[:, :, None] == np.arange(span.max(initial=0) + 1)  # (rows, longest, spans)
        odd = np.einsum("rls,rlv->rsv", within.astype(np.int64), here.astype(np.int64)) % 2
        odd_row = odd.sum(1) % 2
        own = (odd * shared[:, None]).sum(2)  # (rows, spans)
        free = (within & masked[:, :, None]).sum(1)
        total = own.sum(1) + (odd_row * ~shared).sum(1)
        at = span.clip(min=0)
        row = np.arange(len(span))[:, None]
        step = np.where(shared[:, None], 1 - 2 * odd[row, at], (1 - 2 * odd_row)[:, None])
        step = np.concatenate([step, np.zeros((*span.shape, 1), dtype=np.int64)], -1)
        counted = np.concatenate([shared, np.zeros((len(span), 1), dtype=bool)], -1)
        in_span = (
            own[row, at][:, :, None] + step * counted[:, None] <= free[row, at][:, :, None] - 1
        )
        in_row = (total[:, None, None] + step) <= masked.sum(1)[:, None, None] - 1
        return np.asarray(in_span & in_row)


def _reach(able: Mask, inside: Mask, follows: Mask, now: Ids, then: Ids) -> tuple[Ids, Ids]:
    """Return the lowest and highest depth after each kind of token, propagated from one side.

    Outside of spans the depth is 0, so that a span begins and ends at 0.

    Args:
        able: kinds allowed at each position, shape (rows, longest, kinds).
        inside: whether a position is in a span, shape (rows, longest).
        follows: whether a kind may follow another, shape (kinds, kinds).
        now: change of the depth at a token of each kind, shape (kinds,).
        then: change of the depth after it, same shape.

    Returns:
        Both with shape (rows, longest, kinds); an empty interval where a kind is impossible.
    """
    empty = np.array([NOWHERE, -NOWHERE])[:, None, None]
    found = np.empty((2, *able.shape), dtype=np.int64)
    before = np.broadcast_to(empty, (2, len(able), END + 1)).copy()
    before[:, :, END] = 0  # the first token follows the end
    for j in range(able.shape[1]):
        ways = [
            np.where(follows.T, side[:, None], lost)
            for side, lost in zip(before, empty, strict=True)
        ]
        low = np.maximum(ways[0].min(2) + now, 0)
        high = ways[1].max(2) + now
        here = np.where(inside[:, j, None], [low, high], 0)
        good = able[:, j] & (here[0] <= here[1])
        found[:, :, j] = np.where(good, here, empty)
        before = found[:, :, j] + then * inside[:, j, None]
    return found[0], found[1]


class SpanPredictor:
    """A predictor restricted by the rules of spans; rows are identified by their sample index."""

    def __init__(self, inner: Predictor, rules: SpanRules) -> None:
        self.inner, self.rules = inner, rules
        self.forwards, self.max_length = inner.forwards, inner.max_length
        self.mask_id, self.pad_id = inner.mask_id, inner.pad_id

    def __call__(
        self,
        tokens: NDArray[np.int64],
        wanted: NDArray[np.bool_],
        condition: NDArray[np.float32] | None,
        alpha_t: NDArray[np.float64],
        rows: NDArray[np.int64] | None = None,
    ) -> Prediction:
        """Return ``p(x_0 | x_t)`` at the wanted positions; see :class:`Predictor`.

        Where all allowed tokens have probability zero, the prediction is unchanged.

        Raises:
            MolgenError: if the rows' sample indices are missing.
        """
        if rows is None:
            raise MolgenError("rows is None, expected the sample index of each row")
        found = self.inner(tokens, wanted, condition, alpha_t, rows)
        return replace(found, p=restricted(found.p, self.rules.allowed(rows, tokens)[wanted]))


class JointSpanPredictor(SpanPredictor):
    """The same for joint draws: every token of a step is drawn from the allowed ones."""

    inner: JointPredictor

    def begin(
        self,
        tokens: NDArray[np.int64],
        wanted: NDArray[np.bool_],
        condition: NDArray[np.float32] | None,
        alpha_t: NDArray[np.float64],
        rows: NDArray[np.int64],
        language: Language | None = None,
    ) -> JointStep:
        """Run the trunk; see :class:`molgen.guidance.joint_predictor.JointPredictor`."""
        allowed = self.rules.allowed(rows, tokens)
        return self.inner.begin(tokens, wanted, condition, alpha_t, rows, language, allowed)
