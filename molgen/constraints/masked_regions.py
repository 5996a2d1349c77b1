"""Rows with a masked region of a lead.

A row is the molecule's SMILES with masks in place of a region, with a similar length: the rest is
clamped, and the lengths of the masked spans are drawn from training molecules that fit the targets.
A region of one token must change, since redrawing the same token would waste an attempt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from molgen.checkpoints.checkpoint import Checkpoint
from molgen.constraints.candidate_regions import Region
from molgen.constraints.layout import Draft, Rows, laid_out
from molgen.constraints.template import Template
from molgen.data.prior import PriorDraw
from molgen.utils.arrays import Floats, Ids, Mask

LEAST_CHANGE = 3  # a length may change by this many tokens: c may become c(F), and back


@dataclass(frozen=True, eq=False)
class MaskedRegion:
    """A region, and the template of the molecule around it."""

    region: Region
    template: Template
    tokens: list[int]
    """Of the current molecule."""
    sizes: tuple[int, ...] | None = None
    """Tokens of each masked span; None if drawn with the row."""

    @property
    def length(self) -> int:
        """Tokens of the row; those of the current molecule without sizes."""
        fixed = sum(map(len, self.template.pieces))
        return self.template.usual if self.sizes is None else fixed + sum(self.sizes)

    def row(self, mask_id: int) -> list[int]:
        """Return the tokens of the row, with masks in the region."""
        sizes = self.sizes or [span.usual for span in self.template.spans]
        return self.template.row(sizes, mask_id)[0]

    @property
    def masked(self) -> NDArray[np.bool_]:
        """Whether each token is in the region, shape (tokens,)."""
        sizes = [span.usual for span in self.template.spans]
        return np.array(self.template.row(sizes, 0)[1]) >= 0


def rows(
    model: Checkpoint, prior_draw: PriorDraw, regions: Sequence[MaskedRegion], index: Ids, u: Floats
) -> Rows:
    """Return rows with masked regions.

    Args:
        model: draws the masked tokens.
        prior_draw: lengths and conditions from the prior.
        regions: one for each row.
        index: sample index of each row, shape (rows,).
        u: uniforms with shape (rows, longest + 1).
    """
    drafts = []
    for item, own in zip(regions, u, strict=True):
        template, sizes = item.template, item.sizes
        if sizes is None:
            bounds = length_bounds(template, model.denoiser.max_length)
            k, length = draw_length(prior_draw.lengths, bounds, own[0])
            sizes = tuple(template.stretch(length, own[1:]))
        else:
            k, _ = draw_length(prior_draw.lengths, (item.length, item.length), own[0])
        drafts.append(Draft(*template.row(sizes, model.denoiser.mask_id), template, k))

    def bar_itself(i: int, span: Ids, barred: Mask) -> None:
        at = np.flatnonzero(span >= 0)
        if len(at) == 1 and len(drafts[i].tokens) == len(regions[i].tokens):
            barred[at[0], regions[i].tokens[at[0]]] = True

    return laid_out(drafts, model, prior_draw, bar_itself, index)


def length_bounds(template: Template, longest: int) -> tuple[int, int]:
    """Return the bounds of a length near that of the molecule."""
    change = max(LEAST_CHANGE, sum(span.usual for span in template.spans) // 2)
    return max(template.shortest, template.usual - change), min(longest, template.usual + change)


def draw_length(lengths: Ids, bounds: tuple[int, int], u: float) -> tuple[int, int]:
    """Draw a row of the prior with a length within bounds, or else nearest to them.

    Args:
        lengths: of the prior's rows, shape (rows,).
        bounds: lowest and highest number of tokens.
        u: a uniform number in [0, 1).

    Returns:
        The index of the row, and its length clipped to the bounds.
    """
    low, high = bounds
    gap = np.maximum(np.maximum(low - lengths, lengths - high), 0)
    able = np.flatnonzero(gap == gap.min())
    k = int(able[int(u * len(able))])
    return k, int(np.clip(lengths[k], low, high))
