"""Non-dominated points and the volume they dominate, for the comparison of frontiers.

    a dominates b   iff  a_i >= b_i for every objective i, and a_i > b_i for one of them
    hypervolume(S)  =    volume of the union over p in S of the box from the reference r up to p

Every objective is maximised; rows with a NaN (the mean of no novel molecules) are dropped first.
The volume is exact. For two objectives it is a sum of strips; for more, the space is cut into slabs
at the points' last coordinates, and the volume of a slab is its thickness times the hypervolume, in
one dimension fewer, of the points above it: all terms are positive, so there is no cancellation.

References: Zitzler and Thiele, "Multiobjective optimization using evolutionary algorithms: a
comparative case study" (1998) for the measure; While et al., "A faster algorithm for calculating
hypervolume" (2006) for slicing; Deb et al., "A fast and elitist multiobjective genetic algorithm:
NSGA-II" (2002) for ranks with crowding distance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from molgen.errors import MolgenError
from molgen.utils.arrays import Floats

Marks = NDArray[np.bool_]


def nondominated(points: ArrayLike) -> Marks:
    """Mark the points that no other point dominates.

    Equal points do not dominate each other, so either all of them are marked or none.

    Args:
        points: objectives to maximise, with shape (points, objectives).

    Returns:
        With shape (points,); False where a row has a NaN.

    Raises:
        MolgenError: if the points are no table of numbers.
    """
    table = _table(points)
    marks = np.asarray(~np.isnan(table).any(axis=1), dtype=bool)
    order = np.flatnonzero(marks)
    # Sorted by the first objective, ties by the next ones: no point is dominated by a later one.
    order = order[np.lexsort(-table[order].T[::-1])]
    if table.shape[1] == 2:
        marks[order] = _sweep_marks(table[order])
    else:
        marks[order] = _filter_marks(table[order])
    return marks


def hypervolume(points: ArrayLike, reference: Sequence[float] | Floats) -> float:
    """Return the volume that the points dominate above a reference point.

    Args:
        points: objectives to maximise, with shape (points, objectives). Rows with a NaN are left
            out; a point not above the reference in every objective contributes zero.
        reference: with shape (objectives,).

    Returns:
        In the product of the objectives' units; 0 if no point lies above the reference.

    Raises:
        MolgenError: if shapes differ, or the reference or a point above it is infinite.
    """
    table = _table(points)
    corner = np.asarray(reference, dtype=np.float64)
    if corner.shape != table.shape[1:]:
        raise MolgenError(
            f"reference has shape {corner.shape}, expected {table.shape[1:]}: one number for each "
            "objective of the points"
        )
    if not np.isfinite(corner).all():
        raise MolgenError(f"reference is {corner.tolist()}, expected finite numbers")
    above = table[(table > corner).all(axis=1)] - corner  # comparisons with NaN are false
    if np.isinf(above).any():
        raise MolgenError("points has an infinite entry, expected finite numbers or NaN")
    return _volume(above)


def _table(points: ArrayLike) -> Floats:
    table = np.asarray(points, dtype=np.float64)
    if table.ndim != 2 or not table.shape[1]:
        raise MolgenError(f"points has shape {table.shape}, expected (points, objectives)")
    return table


def _sweep_marks(ordered: Floats) -> Marks:
    """Mark the front of points with two objectives, ordered by the first and then the second."""
    if not len(ordered):
        return np.zeros(0, dtype=bool)
    best = np.maximum.accumulate(ordered[:, 1])
    before = np.concatenate([[-np.inf], best[:-1]])
    # A point is on the front if it exceeds all before it, or equals such a point.
    repeats = np.zeros(len(ordered), dtype=bool)
    repeats[1:] = (ordered[1:] == ordered[:-1]).all(axis=1)
    first = np.flatnonzero(~repeats)
    exceeds = (ordered[:, 1] > before) | (np.arange(len(ordered)) == 0)
    return np.repeat(exceeds[first], np.diff(np.append(first, len(ordered))))


def _filter_marks(ordered: Floats) -> Marks:
    """Mark the front of points with any number of objectives, ordered as in :func:`nondominated`.

    A dominating point comes before the points it dominates, and if it is dominated itself, then by
    one on the front: a comparison with the front so far is enough.
    """
    marks = np.zeros(len(ordered), dtype=bool)
    for i, point in enumerate(ordered):
        front = ordered[:i][marks[:i]]
        dominates = (front >= point).all(axis=1) & (front > point).any(axis=1)
        marks[i] = not dominates.any()
    return marks


def _volume(points: Floats) -> float:
    """Return the hypervolume of positive points, with shape (points, objectives), from zero."""
    if not len(points):
        return 0.0
    if points.shape[1] == 1:
        return float(points.max())
    if points.shape[1] == 2:
        return _area(points)
    points = points[np.argsort(-points[:, -1], kind="stable")]
    floors = np.append(points[1:, -1], 0.0)
    total = 0.0
    for i, thickness in enumerate(points[:, -1] - floors):
        if thickness > 0:  # points of equal coordinate belong to the same slab
            slab = points[: i + 1, :-1]
            total += float(thickness) * _volume(slab[nondominated(slab)])
    return total


def _area(points: Floats) -> float:
    """Return the area under the staircase of positive points, from the widest to the tallest."""
    ordered = points[np.lexsort((-points[:, 1], -points[:, 0]))]
    heights = np.maximum.accumulate(ordered[:, 1])
    widths = ordered[:, 0] - np.append(ordered[1:, 0], 0.0)
    return float(np.sum(widths * heights))


@dataclass(frozen=True)
class ParetoRank:
    """Minus the non-dominated rank, from 0, plus up to a half for the crowding distance.

    Scores are comparable only among molecules scored together.
    """

    def __call__(self, gains: Floats, best: int | None = None) -> Floats:
        """Return ``-rank + d / (2 + 2 d)`` with crowding distance ``d``; see :class:`Score`."""
        scores = np.full(len(gains), -np.inf)
        left = np.flatnonzero(~np.isnan(gains).any(1))
        unwanted = 0 if best is None else max(0, len(left) - best)
        rank = 0
        while len(left) > unwanted:
            front = nondominated(gains[left])
            distance = crowding(gains[left[front]])
            scores[left[front]] = (1.0 - 1.0 / (1.0 + distance)) / 2 - rank
            left, rank = left[~front], rank + 1
        return scores


def crowding(front: Floats) -> Floats:
    """Return the crowding distance of the points of one front.

    It is the sum over objectives of the gap between a point's two neighbours, over the front's
    extent; infinite at its ends, and zero for a point between two equal ones.

    Args:
        front: gains with shape (points, objectives).

    Returns:
        With shape (points,).
    """
    distance = np.zeros(len(front))
    for column in front.T:
        order = np.argsort(column, kind="stable")
        ordered = column[order]
        extent = ordered[-1] - ordered[0]
        distance[order[[0, -1]]] = np.inf
        if extent > 0:
            distance[order[1:-1]] += (ordered[2:] - ordered[:-2]) / extent
    return distance
