"""Rows that go on until they pass: which, for how long, at whose cost, and in whose company."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import chains
from molgen.diffusion import plan
from molgen.model import Model
from molgen.molecules.conventions import STRICT, count
from molgen.molecules.fate import Fate
from molgen.molecules.parsing import interpret_all
from molgen.sampling.acceptance import Judge, Verdict
from molgen.sampling.adaptive import AdaptiveSampler
from molgen.sampling.autoregressive import AutoregressiveSampler
from molgen.sampling.event_sampler import Sampler
from molgen.sampling.factory import adaptive_sampler
from molgen.sampling.recipe import resolve
from molgen.sampling.retry import Adaptive, Remask, Restart, Retry
from molgen.sampling.sampler import Given, Job, OnDone, Samples
from molgen.sampling.settings import Settings
from molgen.targets import Target
from molgen.utils import randomness
from molgen.utils.arrays import Ids
from molgen.utils.randomness import fork
from molgen.utils.threads import workers
from strings import TARGET, Exact
from tiny import Table, save

LENGTHS = np.tile([5, 4, 9, 3, 7, 7, 6, 9, 4, 6, 8, 5], 3)
PAD, MASK, LONGEST = Table().pad_id, Table().mask_id, Table().max_length
RETRIES: dict[str, Retry] = {
    "restart": Restart(),
    "random": Remask(0.4, by="random"),
    "psi": Remask(0.4, by="psi"),
    "quality": Remask(0.5, tau=0.3, move=0.2),
    "rising": Remask(0.3, rising=True),
}


def judge(tokens: Ids, rows: Ids | None = None) -> list[Verdict]:
    """A third is no molecule and a quarter known; few keys, so many are the same."""
    found = []
    for row in tokens:
        text = row[row != PAD]
        weight = int(text @ np.arange(1, len(text) + 1))
        key, reason = (
            f"{text[0]} {text[-1]}",
            Fate.IN_TRAINING_SET if weight % 4 == 1 else Fate.ACCEPTED,
        )
        found.append(Verdict("", Fate.INVALID) if weight % 3 == 0 else Verdict(key, reason))
    return found


def redraw(seed: int, count: int = len(LENGTHS), first: int = 0) -> tuple[Ids, None]:
    u = randomness.uniform(seed, randomness.LENGTH, first + np.arange(count))
    return (3 + u * 7).astype(np.int64), None


def build(
    retry: Retry,
    budget: int = 60,
    until: tuple[str, ...] = ("valid", "unique", "novel"),
    inner: Sampler | None = None,
    judge: Judge = judge,
    **more: object,
) -> AdaptiveSampler:
    inner = inner or Sampler(Table(), plan.Ancestral().plan(40))
    own = {"redraw": redraw, **more}
    settings = Adaptive(until, budget, retry)
    return AdaptiveSampler(inner, settings, judge, MASK, PAD, LONGEST, **own)  # type: ignore[arg-type]


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
    for verdict in judge(samples.tokens):
        marks.append(verdict.fate is Fate.ACCEPTED and not (demand_unique and verdict.key in seen))
        if verdict.fate is Fate.ACCEPTED:
            seen.add(verdict.key)
    return np.array(marks)


@pytest.mark.parametrize("name", RETRIES)
def test_a_budget_that_the_first_draw_spends_changes_nothing(name: str) -> None:
    inner = Sampler(Table(), plan.Rescale(0.3).plan(12))
    plain = inner.run(Job(LENGTHS, seed=5, first=7))
    found = build(RETRIES[name], budget=1, inner=inner).run(Job(LENGTHS, seed=5, first=7))
    same(found, plain)
    assert (found.tries == 1).all()


@pytest.mark.parametrize("name", RETRIES)
def test_what_passes_stays_and_what_fails_goes_on(name: str) -> None:
    plain = Sampler(Table(), plan.Ancestral().plan(40)).run(Job(LENGTHS, seed=1))
    found = build(RETRIES[name], until=("valid", "novel")).run(Job(LENGTHS, seed=1))
    good = passing(plain, demand_unique=False)
    assert 0.2 < good.mean() < 0.8
    same(some(found, good), some(plain, good))
    assert ((found.tries == 1) == good).all()
    assert passing(found, demand_unique=False).mean() > 0.95


@pytest.mark.parametrize("forwards", [1, 2])
@pytest.mark.parametrize("name", RETRIES)
def test_every_forward_of_every_try_is_counted(name: str, forwards: int) -> None:
    predictor = Table(forwards=forwards)
    inner = Sampler(predictor, plan.Ancestral().plan(40), batch_size=5)
    budget = 40
    found = build(RETRIES[name], budget=budget, inner=inner).run(Job(LENGTHS, seed=2))
    assert found.nfe.sum() == predictor.asked * forwards
    assert found.tries.max() > 2
    assert (found.nfe < budget + LONGEST * forwards).all(), "exceeded by less than a try"
    failed = ~passing(found)
    assert (found.nfe[failed] >= budget).all(), "no row gives up early"


@pytest.mark.parametrize("name", RETRIES)
def test_fewer_rows_are_a_prefix_of_more(name: str) -> None:
    sampler = build(RETRIES[name])
    whole = sampler.run(Job(LENGTHS, seed=3))
    displaced = 0
    for rows in (1, 9, 20):
        fewer = replace(sampler, redraw=partial(redraw, count=rows))
        found = fewer.run(Job(LENGTHS[:rows], seed=3))
        same(found, some(whole, slice(rows)))
        np.testing.assert_array_equal(found.tries, whole.tries[:rows])
    first = passing(Sampler(Table(), plan.Ancestral().plan(40)).run(Job(LENGTHS, seed=3)))
    displaced = int((whole.tries[first] > 1).sum())
    assert displaced > 0, "a row that passed had to yield to one before it: the test can tell"


def test_a_row_is_the_same_in_any_company() -> None:
    for retry in RETRIES.values():
        sampler = build(retry, until=("valid", "novel"))
        whole = sampler.run(Job(LENGTHS, seed=4))
        tail = replace(sampler, redraw=partial(redraw, count=len(LENGTHS) - 11, first=11))
        found = tail.run(Job(LENGTHS[11:], seed=4, first=11))
        same(found, some(whole, slice(11, None)))
        small = Sampler(Table(), plan.Ancestral().plan(40), batch_size=3)
        same(replace(sampler, inner=small).run(Job(LENGTHS, seed=4)), whole)


def test_no_two_rows_are_the_same_while_there_is_something_left() -> None:
    found = build(Restart(), budget=400).run(Job(LENGTHS[:12], seed=6))
    keys = [verdict.key for verdict in judge(found.tokens)]
    assert passing(found).all()
    assert len(set(keys)) == len(keys)


def test_the_best_state_is_kept() -> None:
    script = iter(
        [Fate.IN_TRAINING_SET, Fate.INVALID, Fate.UNLIKELY, Fate.IN_TRAINING_SET, Fate.INVALID]
    )
    tried: list[Ids] = []

    def scripted(tokens: Ids, rows: Ids) -> Sequence[Verdict]:
        tried.append(tokens[0].copy())
        reason = next(script)
        return [Verdict("" if reason == Fate.INVALID else "C", reason)]

    found = build(Restart(), budget=25, judge=scripted, redraw=None).run(Job(np.array([6]), seed=1))
    assert len(tried) == found.tries[0] == 5
    np.testing.assert_array_equal(found.tokens[0], tried[2][:6])


def test_of_two_like_states_the_likelier_is_kept() -> None:
    script = iter(
        [(Fate.UNLIKELY, -2.0), (Fate.UNLIKELY, -1.0), (Fate.UNLIKELY, -3.0), (Fate.INVALID, 0.0)]
        * 2
    )
    tried: list[Ids] = []

    def scripted(tokens: Ids, rows: Ids) -> Sequence[Verdict]:
        tried.append(tokens[0].copy())
        reason, log_odds = next(script)
        return [Verdict("C", reason, log_odds, 2)]

    found = build(Restart(), budget=20, judge=scripted, redraw=None).run(Job(np.array([6]), seed=1))
    assert len(tried) == found.tries[0] == 4
    np.testing.assert_array_equal(found.tokens[0], tried[1][:6])
    assert found.classifier_nfe[0] == 8


class Watched(Sampler):
    """A sampler that remembers what it was given."""

    seen: list[Job]

    def run(self, job: Job, on_done: OnDone | None = None) -> Samples:
        self.seen.append(job)
        return super().run(job, on_done)


def watched(strategy: plan.Strategy) -> Watched:
    inner = Watched(Table(), strategy.plan(40))
    inner.seen = []
    return inner


def test_the_rest_of_a_row_stands_when_a_part_goes_back() -> None:
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
    trust, said = given.psi[:, : before.shape[1]], plain.quality[rows]
    np.testing.assert_array_equal(trust, np.where(masked, 1.0, said))


def test_a_part_is_drawn_from_where_the_plan_has_as_much() -> None:
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


def test_given_rows_start_again_from_what_was_given() -> None:
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


def test_rows_are_told_of_once_and_as_they_stay() -> None:
    for until in (("valid", "unique", "novel"), ("valid",)):
        told: list[int] = []
        rows: list[Ids] = []

        def note(
            index: Ids, ended: Samples, told: list[int] = told, rows: list[Ids] = rows
        ) -> None:
            told.extend(index.tolist())
            rows.extend(ended.tokens)

        found = build(Remask(), until=until).run(Job(LENGTHS, seed=3), note)
        assert sorted(told) == list(range(len(LENGTHS)))
        assert (told == sorted(told)) == ("unique" in until)
        tokens = wide(found.tokens, LONGEST, PAD)
        np.testing.assert_array_equal(np.array(rows), tokens[told])


def test_a_random_part_redrawn_keeps_the_distribution_and_a_chosen_one_does_not() -> None:
    rows = 6_000
    lengths = np.full(rows, chains.LENGTH)
    table = plan.Ancestral().plan(150)
    expected = chains.TARGET.numpy() * rows

    def never(tokens: Ids, rows: Ids) -> list[Verdict]:
        return [Verdict("", Fate.INVALID)] * len(tokens)

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


def test_a_network_that_writes_from_left_to_right_starts_again() -> None:
    def picky(tokens: Ids, rows: Ids) -> list[Verdict]:
        texts = ["".join(map(str, row[row < 2])) for row in tokens]
        return [Verdict(t, Fate.ACCEPTED if t.endswith("1") else Fate.INVALID) for t in texts]

    settings, rows = Adaptive(("valid", "unique"), 60, Restart()), np.full(5, 3)
    with workers(count=1) as pool:
        inner = AutoregressiveSampler(Exact(TARGET, TARGET), pool)
        sampler = AdaptiveSampler(inner, settings, picky, 3, 2, 3)
        plain, found = inner.run(Job(rows, seed=1)), sampler.run(Job(rows, seed=1))
        same(sampler.run(Job(rows[:3], seed=1)), some(found, slice(3)))
        with pytest.raises(ValueError, match=r"no rows given in part.*expected a restart"):
            replace(sampler, settings=Adaptive(retry=Remask()))
    good = {v.key for v in picky(found.tokens, rows) if v.fate is Fate.ACCEPTED}
    assert len(good) == len(rows) > sum(v.fate is Fate.ACCEPTED for v in picky(plain.tokens, rows))
    assert found.nfe[found.tries > 2].min() > 3


def test_molecules_go_on_until_they_are_new(tmp_path: Path) -> None:
    model = Model.load(str(save(tmp_path / "model")))
    settings = model.settings(steps=24)
    recipe = resolve(model, settings, {})
    asked = recipe.lend(32, 0)
    retries = Restart(), Remask(rising=True)
    novel = {}
    with model.sampler(settings) as inner:
        for retry in retries:
            for budget in (1, 120):
                adapted = replace(settings, adapt=Adaptive(budget=budget, retry=retry))
                sampler = adaptive_sampler(
                    replace(recipe, settings=adapted),
                    inner,
                    lambda seed: (recipe.lend(32, seed).lengths, None),
                )
                tokens = sampler.run(Job(asked.lengths, seed=0)).tokens
                raw = [model.tokenizer.smiles(text) for text in model.texts(tokens)]
                found = count(interpret_all(raw), STRICT, model.known).novel
                assert found is not None
                novel[retry, budget] = int(found.sum())
    assert novel[retries[0], 1] == novel[retries[1], 1] < 20
    assert min(novel[retry, 120] for retry in retries) >= 31


def test_bad_arguments_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"until is \('fresh',\), expected some of valid, unique"):
        Adaptive(("fresh",))
    with pytest.raises(ValueError, match=r"until is \(\), expected some of"):
        Adaptive(())
    with pytest.raises(ValueError, match="budget is 0, expected a whole number of at least 1"):
        Adaptive(budget=0)
    with pytest.raises(ValueError, match="odds is 1, expected a number between 0 and 1"):
        Adaptive(odds=1)
    with pytest.raises(ValueError, match="keep no trajectory"):
        build(Restart()).run(Job(LENGTHS, record=True))
    model = Model.load(str(save(tmp_path / "model", index=False)))
    inner = Sampler(Table(), plan.Ancestral().plan(4))

    def adaptive(settings: Settings, targets: Mapping[str, Target]) -> AdaptiveSampler:
        return adaptive_sampler(resolve(model, settings, targets), inner)

    with pytest.raises(ValueError, match=r"until is valid\+unique\+novel, but .* no index"):
        adaptive(model.settings(adapt=Adaptive()), {})
    likely = model.settings(adapt=Adaptive(("valid", "likely")))
    with pytest.raises(ValueError, match=r"until is valid\+likely, but no target is given"):
        adaptive(likely, {})
    with pytest.raises(ValueError, match="has no guide for qed"):
        adaptive(likely, {"qed": 0.5})
    with pytest.raises(ValueError, match="adapt is None"):
        adaptive(model.settings(), {})
    valid = model.settings(adapt=Adaptive(("valid",)))
    assert adaptive(valid, {}).judge(np.array([[PAD]]), np.zeros(1, int))
