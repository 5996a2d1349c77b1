"""Every plan on 27 states: the marginals it promises, and the order at which it converges."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

import chains
from chains import MASK, STATES, TARGET
from molgen.diffusion import plan
from molgen.diffusion.noise import Cosine, LogLinear, Schedule
from molgen.diffusion.posterior import masked_posterior

AtSteps = Callable[[int], plan.Strategy]
"""A strategy whose parameters may depend on the number of steps."""

PREDICTION = chains.denoise(TARGET)


def fixed(strategy: plan.Strategy) -> AtSteps:
    return lambda _: strategy


FIRST_ORDER: dict[str, AtSteps] = {
    "ancestral": fixed(plan.Ancestral()),
    "forward-backward": fixed(plan.ForwardBackward()),
    "dfm 2": fixed(plan.DiscreteFlow(beta=2.0)),
    "switch to forward-backward": fixed(plan.Switch(0.5, plan.ForwardBackward())),
    "cap 4/steps": lambda steps: plan.Cap(min(1, 4 / steps)),
    "rescale 4/steps": lambda steps: plan.Rescale(min(1, 4 / steps)),
    "psi 1 - 4/steps": lambda steps: plan.Psi(max(0, 1 - 4 / steps)),
    "loop 1/steps": lambda steps: plan.Loop(eta=1 / steps),
}
HALF_ORDER: dict[str, AtSteps] = {
    "cap 0.5": fixed(plan.Cap(0.5)),
    "rescale 0.5": fixed(plan.Rescale(0.5)),
    "rescale 1": fixed(plan.Rescale(1.0)),
    "rescale 0.5 of cap 0.4": fixed(plan.Rescale(0.5, cap=0.4)),
    "switch to rescale 0.5": fixed(plan.Switch(0.5, plan.Rescale(0.5))),
    "psi 0.5": fixed(plan.Psi(0.5)),
}
ALL = {
    **FIRST_ORDER,
    **HALF_ORDER,
    "loop 0.02": fixed(plan.Loop(eta=0.02)),
    "loop 1": fixed(plan.Loop(eta=1.0)),
}


def kernels(table: plan.Plan, prediction: Tensor = PREDICTION) -> list[Tensor]:
    return [masked_posterior(prediction, STATES, *row, MASK) for row in table.rows()]


def final_distance(strategy: AtSteps, steps: int) -> float:
    return chains.distance(chains.follow(kernels(strategy(steps).plan(steps))), TARGET)


def order(strategy: AtSteps, steps: int = 320) -> float:
    return math.log2(final_distance(strategy, steps) / final_distance(strategy, 2 * steps))


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("steps", [3, 7, 64])
@pytest.mark.parametrize("schedule", [LogLinear(), Cosine()])
def test_every_position_is_masked_as_often_as_the_schedule_says(
    name: str, steps: int, schedule: Schedule
) -> None:
    table = ALL[name](steps).plan(steps, schedule)
    state = chains.follow([])
    for (_, alpha_s, _), q in zip(table.rows(), kernels(table), strict=True):
        state = state @ chains.transition(q)
        masked = state @ (STATES == MASK).double()
        torch.testing.assert_close(masked, torch.full_like(masked, 1 - alpha_s), rtol=0, atol=1e-12)
    assert float(state.sum()) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("name", FIRST_ORDER)
def test_first_order(name: str) -> None:
    assert order(FIRST_ORDER[name]) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("name", HALF_ORDER)
def test_half_order(name: str) -> None:
    assert order(HALF_ORDER[name]) == pytest.approx(0.5, abs=0.06)


def test_loop_at_a_fixed_eta_has_a_floor_in_proportion_to_eta() -> None:
    loop = fixed(plan.Loop(eta=0.02))
    coarse, fine = final_distance(loop, 640), final_distance(loop, 1280)
    assert math.log2(coarse / fine) == pytest.approx(0, abs=0.05)
    assert fine == pytest.approx(0.005, rel=0.05)
    assert final_distance(fixed(plan.Loop(eta=0.04)), 640) / coarse == pytest.approx(2, rel=0.1)


def test_with_independent_tokens_every_step_is_exact() -> None:
    one = torch.tensor([0.3, 0.7], dtype=torch.float64)
    target = one[chains.CLEAN].prod(-1)
    exact = partial(kernels, prediction=chains.denoise(target))
    for strategy in ALL.values():
        assert chains.distance(chains.follow(exact(strategy(5).plan(5))), target) < 1e-14
