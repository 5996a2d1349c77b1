"""How long rows under a constraint are, and how that is shared out over their open spans.

Lengths are those of the model's prior, or where few of them have room for the constraint, those of
whole molecules with ordinary groups too. A linker is as long as the row leaves room between what it
links.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from molgen.checkpoints.checkpoint import Checkpoint
from molgen.constraints.layout import Draft
from molgen.constraints.scaffolds import Constraint, Task
from molgen.constraints.template import Template, templates
from molgen.data.prior import PriorDraw
from molgen.utils import randomness
from molgen.utils.arrays import Floats, Ids

ENOUGH = 32  # rows of the prior to choose a length from; below, whole molecules lend theirs, too
LEAD_CHANGE = 2  # tokens by which a lead's length may change at least
NEAR = 2.0  # tokens by which a template's usual length may well differ from the row's
NEAR_IN_RING = 0.7  # the same of a lead with an open place in a ring, which is of one size mostly


@dataclass(frozen=True, eq=False)
class LengthPool:
    """What the rows under one constraint are chosen from.

    Attributes:
        templates: of the constraint.
        prior: rows of the prior to choose from.
        lengths: of rows, for each of them.
        weights: of each of them.
        mask_id: id of the mask.
    """

    templates: list[Template]
    prior: Ids
    lengths: Ids
    weights: Floats
    mask_id: int

    @classmethod
    def of(
        cls, constraint: Constraint, model: Checkpoint, prior_draw: PriorDraw, seed: int
    ) -> LengthPool:
        """Prepare a constraint; see :class:`molgen.constraints.open_rows.OpenRows`."""
        mask_id, high = model.denoiser.mask_id, model.denoiser.max_length
        found = templates(constraint, model.tokenizer, high, seed)
        low = min(item.shortest for item in found)
        lead = constraint.task is Task.LEAD
        if lead:  # what changes stays about as large as it was
            change = max(LEAD_CHANGE, sum(span.usual for span in found[0].spans) // 2)
            low, high = max(low, found[0].usual - change), min(high, found[0].usual + change)
        prior = np.flatnonzero((prior_draw.lengths >= low) & (prior_draw.lengths <= high))
        lengths = prior_draw.lengths[prior]
        if len(prior) < ENOUGH:  # they take the conditions of the longest rows
            whole = np.array([item.usual for item in found]).clip(low, high)
            lengths = np.concatenate([lengths, np.arange(low, high + 1) if lead else whole])
            longest = np.argsort(-prior_draw.lengths, kind="stable")[:ENOUGH]
            prior = longest[np.arange(len(lengths)) % len(longest)]
        weights = np.ones(len(prior))
        if lead:
            near = NEAR_IN_RING if any(span.labels for span in found[0].spans) else NEAR
            weights = np.exp(-np.abs(lengths - found[0].usual) / near)
        return cls(found, prior, lengths, weights, mask_id)

    @functools.cached_property
    def _shortest(self) -> Ids:
        return np.array([item.shortest for item in self.templates])

    @functools.cached_property
    def _usual(self) -> Ids:
        return np.array([item.usual for item in self.templates])

    def choose(self, u: Floats) -> Draft:
        """Choose a row by uniforms with shape (longest + 2,)."""
        k = int(randomness.choose(self.weights, u[0]))
        length = int(self.lengths[k])
        weights = np.exp(-np.abs(self._usual - length) / NEAR)
        able = np.where(self._shortest <= length, weights, 0.0)
        template = self.templates[int(randomness.choose(able, u[1]))]
        tokens, owner = template.row(template.stretch(length, u[2:]), self.mask_id)
        return Draft(tokens, owner, template, int(self.prior[k]))
