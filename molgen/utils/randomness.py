"""Counter-based random numbers: functions of seed, use and coordinates, not of a generator's state.

``uniform(seed, molecule, step, position)`` is a hash, so molecule 17 of seed 3 has the same random
numbers in any batch, in any order of rows and on any device. The mixer is the finaliser of
SplitMix64 (Steele et al., "Fast Splittable Pseudorandom Number Generators", 2014), applied once per
coordinate.
"""

from __future__ import annotations

from enum import IntEnum, auto

import numpy as np
from numpy.typing import ArrayLike, NDArray

_GOLDEN = 0x9E3779B97F4A7C15
_FIRST, _SECOND = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_MANTISSA = 2.0**-53

# One stream per use, so that no two uses share a number.
STEP, LENGTH, TARGET, SHUFFLE = range(4)

SEGMENT = 2**32
"""Number of sample indices reserved for each round of a search, and for each lead."""


class Use(IntEnum):
    """Uses of random numbers beyond the four streams.

    A use is the first coordinate of the stream ``SHUFFLE``, from 2 ** 62 on: no row has such a
    sample index. Members are added at the end, so that the numbers of a use never change.
    """

    @staticmethod
    def _generate_next_value_(name: str, start: int, count: int, last: list[int]) -> int:
        return 2**62 + count

    COMPLETION = auto()
    MOVE_PART = auto()
    MOVE_POSITION = auto()
    MOVE_LENGTH = auto()
    MOVE_PLACE = auto()
    MOVE_KIND = auto()
    MOVE_FRAGMENT = auto()
    MOVE_SPAN = auto()
    ACCEPT = auto()
    PARTICLE_POSITION = auto()
    PARTICLE_OUTLOOK = auto()
    RESAMPLE = auto()
    LEAD_REGION = auto()
    LEAD_SIZE = auto()
    LEAD_CHOICE = auto()
    LEAD_SPAN = auto()
    TUNE = auto()
    LEAD_DONOR = auto()
    REDRAW = auto()


def _mix(h: NDArray[np.uint64]) -> NDArray[np.uint64]:
    h = (h ^ (h >> np.uint64(30))) * np.uint64(_FIRST)
    h = (h ^ (h >> np.uint64(27))) * np.uint64(_SECOND)
    return h ^ (h >> np.uint64(31))


def choose(weights: ArrayLike, u: ArrayLike) -> NDArray[np.int64]:
    """Return a random index for each uniform: ``i`` with probability ``w_i / sum(w)``.

    Args:
        weights: of the choices, none negative, shape (choices,).
        u: uniforms in [0, 1), of any shape.

    Returns:
        Indices with the shape of ``u``.
    """
    cdf = np.cumsum(weights)
    return np.searchsorted(cdf, np.asarray(u) * cdf[-1], side="right").clip(max=len(cdf) - 1)


def uniform(seed: int, stream: int, *coordinates: ArrayLike) -> NDArray[np.float64]:
    """Return uniforms in [0, 1) for the given coordinates.

    Args:
        seed: any integer; taken modulo 2 ** 62.
        stream: of the use.
        *coordinates: integer arrays that broadcast against each other, such as molecule, step and
            position.

    Returns:
        Doubles with the broadcast shape.
    """
    with np.errstate(over="ignore"):
        h = _mix(np.array([(seed * 4 + stream + 1) % 2**64], dtype=np.uint64) * np.uint64(_GOLDEN))
        for coordinate in coordinates:
            value = np.asarray(coordinate, dtype=np.uint64)
            h = _mix(h + (value + np.uint64(1)) * np.uint64(_GOLDEN))
    u = (h >> np.uint64(11)).astype(np.float64) * _MANTISSA
    return (
        u[0]
        if not coordinates
        else u.reshape(np.broadcast_shapes(*(np.shape(c) for c in coordinates)))
    )


def used(seed: int, use: Use, *coordinates: ArrayLike) -> NDArray[np.float64]:
    """Return uniforms in [0, 1) for a use; see :func:`uniform`."""
    return uniform(seed, SHUFFLE, use, *coordinates)


def rehashed(u: ArrayLike, attempt: int) -> NDArray[np.float64]:
    """Return further uniforms in [0, 1), a function of uniforms; 0 is one of the first draw."""
    return used(attempt, Use.REDRAW, (np.asarray(u) * 2.0**53).astype(np.uint64))


def normalised(weight: NDArray[np.float64], otherwise: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return distributions in proportion to weights.

    Args:
        weight: at least 0, shape (..., classes).
        otherwise: the distributions where all weights are 0, same shape.
    """
    total = weight.sum(-1, keepdims=True)
    return np.where(total > 0, weight / np.where(total > 0, total, 1.0), otherwise)


def inverse_cdf(p: NDArray[np.float64], quantile: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the category at each quantile.

    Args:
        p: probabilities with shape (rows, vocab), summing to one.
        quantile: numbers in [0, 1), shape (rows,).

    Returns:
        Ids with shape (rows,); never a category of probability zero.
    """
    cdf = np.cumsum(p, axis=1)
    index = (cdf <= quantile[:, None] * cdf[:, -1:]).sum(1)
    # the largest quantile times the sum may be rounded up to the sum
    last = p.shape[1] - 1 - (p[:, ::-1] > 0).argmax(1)
    return np.asarray(np.minimum(index, last), dtype=np.int64)


def fork(seed: int, round: int) -> int:
    """Return the seed of a round, distinct from those of other rounds and uses."""
    return int(uniform(seed, SHUFFLE, round) * 2**53)
