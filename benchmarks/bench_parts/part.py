"""What a part of the benchmark is.

A part measures cases in turn and compares them with each other: a ratio of two cases of one run
hardly depends on the processor, and other load on the machine affects both. Times are processor
seconds of all threads, so that what waits does not count.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

import molgen

Seconds: TypeAlias = dict[str, float]
"""Processor seconds a unit, by case."""


@dataclass(frozen=True)
class Part:
    """A part of the benchmark.

    Attributes:
        name: of the part.
        unit: what the seconds are for: one molecule, one row.
        start: load what the part needs, for a share of the usual sizes in (0, 1], and return a
            function that measures all cases once, for a seed.
        ratios: by name, the case in the numerator and the case in the denominator. How they are
            defined, larger is better.
    """

    name: str
    unit: str
    start: Callable[[float], Callable[[int], Seconds]]
    ratios: Mapping[str, tuple[str, str]]


def timed(work: Callable[[], object], units: int) -> float:
    """Return the processor seconds that work takes for each of its units."""
    start = time.process_time()
    work()
    return (time.process_time() - start) / units


def scaled(count: int, size: float) -> int:
    """Return a count for a share of the usual size, at least one."""
    return max(1, round(count * size))


@cache
def molecules(count: int) -> tuple[str, ...]:
    """Return raw strings drawn by ``qm9-ar``, as a network writes them."""
    table = molgen.load("qm9-ar").sample(count, seed=1, progress=False)
    return tuple(table["raw"])
