"""Design: draw until enough valid, unique, novel molecules meet the targets.

A range is a filter, a number is met within a tolerance (whole-number properties exactly), ``max``
and ``min`` steer without filtering. Draws come in growing rounds; since row ``i`` of a seed is the
same row whatever the round, the outcome is the first ``n`` fitting rows of one endless table, and
everything drawn on the way is counted.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from molgen.model import Model
from molgen.settings import Settings
from molgen.targets import Range, Target, read_targets
from property_models import get

if TYPE_CHECKING:
    import pandas as pd

FIRST_ROUND = 32  # small, so that molecules show up at once
LARGEST_ROUND = 2048
TOLERANCE = 0.05  # of the training standard deviation
DRAWS_PER_MOLECULE = 100  # default budget; a target met by fewer than 1 % of draws ends there


@dataclass
class Tally:
    """What became of every draw.

    Attributes:
        drawn: rows drawn.
        forwards: network forwards they took.
        lost: how many were lost to each reason, in the order the reasons are checked: ``invalid``,
            ``duplicate``, ``known``, then ``misses PROP``.
        kept: how many met everything.
    """

    drawn: int = 0
    forwards: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    kept: int = 0

    def __str__(self) -> str:
        lost = ", ".join(f"{count} {reason}" for reason, count in self.lost.items() if count)
        each = f"; {self.forwards / self.kept:.1f} forwards for each one kept" if self.kept else ""
        return f"{self.drawn} drawn: {self.kept} kept" + (f", {lost}" if lost else "") + each


@dataclass(frozen=True)
class Designs:
    """What a design run delivers.

    Attributes:
        table: the molecules, columns as in :meth:`molgen.model.Model.sample`, in order of index.
        tally: of everything drawn up to the last molecule delivered.
        asked: how many were asked for.
        reason: why it stopped.
    """

    table: pd.DataFrame
    tally: Tally
    asked: int
    reason: str


def meets(
    values: NDArray[np.float64], name: str, target: Target, tolerance: float
) -> NDArray[np.bool_]:
    """Say which values meet a target.

    Args:
        values: of the property, shape (molecules,); NaN meets nothing.
        name: of the property.
        target: what is asked for; ``max`` and ``min`` are met by any number.
        tolerance: in the property's unit, for a number; whole-number properties ignore it.
    """
    if isinstance(target, str):
        return ~np.isnan(values)
    if isinstance(target, Range):
        return (values >= target.low) & (values <= target.high)
    slack = 1e-9 if get(name).integer else tolerance
    return np.abs(values - target) <= slack


def design(
    model: Model,
    targets: Mapping[str, Target | str],
    n: int,
    seed: int = 0,
    settings: Settings | None = None,
    max_draws: int | None = None,
    tolerance: float = TOLERANCE,
    allow_known: bool = False,
    on_found: Callable[[pd.DataFrame], None] | None = None,
    on_round: Callable[[Tally], None] | None = None,
) -> Designs:
    """Draw until ``n`` molecules fit, or the budget ends.

    Args:
        model: a loaded model.
        targets: what to aim at.
        n: molecules to deliver.
        seed: the same seed delivers the same molecules.
        settings: how to draw; the model's own by default.
        max_draws: budget in draws; by default ``DRAWS_PER_MOLECULE`` for each molecule.
        tolerance: for plain numbers, in training standard deviations.
        allow_known: deliver molecules of the training set too.
        on_found: called with each round's new molecules.
        on_round: called with the running tally after each round.

    Returns:
        The molecules delivered, fewer than ``n`` if the budget ended, with the tally. An interrupt
        (Ctrl-C) ends the run with what there is.

    Raises:
        ValueError: if a target is not a property of the model, or novelty cannot be decided.
    """
    import pandas as pd

    targets = read_targets(targets)
    settings = settings or model.settings("design")
    model.check(targets, settings)
    for name, target in targets.items():
        if isinstance(target, float | int) and name not in model.prior.std:
            raise ValueError(
                f"target {name}={target:g}: the spread of {name} in the training data is unknown, "
                "so the tolerance is, too: ask for a range"
            )
    if model.known is None and not allow_known:
        raise ValueError(
            "the model has no index of known molecules, so novelty is unknown; allow known ones"
        )
    budget = n * DRAWS_PER_MOLECULE if max_draws is None else max_draws
    search = _Search(model, targets, settings, seed, tolerance, allow_known)
    found: list[pd.DataFrame] = []
    reason = f"the budget of {budget} draws ended"
    try:
        while search.tally.kept < n and search.tally.drawn < budget:
            rows = search.round(n, budget)
            fitting = search.fitting(rows, n - search.tally.kept)
            found.append(fitting)
            if on_found and len(fitting):
                on_found(fitting)
            if on_round:
                on_round(search.tally)
    except KeyboardInterrupt:
        reason = "interrupted"
    if search.tally.kept >= n:
        reason = "complete"
    table = pd.concat(found, ignore_index=True) if found else model.sample(0, properties=[*targets])
    return Designs(table, search.tally, n, reason)


@dataclass
class _Search:
    """The rounds of a design run: draws rows, keeps what fits, counts the rest."""

    model: Model
    targets: Mapping[str, Target]
    settings: Settings
    seed: int
    tolerance: float
    allow_known: bool
    tally: Tally = field(default_factory=Tally)
    seen: set[str] = field(default_factory=set)

    def round(self, n: int, budget: int) -> pd.DataFrame:
        """Draw the next round: as many rows as the yield so far says are needed, within bounds."""
        drawn, kept = self.tally.drawn, self.tally.kept
        size = FIRST_ROUND
        if drawn:
            rate = (kept + 1) / (drawn + 1)
            size = min(LARGEST_ROUND, 4 * drawn, math.ceil(1.1 * (n - kept) / rate))
        size = min(max(size, FIRST_ROUND), budget - drawn)
        samples = self.model.draw(size, self.targets, self.seed, drawn, self.settings)
        return self.model.table(samples, [*self.targets], drawn)

    def fitting(self, rows: pd.DataFrame, wanted: int) -> pd.DataFrame:
        """Return the first ``wanted`` rows that fit; count those and all before the last of them.

        ``unique`` is set over everything drawn so far.
        """
        rows = rows.copy()
        keep = np.zeros(len(rows), dtype=bool)
        std = self.model.prior.std
        met = {
            f"misses {name}": meets(
                rows[name].to_numpy(), name, target, self.tolerance * std.get(name, 0.0)
            )
            for name, target in self.targets.items()
        }
        unique = np.zeros(len(rows), dtype=bool)
        for i, (smiles, novel) in enumerate(zip(rows["smiles"], rows["novel"], strict=True)):
            if keep.sum() == wanted:
                rows, keep, unique = rows.iloc[:i], keep[:i], unique[:i]
                break
            reason = self._reason(smiles, bool(novel), {k: v[i] for k, v in met.items()})
            unique[i] = bool(smiles) and smiles not in self.seen
            self.seen.add(smiles)
            keep[i] = reason is None
            if reason:
                self.tally.lost[reason] += 1
        self.tally.drawn += len(rows)
        self.tally.forwards += int(rows["nfe"].sum())
        self.tally.kept += int(keep.sum())
        return rows.assign(unique=unique)[keep]

    def _reason(self, smiles: str, novel: bool, met: Mapping[str, bool]) -> str | None:
        """Return why a row is not delivered, or None if it is."""
        if not smiles:
            return "invalid"
        if smiles in self.seen:
            return "duplicate"
        if not novel and not self.allow_known:
            return "known"
        return next((reason for reason, fits in met.items() if not fits), None)
