"""Moves of a search: mask part of a molecule, to be redrawn.

    masked              k = round(t L) tokens of a row of L, at least one, uniformly at random
    resized             one mask more, next to another, or one mask fewer
    masked_fragments    a fragment: one piece after cutting single bonds outside of rings, or
                        several adjacent pieces

Redrawing masked tokens one at a time is a blocked Gibbs step: with consistent conditionals it
leaves the network's own distribution invariant. Changes of length are not covered by that; they let
chains leave sets of molecules whose members are all in the training set.

The tokens of a fragment are masked, the length of the row is drawn from training molecules of
similar length, and the rest is clamped. Rows that are invalid, or cannot be cut, are left out.

Reference: Lee et al., "GenMol: A drug discovery generalist with discrete diffusion" (2025), which
calls this fragment remasking and puts 5 to 15 masks in the place of a fragment.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rdkit import Chem

from molgen.constraints.candidate_regions import Region, blocks, grow_region
from molgen.constraints.layout import Rows
from molgen.constraints.masked_regions import MaskedRegion, rows
from molgen.constraints.scaffolds import Task
from molgen.constraints.template import cut
from molgen.data.prior import PriorDraw
from molgen.data.tokenizer import padded, unwritable
from molgen.model import Model
from molgen.molecules.parsing import parse
from molgen.utils.arrays import Floats, Ids
from molgen.utils.randomness import Use, used


def masked(tokens: Ids, part: Floats, order: Floats, mask_id: int, pad_id: int) -> Ids:
    """Mask a share of each row.

    Args:
        tokens: ids with shape (rows, longest), padded.
        part: share of each row, in [0, 1], shape (rows,).
        order: uniforms with the shape of ``tokens``; the lowest of a row are masked.
        mask_id: id of the mask.
        pad_id: id of padding.

    Returns:
        Ids with the shape of ``tokens``.
    """
    real = tokens != pad_id
    lengths = real.sum(1)
    count = np.round(part * lengths).clip(1, lengths)
    rank = np.where(real, order, np.inf).argsort(1).argsort(1)
    return np.where(rank < count[:, None], mask_id, tokens)


def resized(
    tokens: Ids, change: Ids, place: Floats, longest: int, mask_id: int, pad_id: int
) -> Ids:
    """Insert or delete a mask.

    The last mask of a row is never deleted, and a row of full length gets no further one.

    Args:
        tokens: ids with shape (rows, longest of them), padded, at least one mask a row.
        change: 1 to insert, -1 to delete, 0 for neither, shape (rows,).
        place: uniforms that select one of the row's masks, shape (rows,).
        longest: highest number of tokens of a row.
        mask_id: id of the mask.
        pad_id: id of padding.

    Returns:
        Ids with shape (rows, longest), padded.
    """
    out = padded(tokens, pad_id, longest)
    for i in np.flatnonzero(change):
        row = tokens[i][tokens[i] != pad_id]
        masks = np.flatnonzero(row == mask_id)
        at = masks[int(place[i] * len(masks))]
        if change[i] > 0 and len(row) < longest:
            row = np.insert(row, at, mask_id)
        elif change[i] < 0 and len(masks) > 1:
            row = np.delete(row, at)
        out[i] = pad_id
        out[i, : len(row)] = row
    return out


def masked_fragments(
    model: Model,
    prior_draw: PriorDraw,
    smiles: Sequence[str],
    share: Floats,
    seed: int,
    numbers: Ids,
    longest: int,
) -> tuple[Ids, Rows]:
    """Return the indices of molecules that can be cut, and rows with a masked fragment of each.

    Args:
        model: a SMILES model.
        prior_draw: lengths and conditions from the prior.
        smiles: canonical, empty for invalid rows.
        share: least share of each molecule's atoms to mask, in [0, 1], shape (molecules,).
        seed: of the fragments and lengths.
        numbers: sample index of each row, shape (molecules,).
        longest: highest number of tokens of a row, at least that of the longest training molecule.
    """
    found, regions = [], []
    for i, text in enumerate(smiles):
        mol = parse(text) if text and not unwritable(text, model.tokenizer, longest) else None
        if mol is None:
            continue
        atoms = fragment(mol, share[i], seed, int(numbers[i]))
        if len(atoms) < mol.GetNumAtoms():
            template = cut(mol, atoms, model.tokenizer, Task.LEAD)
            found.append(i)
            regions.append(MaskedRegion(Region(atoms), template, model.tokenizer.encode(text)))
    index = np.array(found, dtype=np.int64)
    place = np.arange(model.denoiser.max_length + 1)
    u = used(seed, Use.MOVE_SPAN, numbers[index][:, None], place)
    return index, rows(model, prior_draw, regions, numbers[index], u)


def fragment(mol: Chem.Mol, share: float, seed: int, number: int) -> frozenset[int]:
    """Return the atoms of a fragment.

    Args:
        mol: a molecule of ``n`` atoms.
        share: least share of the atoms in the fragment; pieces are whole, so it may be all.
        seed: of the draw.
        number: sample index of the row.
    """
    u = used(seed, Use.MOVE_FRAGMENT, number, np.arange(mol.GetNumAtoms() + 1))
    units = blocks(mol, frozenset(range(mol.GetNumAtoms())))
    return grow_region(mol, units, max(1, round(share * mol.GetNumAtoms())), iter(u.tolist()))
