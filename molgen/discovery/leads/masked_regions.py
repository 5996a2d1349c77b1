"""Openings of a molecule: a part of it that is redrawn, and how many tokens take its place.

What a part may become is as much a choice as the part is: a lead that is too large gets better by
losing tokens. Of the lengths that are thought of, every other one is such as molecules have that
fit what is asked for, and the rest are any that the row has room for.
"""

from __future__ import annotations

import numpy as np
from rdkit import Chem

from molgen.checkpoints.checkpoint import Checkpoint
from molgen.constraints.open_parts import OpenPart, drawn, near
from molgen.constraints.parts import ATTEMPTS, parts
from molgen.constraints.scaffolds import Task
from molgen.constraints.template import Template, cut
from molgen.discovery.leads.lead import Lead
from molgen.utils.arrays import Floats, Ids
from molgen.utils.randomness import Use, used


def masked_regions(
    model: Checkpoint,
    lengths: Ids,
    lead: Lead,
    smiles: str,
    mol: Chem.Mol,
    least: float,
    count: int,
    seed: int,
    number: int,
) -> list[OpenPart]:
    """Return openings of a molecule.

    Args:
        model: that will draw them.
        lengths: of molecules that fit what is asked for, shape (any,).
        lead: what stays similar, and says which atoms may change.
        smiles: where the lead has got to, canonical.
        mol: likewise, its atoms in any order.
        least: similarity to the lead to be expected of each part.
        count: lengths that are thought of for each part.
        seed: of the draw.
        number: of the try, likewise.

    Returns:
        Of each part one for every distinct length; none where nothing may change.
    """

    def uniform(use: Use, rows: int, columns: int) -> Floats:
        index = lead.index, number, np.arange(rows)[:, None], np.arange(columns)
        return used(seed, use, *index)

    u = uniform(Use.LEAD_REGION, ATTEMPTS, mol.GetNumAtoms() + 2)
    found = parts(mol, lead.free(mol), lead.bits, least, u)
    longest, tokens = model.denoiser.max_length, model.tokenizer.encode(smiles)
    u = uniform(Use.LEAD_SIZE, len(found) * count, longest + 2).reshape(len(found), count, -1)
    several = []
    for part, own in zip(found, u, strict=True):
        template = cut(mol, part.atoms, model.tokenizer, Task.LEAD)
        sizes = _sizes(template, lengths, longest, own)
        several += [OpenPart(part, template, tokens, each) for each in sizes]
    return several


def _sizes(template: Template, lengths: Ids, longest: int, u: Floats) -> list[tuple[int, ...]]:
    """Return the tokens of each span, once for every length; u: (lengths, longest + 2)."""
    low, high = template.shortest, near(template, longest)[1]
    found: dict[int, tuple[int, ...]] = {}
    for i, own in enumerate(u):
        length = low + int(own[0] * (high - low + 1))
        if i % 2 == 0:
            length = drawn(lengths, (low, high), own[0])[1]
        found.setdefault(length, tuple(template.stretch(length, own[1:])))
    return list(found.values())
