"""Unmasking orders: by hand, and their effect on an exact joint, path by path."""

from __future__ import annotations

import math
from itertools import permutations, product

import numpy as np
import pytest

import chains
from molgen.diffusion.unmasking_order import (
    ORDERS,
    Chunks,
    EntropyBounded,
    LargestMargin,
    LeftToRight,
    LowestEntropy,
    Order,
    Random,
    Stable,
    UnmaskingState,
    divergence,
    entropy,
    lowest,
)
from molgen.utils.arrays import Floats, Mask

TARGET = chains.TARGET.numpy()
PREDICTION = chains.denoise(chains.TARGET).numpy()
ONE_AT_A_TIME: dict[str, Order] = {
    "random": Random(),
    "left-to-right": LeftToRight(),
    "chunks": Chunks(100, growth=1.0),
    "entropy": LowestEntropy(),
    "margin": LargestMargin(),
    "entropy-bounded": EntropyBounded(0.0),
    "klass": Stable(confidence=1.0),
}
SEVERAL: dict[str, Order] = {
    "random": Random(2),
    "left-to-right": LeftToRight(2),
    "chunks": Chunks(2),
    "entropy": LowestEntropy(2),
    "margin": LargestMargin(2),
    "entropy-bounded": EntropyBounded(1.0),
    "klass": Stable(confidence=0.5, kl=1.0, forwards=1),
}


def unmasking_state(
    p: Floats, masked: Mask | None = None, past: Floats | None = None
) -> UnmaskingState:
    """Rows of distributions with shape (rows, longest, vocab), all masked by default."""
    masked = np.ones(p.shape[:2], dtype=bool) if masked is None else masked
    past = np.full((2, *p.shape), np.nan) if past is None else past
    u = np.random.default_rng(1).random(p.shape[:2])
    return UnmaskingState(masked, p * masked[..., None], past, u)


def some(rows: int = 300, length: int = 7, vocab: int = 5, seed: int = 0) -> UnmaskingState:
    rng = np.random.default_rng(seed)
    sharpness = rng.choice([0.05, 0.3, 2.0], (rows, length))
    p = rng.gamma(np.broadcast_to(sharpness[..., None], (rows, length, vocab))) + 1e-12
    masked = rng.random((rows, length)) < 0.7
    masked[:, 3] = True
    return unmasking_state(
        p / p.sum(-1, keepdims=True), masked, np.stack([p / p.sum(-1, keepdims=True)])
    )


def drawn(order: Order, state: tuple[int, ...] = (chains.MASK,) * 3, *past: Floats) -> Floats:
    """The distribution over the clean states that an order ends in from a state, exactly.

    Every path is followed; a random order has every ranking of the positions.
    """
    index = int(np.array(state) @ [9, 3, 1])
    masked = np.array(state) == chains.MASK
    if not masked.any():
        return np.eye(8)[int(np.array(state) @ [4, 2, 1])]
    p = PREDICTION[index] * masked[:, None]
    history = np.full((order.memory, 1, *p.shape), np.nan)
    for k, earlier in enumerate(past[: order.memory]):
        history[k, 0] = earlier
    rankings = list(permutations(range(3))) if isinstance(order, Random) else [(0, 1, 2)]
    result = np.zeros(8)
    for ranking in rankings:
        u = np.array([ranking]) / 3
        chosen = np.flatnonzero(order(UnmaskingState(masked[None], p[None], history, u))[0])
        assert len(chosen)
        for tokens in product(range(2), repeat=len(chosen)):
            then, chance = list(state), 1 / len(rankings)
            for position, token in zip(chosen, tokens, strict=True):
                then[position], chance = token, chance * p[position, token]
            if chance:
                result += chance * drawn(order, tuple(then), p, *past)
    return result


@pytest.mark.parametrize("name", ORDERS)
def test_one_at_a_time_the_joint_is_exact(name: str) -> None:
    np.testing.assert_allclose(drawn(ONE_AT_A_TIME[name]), TARGET, rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", ORDERS)
def test_several_at_once_it_does_not(name: str) -> None:
    found = drawn(SEVERAL[name])
    assert found.sum() == pytest.approx(1, abs=1e-14)
    assert np.abs(found - TARGET).sum() / 2 > 0.01


def relative(found: Floats) -> float:
    return float((TARGET * np.log(TARGET / found)).sum())


def test_entropy_bounded_from_one_at_a_time_to_all_at_once() -> None:
    independent = PREDICTION[-1][np.arange(3), chains.CLEAN.numpy()].prod(-1)
    np.testing.assert_allclose(drawn(EntropyBounded(math.inf)), independent, atol=1e-14)
    gammas = np.linspace(0, 2, 41)
    errors = [relative(drawn(EntropyBounded(gamma))) for gamma in gammas]
    # the chain rule: the whole error is that of the forwards along a path, of which each keeps to
    # the bound, and the last, which places one token, has none
    assert all(error <= 2 * gamma + 1e-14 for error, gamma in zip(errors, gammas, strict=True))
    assert errors[0] == pytest.approx(0, abs=1e-14)
    assert errors[-1] == pytest.approx(relative(independent))
    assert len(np.unique(np.round(errors, 9))) > 2


@pytest.mark.parametrize("gamma", [0.02, 0.3, 0.5, 0.8])
def test_the_bound_is_valid_for_every_forward(gamma: float) -> None:
    joint = chains.given(chains.TARGET).numpy()
    masked = chains.STATES.numpy() == chains.MASK
    chosen = EntropyBounded(gamma)(unmasking_state(PREDICTION, masked))
    for state in np.flatnonzero(masked.any(1)):
        places = np.flatnonzero(chosen[state])
        values = chains.CLEAN.numpy()[:, places]
        together = np.array([joint[state][(values == v).all(1)].sum() for v in values])
        alone = PREDICTION[state, places, values].prod(-1)
        possible = joint[state] > 0
        total = joint[state][possible] @ np.log(together[possible] / alone[possible])
        assert total <= gamma + 1e-12


@pytest.mark.parametrize("gamma", [0.0, 0.01, 0.1, 1.0, math.inf])
def test_entropy_bounded_is_the_largest_prefix(gamma: float) -> None:
    now = some()
    h = entropy(now.p)
    for row, chosen in enumerate(EntropyBounded(gamma)(now)):
        order = sorted(np.flatnonzero(now.masked[row]), key=lambda k: h[row, k])
        fits = [
            k for k in range(1, len(order) + 1)
            if k == 1 or h[row, order[:k]].sum() - h[row, order[:k]].max() <= gamma
        ]  # fmt: skip
        assert set(np.flatnonzero(chosen)) == set(order[: max(fits)])
    placed = EntropyBounded(gamma)(now).sum(1)
    assert (placed == (1 if gamma == 0 else now.masked.sum(1))).all() == (gamma in (0, math.inf))


def test_certain_tokens_are_placed_without_error() -> None:
    p = np.array([[[1.0, 0.0], [0.5, 0.5], [0.0, 1.0], [0.3, 0.7]]])
    assert EntropyBounded(0.0)(unmasking_state(p)).tolist() == [[True, False, True, True]]


@pytest.mark.parametrize("name", ORDERS)
def test_masked_tokens_alone_at_least_one_and_each_row_for_itself(name: str) -> None:
    now = some()
    for order in (ONE_AT_A_TIME[name], SEVERAL[name]):
        chosen = order(now)
        assert (chosen <= now.masked).all()
        assert chosen.any(1).all()
        for row in range(0, 300, 23):
            part = slice(row, row + 1)
            own = UnmaskingState(now.masked[part], now.p[part], now.past[:, part], now.u[part])
            np.testing.assert_array_equal(order(own), chosen[part])
    assert (ONE_AT_A_TIME[name](now).sum(1) == 1).all()
    if SEVERAL[name] in (Random(2), LeftToRight(2), LowestEntropy(2), LargestMargin(2)):
        assert (SEVERAL[name](now).sum(1) == np.minimum(now.masked.sum(1), 2)).all()


def test_the_ranks() -> None:
    p = np.array([[[0.5, 0.5, 0.0], [0.6, 0.2, 0.2], [0.55, 0.45, 0.0], [0.2, 0.2, 0.6]]])
    now = unmasking_state(p)
    assert LeftToRight()(now).argmax() == 0
    assert LowestEntropy()(now).argmax() == 2
    assert LargestMargin()(now).argmax() == 1  # of equal ones the leftmost
    assert Random()(now).argmax() == now.u.argmin()
    assert lowest(p[..., 2], np.array([[False, True, False, True]]), 3).tolist() == [
        [False, True, False, True]
    ]


def test_klass_needs_confidence_and_two_stable_forwards() -> None:
    def pair(*first: float) -> Floats:
        return np.stack([np.array(first), 1 - np.array(first)], axis=-1)[None]

    p, order = pair(0.95, 0.95, 0.95, 0.85, 0.97, 0.6), Stable()
    past = np.stack(
        [pair(0.94, 0.94, 0.80, 0.85, 0.97, 0.6), pair(0.94, 0.70, 0.80, 0.85, 0.97, 0.6)]
    )
    assert order(unmasking_state(p, None, past)).tolist() == [
        [True, False, False, False, True, False]
    ]
    assert (
        order(unmasking_state(p, None, past[:, :, ::-1])).sum() == 1
    )  # none is stable: the most confident
    # without two past forwards none is
    for none in (np.full_like(past, np.nan), np.stack([past[0], np.full_like(past[1], np.nan)])):
        assert order(unmasking_state(p, None, none)).tolist() == [[False] * 4 + [True, False]]
    assert Stable(forwards=1)(unmasking_state(p, None, past[:1])).tolist() == [
        [True, True, False, False, True, False]
    ]
    few = Stable(confidence=1.0, at_once=3)(unmasking_state(p, None, past))
    assert few.tolist() == [[True, True, False, False, True, False]]


def test_klass_excludes_values_that_were_impossible_before() -> None:
    p, before = np.array([[[0.99, 0.01]] * 2]), np.array([[[1.0, 0.0], [0.99, 0.01]]])
    found = Stable()(unmasking_state(p, None, np.stack([before, before])))
    assert found.tolist() == [[False, True]]


def test_entropy_and_divergence() -> None:
    p, q = np.array([0.5, 0.5, 0.0]), np.array([0.25, 0.5, 0.25])
    assert entropy(p) == pytest.approx(math.log(2))
    assert divergence(p, q) == pytest.approx(0.5 * math.log(2))
    assert divergence(q, p) == math.inf
    assert np.isnan(divergence(p, np.full(3, np.nan)))


def test_bad_parameters() -> None:
    with pytest.raises(ValueError, match="at_once is 0"):
        LowestEntropy(0)
    for gamma in (-0.1, math.nan):
        with pytest.raises(ValueError, match=f"gamma is {gamma}, expected at least 0"):
            EntropyBounded(gamma)
    with pytest.raises(ValueError, match=r"confidence is 1\.5"):
        Stable(confidence=1.5)
    with pytest.raises(ValueError, match="kl is 0, expected more than 0"):
        Stable(kl=0)
    with pytest.raises(ValueError, match="forwards is 0, expected a whole number"):
        Stable(forwards=0)


@pytest.mark.parametrize("growth", [1.0, 1.2, 2.0])
@pytest.mark.parametrize("forwards", [1, 3, 4])
def test_chunks_take_a_number_of_forwards_whatever_the_length(growth: float, forwards: int) -> None:
    order, lengths = Chunks(forwards, growth), np.arange(8, 30)
    real = np.arange(30) < lengths[:, None]
    masked, taken = real.copy(), np.zeros(len(lengths), dtype=int)
    while masked.any():
        p = masked[..., None] * np.full(4, 0.25)
        u = np.zeros(masked.shape)
        chosen = order(UnmaskingState(masked, p, np.zeros((0, *p.shape)), u, lengths))
        assert (chosen & ~masked).sum() == 0
        assert chosen[masked.any(1)].any(1).all()
        for row, mask in zip(chosen, masked, strict=True):  # the leftmost masked tokens
            assert not row[mask].any() or row[mask].argmin() in (0, row.sum())
        taken += masked.any(1)
        masked &= ~chosen
    assert set(taken) == {forwards}


def test_chunks_of_growth_1_have_equal_size() -> None:
    masked = np.ones((1, 12), dtype=bool)
    chosen = Chunks(4, 1.0)(unmasking_state(np.full((1, 12, 3), 1 / 3), masked))
    assert chosen.sum() == 3
