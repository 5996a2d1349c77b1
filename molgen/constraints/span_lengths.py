"""Lengths of rows under a constraint, and of their open spans.

Lengths are those of the model's prior; if few of them fit the constraint, lengths of completions
with common groups are added. The length of a linker follows from the length of the row.
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

LEAST_PRIOR_ROWS = 32  # with fewer fitting rows of the prior, lengths of completions are added
LEAD_CHANGE = 2  # a lead's length may change by this many tokens
NEAR = 2.0  # scale of the difference between a template's usual length and the row's, in tokens
NEAR_IN_RING = 0.7  # the same for a lead with an open ring: ring sizes vary little


@dataclass(frozen=True, eq=False)
class LengthPool:
    """Templates and lengths for rows under one constraint.

    Attributes:
        templates: of the constraint.
        prior: indices of rows of the prior.
        lengths: of the row drawn for each of them.
        weights: sampling weight of each of them.
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
        if lead:  # the free atoms are replaced by a similar number
            change = max(LEAD_CHANGE, sum(span.usual for span in found[0].spans) // 2)
            low, high = max(low, found[0].usual - change), min(high, found[0].usual + change)
        prior = np.flatnonzero((prior_draw.lengths >= low) & (prior_draw.lengths <= high))
        lengths = prior_draw.lengths[prior]
        if len(prior) < LEAST_PRIOR_ROWS:  # with the conditions of the longest rows
            whole = np.array([item.usual for item in found]).clip(low, high)
            lengths = np.concatenate([lengths, np.arange(low, high + 1) if lead else whole])
            longest = np.argsort(-prior_draw.lengths, kind="stable")[:LEAST_PRIOR_ROWS]
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
        """Sample a row with uniforms of shape (longest + 2,)."""
        k = int(randomness.choose(self.weights, u[0]))
        length = int(self.lengths[k])
        weights = np.exp(-np.abs(self._usual - length) / NEAR)
        able = np.where(self._shortest <= length, weights, 0.0)
        template = self.templates[int(randomness.choose(able, u[1]))]
        tokens, owner = template.row(template.stretch(length, u[2:]), self.mask_id)
        return Draft(tokens, owner, template, int(self.prior[k]))
