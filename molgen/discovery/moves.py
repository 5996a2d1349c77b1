"""Moves of a search: take a part of a molecule off, and leave masks for another one.

    masked      k = round(t L) tokens of a row of L, at least one, uniformly at random
    resized     one mask more, beside another, or one mask fewer
    opened      a fragment: what hangs together when single bonds outside of rings are cut, or
                several such pieces side by side

A masked part that the network writes anew, token by token, is a blocked Gibbs step: where its
conditionals are consistent it leaves the network's own distribution as it is. Another length is
not covered by that, and is what it takes to leave a class of molecules that is known exhaustively.

The tokens of a fragment are masked, the length of the row is drawn from training molecules near it,
and the rest is clamped while the network fills the gap. Rows that are no molecule, or that cannot
be cut, are not opened.

Reference: Lee et al., "GenMol: A drug discovery generalist with discrete diffusion" (2025), which
calls this fragment remasking and puts 5 to 15 masks in the place of a fragment.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rdkit import Chem

from molgen.constraints.layout import Rows
from molgen.constraints.open_parts import OpenPart, rows
from molgen.constraints.parts import Part, blocks, grown
from molgen.constraints.scaffolds import Task
from molgen.constraints.template import cut
from molgen.data.prior import PriorDraw
from molgen.data.tokenizer import padded, unwritable
from molgen.model import Model
from molgen.molecules.parsing import parse
from molgen.utils.arrays import Floats, Ids
from molgen.utils.randomness import Use, used


def masked(tokens: Ids, part: Floats, order: Floats, mask_id: int, pad_id: int) -> Ids:
    """Mask a part of each row.

    Args:
        tokens: ids with shape (rows, longest), padded.
        part: the part of each row, in [0, 1], shape (rows,).
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
    """Put in or take out a mask.

    The last mask of a row stays, and a row of full length gets no further one.

    Args:
        tokens: ids with shape (rows, longest of them), padded, at least one mask a row.
        change: 1 to put one in, -1 to take one out, 0 for neither, shape (rows,).
        place: uniforms that say beside or at which of the row's masks, shape (rows,).
        longest: tokens that a row may have.
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


def opened(
    model: Model,
    prior_draw: PriorDraw,
    smiles: Sequence[str],
    share: Floats,
    seed: int,
    numbers: Ids,
    longest: int,
) -> tuple[Ids, Rows]:
    """Return which molecules could be opened, and rows in which a fragment of each is masked.

    Args:
        model: that will draw the rows; it writes SMILES.
        prior_draw: lengths and conditions to choose from.
        smiles: canonical, empty where a row is no molecule.
        share: the part of each molecule's atoms that goes at least, in [0, 1], shape (molecules,).
        seed: of the fragments and lengths.
        numbers: which row of the endless table each is, shape (molecules,).
        longest: most tokens of a row, at least those of the longest training molecule.
    """
    found, parts = [], []
    for i, text in enumerate(smiles):
        mol = parse(text) if text and not unwritable(text, model.tokenizer, longest) else None
        if mol is None:
            continue
        atoms = fragment(mol, share[i], seed, int(numbers[i]))
        if len(atoms) < mol.GetNumAtoms():
            template = cut(mol, atoms, model.tokenizer, Task.LEAD)
            found.append(i)
            parts.append(OpenPart(Part(atoms), template, model.tokenizer.encode(text)))
    index = np.array(found, dtype=np.int64)
    place = np.arange(model.denoiser.max_length + 1)
    u = used(seed, Use.MOVE_SPAN, numbers[index][:, None], place)
    return index, rows(model, prior_draw, parts, numbers[index], u)


def fragment(mol: Chem.Mol, share: float, seed: int, number: int) -> frozenset[int]:
    """Return the atoms of a fragment.

    Args:
        mol: a molecule of ``n`` atoms.
        share: the part of them that it holds at least; pieces are whole, so it may be all.
        seed: of the draw.
        number: of the row, likewise.
    """
    u = used(seed, Use.MOVE_FRAGMENT, number, np.arange(mol.GetNumAtoms() + 1))
    units = blocks(mol, frozenset(range(mol.GetNumAtoms())))
    return grown(mol, units, max(1, round(share * mol.GetNumAtoms())), iter(u.tolist()))
