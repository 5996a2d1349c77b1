"""Blocks: which tokens are placed when, and the distributions they lead to."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import chains
from molgen.diffusion import plan, token_weights
from molgen.diffusion.unmasking_order import EntropyBounded, LeftToRight, LowestEntropy, Stable
from molgen.sampling.blocks import count_blocks, in_block, placed_fraction
from molgen.sampling.continuous_sampler import ContinuousSampler
from molgen.sampling.event_sampler import Sampler
from molgen.sampling.ordered_sampler import OrderedSampler
from molgen.sampling.row_sampler import RowSampler
from molgen.sampling.sampler import Given, Job, Samples
from tiny import Table

LENGTHS = np.array([5, 1, 9, 3, 7, 7, 2, 9, 4, 6, 8, 5])
PAD, MASK = Table().pad_id, Table().mask_id
WEIGHTS = token_weights.Sharpened(0.5)
SAMPLERS: dict[str, Callable[[int | None], RowSampler]] = {
    "grid": lambda b: Sampler(Table(), plan.Rescale(0.5).plan(9), None, 5, blocks=b),
    "weights": lambda b: Sampler(Table(), plan.Rescale(0.5).plan(9), WEIGHTS, 5, blocks=b),
    "continuous": lambda b: ContinuousSampler(
        Table(), plan.Rescale(0.5).continuous(9), batch_size=5, blocks=b
    ),
    "order": lambda b: OrderedSampler(Table(), LowestEntropy(), 5, blocks=b),
    "klass": lambda b: OrderedSampler(Table(), Stable(0.5, kl=3.0, forwards=1), 5, blocks=b),
}


def same(a: Samples, b: Samples) -> None:
    np.testing.assert_array_equal(a.tokens, b.tokens)
    np.testing.assert_array_equal(a.nfe, b.nfe)


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_block_of_the_longest_row_is_no_block(name: str) -> None:
    job = Job(LENGTHS, seed=4)
    same(SAMPLERS[name](9).run(job), SAMPLERS[name](None).run(job))
    assert (SAMPLERS[name](4).run(job).tokens != SAMPLERS[name](None).run(job).tokens).any()


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("size", [1, 2, 4])
def test_events_are_in_the_leftmost_open_block(name: str, size: int) -> None:
    found = SAMPLERS[name](size).run(Job(LENGTHS, seed=4, record=True))
    assert found.trajectory is not None
    assert (found.tokens[np.arange(9) < LENGTHS[:, None]] < PAD).all()
    for row in range(len(LENGTHS)):
        block = found.trajectory.of(row).position // size
        assert (np.diff(block) >= 0).all()
        assert set(block) == set(range(-(-LENGTHS[row] // size)))


@pytest.mark.parametrize("name", SAMPLERS)
def test_rows_are_batch_invariant(name: str) -> None:
    whole = SAMPLERS[name](3).run(Job(LENGTHS, seed=9))
    for first, last in ((0, 1), (3, 9)):
        rows = slice(first, last)
        part = SAMPLERS[name](3).run(Job(LENGTHS[rows], seed=9, first=first))
        width = part.tokens.shape[1]
        np.testing.assert_array_equal(part.tokens, whole.tokens[rows, :width])
        np.testing.assert_array_equal(part.nfe, whole.nfe[rows])


def test_blocks_of_one_token_are_left_to_right() -> None:
    job = Job(LENGTHS, seed=4)
    plain = OrderedSampler(Table(), LeftToRight()).run(job)
    same(OrderedSampler(Table(), EntropyBounded(2.0), blocks=1).run(job), plain)
    np.testing.assert_array_equal(plain.nfe, LENGTHS)
    grid = Sampler(Table(), plan.Ancestral().plan(1), blocks=1).run(job)
    np.testing.assert_array_equal(grid.nfe, LENGTHS)


ROWS = 10_000


def frequencies(sampler: RowSampler) -> np.ndarray:
    tokens = sampler.run(Job(np.full(ROWS, chains.LENGTH), seed=1)).tokens
    return np.bincount(tokens @ [4, 2, 1], minlength=8)


def chi_square(counts: np.ndarray, p: np.ndarray) -> float:
    return float(((counts - ROWS * p) ** 2 / (ROWS * p)).sum())


def test_tokens_of_a_step_are_independent_and_blocks_are_not() -> None:
    target, one = chains.TARGET.numpy().reshape(2, 2, 2), plan.Ancestral().plan(1)
    pair = target.sum(2)
    product = pair.sum(1)[:, None] * pair.sum(0)[None, :]
    expected = {
        None: product[..., None] * target.sum((0, 1)),  # all at once
        2: product[..., None] * target / pair[..., None],  # two at once, then the third
        1: target,
    }
    for size in expected:
        counts = frequencies(Sampler(chains.Exact(), one, batch_size=ROWS, blocks=size))
        for other, q in expected.items():
            assert (chi_square(counts, q.reshape(-1)) < chains.LIMIT) == (other == size)


def test_in_continuous_time_blocks_of_any_size_end_at_the_target() -> None:
    table = plan.Rescale(0.2).continuous(20)
    for size in (1, 2):
        sampler = ContinuousSampler(chains.Exact(), table, batch_size=ROWS, blocks=size)
        assert chi_square(frequencies(sampler), chains.TARGET.numpy()) < chains.LIMIT


@pytest.mark.parametrize("name", ["grid", "weights", "continuous"])
def test_fixed_tokens_stay_and_every_block_begins_late(name: str) -> None:
    rng = np.random.default_rng(0)
    real = np.arange(9) < LENGTHS[:, None]
    tokens = np.where(real, rng.integers(0, 5, real.shape), PAD)
    tokens = np.where(real & (rng.random(real.shape) < 0.3), MASK, tokens)
    fixed = (tokens < PAD) & (rng.random(real.shape) < 0.5)
    last = 0.999 if name == "continuous" else 8
    for begin in (0, last):
        given = Given(tokens, fixed=fixed, step=np.full(len(LENGTHS), begin))
        found = SAMPLERS[name](3).run(Job(LENGTHS, given=given))
        assert (found.tokens[fixed] == tokens[fixed]).all()
        assert (found.tokens[real] < PAD).all()
        free = (tokens < PAD) & ~fixed
        changed = (found.tokens[free] != tokens[free]).mean()
        assert changed > 0.3 if begin == 0 else changed == 0


def test_blocks_by_hand() -> None:
    lengths = np.array([1, 4, 5])
    assert count_blocks(lengths, None).tolist() == [1, 1, 1]
    assert count_blocks(lengths, 2).tolist() == [1, 2, 3]
    assert in_block(np.array([1]), 5, 2).tolist() == [[False, False, True, True, False]]
    alpha, block = np.full(3, 0.5), np.array([0, 1, 2])
    assert placed_fraction(alpha, block, lengths, 2).tolist() == [0.5, 0.75, 0.9]
    assert placed_fraction(alpha, block, lengths, None) is alpha
