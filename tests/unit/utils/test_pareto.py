"""Fronts and hypervolumes against a reference library, by hand, and by their invariants."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from molgen.utils.arrays import Floats
from molgen.utils.pareto import hypervolume, nondominated

SETS = 1000


def random_set(rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Draw points with ties and NaN rows, and a reference that some of them are below."""
    objectives = int(rng.integers(2, 6))
    rows = int(rng.integers(1, 40 if objectives < 4 else 15))
    if rng.random() < 0.5:
        points = rng.integers(0, 6, (rows, objectives)).astype(float)  # ties in every objective
    else:
        points = rng.normal(2, 1.5, (rows, objectives))
        points = points[rng.integers(0, rows, rows)]  # repeated rows
    gaps = rng.random(rows) < 0.15
    points[gaps, rng.integers(0, objectives, int(gaps.sum()))] = np.nan
    return points, rng.uniform(-0.5, 1.5, objectives)


def test_agrees_with_moocore_on_a_thousand_sets() -> None:
    moocore = pytest.importorskip("moocore", reason="needs the extra 'dev'")
    rng = np.random.default_rng(0)
    positive = fronts = ties = 0
    for _ in range(SETS):
        points, reference = random_set(rng)
        known = ~np.isnan(points).any(axis=1)
        marks = nondominated(points)
        assert not marks[~known].any()
        if not known.any():
            assert hypervolume(points, reference) == 0
            continue
        clean = points[known]
        expected = moocore.is_nondominated(clean, maximise=True, keep_weakly=True)
        assert marks[known].tolist() == expected.tolist()
        volume = moocore.hypervolume(clean, ref=reference, maximise=True)
        assert hypervolume(points, reference) == pytest.approx(volume, rel=1e-12, abs=0)
        positive += volume > 0
        fronts += int(marks.sum())
        ties += len(np.unique(clean, axis=0)) < len(clean)
    assert min(positive, fronts - SETS, ties) > SETS / 3, "the sets are too easy"


def test_by_hand() -> None:
    points = np.array([[1, 3], [2, 2], [3, 1], [1, 1], [2, 2], [np.nan, 9], [3, 0.5]])
    assert nondominated(points).tolist() == [True, True, True, False, True, False, False]
    assert hypervolume(points, (0, 0)) == 6
    assert hypervolume(points, (1, 1)) == 1
    assert hypervolume(points, (3, 3)) == 0
    cube = [[1, 1, 2], [1, 2, 1], [2, 1, 1]]
    assert hypervolume(cube, (0, 0, 0)) == 4
    assert hypervolume([[2.0], [5.0]], (1.0,)) == 4


@pytest.mark.parametrize("objectives", [1, 2, 3])
def test_no_points(objectives: int) -> None:
    empty = np.empty((0, objectives))
    assert nondominated(empty).shape == (0,)
    assert hypervolume(empty, [0.0] * objectives) == 0
    assert hypervolume(np.full((3, objectives), np.nan), [0.0] * objectives) == 0


@pytest.mark.parametrize(
    ("points", "reference", "message"),
    [
        ([1.0, 2.0], (0, 0), r"points has shape \(2,\), expected"),
        ([[1.0, 2.0]], (0, 0, 0), r"reference has shape \(3,\), expected \(2,\)"),
        ([[1.0, 2.0]], (0, np.nan), r"reference is \[0.0, nan\], expected finite"),
        ([[1.0, np.inf]], (0, 0), "points has an infinite entry"),
    ],
)
def test_refused_arguments(points: list[float], reference: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        hypervolume(points, reference)


@st.composite
def small_sets(draw: st.DrawFn, objectives: int | None = None) -> Floats:
    width = objectives or draw(st.integers(1, 4))
    number = st.integers(-2, 6).map(float) | st.just(float("nan"))
    return np.array(draw(st.lists(st.tuples(*[number] * width), min_size=1, max_size=8)))


def by_definition(points: Floats) -> list[bool]:
    def dominates(a: Floats, b: Floats) -> bool:
        return bool((a >= b).all() and (a > b).any())

    return [
        not np.isnan(p).any() and not any(dominates(q, p) for q in points if not np.isnan(q).any())
        for p in points
    ]


def counted_cells(points: Floats) -> int:
    """Return the hypervolume of whole numbers from zero, as the number of unit cells covered."""
    known = points[~np.isnan(points).any(axis=1)]
    cells = itertools.product(range(6), repeat=points.shape[1])
    return sum(any((p >= np.array(cell) + 1).all() for p in known) for cell in cells)


@given(small_sets())
def test_by_definition(points: Floats) -> None:
    assert nondominated(points).tolist() == by_definition(points)
    assert hypervolume(points, [0.0] * points.shape[1]) == counted_cells(points)


@given(small_sets(), st.integers(0, 2**32 - 1))
def test_order_does_not_matter(points: Floats, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(points))
    zero = [0.0] * points.shape[1]
    assert nondominated(points[order]).tolist() == nondominated(points)[order].tolist()
    assert hypervolume(points[order], zero) == hypervolume(points, zero)
    turned = points[:, ::-1]  # nor does the order of objectives
    assert hypervolume(turned, zero) == pytest.approx(hypervolume(points, zero), rel=1e-12)


@given(small_sets(objectives=3), small_sets(objectives=3))
def test_more_points_never_lower_it_and_dominated_ones_add_nothing(a: Floats, b: Floats) -> None:
    zero = [0.0] * 3
    both = np.concatenate([a, b])
    parts = hypervolume(a, zero), hypervolume(b, zero)
    assert max(parts) <= hypervolume(both, zero) <= sum(parts)
    assert hypervolume(both[nondominated(both)], zero) == hypervolume(both, zero)


@given(small_sets(), st.integers(-3, 0), st.integers(1, 3))
def test_a_lower_reference_and_better_points_raise_it(points: Floats, low: int, up: int) -> None:
    zero = np.zeros(points.shape[1])
    volume = hypervolume(points, zero)
    assert hypervolume(points, zero + low) >= volume
    assert hypervolume(points + up, zero) >= volume
    assert hypervolume(points + up, zero + up) == pytest.approx(volume, rel=1e-12)
