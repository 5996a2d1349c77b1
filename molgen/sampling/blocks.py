"""Blocks: sequence expansion from token by token to all at once, as a setting of one sampler.

    [C C ( = O ) | _ _ _ _ _ _ | _ _ _ _]     tokens are placed in the leftmost open block alone

Every block runs a plan of its own, or the unmasking order, from all of its tokens masked to all
placed; then it is closed and the next one is opened. Blocks to the right stay masked, and the
network has them as input: the length is drawn first, and such a state occurs in training, if
rarely. A block of one token is token by token; a block of the longest row is all at once, and the
draws are then those without blocks.

Two numbers thus span a plane: tokens of a block, and steps of its plan. In one step a block is
drawn at once from the product of its marginals; further steps, and remasking, refine it. One step
for blocks of one token is the order of an autoregressive network.

References: Arriola et al., "Block Diffusion" (2025), whose networks are trained for their blocks.
"""

from __future__ import annotations

import numpy as np

from molgen.utils.arrays import Floats, Ids, Mask


def count_blocks(lengths: Ids, size: int | None) -> Ids:
    """Return the number of blocks of rows, with the shape of their lengths."""
    return np.ones_like(lengths) if size is None else -(-lengths // size)


def in_block(block: Ids, width: int, size: int | None) -> Mask:
    """Return the positions of blocks.

    Args:
        block: indices of blocks, of any shape.
        width: positions of a row.
        size: tokens of a block; None for one block.

    Returns:
        Whether each position is in the block, with the shape of ``block`` and a last axis of
        ``width``.
    """
    if size is None:
        return np.ones((*block.shape, width), dtype=bool)
    return np.asarray(np.arange(width) // size == block[..., None])


def placed_fraction(alpha: Floats, block: Ids, lengths: Ids, size: int | None) -> Floats:
    """Return the fraction of tokens kept of whole rows.

    Args:
        alpha: fraction kept of the block, shape (rows,).
        block: of each row, same shape.
        lengths: of the rows, same shape.
        size: tokens of a block; None for one block.
    """
    if size is None:
        return alpha
    before = block * size
    return np.asarray((before + alpha * np.minimum(size, lengths - before)) / lengths)
