"""Partially given rows: which tokens are drawn, which are kept, and when they are remasked."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

import chains
from molgen.diffusion import plan, token_weights
from molgen.guidance.predictor import Prediction
from molgen.sampling.event_sampler import Sampler
from molgen.sampling.sampler import Given, Job, Samples
from molgen.utils.arrays import Ids
from tiny import Table

LENGTHS = np.array([5, 1, 9, 3, 7, 7, 2, 9])
PAD, MASK = Table().pad_id, Table().mask_id


def same(a: Samples, b: Samples) -> None:
    np.testing.assert_array_equal(a.tokens, b.tokens)
    np.testing.assert_array_equal(a.nfe, b.nfe)


def part(masked: float = 0.5) -> Given:
    """Rows with some tokens, of which some are fixed."""
    rng = np.random.default_rng(0)
    real = np.arange(9) < LENGTHS[:, None]
    tokens = np.where(real, rng.integers(0, 5, real.shape), PAD)
    tokens = np.where(real & (rng.random(real.shape) < masked), MASK, tokens)
    fixed = (tokens < PAD) & (rng.random(real.shape) < 0.5)
    return Given(tokens, np.where(tokens < PAD, rng.random(real.shape), 1.0), fixed)


def test_without_remasking_given_tokens_stay() -> None:
    given = part()
    found = Sampler(Table(), plan.Ancestral().plan(12)).run(Job(LENGTHS, given=given))
    stood = given.tokens != MASK
    assert (found.tokens[stood] == given.tokens[stood]).all()
    assert (found.tokens[~stood] < PAD).all()
    assert (found.nfe <= (~stood).sum(1)).all()
    assert given.psi is not None
    np.testing.assert_array_equal(found.quality[stood], given.psi[stood])


def test_fixed_tokens_stay_and_others_are_remasked() -> None:
    given = part(0.2)
    sampler = Sampler(Table(), plan.Rescale(0.9).plan(40), token_weights.Sharpened(tau=0.5), 3)
    found = sampler.run(Job(LENGTHS, given=given, record=True))
    assert given.fixed is not None
    assert (found.tokens[given.fixed] == given.tokens[given.fixed]).all()
    free = (given.tokens < PAD) & ~given.fixed
    assert (found.tokens[free] != given.tokens[free]).mean() > 0.3
    assert found.trajectory is not None
    for row in range(len(LENGTHS)):
        touched = found.trajectory.of(row).position
        assert not np.isin(touched, np.flatnonzero(given.fixed[row])).any()


def test_giving_all_masks_changes_nothing() -> None:
    real = np.arange(9) < LENGTHS[:, None]
    masks = Given(np.where(real, MASK, PAD))
    for table in (plan.Ancestral().plan(9), plan.Loop(eta=0.3).plan(20)):
        sampler = Sampler(Table(), table)
        same(sampler.run(Job(LENGTHS, seed=3, given=masks)), sampler.run(Job(LENGTHS, seed=3)))


def test_random_numbers_depend_on_the_sample_index() -> None:
    given = part()
    sampler = Sampler(Table(), plan.Rescale(0.5).plan(15))
    whole = sampler.run(Job(LENGTHS, seed=2, first=10, given=given))
    chosen = np.array([6, 2, 3])
    few = Given(
        given.tokens[chosen], None if given.psi is None else given.psi[chosen],
        None if given.fixed is None else given.fixed[chosen],
    )  # fmt: skip
    found = sampler.run(Job(LENGTHS[chosen], seed=2, rows=10 + chosen, given=few))
    same(found, Samples(whole.tokens[chosen], whole.nfe[chosen]))


@pytest.mark.parametrize("state", [(2, 2, 0), (1, 2, 2), (2, 0, 2), (0, 1, 2)])
def test_an_exact_denoiser_completes_rows_from_the_conditional(
    state: tuple[int, int, int],
) -> None:
    rows = 20_000
    given = Given(np.tile(np.array(state), (rows, 1)))
    sampler = Sampler(chains.Exact(), plan.Ancestral().plan(400), batch_size=rows)
    found = sampler.run(Job(np.full(rows, 3), seed=1, given=given))
    counts = np.bincount(found.tokens @ [4, 2, 1], minlength=8)
    here = int(np.array(state) @ [9, 3, 1])
    expected = chains.given(chains.TARGET)[here].numpy() * rows
    possible = expected > 0
    assert counts[~possible].sum() == 0
    assert ((counts - expected) ** 2 / np.where(possible, expected, 1)).sum() < chains.LIMIT


def test_rows_begin_at_their_step() -> None:
    table = plan.Loop(t_on=0.6, t_off=0.2, eta=0.4, alpha_on=0.8).plan(20)
    real = np.arange(9) < LENGTHS[:, None]
    tokens = np.where(real, 1, PAD)
    given = Given(tokens, step=np.full(len(LENGTHS), 18))
    found = Sampler(Table(), table).run(Job(LENGTHS, given=given, record=True))
    assert found.trajectory is not None
    assert not len(found.trajectory.step)  # no token is remasked after the plateau
    early = Sampler(Table(), table).run(Job(LENGTHS, given=Given(tokens), record=True))
    assert early.trajectory is not None
    assert early.trajectory.step.min() < 18


def test_shapes_and_lengths_are_checked() -> None:
    given = part()
    with pytest.raises(ValueError, match=r"psi has shape \(2, 2\)"):
        Given(given.tokens, np.ones((2, 2)))
    with pytest.raises(ValueError, match="rows has 3 rows, expected 8"):
        Job(LENGTHS, rows=np.arange(3))
    with pytest.raises(ValueError, match="given rows have lengths"):
        Sampler(Table(), plan.Ancestral().plan(4)).run(
            Job(LENGTHS + 1 - (LENGTHS == 9), given=given)
        )


class Check(Table):
    """A table with a quality head that depends on the ids of placed tokens."""

    def __call__(
        self,
        tokens: Ids,
        wanted: NDArray[np.bool_],
        condition: NDArray[np.float32] | None,
        alpha_t: NDArray[np.float64],
        rows: NDArray[np.int64] | None = None,
    ) -> Prediction:
        found = super().__call__(tokens, wanted, condition, alpha_t)
        quality = np.where(tokens == 0, 1e-6, 0.999)
        return Prediction(found.p, found.classifier_forwards, quality)


def test_quality_weights_remask_improbable_tokens() -> None:
    lengths = np.full(400, 8)
    table = plan.Loop(t_on=0.7, t_off=0.1, eta=0.1, alpha_on=0.9).plan(60)
    weights = token_weights.Quality(tau=1.0)
    share = {}
    for name, chosen in (("uniform", None), ("quality", weights)):
        found = Sampler(Check(), table, chosen, 400).run(Job(lengths, record=True))
        assert found.trajectory is not None
        removed = found.trajectory.token[found.trajectory.action == 1]
        share[name] = (removed == 0).mean() / (found.tokens == 0).mean()
        assert (found.quality[found.tokens == 0] < 0.9).any()
    assert share["quality"] > 2 * share["uniform"], share
