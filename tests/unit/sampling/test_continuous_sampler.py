"""The sampler in continuous time: its distribution, its events, and independence of rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import chains
from molgen.diffusion import plan, token_weights
from molgen.diffusion.posterior import masked_posterior
from molgen.sampling.continuous_sampler import ContinuousSampler
from molgen.sampling.event_sampler import Sampler
from molgen.sampling.sampler import Given, Job, Samples
from molgen.sampling.trajectory import PLACED, REMOVED
from tiny import Table

STRATEGIES: dict[str, plan.Strategy] = {
    "ancestral": plan.Ancestral(),
    "cap": plan.Cap(0.05),
    "rescale": plan.Rescale(0.1),
    "forward-backward": plan.ForwardBackward(),
    "dfm": plan.DiscreteFlow(2.0),
    "psi": plan.Psi(0.9),
    "switch": plan.Switch(0.7, plan.Rescale(0.1)),
    "loop": plan.Loop(eta=0.05),
}
STEPS = 32
WRONG = torch.zeros(27, 3, 3, dtype=torch.float64)
WRONG[..., :2] = torch.from_numpy(np.random.default_rng(4).dirichlet([0.5, 0.5], (27, 3)))
WRONG = torch.where((chains.STATES == chains.MASK)[..., None], WRONG, chains.one_hot(chains.STATES))
"""A denoiser of no distribution: what it draws depends on the remasking."""
LENGTHS = np.array([5, 1, 9, 3, 7, 7, 2, 9, 4, 6, 8, 5])
PAD, MASK = Table().pad_id, Table().mask_id
ROWS = 10_000


class Wrong(chains.Exact):
    prediction = WRONG.numpy()


def draw(name: str, job: Job, **more: object) -> Samples:
    predictor = more.pop("predictor", None) or Table()
    return ContinuousSampler(predictor, STRATEGIES[name].continuous(STEPS), **more).run(job)  # type: ignore[arg-type]


def same(a: Samples, b: Samples) -> None:
    np.testing.assert_array_equal(a.tokens, b.tokens)
    np.testing.assert_array_equal(a.nfe, b.nfe)


def end(strategy: plan.Strategy) -> NDArray[np.float64]:
    """The distribution over clean states that the generator of the wrong denoiser ends at."""
    _, states = chains.generated(strategy.continuous(STEPS), WRONG)
    return np.asarray(states[-1, chains.IS_CLEAN].numpy())


def chi_square(samples: Samples, expected: NDArray[np.float64]) -> float:
    counts = np.bincount(samples.tokens @ [4, 2, 1], minlength=8)
    wanted = expected / expected.sum() * len(samples.tokens)
    return float(((counts - wanted) ** 2 / wanted).sum())


@pytest.mark.parametrize("name", ["ancestral", "rescale", "forward-backward", "loop", "psi"])
def test_frequencies_are_those_of_the_generator(name: str) -> None:
    """Of a wrong denoiser: with the exact one every strategy ends at the target."""
    job = Job(np.full(ROWS, chains.LENGTH), seed=2)
    how = {"predictor": Wrong(), "batch_size": ROWS}
    found = draw(name, job, **how)
    assert chi_square(found, end(STRATEGIES[name])) < chains.LIMIT
    if name in ("rescale", "forward-backward"):  # the test is sensitive to the rates
        assert chi_square(found, end(plan.Ancestral())) > chains.LIMIT


@pytest.mark.parametrize("name", ["rescale", "forward-backward"])
def test_it_ends_at_the_target_where_steps_still_err(name: str) -> None:
    job = Job(np.full(ROWS, chains.LENGTH), seed=3)
    found = draw(name, job, predictor=chains.Exact(), batch_size=ROWS)
    assert chi_square(found, chains.TARGET.numpy()) < chains.LIMIT
    few = Sampler(chains.Exact(), STRATEGIES[name].plan(8), batch_size=ROWS).run(job)
    assert chi_square(few, chains.TARGET.numpy()) > chains.LIMIT


@pytest.mark.parametrize("name", ["rescale", "forward-backward"])
def test_many_steps_converge_to_it(name: str) -> None:
    """At 4,096 steps, with the strength of a step that keeps the remasking per unit of time."""
    limit, distances = torch.from_numpy(end(STRATEGIES[name])), []
    for steps in (512, 4096):
        strategy = {
            "rescale": plan.Rescale(0.1 * STEPS / steps),
            "forward-backward": plan.ForwardBackward(),
        }[name]
        kernels = [
            masked_posterior(WRONG, chains.STATES, *row, chains.MASK)
            for row in strategy.plan(steps).rows()
        ]
        distances.append(chains.distance(chains.follow(kernels), limit))
    assert distances[1] < 1e-3
    assert distances[1] < 0.3 * distances[0]


@pytest.mark.parametrize(
    "weights", [None, token_weights.Sharpened(0.5), token_weights.Confidence()]
)
def test_rows_are_batch_invariant(weights: token_weights.TokenWeights | None) -> None:
    lengths = np.tile(LENGTHS, 2)
    how = {"weights": weights}
    whole = draw("rescale", Job(lengths, seed=9), **how)
    for size in (1, 7):
        same(draw("rescale", Job(lengths, seed=9), batch_size=size, **how), whole)
    tail = draw("rescale", Job(lengths[17:], seed=9, first=17), batch_size=7, **how)
    np.testing.assert_array_equal(tail.tokens, whole.tokens[17:])
    other = draw("rescale", Job(lengths, seed=10), **how)
    assert (other.tokens != whole.tokens).any(1).mean() > 0.9


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_forward_places_one_token(name: str) -> None:
    lengths = np.full(300, 7)
    found = draw(name, Job(lengths, record=True))
    events = found.trajectory
    assert events is not None
    placed = np.bincount(events.molecule[events.action == PLACED], minlength=len(lengths))
    removed = np.bincount(events.molecule[events.action == REMOVED], minlength=len(lengths))
    np.testing.assert_array_equal(placed, found.nfe)
    np.testing.assert_array_equal(placed - removed, lengths)
    assert (found.tokens < PAD).all()
    expected = 7 * STRATEGIES[name].continuous(STEPS).remasked
    # tokens that would be remasked at once are not drawn
    assert 0.6 * expected <= removed.mean() <= expected + 4 * removed.std() / len(lengths) ** 0.5
    for row in (0, 5):
        _, states = events.states(row, 7, MASK)
        np.testing.assert_array_equal(states[-1], found.tokens[row])


@pytest.mark.parametrize("name", ["cap", "rescale", "forward-backward", "loop"])
def test_under_weights_every_event_is_drawn(name: str) -> None:
    lengths, weights = np.full(900, 7), token_weights.Sharpened(0.5)
    found = draw(name, Job(lengths, record=True), weights=weights)
    assert found.trajectory is not None
    removed = np.bincount(
        found.trajectory.molecule[found.trajectory.action == REMOVED], minlength=len(lengths)
    )
    expected = 7 * STRATEGIES[name].continuous(STEPS).remasked
    assert removed.mean() == pytest.approx(expected, abs=4.5 * removed.std() / len(lengths) ** 0.5)


def test_forwards_at_most_twice_the_length_with_the_forward_backward_corrector() -> None:
    found = draw("forward-backward", Job(np.full(400, 9)))
    assert 9 < found.nfe.mean() <= 18
    assert (draw("ancestral", Job(LENGTHS)).nfe == LENGTHS).all()


def test_fixed_tokens_stay_and_parts_begin_late() -> None:
    rng = np.random.default_rng(0)
    real = np.arange(9) < LENGTHS[:, None]
    tokens = np.where(real, rng.integers(0, 5, real.shape), PAD)
    tokens = np.where(real & (rng.random(real.shape) < 0.3), MASK, tokens)
    fixed = (tokens < PAD) & (rng.random(real.shape) < 0.5)
    early, late = (
        draw("rescale", Job(LENGTHS, given=Given(tokens, fixed=fixed, step=np.full(12, begin))))
        for begin in (0.0, 0.999)
    )
    for found in (early, late):
        assert (found.tokens[fixed] == tokens[fixed]).all()
        assert (found.tokens[real] < PAD).all()
    free = (tokens < PAD) & ~fixed
    assert (early.tokens[free] != tokens[free]).mean() > 0.3
    np.testing.assert_array_equal(late.tokens[free], tokens[free])
    np.testing.assert_array_equal(late.nfe, (tokens == MASK).sum(1))
