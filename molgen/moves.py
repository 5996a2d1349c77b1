"""Moves on clean rows: take a part off, and perhaps leave more or less room than there was.

    masked      k = round(t L) tokens of a row of L, at least one, uniformly at random
    resized     one mask more, beside another, or one mask fewer

A masked part that the network writes anew, token by token, is a blocked Gibbs step: where its
conditionals are consistent it leaves the network's own distribution as it is. Another length is
not covered by that, and is what it takes to leave a class of molecules that is known exhaustively.
"""

from __future__ import annotations

import numpy as np

from molgen.data.tokenizer import padded
from molgen.utils.arrays import Floats, Ids


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
