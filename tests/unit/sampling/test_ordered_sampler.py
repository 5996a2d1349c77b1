"""The ordered sampler against a plain loop, and against exact distributions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

import chains
from molgen.diffusion.unmasking_order import (
    ORDERS,
    EntropyBounded,
    LeftToRight,
    LowestEntropy,
    Order,
    Random,
    Stable,
    UnmaskingState,
)
from molgen.guidance.kernels import ClassifierFree
from molgen.guidance.predictor import NetworkPredictor, Prediction
from molgen.sampling.ordered_sampler import ORDER, OrderedSampler
from molgen.sampling.sampler import Given, Job, Samples
from molgen.utils import randomness
from molgen.utils.arrays import Ids
from molgen.utils.threads import workers
from tiny import Table, fp32, network

LENGTHS = np.array([5, 1, 9, 3, 7, 7, 2, 9, 4, 6, 8, 5])
CONDITION = np.linspace(0, 1, len(LENGTHS), dtype=np.float32)[:, None]
VARIANTS: dict[str, Order] = {
    **{name: kind() for name, kind in ORDERS.items()},
    "random-3": Random(3),
    "entropy-bounded-1": EntropyBounded(1.0),
    # predictions of the table vary strongly, so the past matters only with a loose bound
    "klass-loose": Stable(confidence=0.5, kl=3.0, forwards=1),
    "klass-loose-2": Stable(confidence=0.5, kl=3.0, forwards=2, at_once=2),
}


def plain(
    predictor: Table, order: Order, given: Ids, rows: Ids, seed: int, condition: bool = True
) -> Samples:
    """Each row by itself, to its end: a forward, the order, the draws."""
    tokens, nfe = given.copy(), np.zeros(len(given), dtype=np.int64)
    width = given.shape[1]
    for m, row in enumerate(tokens):
        own = CONDITION[m : m + 1] if condition else None
        before: list[NDArray[np.float64]] = []
        step, length = 0, int((row != predictor.pad_id).sum())
        while (masked := row == predictor.mask_id).any():
            clock = np.array([1 - masked.sum() / length])
            found = predictor(row[None], masked[None], own, clock).p
            p = np.zeros((width, found.shape[1]))
            p[masked] = found
            past = np.full((order.memory, 1, *p.shape), np.nan)
            for k, earlier in enumerate(before[: order.memory]):
                past[k, 0] = earlier
            u, v = (
                randomness.uniform(seed, randomness.STEP, rows[m], step + far, np.arange(width))
                for far in (0, ORDER)
            )
            now = UnmaskingState(masked[None], p[None], past, v[None], np.array([length]))
            for at in np.flatnonzero(order(now)[0]):
                cdf = np.cumsum(p[at])
                row[at] = np.searchsorted(cdf, u[at] * cdf[-1], side="right")
            before.insert(0, p)
            step, nfe[m] = step + 1, nfe[m] + predictor.forwards
    return Samples(tokens, nfe)


def blank(lengths: Ids) -> Ids:
    real = np.arange(lengths.max()) < lengths[:, None]
    return np.where(real, Table().mask_id, Table().pad_id)


def same(a: Samples, b: Samples) -> None:
    np.testing.assert_array_equal(a.tokens, b.tokens)
    np.testing.assert_array_equal(a.nfe, b.nfe)


@pytest.mark.parametrize("name", VARIANTS)
def test_it_is_the_plain_loop_to_the_last_token(name: str) -> None:
    order = VARIANTS[name]
    expected = plain(Table(), order, blank(LENGTHS), 7 + np.arange(12), seed=4)
    found = OrderedSampler(Table(), order, 5).run(Job(LENGTHS, CONDITION, 4, 7))
    same(found, expected)
    assert (found.tokens[np.arange(9) < LENGTHS[:, None]] < Table().pad_id).all()


def test_the_past_has_an_effect_there() -> None:
    draws = [
        OrderedSampler(Table(), order).run(Job(LENGTHS)).tokens
        for order in (Stable(0.5, 3.0, 1), Stable(0.5, 3.0, 2), Stable(1.0), Stable(0.5, 1e9, 1))
    ]
    for i, one in enumerate(draws):
        assert all((one != other).any() for other in draws[:i])


@pytest.mark.parametrize("name", ["random", "entropy-bounded-1", "klass-loose-2"])
def test_rows_are_batch_invariant(name: str) -> None:
    lengths = np.tile(LENGTHS, 2)

    def draw(lengths: Ids, batch_size: int, first: int = 0) -> Samples:
        return OrderedSampler(Table(), VARIANTS[name], batch_size).run(
            Job(lengths, seed=9, first=first)
        )

    whole = draw(lengths, 256)
    for batch_size in (1, 7):
        same(draw(lengths, batch_size), whole)
    head, tail = draw(lengths[:17], 7), draw(lengths[17:], 7, first=17)
    same(Samples(np.concatenate([head.tokens, tail.tokens]), np.append(head.nfe, tail.nfe)), whole)
    other = OrderedSampler(Table(), VARIANTS[name]).run(Job(lengths, seed=10))
    assert (other.tokens != whole.tokens).any(1).mean() > 0.9


@pytest.mark.parametrize("forwards", [1, 2])
def test_forwards_are_counted_from_one_a_token_to_one_a_row(forwards: int) -> None:
    for gamma, expected in ((0.0, LENGTHS), (math.inf, np.ones(12, dtype=np.int64))):
        predictor = Table(forwards=forwards)
        samples = OrderedSampler(predictor, EntropyBounded(gamma), 5).run(Job(LENGTHS))
        np.testing.assert_array_equal(samples.nfe, forwards * expected)
        assert samples.nfe.sum() == predictor.asked * forwards
    between = OrderedSampler(Table(), EntropyBounded(0.3), 5).run(Job(LENGTHS)).nfe
    assert LENGTHS.size < between.sum() < LENGTHS.sum()


@pytest.mark.parametrize("name", VARIANTS)
def test_recorded_events_are_those_of_the_draw(name: str) -> None:
    samples = OrderedSampler(Table(), VARIANTS[name], 5).run(
        Job(LENGTHS, seed=2, first=3, record=True)
    )
    events = samples.trajectory
    assert events is not None
    assert not events.action.any()
    for m, length in enumerate(LENGTHS):
        steps, states = events.states(m + 3, int(length), Table().mask_id)
        np.testing.assert_array_equal(states[-1], samples.tokens[m, :length])
        np.testing.assert_array_equal(steps, np.arange(samples.nfe[m]))
        own = events.of(m + 3)
        assert sorted(own.position) == list(range(length))
        np.testing.assert_array_equal(samples.quality[m, own.position], own.probability)


def test_given_tokens_stay_and_only_the_others_are_drawn() -> None:
    rng = np.random.default_rng(0)
    there = np.where(rng.random((12, 9)) < 0.5, rng.integers(0, 5, (12, 9)), Table().mask_id)
    there = np.where(blank(LENGTHS) == Table().pad_id, Table().pad_id, there)
    there[4, :7] = [0, 1, 2, 3, 4, 0, 1]  # nothing left to write
    psi, rows = rng.random((12, 9)), rng.permutation(100)[:12]
    masked = there == Table().mask_id
    late = Given(there, psi, ~masked, np.full(12, 50))
    for name in ("random", "klass-loose-2"):
        job = Job(LENGTHS, seed=6, rows=rows, given=late)
        found = OrderedSampler(Table(), VARIANTS[name], 5).run(job)
        same(found, plain(Table(), VARIANTS[name], there, rows, 6, condition=False))
        np.testing.assert_array_equal(found.tokens[~masked], there[~masked])
        np.testing.assert_array_equal(found.quality[~masked], psi[~masked])
        assert found.nfe[4] == 0
        few = Given(there[3:9])
        job = Job(LENGTHS[3:9], seed=6, rows=rows[3:9], given=few)
        part = OrderedSampler(Table(), VARIANTS[name]).run(job)
        same(part, Samples(found.tokens[3:9], found.nfe[3:9]))
    with pytest.raises(ValueError, match="given rows have lengths"):
        OrderedSampler(Table(), Random()).run(Job(LENGTHS[:6], given=few))


def test_rows_are_reported_once_as_they_end() -> None:
    seen: dict[int, Ids] = {}

    def note(index: Ids, ended: Samples) -> None:
        for i, row in zip(index.tolist(), ended.tokens, strict=True):
            assert i not in seen
            seen[i] = row.copy()

    sampler = OrderedSampler(Table(), Stable(), batch_size=3)
    samples = sampler.run(Job(LENGTHS, first=100), note)
    assert sorted(seen) == list(range(len(LENGTHS)))
    np.testing.assert_array_equal(np.array([seen[i] for i in range(len(LENGTHS))]), samples.tokens)


class Exact:
    """The exact denoiser of the 27 states as a predictor."""

    forwards, mask_id, pad_id, max_length = 1, chains.MASK, 3, chains.LENGTH
    prediction = chains.denoise(chains.TARGET).numpy()

    def __call__(
        self,
        tokens: Ids,
        wanted: NDArray[np.bool_],
        condition: NDArray[np.float32] | None,
        alpha_t: NDArray[np.float64],
        rows: NDArray[np.int64] | None = None,
    ) -> Prediction:
        p = np.asarray(self.prediction[tokens @ [9, 3, 1]][wanted])
        return Prediction(p, np.zeros(len(tokens), dtype=np.int64))


ROWS = 20_000
LIMIT = 40.5  # of chi-square with 7 degrees of freedom: passed by chance once in a million


@pytest.mark.parametrize("order", [Random(), LeftToRight(), LowestEntropy(), Stable()], ids=repr)
def test_frequencies_are_those_of_the_joint(order: Order) -> None:
    # sure tokens of so small an alphabet are rare: here KLASS, too, places one a forward
    lengths = np.full(ROWS, chains.LENGTH)
    samples = OrderedSampler(Exact(), order, batch_size=ROWS).run(Job(lengths, seed=3))
    counts = np.bincount(samples.tokens @ [4, 2, 1], minlength=8)
    expected = chains.TARGET.numpy() * ROWS
    assert ((counts - expected) ** 2 / expected).sum() < LIMIT


def test_frequencies_of_all_at_once_are_those_of_independent_tokens() -> None:
    lengths = np.full(ROWS, chains.LENGTH)
    samples = OrderedSampler(Exact(), EntropyBounded(math.inf), ROWS).run(Job(lengths, seed=3))
    counts = np.bincount(samples.tokens @ [4, 2, 1], minlength=8)
    expected = Exact.prediction[-1][np.arange(3), chains.CLEAN.numpy()].prod(-1) * ROWS
    assert ((counts - expected) ** 2 / expected).sum() < LIMIT
    target = chains.TARGET.numpy() * ROWS
    assert ((counts - target) ** 2 / target).sum() > 3 * LIMIT


def test_a_random_order_is_uniform_over_positions() -> None:
    rows, length = 6000, 3
    samples = OrderedSampler(Exact(), Random(), rows).run(Job(np.full(rows, length), record=True))
    events = samples.trajectory
    assert events is not None
    paths = events.position.reshape(rows, length) @ [9, 3, 1]
    counts = np.unique(paths, return_counts=True)[1]
    assert len(counts) == 6
    assert ((counts - rows / 6) ** 2 / (rows / 6)).sum() < 35.9  # 5 degrees of freedom, 1e-6


@pytest.mark.parametrize("name", ["klass", "entropy-bounded-1"])
def test_a_guided_network_is_batch_invariant(name: str) -> None:
    condition = np.tile(np.array([0.9, np.nan, 1.0], dtype=np.float32), (12, 1))
    with workers("cpu") as pool:
        predictor = NetworkPredictor(fp32(network()), pool, ClassifierFree(2.0))
        draws = [
            OrderedSampler(predictor, VARIANTS[name], size).run(Job(LENGTHS, condition, 1))
            for size in (5, 256)
        ]
    same(*draws)
    assert (draws[0].nfe % 2 == 0).all()
    assert (draws[0].nfe <= 2 * LENGTHS).all()


class ScoredRows(Table):
    """A table with a quality head that increases with the number of placed tokens."""

    def __call__(
        self,
        tokens: Ids,
        wanted: NDArray[np.bool_],
        condition: NDArray[np.float32] | None,
        alpha_t: NDArray[np.float64],
        rows: NDArray[np.int64] | None = None,
    ) -> Prediction:
        found = super().__call__(tokens, wanted, condition, alpha_t)
        placed = (tokens < self.pad_id).sum(1, keepdims=True) / 10
        return Prediction(found.p, found.classifier_forwards, np.tile(placed, tokens.shape[1]))


def test_quality_is_the_last_output_of_the_head() -> None:
    samples = OrderedSampler(ScoredRows(), LeftToRight()).run(Job(LENGTHS, record=True))
    events = samples.trajectory
    assert events is not None
    for m, length in enumerate(LENGTHS):
        np.testing.assert_allclose(samples.quality[m, : length - 1], (length - 1) / 10)
        # the last token was placed after the last forward, without an output of the head
        assert samples.quality[m, length - 1] == events.of(m).probability[-1]


def test_a_batch_has_room() -> None:
    with pytest.raises(ValueError, match="batch_size is 0, expected at least 1"):
        OrderedSampler(Table(), Random(), batch_size=0)
