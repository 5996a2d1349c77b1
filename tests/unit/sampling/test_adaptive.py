"""Adaptive sampling: which rows are retried, for how long, at which cost, and batch invariance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from failing_rows import (
    LENGTHS,
    LONGEST,
    PAD,
    RETRIES,
    build,
    check,
    passing,
    redraw,
    same,
    some,
    wide,
)
from molgen.diffusion import plan
from molgen.model import Model
from molgen.molecules.conventions import STRICT, count
from molgen.molecules.fate import Fate
from molgen.molecules.parsing import interpret_all
from molgen.sampling.acceptance import CheckResult
from molgen.sampling.adaptive import AdaptiveSampler
from molgen.sampling.autoregressive import AutoregressiveSampler
from molgen.sampling.event_sampler import Sampler
from molgen.sampling.factory import adaptive_sampler
from molgen.sampling.recipe import resolve
from molgen.sampling.retry import Adaptive, Remask, Restart
from molgen.sampling.sampler import Job, Samples
from molgen.sampling.settings import Settings
from molgen.targets import Target
from molgen.utils.arrays import Ids
from molgen.utils.threads import workers
from strings import TARGET, Exact
from tiny import Table, save


@pytest.mark.parametrize("name", RETRIES)
def test_a_budget_that_the_first_draw_spends_changes_nothing(name: str) -> None:
    inner = Sampler(Table(), plan.Rescale(0.3).plan(12))
    plain = inner.run(Job(LENGTHS, seed=5, first=7))
    found = build(RETRIES[name], budget=1, inner=inner).run(Job(LENGTHS, seed=5, first=7))
    same(found, plain)
    assert (found.tries == 1).all()


@pytest.mark.parametrize("name", RETRIES)
def test_accepted_rows_stay_and_failed_rows_are_retried(name: str) -> None:
    plain = Sampler(Table(), plan.Ancestral().plan(40)).run(Job(LENGTHS, seed=1))
    found = build(RETRIES[name], until=("valid", "novel")).run(Job(LENGTHS, seed=1))
    good = passing(plain, demand_unique=False)
    assert 0.2 < good.mean() < 0.8
    same(some(found, good), some(plain, good))
    assert ((found.tries == 1) == good).all()
    assert passing(found, demand_unique=False).mean() > 0.95


@pytest.mark.parametrize("forwards", [1, 2])
@pytest.mark.parametrize("name", RETRIES)
def test_the_forwards_of_all_attempts_are_counted(name: str, forwards: int) -> None:
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


def test_rows_are_batch_invariant() -> None:
    for retry in RETRIES.values():
        sampler = build(retry, until=("valid", "novel"))
        whole = sampler.run(Job(LENGTHS, seed=4))
        tail = replace(sampler, redraw=partial(redraw, count=len(LENGTHS) - 11, first=11))
        found = tail.run(Job(LENGTHS[11:], seed=4, first=11))
        same(found, some(whole, slice(11, None)))
        small = Sampler(Table(), plan.Ancestral().plan(40), batch_size=3)
        same(replace(sampler, inner=small).run(Job(LENGTHS, seed=4)), whole)


def test_rows_are_unique_while_there_is_budget() -> None:
    found = build(Restart(), budget=400).run(Job(LENGTHS[:12], seed=6))
    keys = [result.key for result in check(found.tokens)]
    assert passing(found).all()
    assert len(set(keys)) == len(keys)


def test_the_best_attempt_is_returned() -> None:
    script = iter(
        [Fate.IN_TRAINING_SET, Fate.INVALID, Fate.UNLIKELY, Fate.IN_TRAINING_SET, Fate.INVALID]
    )
    tried: list[Ids] = []

    def scripted(tokens: Ids, rows: Ids) -> Sequence[CheckResult]:
        tried.append(tokens[0].copy())
        reason = next(script)
        return [CheckResult("" if reason == Fate.INVALID else "C", reason)]

    found = build(Restart(), budget=25, check=scripted, redraw=None).run(Job(np.array([6]), seed=1))
    assert len(tried) == found.tries[0] == 5
    np.testing.assert_array_equal(found.tokens[0], tried[2][:6])


def test_of_equal_attempts_the_one_with_the_higher_target_probability_is_returned() -> None:
    script = iter(
        [(Fate.UNLIKELY, -2.0), (Fate.UNLIKELY, -1.0), (Fate.UNLIKELY, -3.0), (Fate.INVALID, 0.0)]
        * 2
    )
    tried: list[Ids] = []

    def scripted(tokens: Ids, rows: Ids) -> Sequence[CheckResult]:
        tried.append(tokens[0].copy())
        reason, log_probability = next(script)
        return [CheckResult("C", reason, log_probability, 2)]

    found = build(Restart(), budget=20, check=scripted, redraw=None).run(Job(np.array([6]), seed=1))
    assert len(tried) == found.tries[0] == 4
    np.testing.assert_array_equal(found.tokens[0], tried[1][:6])
    assert found.classifier_nfe[0] == 8


def test_rows_are_reported_once_when_final() -> None:
    for until in (("valid", "unique", "novel"), ("valid",)):
        reported: list[int] = []
        rows: list[Ids] = []

        def note(
            index: Ids, ended: Samples, reported: list[int] = reported, rows: list[Ids] = rows
        ) -> None:
            reported.extend(index.tolist())
            rows.extend(ended.tokens)

        found = build(Remask(), until=until).run(Job(LENGTHS, seed=3), note)
        assert sorted(reported) == list(range(len(LENGTHS)))
        assert (reported == sorted(reported)) == ("unique" in until)
        tokens = wide(found.tokens, LONGEST, PAD)
        np.testing.assert_array_equal(np.array(rows), tokens[reported])


def test_an_autoregressive_network_restarts() -> None:
    def picky(tokens: Ids, rows: Ids) -> list[CheckResult]:
        texts = ["".join(map(str, row[row < 2])) for row in tokens]
        return [CheckResult(t, Fate.ACCEPTED if t.endswith("1") else Fate.INVALID) for t in texts]

    settings, rows = Adaptive(("valid", "unique"), 60, Restart()), np.full(5, 3)
    with workers(count=1) as pool:
        inner = AutoregressiveSampler(Exact(TARGET, TARGET), pool)
        sampler = AdaptiveSampler(inner, settings, picky, 3, 2, 3)
        plain, found = inner.run(Job(rows, seed=1)), sampler.run(Job(rows, seed=1))
        same(sampler.run(Job(rows[:3], seed=1)), some(found, slice(3)))
        with pytest.raises(ValueError, match=r"adapt is remask, expected restart"):
            replace(sampler, settings=Adaptive(retry=Remask()))
    good = {v.key for v in picky(found.tokens, rows) if v.fate is Fate.ACCEPTED}
    assert len(good) == len(rows) > sum(v.fate is Fate.ACCEPTED for v in picky(plain.tokens, rows))
    assert found.nfe[found.tries > 2].min() > 3


def test_molecules_are_retried_until_they_are_new(tmp_path: Path) -> None:
    model = Model.load(str(save(tmp_path / "model")))
    settings = model.settings(steps=24)
    recipe = resolve(model, settings, {})
    drawn = recipe.draw_prior(32, 0)
    retries = Restart(), Remask(rising=True)
    novel = {}
    with model.sampler(settings) as inner:
        for retry in retries:
            for budget in (1, 120):
                adapted = replace(settings, adapt=Adaptive(budget=budget, retry=retry))
                sampler = adaptive_sampler(
                    replace(recipe, settings=adapted),
                    inner,
                    lambda seed: (recipe.draw_prior(32, seed).lengths, None),
                )
                tokens = sampler.run(Job(drawn.lengths, seed=0)).tokens
                raw = [model.tokenizer.smiles(text) for text in model.texts(tokens)]
                found = count(interpret_all(raw), STRICT, model.training_index).novel
                assert found is not None
                novel[retry, budget] = int(found.sum())
    assert novel[retries[0], 1] == novel[retries[1], 1] < 20
    assert min(novel[retry, 120] for retry in retries) >= 31


def test_bad_arguments_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"until is \('fresh',\)"):
        Adaptive(("fresh",))
    with pytest.raises(ValueError, match=r"until is \(\)"):
        Adaptive(())
    with pytest.raises(ValueError, match="budget is 0"):
        Adaptive(budget=0)
    with pytest.raises(ValueError, match="probability is 1"):
        Adaptive(probability=1)
    with pytest.raises(ValueError, match="record is True"):
        build(Restart()).run(Job(LENGTHS, record=True))
    model = Model.load(str(save(tmp_path / "model", index=False)))
    inner = Sampler(Table(), plan.Ancestral().plan(4))

    def adaptive(settings: Settings, targets: Mapping[str, Target]) -> AdaptiveSampler:
        return adaptive_sampler(resolve(model, settings, targets), inner)

    with pytest.raises(
        ValueError, match=r"until is valid\+unique\+novel, .* no training-set index"
    ):
        adaptive(model.settings(adapt=Adaptive()), {})
    likely = model.settings(adapt=Adaptive(("valid", "likely")))
    with pytest.raises(ValueError, match=r"until is valid\+likely, expected no 'likely'"):
        adaptive(likely, {})
    with pytest.raises(ValueError, match="has no classifier for qed"):
        adaptive(likely, {"qed": 0.5})
    with pytest.raises(ValueError, match="adapt is None"):
        adaptive(model.settings(), {})
    valid = model.settings(adapt=Adaptive(("valid",)))
    assert adaptive(valid, {}).check(np.array([[PAD]]), np.zeros(1, int))
