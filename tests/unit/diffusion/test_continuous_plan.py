"""Plans in continuous time: rates, their integrals, and the generator on 27 states."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import chains
from chains import MASK, STATES, TARGET
from molgen.diffusion import plan
from molgen.diffusion.continuous_plan import ContinuousPlan, Hazard, Rate

STRATEGIES: dict[str, plan.Strategy] = {
    "ancestral": plan.Ancestral(),
    "cap": plan.Cap(0.05),
    "rescale": plan.Rescale(0.1),
    "rescale of a cap": plan.Rescale(0.5, cap=0.04),
    "forward-backward": plan.ForwardBackward(),
    "dfm": plan.DiscreteFlow(2.0),
    "psi": plan.Psi(0.9),
    "switch": plan.Switch(0.7, plan.Rescale(0.1)),
    "loop": plan.Loop(eta=0.05),
}
LIMITS = ("ancestral", "forward-backward", "dfm")
"""Strategies that have a limit of many steps themselves."""
STEPS = 32


def continuous(name: str) -> ContinuousPlan:
    return STRATEGIES[name].continuous(STEPS)


@pytest.mark.parametrize("name", STRATEGIES)
def test_rates_are_those_of_the_steps(name: str) -> None:
    steps = 4096 if name in LIMITS else STEPS
    table, found = STRATEGIES[name].plan(steps), STRATEGIES[name].continuous(steps)
    middle = (np.arange(steps) + 0.5) / steps
    clock = -np.log1p(-middle)
    # steps at the ends of pieces and of the plan are capped or rounded to the grid
    inner = (middle > 0.1) & (middle < 0.9) & (np.abs(middle - 0.3) > 1.5 / STEPS)
    inner &= np.abs(middle - 0.5) > 1.5 / STEPS
    rate = found.hazard(clock).remask[inner]
    if name == "loop":
        inner &= (middle > 0.5) & (middle < 0.9)
        rate = found.hazard(clock).remask[inner]
    np.testing.assert_allclose(table.sigma[inner] * steps, rate, rtol=2 / min(steps, 256) + 0.12)
    kept = (table.alpha_t + table.alpha_s) / 2
    grid = 1.5 / steps if name == "loop" else 1e-12  # whose ends are rounded
    np.testing.assert_allclose(found.alpha(clock), kept, atol=2 * grid)


@pytest.mark.parametrize("name", STRATEGIES)
def test_integrals_are_those_of_the_rates(name: str) -> None:
    found = continuous(name)
    u = np.linspace(0.01, 0.995, 100_001)
    middle = -np.log1p(-(u[1:] + u[:-1]) / 2)
    rates, ends = found.hazard(middle), found._integral(-np.log1p(-u[[0, -1]]))
    for each in ("place", "compensate", "remask"):
        low, high = getattr(ends, each)
        assert high - low == pytest.approx((getattr(rates, each) * np.diff(u)).sum(), rel=2e-5)
    mean = (rates.remask * found.alpha(middle) * np.diff(u)).sum()
    assert found.remasked == pytest.approx(mean, abs=0.04)
    assert found.remasks == (name != "ancestral")


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_next_event_is_where_the_integrated_rate_says(name: str) -> None:
    rng, n = np.random.default_rng(0), 4000
    found, clock, exposure = continuous(name), rng.exponential(size=n), rng.exponential(size=n)
    masked, placed = rng.integers(0, 4, (2, n)).astype(float)
    masked[: n // 4] = 0
    weights = Hazard(masked, masked, placed)
    then = found.next(clock, weights, exposure)
    ends = np.isinf(then)
    gone = found._integral(np.where(ends, 60.0, then)).total(weights)
    gone -= found._integral(clock).total(weights)
    np.testing.assert_allclose(gone[~ends], exposure[~ends], atol=1e-9)
    assert (masked[ends] == 0).all()
    assert (gone[ends] < exposure[ends]).all()
    alone = found.next(clock[5:6], Hazard(*(w[5:6] for w in vars(weights).values())), exposure[5:6])
    assert alone == then[5:6]


def test_the_first_events_of_ancestral_sampling_are_the_first_hitting_times() -> None:
    exposure, count = np.array([0.1, 0.7, 3.0]), np.full(3, 5.0)
    found = (
        plan.Ancestral().continuous(1).next(np.zeros(3), Hazard(count, count, 0 * count), exposure)
    )
    np.testing.assert_allclose(found, exposure / 5)  # t = u ** (1 / n) with u = exp(-exposure)


def test_a_part_begins_where_as_many_tokens_are_placed() -> None:
    placed = np.array([0.0, 0.3, 0.9])
    np.testing.assert_allclose(plan.Rescale(0.2).continuous(8).start(placed), placed)
    loop = plan.Loop(t_on=0.5, t_off=0.1, alpha_on=0.8).continuous(8)
    np.testing.assert_allclose(loop.start(np.array([0.4, 0.8, 0.9])), [0.25, 0.9, 0.95])
    assert ContinuousPlan.linear([(0.0, Rate(1.0)), (1.0, Rate())]).rates == [Rate()]


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_generator_keeps_the_marginals_and_ends_at_the_target(name: str) -> None:
    found = continuous(name)
    clock, states = chains.generated(found, chains.denoise(TARGET))
    masked = states @ (STATES == MASK).double()
    kept = torch.from_numpy(found.alpha(clock.numpy()))[:, None]
    assert float((masked - (1 - kept)).abs().max()) < 8e-3  # of the intervals, at the edges
    assert chains.distance(states[-1], TARGET) < 1e-8  # the time left
