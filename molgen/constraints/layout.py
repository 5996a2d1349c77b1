"""Rows with open spans as input of a sampler: tokens, fixed positions, barred tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from molgen.checkpoints.checkpoint import Checkpoint
from molgen.constraints.span_rules import SpanRules
from molgen.constraints.template import Template
from molgen.data.prior import PriorDraw
from molgen.sampling.sampler import Given, Job
from molgen.utils.arrays import Ids, Mask


@dataclass(frozen=True)
class Draft:
    """One row: its tokens, the span of each, its template, and its row of the prior."""

    tokens: list[int]
    owner: list[int]
    template: Template
    prior: int


@dataclass(frozen=True)
class Rows:
    """Input of a sampler.

    Attributes:
        lengths: tokens of each row, shape (rows,).
        condition: property values with shape (rows, properties), or None; as in ``PriorDraw``.
        index: sample index of each row, shape (rows,).
        given: templates with masks in their spans.
        rules: on the tokens of the spans.
    """

    lengths: Ids
    condition: NDArray[np.float32] | None
    index: Ids
    given: Given
    rules: SpanRules

    def job(self, seed: int) -> Job:
        """Return the job of a sampler."""
        return Job(self.lengths, self.condition, seed, rows=self.index, given=self.given)


def laid_out(
    drafts: Sequence[Draft],
    model: Checkpoint,
    prior_draw: PriorDraw,
    bar: Callable[[int, Ids, Mask], None],
    index: Ids,
) -> Rows:
    """Return drafts as arrays for a sampler.

    Args:
        drafts: one for each row.
        model: draws the masked tokens.
        prior_draw: source of the conditions.
        bar: bars tokens in addition to a span's labels: called with the index of a row, the span
            of each of its positions, shape (longest,), and the barred tokens there, shape
            (longest, vocab), to be changed in place.
        index: sample index of each row, shape (rows,).
    """
    vocab, pad_id = model.tokenizer.vocab, model.denoiser.pad_id
    lengths = np.array([len(draft.tokens) for draft in drafts], dtype=np.int64)
    shape = len(drafts), int(lengths.max(initial=0))
    tokens, span = np.full(shape, pad_id, dtype=np.int64), np.full(shape, -1, dtype=np.int64)
    barred = np.zeros((*shape, len(vocab)), dtype=bool)
    for i, draft in enumerate(drafts):
        tokens[i, : lengths[i]], span[i, : lengths[i]] = draft.tokens, draft.owner
        for k, rule in enumerate(draft.template.spans):
            barred[i, np.flatnonzero(span[i] == k)[:, None], list(rule.labels)] = True
        bar(i, span[i], barred[i])
    condition = prior_draw.condition
    if condition is not None:
        condition = condition[[draft.prior for draft in drafts]]
    given = Given(tokens, fixed=(span < 0) & (tokens != pad_id))
    return Rows(lengths, condition, index, given, SpanRules(index, span, barred, vocab))
