"""Design: draw until enough valid, unique, novel molecules meet every goal and pass every filter.

A range is a filter, a number is met within a tolerance (whole-number properties exactly), ``max``
and ``min`` steer without filtering. Goals on properties that the model is conditioned on steer the
draws; goals on any other property filter what was drawn, and no more. Draws come in growing rounds;
since row ``i`` of a seed is the same row whatever the round, the outcome is the first ``n`` fitting
rows of one endless table, and everything drawn on the way is counted. A :func:`survey` delivers and
counts the first ``n`` rows as they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from molgen.discovery.counts import ALL, Designs, Tally
from molgen.discovery.goals import TOLERANCE, Goals, read_goals, steering, weighed
from molgen.model import Model
from molgen.molecules.fate import Fate
from molgen.molecules.filters import Screens
from molgen.sampling.settings import Settings
from molgen.targets import Target

if TYPE_CHECKING:
    import pandas as pd

FIRST_ROUND = 32  # small, so that molecules show up at once
LARGEST_ROUND = 2048
SURVEY_ROUND = 256  # rows between two reports on progress
DRAWS_PER_MOLECULE = 100  # default budget; a target met by fewer than 1 % of draws ends there

Source = Callable[[int, int], "pd.DataFrame"]
"""From a number of rows and the index of the first to these rows of one endless table, with the
columns of :meth:`molgen.model.Model.table`; where there are constraints, also ``constraint``, which
is ``ok`` in rows that keep theirs."""


def design(
    model: Model,
    targets: Goals | Mapping[str, Target | str],
    n: int,
    seed: int = 0,
    settings: Settings | None = None,
    max_draws: int | None = None,
    tolerance: float = TOLERANCE,
    allow_known: bool = False,
    on_found: Callable[[pd.DataFrame], None] | None = None,
    on_round: Callable[[Tally], None] | None = None,
    screens: Screens | None = None,
    source: Source | None = None,
) -> Designs:
    """Draw until ``n`` molecules fit, or the budget ends.

    Args:
        model: a loaded model.
        targets: what to aim at, with or without weights; possibly nothing.
        n: molecules to deliver.
        seed: the same seed delivers the same molecules.
        settings: how to draw; the model's own by default.
        max_draws: budget in draws; by default ``DRAWS_PER_MOLECULE`` for each molecule.
        tolerance: for plain numbers, in training standard deviations.
        allow_known: deliver molecules of the training set too.
        on_found: called with each round's new molecules.
        on_round: called with the running tally after each round.
        screens: hard filters.
        source: of the rows; by default the model's own draws, steered by :func:`steering`. Seed and
            settings are then those of the source.

    Returns:
        The molecules delivered, fewer than ``n`` if the budget ended, with the tally. An interrupt
        (Ctrl-C) ends the run with what there is.

    Raises:
        ValueError: if a goal is none, nothing acts on what is delivered, or novelty cannot be
            decided.
    """
    if model.known is None and not allow_known:
        raise ValueError(
            "the model has no index of known molecules, so novelty is unknown; allow known ones"
        )
    settings = settings or model.settings("design")
    run = _Run.of(model, targets, seed, settings, tolerance, allow_known, screens, source)
    budget = n * DRAWS_PER_MOLECULE if max_draws is None else max_draws
    found: list[pd.DataFrame] = []
    reason = f"the budget of {budget} draws ended"
    try:
        while run.tally.accepted < n and run.tally.drawn < budget:
            size = run.size(n, budget)
            rows = run.judged(run.source(size, run.tally.drawn), n - run.tally.accepted)
            fitting = rows[rows["lost"] == ""].drop(columns="lost")
            found.append(fitting)
            if on_found and len(fitting):
                on_found(fitting)
            if on_round:
                on_round(run.tally)
    except KeyboardInterrupt:
        reason = "interrupted"
    if run.tally.accepted >= n:
        reason = "complete"
    return Designs(run.table(found), run.tally, n, reason)


def survey(
    model: Model,
    targets: Goals | Mapping[str, Target | str],
    n: int,
    seed: int = 0,
    settings: Settings | None = None,
    tolerance: float = TOLERANCE,
    allow_known: bool = False,
    on_round: Callable[[Tally], None] | None = None,
    screens: Screens | None = None,
    source: Source | None = None,
) -> Designs:
    """Draw ``n`` rows, deliver all of them, and count what met which goal.

    No row is filtered or drawn again (beyond what the settings say): the rows are those of
    :meth:`molgen.model.Model.sample`. Arguments as of :func:`design`; the settings are by default
    those recommended for sampling, and a model without an index of known molecules takes all for
    new.

    Raises:
        ValueError: if a goal is none, or nothing would act on what is delivered.
    """
    allow_known |= model.known is None
    settings = settings or model.settings(targets=dict(_goals(targets).targets))
    run = _Run.of(model, targets, seed, settings, tolerance, allow_known, screens, source)
    # rows that go on until they are unique look at all the rows of their call
    most = SURVEY_ROUND if settings.adapt is None else n
    found: list[pd.DataFrame] = []
    reason = "complete"
    try:
        while run.tally.drawn < n:
            size = min(most, n - run.tally.drawn)
            found.append(run.judged(run.source(size, run.tally.drawn), size))
            if on_round:
                on_round(run.tally)
    except KeyboardInterrupt:
        reason = "interrupted"
    return Designs(run.table(found), run.tally, n, reason)


@dataclass
class _Run:
    """The rounds of a design run: says what fits, and counts everything."""

    model: Model
    goals: Goals
    screens: Screens
    source: Source
    allow_known: bool
    tally: Tally = field(default_factory=Tally)
    seen: set[str] = field(default_factory=set)

    @classmethod
    def of(
        cls,
        model: Model,
        targets: Goals | Mapping[str, Target | str],
        seed: int,
        settings: Settings,
        tolerance: float,
        allow_known: bool,
        screens: Screens | None,
        source: Source | None,
    ) -> _Run:
        """Prepare a run; arguments as of :func:`design`."""
        goals = _goals(targets).measured(model.prior, tolerance)
        settings = weighed(settings, goals)
        steer = steering(model, goals, settings)

        def draw(rows: int, first: int) -> pd.DataFrame:
            samples = model.draw(rows, steer, seed, first, settings)
            return model.table(samples, [*goals.targets], first)

        return cls(model, goals, screens or Screens(), source or draw, allow_known)

    def size(self, n: int, budget: int) -> int:
        """Return the rows of the next round: as many as the yield so far says, within bounds."""
        drawn, kept = self.tally.drawn, self.tally.accepted
        size = FIRST_ROUND
        if drawn:
            rate = (kept + 1) / (drawn + 1)
            size = min(LARGEST_ROUND, 4 * drawn, math.ceil(1.1 * (n - kept) / rate))
        return min(max(size, FIRST_ROUND), budget - drawn)

    def judged(self, rows: pd.DataFrame, wanted: int) -> pd.DataFrame:
        """Say why each row is rejected, up to the one that makes ``wanted``; count these rows.

        ``unique`` and ``novel`` are set over everything drawn so far.
        """
        checks = self._checks(rows)
        lost: list[str] = []
        unique: list[bool] = []
        old = [] if self.allow_known else [Fate.IN_TRAINING_SET]
        reasons: list[str] = [Fate.INVALID, Fate.DUPLICATE, *old, *checks]
        for reason in reasons:  # in this order, whichever comes first
            self.tally.fates.setdefault(reason, 0)
        kept = 0
        for i, (smiles, novel) in enumerate(zip(rows["smiles"], rows["novel"], strict=True)):
            if kept == wanted:
                break
            unique.append(bool(smiles) and smiles not in self.seen)
            failed = (
                not smiles,
                not unique[-1],
                *([] if self.allow_known else [not novel]),
                *(not passed[i] for passed in checks.values()),
            )
            lost.append(next((r for r, fails in zip(reasons, failed, strict=True) if fails), ""))
            kept += lost[-1] == ""
            self.seen.add(smiles)
        self.tally.forwards += rows.attrs.get("shared_nfe", 0)
        first = np.array(unique, dtype=bool)
        rows = rows.iloc[: len(lost)]
        rows = rows.assign(unique=first, novel=first & rows["novel"].to_numpy(bool), lost=lost)
        shown = {
            Fate.GOAL_MISSED.of(goal.name): str(goal) if goal.bounds else "" for goal in self.goals
        }
        shown[Fate.CONSTRAINT_LOST] = "constraint"
        shown |= {Fate.FILTERED.of(each.name): f"filter: {each.name}" for each in self.screens}
        named = {shown.get(name, name): passed[: len(lost)] for name, passed in checks.items()}
        every = np.logical_and.reduce([passed[: len(lost)] for passed in checks.values()])
        self.tally.add(rows, {n: passed for n, passed in named.items() if n} | {ALL: every})
        return rows

    def _checks(self, rows: pd.DataFrame) -> dict[str, NDArray[np.bool_]]:
        """Return which rows pass each check, by what is said of those that do not."""
        checks = {}
        if "constraint" in rows:
            checks[str(Fate.CONSTRAINT_LOST)] = rows["constraint"].eq("ok").to_numpy(dtype=bool)
        passed, met = self.screens.met(rows["smiles"].tolist()), self.goals.met(rows)
        checks |= {Fate.FILTERED.of(name): passed[name].to_numpy() for name in passed}
        return checks | {Fate.GOAL_MISSED.of(name): met[name].to_numpy() for name in met}

    def table(self, parts: list[pd.DataFrame]) -> pd.DataFrame:
        """Return what was delivered with its scores."""
        import pandas as pd

        table = self.model.sample(0, properties=[*self.goals.targets])
        if parts:
            table = pd.concat(parts, ignore_index=True)
        scores = self.goals.score(table)
        return table.assign(score=np.where(np.isneginf(scores), np.nan, scores))


def _goals(targets: Goals | Mapping[str, Target | str]) -> Goals:
    """Return goals, read if they are not."""
    return targets if isinstance(targets, Goals) else read_goals(targets)
