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

from molgen.lead_parts import Part
from molgen.model import Model, Request
from molgen.rows import Floats, Given, Ids
from molgen.spans import SpanRules
from molgen.template import Template

LEAST_CHANGE = 3  # tokens by which a length may change at least: c may become c(F), and back


@dataclass(frozen=True, eq=False)
class OpenPart:
    """A part, and the molecule spelled around it."""

    part: Part
    template: Template
    tokens: list[int]
    """Of the molecule as it is."""

    @property
    def masked(self) -> NDArray[np.bool_]:
        """The tokens that are open, shape (tokens,)."""
        sizes = [span.usual for span in self.template.spans]
        return np.array(self.template.row(sizes, 0)[1]) >= 0


@dataclass(frozen=True)
class Rows:
    """What a sampler is given.

    Attributes:
        lengths: tokens of each row, shape (rows,).
        condition: property values with shape (rows, properties), or None.
        given: molecules with masks in their parts.
        rules: what the masks may become.
    """

    lengths: Ids
    condition: NDArray[np.float32] | None
    given: Given
    rules: SpanRules


def rows(
    model: Model, request: Request, parts: Sequence[OpenPart], numbers: Ids, u: Floats
) -> Rows:
    """Return rows in which parts are to be redrawn.

    Args:
        model: that will draw them.
        request: lengths and conditions to choose from.
        parts: one for each row.
        numbers: which row of the endless table each is, shape (rows,).
        u: uniforms with shape (rows, longest + 1).
    """
    vocab, pad_id, mask_id = model.tokenizer.vocab, model.denoiser.pad_id, model.denoiser.mask_id
    prior, drawn = [], []
    for item, own in zip(parts, u, strict=True):
        k, length = _length(item.template, request.lengths, model.denoiser.max_length, own)
        prior.append(k)
        drawn.append(item.template.row(item.template.stretch(length, own[1:]), mask_id))
    lengths = np.array([len(tokens) for tokens, _ in drawn], dtype=np.int64)
    shape = len(drawn), int(lengths.max(initial=0))
    tokens, span = np.full(shape, pad_id, dtype=np.int64), np.full(shape, -1, dtype=np.int64)
    barred = np.zeros((*shape, len(vocab)), dtype=bool)
    for i, (ids, owner) in enumerate(drawn):
        tokens[i, : lengths[i]], span[i, : lengths[i]] = ids, owner
        for k, rule in enumerate(parts[i].template.spans):
            barred[i, np.flatnonzero(span[i] == k)[:, None], list(rule.labels)] = True
        at = np.flatnonzero(span[i] >= 0)
        if len(at) == 1 and lengths[i] == len(parts[i].tokens):
            barred[i, at[0], parts[i].tokens[at[0]]] = True
    given = Given(tokens, fixed=(span < 0) & (tokens != pad_id), rows=numbers)
    condition = None if request.condition is None else request.condition[prior]
    return Rows(lengths, condition, given, SpanRules(span, barred, vocab))


def _length(template: Template, lengths: Ids, longest: int, u: Floats) -> tuple[int, int]:
    """Draw a row of the prior, and a length near that of the molecule."""
    change = max(LEAST_CHANGE, sum(span.usual for span in template.spans) // 2)
    low = max(template.shortest, template.usual - change)
    high = min(longest, template.usual + change)
    gap = np.maximum(np.maximum(low - lengths, lengths - high), 0)
    able = np.flatnonzero(gap == gap.min())
    k = int(able[int(u[0] * len(able))])
    return k, int(np.clip(lengths[k], low, high))
