"""Adaptive compute: a row that failed goes on, up to a budget of forwards.

    draw -> judge -> it passes, or its budget is spent: done
     ^        |
     +--------+  it fails: tokens go back to the mask (`molgen.sampling.retry`)

A row fails if it is no molecule, does not keep its constraint, is a known one, or one that another
row is already; it may be parsed and looked up, but no property is computed. It also fails, where
that is asked for, if the model's guide, which has learned properties from data, finds it unlikely
to meet its targets: what fails is :mod:`molgen.sampling.acceptance`'s business. All rows that
failed are tried again together, in rounds of one call of a sampler each. Every forward of every try
counts, and no row is dropped: one whose budget ends as a failure stays, in the best state it was
in.

A try depends on the seed, the round and the row, so a row is the same in any company - but for the
demand to be *unique*, which makes rows depend on each other by its nature. Of two rows that are the
same molecule the one of lower index keeps it, whichever came first, and the other goes on. A row
thus depends on the rows before it and on none behind: fewer rows are a prefix of more.

Each `Retry` is a way to spend the budget; `Restart` is the control.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from molgen.diffusion.plan import Plan
from molgen.diffusion.token_weights import PSI
from molgen.molecules.fate import Fate
from molgen.sampling.acceptance import (
    Check,
    Keeps,
    MoleculeCheck,
    Verdict,
    rank,
)
from molgen.sampling.retry import Adaptive, Failed, Restart
from molgen.sampling.row_sampler import RowSampler
from molgen.sampling.sampler import (
    AdaptiveSamples,
    AnySampler,
    Condition,
    Given,
    Info,
    Job,
    OnDone,
    Redraw,
    Samples,
    Stepping,
)
from molgen.sampling.trajectory import PLACED
from molgen.utils import randomness
from molgen.utils.arrays import Floats, Ids
from molgen.utils.randomness import fork


@dataclass
class AdaptiveRows:
    """The rows of a run, try after try.

    Attributes:
        sampler: what draws and judges them.
        lengths: tokens of each row in its present try, shape (molecules,).
        condition: of each row in its present try.
        job: what was asked for.
    """

    sampler: AdaptiveSampler
    lengths: Ids
    condition: Condition
    job: Job

    def __post_init__(self) -> None:
        """Prepare the columns."""
        n, given = len(self.lengths), self.job.given
        shape = n, self.sampler.max_length
        self.tokens = np.full(shape, self.sampler.pad_id)
        self.trust = np.ones(shape)
        self.kept, self.kept_trust = self.tokens.copy(), self.trust.copy()
        self.fixed = np.zeros(shape, dtype=bool)
        if given is not None and given.fixed is not None:
            self.fixed[:, : given.fixed.shape[1]] = given.fixed
        self.ids = self.job.indices(np.arange(n))
        self.tried, self.round = np.arange(n), 0
        self.fate, self.best = np.full((2, n), Fate.INVALID, dtype=object)
        self.best_odds = np.full(n, -np.inf)
        self.nfe, self.classifier_nfe, self.cost, self.tries, self.since = np.zeros((5, n), int)
        self.told = np.zeros(n, dtype=bool)
        self.owner: dict[str, int] = {}

    def first_draw(self) -> Samples:
        """Draw every row for the first time."""
        job = self.job
        return self._draw(np.arange(len(self.lengths)), job.seed, job.rows, job.given)

    def again(self, rows: Ids, seed: int) -> Samples:
        """Draw some rows once more, in whole or in part."""
        if not self.sampler.takes_parts:
            self._start_again(rows, seed)
            return self._draw(rows, seed)
        u = randomness.uniform(
            seed, randomness.SHUFFLE, self.ids[rows][:, None], np.arange(self.tokens.shape[1])
        )
        open = (self.tokens[rows] != self.sampler.pad_id) & ~self.fixed[rows]
        failed = Failed(open, self.trust[rows], self.fate[rows].tolist(), self.since[rows])
        back = self.sampler.settings.retry.choose(failed, u)
        i, position = np.nonzero(back)
        self.tokens[rows[i], position] = self.sampler.mask_id
        self.trust[rows[i], position] = 1.0
        whole = (back == open).all(1)
        step = self._step(1 - back.sum(1) / open.sum(1))
        step[whole] = self._start_again(rows[whole], seed)
        parts = Given(self.tokens[rows], self.trust[rows], self.fixed[rows], step)
        return self._draw(rows, seed, self.ids[rows], parts)

    def _start_again(self, rows: Ids, seed: int) -> Ids:
        """Take rows back to where they start; return the step they start at, shape (rows,)."""
        self.since[rows] = 0
        if self.job.given is not None:
            width = self.job.given.tokens.shape[1]
            self.tokens[rows, :width] = self.job.given.tokens[rows]
            self.trust[rows, :width] = (
                1.0 if self.job.given.psi is None else self.job.given.psi[rows]
            )
            return np.zeros_like(rows) if self.job.given.step is None else self.job.given.step[rows]
        if self.sampler.redraw is not None:
            lengths, condition = self.sampler.redraw(seed)
            self.lengths[rows] = lengths[rows]
            if self.condition is not None and condition is not None:
                self.condition[rows] = condition[rows]
        real = np.arange(self.tokens.shape[1]) < self.lengths[rows, None]
        self.tokens[rows] = np.where(real, self.sampler.mask_id, self.sampler.pad_id)
        self.trust[rows] = 1.0
        return np.zeros_like(rows)

    def _step(self, placed: Floats) -> Ids:
        """Return the step of the plan at which that share of tokens is placed, shape (rows,)."""
        plan: Plan = self.sampler.inner.plan  # type: ignore[attr-defined]
        return np.searchsorted(plan.alpha_t, placed, side="right") - 1

    def _draw(
        self, rows: Ids, seed: int, index: Ids | None = None, given: Given | None = None
    ) -> Samples:
        """Draw rows with their sample indices; their quality is what the retry goes by."""
        own = None if self.condition is None else self.condition[rows]
        record = self.sampler.settings.retry.reads == PSI
        job = Job(self.lengths[rows], own, seed, self.job.first, index, given, record)
        found = self.sampler.inner.run(job)
        events = found.trajectory
        if events is None:
            return found
        psi = np.ones(found.tokens.shape)
        if given is not None and given.psi is not None:
            psi = given.psi.copy()
        placed = events.action == PLACED
        where = events.molecule[placed] - job.first, events.position[placed]
        psi[where] = events.probability[placed]  # the last word on a position counts
        return replace(found, quality=psi)

    def take(self, rows: Ids, found: Samples) -> None:
        """Take in what came out of a try."""
        width = found.tokens.shape[1]
        self.tokens[rows], self.trust[rows] = self.sampler.pad_id, 1.0
        self.tokens[rows, :width], self.trust[rows, :width] = found.tokens, found.quality
        self.nfe[rows] += found.nfe
        self.classifier_nfe[rows] += found.classifier_nfe
        self.cost[rows] = found.nfe
        self.tries[rows] += 1
        self.since[rows] += 1
        verdicts = self.sampler.check(self.tokens[rows], rows)
        for row, verdict in zip(rows.tolist(), verdicts, strict=True):
            self.classifier_nfe[row] += verdict.classifier_forwards
            self._settle(row, verdict)

    def _settle(self, row: int, verdict: Verdict) -> None:
        """Note why a row fails, or that it passes."""
        key, fate = verdict.key, verdict.fate
        if fate is Fate.ACCEPTED and "unique" in self.sampler.settings.until:
            owner = self.owner.get(key, row)
            if owner < row:
                fate = Fate.DUPLICATE
            else:
                self.owner[key] = row
            if owner > row:
                self.fate[owner] = self.best[owner] = Fate.DUPLICATE
        self.fate[row] = fate
        state, kept = (
            (rank(fate), verdict.log_odds),
            (rank(self.best[row]), self.best_odds[row]),
        )
        if state >= kept:
            self.best[row], self.kept[row] = fate, self.tokens[row]
            self.best_odds[row] = verdict.log_odds
            self.kept_trust[row] = self.trust[row]

    def going(self) -> Ids:
        """Return the rows that fail and have forwards left; one with nothing to change has not."""
        left = (self.nfe < self.sampler.settings.budget) & (self.cost > 0)
        return np.flatnonzero((self.fate != Fate.ACCEPTED) & left)

    @property
    def over(self) -> bool:
        """Whether every row has ended."""
        return not len(self.tried)

    def result(self) -> AdaptiveSamples:
        """Return all rows, in order."""
        return self.samples(np.arange(len(self.lengths)), self.longest())

    def ended(self) -> Info:
        """Return rows that nothing changes any more: with unique, none before them goes on."""
        over = np.ones(len(self.told), dtype=bool)
        over[self.tried] = False
        if "unique" in self.sampler.settings.until:
            over = np.logical_and.accumulate(over)
        new = np.flatnonzero(over & ~self.told)
        self.told |= over
        return Info(new, self.samples(new, self.kept.shape[1]))

    def longest(self) -> int:
        """Return the tokens of the longest row that is kept."""
        return int((self.kept != self.sampler.pad_id).sum(1).max(initial=0))

    def samples(self, rows: Ids, width: int) -> AdaptiveSamples:
        """Return rows as they are kept, with that many columns."""
        tokens, trust = self.kept[rows, :width], self.kept_trust[rows, :width]
        costs = self.nfe[rows], None, self.classifier_nfe[rows]
        return AdaptiveSamples(tokens, *costs, trust, self.tries[rows])


@dataclass(frozen=True)
class AdaptiveSampler(Stepping[AdaptiveRows]):
    """Wraps a sampler; the first draw of every row is that sampler's own.

    Attributes:
        inner: draws the tries. One that takes no rows given in part (autoregressive, or of uniform
            noise) can only start again; a row then depends on how many before it failed.
        settings: how rows go on.
        check: says what is wrong with rows.
        mask_id: of the network.
        pad_id: of the network.
        max_length: of the network.
        redraw: lengths and conditions of a restart; None to keep those of the first draw. An
            unlucky length is part of an unlucky draw.
    """

    inner: AnySampler
    settings: Adaptive
    check: Check
    mask_id: int
    pad_id: int
    max_length: int
    redraw: Redraw | None = None

    def __post_init__(self) -> None:
        """Check that the inner sampler can do what the retry asks for.

        Raises:
            ValueError: if it cannot.
        """
        if not self.takes_parts and not isinstance(self.settings.retry, Restart):
            raise ValueError(
                "the sampler takes no rows given in part (the network writes from left to right, "
                "or nothing is masked under its noise): expected a restart"
            )

    def around(self, inner: AnySampler, keeps: Keeps) -> AdaptiveSampler:
        """Return the same around another sampler, for rows under other constraints."""
        check = replace(cast(MoleculeCheck, self.check), keeps=keeps)
        return replace(self, inner=inner, check=check)

    @property
    def takes_parts(self) -> bool:
        """Whether rows may be given to the inner sampler in part."""
        return isinstance(self.inner, RowSampler) and self.inner.plan_masks

    def run(self, job: Job, on_done: OnDone | None = None) -> AdaptiveSamples:
        """Draw one row for each length; see :class:`molgen.sampling.sampler.Stepping`."""
        return cast(AdaptiveSamples, super().run(job, on_done))

    def init(self, job: Job) -> AdaptiveRows:
        """Return the rows before their first draw; they are unique within a job.

        Raises:
            ValueError: if events are to be recorded, or the inner sampler refuses.
        """
        if job.record:
            raise ValueError("record is True, but rows that are drawn again keep no trajectory")
        own = None if job.condition is None else job.condition.copy()
        return AdaptiveRows(self, job.lengths.copy(), own, job)

    def step(self, rows: AdaptiveRows) -> tuple[AdaptiveRows, Info]:
        """Draw a round of tries; rows end once nothing can change them any more."""
        first, seed = rows.round == 0, rows.job.seed
        found = rows.first_draw() if first else rows.again(rows.tried, fork(seed, rows.round))
        rows.take(rows.tried, found)
        rows.tried, rows.round = rows.going(), rows.round + 1
        return rows, rows.ended()
