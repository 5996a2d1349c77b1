"""Adaptive sampling: remasked tokens, fixed tokens, and partially given rows."""

from __future__ import annotations

import numpy as np

import chains
from failing_rows import LENGTHS, LONGEST, MASK, PAD, RETRIES, build, redraw, same, wide
from molgen.diffusion import plan
from molgen.molecules.fate import Fate
from molgen.sampling.acceptance import CheckResult
from molgen.sampling.adaptive import AdaptiveSampler
from molgen.sampling.event_sampler import Sampler
from molgen.sampling.retry import Adaptive, Remask, Restart
from molgen.sampling.sampler import Given, Job, OnDone, Samples
from molgen.utils.arrays import Ids
from molgen.utils.randomness import fork
from tiny import Table


class Watched(Sampler):
    """A sampler that records its input."""

    seen: list[Job]

    def run(self, job: Job, on_done: OnDone | None = None) -> Samples:
        self.seen.append(job)
        return super().run(job, on_done)


def watched(strategy: plan.Strategy) -> Watched:
    inner = Watched(Table(), strategy.plan(40))
    inner.seen = []
    return inner


def test_the_other_tokens_are_given_when_a_part_is_remasked() -> None:
    inner = watched(plan.Ancestral())
    sampler = build(Remask(0.4, by="random", move=0.4), budget=20, inner=inner)
    sampler.run(Job(LENGTHS, seed=8))
    plain = Sampler(Table(), inner.plan).run(Job(LENGTHS, seed=8))
    job = inner.seen[1]
    given, rows = job.given, job.rows
    assert job.seed == fork(8, 1)
    assert given is not None
    assert rows is not None
    before = plain.tokens[rows]
    masked = (given.tokens == MASK)[:, : before.shape[1]]
    assert (given.tokens[:, : before.shape[1]][~masked] == before[~masked]).all()
    np.testing.assert_array_equal(masked.sum(1), np.ceil(0.4 * LENGTHS[rows]))
    assert given.psi is not None
    quality, expected = given.psi[:, : before.shape[1]], plain.quality[rows]
    np.testing.assert_array_equal(quality, np.where(masked, 1.0, expected))


def test_a_part_is_drawn_from_the_step_with_as_many_placed_tokens() -> None:
    inner = watched(plan.Rescale(0.2))
    build(Remask(0.5, by="random", move=0.5), budget=20, inner=inner).run(Job(LENGTHS, seed=8))
    given = inner.seen[1].given
    assert given is not None
    assert given.step is not None
    placed = ((given.tokens != MASK) & (given.tokens != PAD)).sum(1)
    share = placed / (given.tokens != PAD).sum(1)
    assert (inner.plan.alpha_t[given.step] <= share).all()
    assert (inner.plan.alpha_s[given.step] > share).all()


def test_without_a_quality_head_quality_is_psi() -> None:
    for strategy in (plan.Ancestral(), plan.Rescale(0.3)):
        inner = Sampler(Table(), strategy.plan(20))
        one, other = (
            build(Remask(0.3, by=by, tau=0.5), inner=inner).run(Job(LENGTHS, seed=2))
            for by in ("psi", "quality")
        )
        same(one, other)
        assert (one.quality[one.tokens < PAD] < 1).mean() > 0.9


def test_a_restart_draws_the_length_again() -> None:
    for shown, given_by in ((True, redraw), (False, None)):
        found = build(Restart(), until=("valid",), redraw=given_by).run(Job(LENGTHS, seed=9))
        lengths = (found.tokens != PAD).sum(1)
        again = found.tries > 1
        assert (lengths[~again] == LENGTHS[~again]).all()
        assert (lengths[again] != LENGTHS[again]).any() == shown


def test_given_rows_restart_from_the_given_tokens() -> None:
    rng = np.random.default_rng(0)
    real = np.arange(LONGEST) < LENGTHS[:, None]
    fixed = real & (rng.random(real.shape) < 0.4)
    fixed[0] = real[0]
    written = np.where(real, rng.integers(0, PAD, real.shape), PAD)
    given = Given(np.where(real & ~fixed, MASK, written), fixed=fixed)
    for name in ("restart", "rising"):
        found = build(RETRIES[name], budget=30).run(Job(LENGTHS, seed=2, given=given))
        tokens = wide(found.tokens, LONGEST, PAD)
        assert (tokens[fixed] == written[fixed]).all()
        assert ((tokens != PAD) == real).all()
        assert (tokens != MASK).all()
        assert found.nfe[0] == 0, "nothing may change in this row"
        assert found.tries.max() > 2


def test_a_random_part_redrawn_keeps_the_distribution_and_a_chosen_one_does_not() -> None:
    rows = 6_000
    lengths = np.full(rows, chains.LENGTH)
    table = plan.Ancestral().plan(150)
    expected = chains.TARGET.numpy() * rows

    def never(tokens: Ids, rows: Ids) -> list[CheckResult]:
        return [CheckResult("", Fate.INVALID)] * len(tokens)

    distances = []
    for retry in (Remask(0.5, by="random"), Remask(0.5, by="quality", tau=0.2)):
        inner = Sampler(chains.Exact(), table, batch_size=rows)
        settings = Adaptive(("valid",), 8, retry)
        ids = chains.MASK, 3, chains.LENGTH
        found = AdaptiveSampler(inner, settings, never, *ids).run(Job(lengths, seed=1))
        assert found.tries.min() >= 3
        counts = np.bincount(found.tokens @ [4, 2, 1], minlength=8)
        distances.append(float(((counts - expected) ** 2 / expected).sum()))
    assert distances[0] < chains.LIMIT < distances[1] / 2
