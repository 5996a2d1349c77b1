"""Successive halving, in thirds: many candidates on few rows, the best on three times as many.

    candidates  K  ->  K / 3  ->  K / 9  ->  ...  ->  about 3
    rows        n  ->  3 n    ->  9 n    ->  ...  ->  all rows, and all seeds

So every rung costs about the same, and most rows are drawn where scores are close. The best
candidate may be eliminated early by chance: the price of not drawing all rows of all candidates.

References: Jamieson and Talwalkar, "Non-stochastic best arm identification and hyperparameter
optimization" (2016); thirds instead of halves as in Li et al., "Hyperband: a novel bandit-based
approach to hyperparameter optimization" (2018).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from molgen.errors import MolgenError

SHARE = 3  # one in three is kept, with three times the rows
FINALISTS = 3  # about this many are compared on all rows

T = TypeVar("T")


@dataclass(frozen=True)
class Rung:
    """One comparison.

    Attributes:
        number: from 1.
        candidates: number of them, without those kept in every rung.
        rows: drawn for each.
        final: whether it is the last one.
    """

    number: int
    candidates: int
    rows: int
    final: bool


def ladder(candidates: int, start: int, rows: int) -> list[Rung]:
    """Return the rungs from the first to the last.

    Args:
        candidates: at the beginning.
        start: rows of each at the first rung, unless that is the last.
        rows: of each at the last rung, the most of any rung.

    Raises:
        MolgenError: if one of them is less than 1.
    """
    for name, value in (("candidates", candidates), ("start", start), ("rows", rows)):
        if value < 1:
            raise MolgenError(f"{name} is {value}, expected at least 1")
    levels = max(0, round(math.log(candidates / FINALISTS, SHARE)))
    found = []
    for level in range(levels + 1):
        final = level == levels
        count = math.ceil(candidates / SHARE**level)
        found.append(
            Rung(level + 1, count, rows if final else min(start * SHARE**level, rows), final)
        )
    return found


def successive(
    candidates: Sequence[T],
    rungs: Sequence[Rung],
    scores: Callable[[Sequence[T], Rung], Sequence[float]],
    always: int = 0,
) -> list[T]:
    """Return all candidates, the best one first.

    Those of the last rung come first, by their scores there, then those eliminated one rung before,
    and so on. Ties go to the earlier candidate.

    Args:
        candidates: in any order.
        rungs: of :func:`ladder`.
        scores: returns the score of each candidate of a rung; more is better.
        always: number of first candidates that are kept in every rung, whatever their score.
    """
    kept = list(range(len(candidates)))
    eliminated: list[int] = []
    for rung in rungs:
        if len(kept) > rung.candidates:  # ranked by the rung before
            best = kept[: rung.candidates]
            best += [i for i in kept[rung.candidates :] if i < always]
            eliminated = [i for i in kept if i not in best] + eliminated
            kept = sorted(best)
        found = scores([candidates[i] for i in kept], rung)
        kept = [i for _, i in sorted(zip(found, kept, strict=True), key=lambda pair: -pair[0])]
    return [candidates[i] for i in kept + eliminated]
