"""Masked regions of a molecule: a region to redraw, and the number of masks in its place.

The number of masks matters as much as the region: a lead that is too large improves by losing
tokens. Every other candidate length is drawn from molecules that fit the targets, the rest
uniformly from the lengths that fit the row.
"""

from __future__ import annotations

import numpy as np

from molgen.checkpoints.checkpoint import Checkpoint
from molgen.constraints.candidate_regions import ATTEMPTS, candidate_regions
from molgen.constraints.masked_regions import MaskedRegion, draw_length, length_bounds
from molgen.constraints.scaffolds import Task
from molgen.constraints.template import Template, cut
from molgen.discovery.leads.lead import Lead
from molgen.discovery.leads.starts import Start
from molgen.utils.arrays import Floats, Ids
from molgen.utils.randomness import Use, used


def masked_regions(
    model: Checkpoint,
    lengths: Ids,
    lead: Lead,
    start: Start,
    least: float,
    count: int,
    seed: int,
    number: int,
) -> list[MaskedRegion]:
    """Return masked regions of a molecule.

    Args:
        model: draws the masked tokens.
        lengths: of molecules that fit the targets, shape (any,).
        lead: the reference of the similarity; defines which atoms may change.
        start: the molecule.
        least: lowest expected similarity to the lead of each region.
        count: candidate lengths for each region.
        seed: of the draw.
        number: of the attempt.

    Returns:
        One for every region and distinct length; none if no atom may change.
    """

    def uniform(use: Use, rows: int, columns: int) -> Floats:
        index = lead.index, number, np.arange(rows)[:, None], np.arange(columns)
        return used(seed, use, *index)

    mol, longest = start.mol, model.denoiser.max_length
    u = uniform(Use.LEAD_REGION, ATTEMPTS, mol.GetNumAtoms() + 2)
    found = candidate_regions(mol, lead.free(mol), lead.bits, least, u)
    tokens = model.tokenizer.encode(start.smiles)
    u = uniform(Use.LEAD_SIZE, len(found) * count, longest + 2).reshape(len(found), count, -1)
    several = []
    for region, own in zip(found, u, strict=True):
        template = cut(mol, region.atoms, model.tokenizer, Task.LEAD)
        sizes = _sizes(template, lengths, longest, own)
        several += [MaskedRegion(region, template, tokens, each) for each in sizes]
    return several


def _sizes(template: Template, lengths: Ids, longest: int, u: Floats) -> list[tuple[int, ...]]:
    """Return the token counts of the spans, once for each length; u: (lengths, longest + 2)."""
    low, high = template.shortest, length_bounds(template, longest)[1]
    found: dict[int, tuple[int, ...]] = {}
    for i, own in enumerate(u):
        length = low + int(own[0] * (high - low + 1))
        if i % 2 == 0:
            length = draw_length(lengths, (low, high), own[0])[1]
        found.setdefault(length, tuple(template.stretch(length, own[1:])))
    return list(found.values())
