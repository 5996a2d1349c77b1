"""Adaptive sampling: failed rows are retried or remasked, up to a budget of forwards.

    draw -> check -> accepted, or budget spent: done
     ^        |
     +--------+  rejected: tokens are remasked (`molgen.sampling.retry`)

A row is rejected because it is invalid, violates its constraint, is in the training set, duplicates
another row or, if requested, has a low target probability by the model's noisy classifier
(:mod:`molgen.sampling.acceptance`); no property is computed. All rejected rows are retried
together, in rounds of one call of a sampler each. The forwards of all attempts count, and no row is
dropped: for a row whose budget ends without acceptance the best attempt is returned.

An attempt depends on the seed, the round and the row, so rows are batch-invariant, except under the
requirement *unique*, by which rows depend on each other. Of two rows with the same molecule the one
with the lower index is accepted, whatever the order of the draws, and the other is retried. A row
thus depends only on the rows before it: fewer rows are a prefix of more.

A `Retry` is a policy for the budget; `Restart` is the baseline.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from molgen.diffusion.token_weights import PSI
from molgen.errors import MolgenError
from molgen.molecules.fate import Fate
from molgen.sampling.acceptance import Check, CheckResult, Keeps, MoleculeCheck, rank
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
    """The state of a run.

    Attributes:
        sampler: draws and checks the rows.
        lengths: tokens of each row in its current attempt, shape (molecules,).
        condition: of each row in its current attempt.
        job: the requested rows.
    """

    sampler: AdaptiveSampler
    lengths: Ids
    condition: Condition
    job: Job

    def __post_init__(self) -> None:
        """Initialise the columns."""
        n, given = len(self.lengths), self.job.given
        shape = n, self.sampler.max_length
        self.tokens = np.full(shape, self.sampler.pad_id)
        self.quality = np.ones(shape)
        self.kept, self.kept_quality = self.tokens.copy(), self.quality.copy()
        self.fixed = np.zeros(shape, dtype=bool)
        if given is not None and given.fixed is not None:
            self.fixed[:, : given.fixed.shape[1]] = given.fixed
        self.ids = self.job.indices(np.arange(n))
        self.pending, self.round = np.arange(n), 0
        self.fate, self.best = np.full((2, n), Fate.INVALID, dtype=object)
        self.best_log_probability = np.full(n, -np.inf)
        self.nfe, self.classifier_nfe, self.cost, self.tries, self.failures = np.zeros((5, n), int)
        self.reported = np.zeros(n, dtype=bool)
        self.owner: dict[str, int] = {}

    def first_draw(self) -> Samples:
        """Draw every row for the first time."""
        job = self.job
        return self._draw(np.arange(len(self.lengths)), job.seed, job.rows, job.given)

    def retry(self, rows: Ids, seed: int) -> Samples:
        """Draw some rows again, completely or in part."""
        if not self.sampler.takes_parts:
            self._restart(rows, seed)
            return self._draw(rows, seed)
        u = randomness.uniform(
            seed, randomness.SHUFFLE, self.ids[rows][:, None], np.arange(self.tokens.shape[1])
        )
        open = (self.tokens[rows] != self.sampler.pad_id) & ~self.fixed[rows]
        failed = Failed(open, self.quality[rows], self.fate[rows].tolist(), self.failures[rows])
        remasked = self.sampler.settings.retry.choose(failed, u)
        i, position = np.nonzero(remasked)
        self.tokens[rows[i], position] = self.sampler.mask_id
        self.quality[rows[i], position] = 1.0
        whole = (remasked == open).all(1)
        step = self._step(1 - remasked.sum(1) / open.sum(1))
        step[whole] = self._restart(rows[whole], seed)
        parts = Given(self.tokens[rows], self.quality[rows], self.fixed[rows], step)
        return self._draw(rows, seed, self.ids[rows], parts)

    def _restart(self, rows: Ids, seed: int) -> Ids | Floats:
        """Reset rows to their initial state; return where they begin, shape (rows,)."""
        self.failures[rows] = 0
        if self.job.given is not None:
            width = self.job.given.tokens.shape[1]
            self.tokens[rows, :width] = self.job.given.tokens[rows]
            self.quality[rows, :width] = (
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
        self.quality[rows] = 1.0
        return np.zeros_like(rows)

    def _step(self, placed: Floats) -> Ids | Floats:
        """Return where in the plan this share of tokens is placed, shape (rows,)."""
        return cast(RowSampler, self.sampler.inner).start_at(placed)

    def _draw(
        self, rows: Ids, seed: int, index: Ids | None = None, given: Given | None = None
    ) -> Samples:
        """Draw rows with their sample indices, and the quality that the retry depends on."""
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
        psi[where] = events.probability[placed]  # the last event of a position counts
        return replace(found, quality=psi)

    def update(self, rows: Ids, found: Samples) -> None:
        """Store and check the result of an attempt."""
        width = found.tokens.shape[1]
        self.tokens[rows], self.quality[rows] = self.sampler.pad_id, 1.0
        self.tokens[rows, :width], self.quality[rows, :width] = found.tokens, found.quality
        self.nfe[rows] += found.nfe
        self.classifier_nfe[rows] += found.classifier_nfe
        self.cost[rows] = found.nfe
        self.tries[rows] += 1
        self.failures[rows] += 1
        results = self.sampler.check(self.tokens[rows], rows)
        for row, result in zip(rows.tolist(), results, strict=True):
            self.classifier_nfe[row] += result.classifier_forwards
            self._update_fate(row, result)

    def _update_fate(self, row: int, result: CheckResult) -> None:
        """Set the fate of a row, and its best attempt."""
        key, fate = result.key, result.fate
        if fate is Fate.ACCEPTED and "unique" in self.sampler.settings.until:
            owner = self.owner.get(key, row)
            if owner < row:
                fate = Fate.DUPLICATE
            else:
                self.owner[key] = row
            if owner > row:
                self.fate[owner] = self.best[owner] = Fate.DUPLICATE
        self.fate[row] = fate
        best = rank(self.best[row]), self.best_log_probability[row]
        if (rank(fate), result.log_probability) >= best:
            self.best[row], self.kept[row] = fate, self.tokens[row]
            self.best_log_probability[row] = result.log_probability
            self.kept_quality[row] = self.quality[row]

    def unfinished(self) -> Ids:
        """Return the rejected rows with forwards left, without those that took none."""
        left = (self.nfe < self.sampler.settings.budget) & (self.cost > 0)
        return np.flatnonzero((self.fate != Fate.ACCEPTED) & left)

    @property
    def over(self) -> bool:
        """Whether every row has ended."""
        return not len(self.pending)

    def result(self) -> AdaptiveSamples:
        """Return all rows, in order."""
        return self.samples(np.arange(len(self.lengths)), self.longest())

    def ended(self) -> Info:
        """Return rows that are final: with unique, only if all rows before them are."""
        over = np.ones(len(self.reported), dtype=bool)
        over[self.pending] = False
        if "unique" in self.sampler.settings.until:
            over = np.logical_and.accumulate(over)
        new = np.flatnonzero(over & ~self.reported)
        self.reported |= over
        return Info(new, self.samples(new, self.kept.shape[1]))

    def longest(self) -> int:
        """Return the number of tokens of the longest best attempt."""
        return int((self.kept != self.sampler.pad_id).sum(1).max(initial=0))

    def samples(self, rows: Ids, width: int) -> AdaptiveSamples:
        """Return the best attempts of rows, with ``width`` columns."""
        tokens, quality = self.kept[rows, :width], self.kept_quality[rows, :width]
        costs = self.nfe[rows], None, self.classifier_nfe[rows]
        return AdaptiveSamples(tokens, *costs, quality, self.tries[rows])


@dataclass(frozen=True)
class AdaptiveSampler(Stepping[AdaptiveRows]):
    """Wraps a sampler; the first draw of every row is a plain draw of that sampler.

    Attributes:
        inner: draws the attempts. One without partially given rows (autoregressive, or under
            uniform noise) can only restart; a row then depends on the number of failed rows before
            it.
        settings: requirements, budget and retry.
        check: checks rows.
        mask_id: of the network.
        pad_id: of the network.
        max_length: of the network.
        redraw: lengths and conditions of a restart; None to keep those of the first draw. A
            restart draws a new length, since failures depend on the length.
    """

    inner: AnySampler
    settings: Adaptive
    check: Check
    mask_id: int
    pad_id: int
    max_length: int
    redraw: Redraw | None = None

    def __post_init__(self) -> None:
        """Check that the inner sampler supports the retry.

        Raises:
            MolgenError: if it does not.
        """
        if not self.takes_parts and not isinstance(self.settings.retry, Restart):
            raise MolgenError(
                f"adapt is {type(self.settings.retry).__name__.lower()}, expected restart, since "
                "the sampler takes no partially given rows (autoregressive network or uniform "
                "noise)"
            )

    def around(self, inner: AnySampler, keeps: Keeps) -> AdaptiveSampler:
        """Return a copy around another sampler, for rows with other constraints."""
        check = replace(cast(MoleculeCheck, self.check), keeps=keeps)
        return replace(self, inner=inner, check=check)

    @property
    def takes_parts(self) -> bool:
        """Whether the inner sampler takes partially given rows."""
        return isinstance(self.inner, RowSampler) and self.inner.plan_masks

    def run(self, job: Job, on_done: OnDone | None = None) -> AdaptiveSamples:
        """Draw one row for each length; see :class:`molgen.sampling.sampler.Stepping`."""
        return cast(AdaptiveSamples, super().run(job, on_done))

    def init(self, job: Job) -> AdaptiveRows:
        """Return the rows before their first draw; they are unique within a job.

        Raises:
            MolgenError: if events are to be recorded.
        """
        if job.record:
            raise MolgenError("record is True, expected False: retried rows have no trajectory")
        own = None if job.condition is None else job.condition.copy()
        return AdaptiveRows(self, job.lengths.copy(), own, job)

    def step(self, rows: AdaptiveRows) -> tuple[AdaptiveRows, Info]:
        """Draw a round of attempts, and return the rows that are final."""
        first, seed = rows.round == 0, rows.job.seed
        found = rows.first_draw() if first else rows.retry(rows.pending, fork(seed, rows.round))
        rows.update(rows.pending, found)
        rows.pending, rows.round = rows.unfinished(), rows.round + 1
        return rows, rows.ended()
