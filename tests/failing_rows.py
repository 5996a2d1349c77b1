"""Adaptive sampling for tests: a check, retries, and a sampler."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from molgen.diffusion import plan
from molgen.molecules.fate import Fate
from molgen.sampling.acceptance import Check, CheckResult
from molgen.sampling.adaptive import AdaptiveSampler
from molgen.sampling.event_sampler import Sampler
from molgen.sampling.retry import Adaptive, Remask, Restart, Retry
from molgen.sampling.sampler import Samples
from molgen.utils import randomness
from molgen.utils.arrays import Ids
from tiny import Table

LENGTHS = np.tile([5, 4, 9, 3, 7, 7, 6, 9, 4, 6, 8, 5], 3)
PAD, MASK, LONGEST = Table().pad_id, Table().mask_id, Table().max_length


RETRIES: dict[str, Retry] = {
    "restart": Restart(),
    "random": Remask(0.4, by="random"),
    "psi": Remask(0.4, by="psi"),
    "quality": Remask(0.5, tau=0.3, move=0.2),
    "rising": Remask(0.3, rising=True),
}


def check(tokens: Ids, rows: Ids | None = None) -> list[CheckResult]:
    """A third is invalid and a quarter in the training set; few keys, so many duplicates."""
    found = []
    for row in tokens:
        text = row[row != PAD]
        weight = int(text @ np.arange(1, len(text) + 1))
        key, reason = (
            f"{text[0]} {text[-1]}",
            Fate.IN_TRAINING_SET if weight % 4 == 1 else Fate.ACCEPTED,
        )
        found.append(CheckResult("", Fate.INVALID) if weight % 3 == 0 else CheckResult(key, reason))
    return found


def redraw(seed: int, count: int = len(LENGTHS), first: int = 0) -> tuple[Ids, None]:
    u = randomness.uniform(seed, randomness.LENGTH, first + np.arange(count))
    return (3 + u * 7).astype(np.int64), None


def build(
    retry: Retry,
    budget: int = 60,
    until: tuple[str, ...] = ("valid", "unique", "novel"),
    inner: Sampler | None = None,
    check: Check = check,
    **more: object,
) -> AdaptiveSampler:
    inner = inner or Sampler(Table(), plan.Ancestral().plan(40))
    own = {"redraw": redraw, **more}
    settings = Adaptive(until, budget, retry)
    return AdaptiveSampler(inner, settings, check, MASK, PAD, LONGEST, **own)  # type: ignore[arg-type]


def same(a: Samples, b: Samples) -> None:
    width = max(a.tokens.shape[1], b.tokens.shape[1])
    for x, y, fill in ((a.tokens, b.tokens, PAD), (a.quality, b.quality, 1.0)):
        np.testing.assert_array_equal(wide(x, width, fill), wide(y, width, fill))
    np.testing.assert_array_equal(a.nfe, b.nfe)


def wide(array: NDArray[np.float64] | Ids, width: int, fill: float) -> NDArray[np.float64]:
    found = np.full((len(array), width), float(fill))
    found[:, : array.shape[1]] = array
    return found


def some(samples: Samples, rows: slice | NDArray[np.bool_]) -> Samples:
    return Samples(samples.tokens[rows], samples.nfe[rows], quality=samples.quality[rows])


def passing(samples: Samples, demand_unique: bool = True) -> NDArray[np.bool_]:
    """Mark the rows that pass, the first of each key alone."""
    seen: set[str] = set()
    marks = []
    for result in check(samples.tokens):
        marks.append(result.fate is Fate.ACCEPTED and not (demand_unique and result.key in seen))
        if result.fate is Fate.ACCEPTED:
            seen.add(result.key)
    return np.array(marks)
