"""Rows in which parts of leads are redrawn.

A row is the molecule's SMILES with masks in place of a part, about as long as it was: what stays is
clamped, and how long the open spans are is drawn, from the lengths of training molecules that fit
what is asked for. A part of one token becomes another one: it would often stay what it is, and a
try be lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from molgen.checkpoints.checkpoint import Checkpoint
from molgen.constraints.layout import Draft, Rows, laid_out
from molgen.constraints.parts import Part
from molgen.constraints.template import Template
from molgen.data.prior import PriorDraw
from molgen.utils.arrays import Floats, Ids, Mask

LEAST_CHANGE = 3  # tokens by which a length may change at least: c may become c(F), and back


@dataclass(frozen=True, eq=False)
class OpenPart:
    """A part, and the molecule spelled around it."""

    part: Part
    template: Template
    tokens: list[int]
    """Of the molecule as it is."""
    sizes: tuple[int, ...] | None = None
    """Tokens that each open span is to have; None where that is drawn with the row."""

    @property
    def length(self) -> int:
        """Tokens of the row: those of the molecule as it is, where sizes are not settled."""
        fixed = sum(map(len, self.template.pieces))
        return self.template.usual if self.sizes is None else fixed + sum(self.sizes)

    def row(self, mask_id: int) -> list[int]:
        """Return the tokens of the row, masks in what is open."""
        sizes = self.sizes or [span.usual for span in self.template.spans]
        return self.template.row(sizes, mask_id)[0]

    @property
    def masked(self) -> NDArray[np.bool_]:
        """The tokens that are open, shape (tokens,)."""
        sizes = [span.usual for span in self.template.spans]
        return np.array(self.template.row(sizes, 0)[1]) >= 0


def rows(
    model: Checkpoint, prior_draw: PriorDraw, parts: Sequence[OpenPart], index: Ids, u: Floats
) -> Rows:
    """Return rows in which parts are to be redrawn.

    Args:
        model: that will draw them.
        prior_draw: lengths and conditions to choose from.
        parts: one for each row.
        index: sample index of each row, shape (rows,).
        u: uniforms with shape (rows, longest + 1).
    """
    drafts = []
    for item, own in zip(parts, u, strict=True):
        template, sizes = item.template, item.sizes
        if sizes is None:
            bounds = near(template, model.denoiser.max_length)
            k, length = drawn(prior_draw.lengths, bounds, own[0])
            sizes = tuple(template.stretch(length, own[1:]))
        else:
            k, _ = drawn(prior_draw.lengths, (item.length, item.length), own[0])
        drafts.append(Draft(*template.row(sizes, model.denoiser.mask_id), template, k))

    def bar_itself(i: int, span: Ids, barred: Mask) -> None:
        at = np.flatnonzero(span >= 0)
        if len(at) == 1 and len(drafts[i].tokens) == len(parts[i].tokens):
            barred[at[0], parts[i].tokens[at[0]]] = True

    return laid_out(drafts, model, prior_draw, bar_itself, index)


def near(template: Template, longest: int) -> tuple[int, int]:
    """Return the bounds of a length near that of the molecule."""
    change = max(LEAST_CHANGE, sum(span.usual for span in template.spans) // 2)
    return max(template.shortest, template.usual - change), min(longest, template.usual + change)


def drawn(lengths: Ids, bounds: tuple[int, int], u: float) -> tuple[int, int]:
    """Draw a row of the prior whose length lies in bounds, or else nearest to them.

    Args:
        lengths: of the prior's rows, shape (rows,).
        bounds: the least and the most tokens.
        u: a uniform number in [0, 1).

    Returns:
        Which row, and the length in bounds that is nearest to its own.
    """
    low, high = bounds
    gap = np.maximum(np.maximum(low - lengths, lengths - high), 0)
    able = np.flatnonzero(gap == gap.min())
    k = int(able[int(u * len(able))])
    return k, int(np.clip(lengths[k], low, high))
