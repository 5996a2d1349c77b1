"""Successive halving: rows of each rung, candidates kept, and the rate of finding the best."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from molgen.frontiers.halving import Rung, ladder, successive


def shape(rungs: Sequence[Rung]) -> list[tuple[int, int]]:
    return [(rung.candidates, rung.rows) for rung in rungs]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((24, 64, 1024), [(24, 64), (8, 192), (3, 1024)]),
        ((100, 64, 1024), [(100, 64), (34, 192), (12, 576), (4, 1024)]),
        ((81, 10, 40), [(81, 10), (27, 30), (9, 40), (3, 40)]),
        ((9, 64, 1024), [(9, 64), (3, 1024)]),
        ((4, 64, 48), [(4, 48)]),
        ((1, 64, 1024), [(1, 1024)]),
    ],
)
def test_rungs(arguments: tuple[int, int, int], expected: list[tuple[int, int]]) -> None:
    assert shape(ladder(*arguments)) == expected


@given(st.integers(1, 500), st.integers(1, 200), st.integers(1, 2000))
def test_every_ladder_ends_with_a_few_on_all_rows(candidates: int, start: int, rows: int) -> None:
    rungs = ladder(candidates, start, rows)
    assert [rung.number for rung in rungs] == list(range(1, len(rungs) + 1))
    assert [rung.final for rung in rungs] == [False] * (len(rungs) - 1) + [True]
    counts, sizes = zip(*shape(rungs), strict=True)
    assert (counts[0], sizes[-1]) == (candidates, rows)
    assert list(counts) == sorted(counts, reverse=True)
    assert list(sizes) == sorted(sizes)
    assert counts[-1] <= 6


@pytest.mark.parametrize("arguments", [(0, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_ladders_that_are_refused(arguments: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="is 0, expected at least 1"):
        ladder(*arguments)


def test_the_best_are_kept_and_the_others_ranked_behind() -> None:
    calls: list[tuple[int, list[int]]] = []

    def scores(chosen: Sequence[int], rung: Rung) -> list[float]:
        calls.append((rung.rows, list(chosen)))
        return [-abs(candidate - 5) for candidate in chosen]  # 5 is best, then 4 before 6

    order = successive(range(10), [Rung(1, 10, 1, False), Rung(2, 4, 3, True)], scores)
    assert calls == [(1, list(range(10))), (3, [3, 4, 5, 6])]
    assert order == [5, 4, 6, 3, 7, 2, 8, 1, 9, 0]


def test_a_later_rung_overrides_an_earlier_one() -> None:
    score = {1: dict(enumerate([9, 8, 7, 0])), 2: dict(enumerate([1, 2, 3]))}
    rungs = [Rung(1, 4, 1, False), Rung(2, 3, 3, True)]
    order = successive(
        range(4), rungs, lambda chosen, rung: [score[rung.number][c] for c in chosen]
    )
    assert order == [2, 1, 0, 3]


def test_candidates_kept_in_every_rung_are_added_to_the_others() -> None:
    seen: list[list[str]] = []

    def scores(chosen: Sequence[str], rung: Rung) -> list[float]:
        seen.append(list(chosen))
        return [{"own": 0.0}.get(name, ord(name[0])) for name in chosen]

    rungs = [Rung(1, 6, 1, False), Rung(2, 2, 3, False), Rung(3, 1, 9, True)]
    order = successive(["own", "a", "b", "c", "d", "e"], rungs, scores, always=1)
    assert seen[1:] == [["own", "d", "e"], ["own", "e"]]
    assert order == ["e", "own", "d", "c", "b", "a"]


def test_of_equal_scores_the_earlier_candidate_wins() -> None:
    rungs = ladder(9, 1, 9)
    assert successive("abcdefghi", rungs, lambda chosen, _: [0.0] * len(chosen))[:3] == list("abc")


def test_it_finds_the_best_more_often_than_equal_shares_of_the_same_rows() -> None:
    """27 candidates, with noise that falls with the square root of the rows."""
    rungs = ladder(27, 30, 400)
    score = np.linspace(0, 1, 27)
    rows = sum(rung.candidates * rung.rows for rung in rungs)
    rng = np.random.default_rng(0)

    def scores(chosen: Sequence[int], rung: Rung) -> list[float]:
        return list(score[list(chosen)] + rng.normal(0, rung.rows**-0.5, len(chosen)))

    runs = 400
    halved = np.mean([score[successive(range(27), rungs, scores)[0]] for _ in range(runs)])
    noise = rng.normal(0, (rows / 27) ** -0.5, (runs, 27))
    equal = np.mean(score[(score + noise).argmax(1)])
    # Means over 400 runs with a spread of about 0.03 each: the error of a mean is about 0.0015.
    assert 1 - halved < 0.6 * (1 - equal)
