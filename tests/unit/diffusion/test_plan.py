from __future__ import annotations

import numpy as np
import pytest

from molgen.diffusion import plan, remasking_rates
from molgen.diffusion.noise import Cosine, LogLinear, Schedule
from molgen.diffusion.plan import STRATEGIES, Loop, Plan

STRONG: dict[str, plan.Strategy] = {
    "ancestral": plan.Ancestral(),
    "cap": plan.Cap(1.0),
    "rescale": plan.Rescale(1.0),
    "switch": plan.Switch(0.6, plan.Cap(0.7)),
    "loop": Loop(eta=1.0),
    "forward-backward": plan.ForwardBackward(),
    "dfm": plan.DiscreteFlow(50.0),
    "psi": plan.Psi(0.0),
}
"""Every strategy, with parameters that push against the bound."""


def test_all_strategies_are_here() -> None:
    assert STRONG.keys() == STRATEGIES.keys()
    assert all(type(strategy) is STRATEGIES[name] for name, strategy in STRONG.items())


@pytest.mark.parametrize("schedule", [LogLinear(), Cosine()])
@pytest.mark.parametrize("name", STRATEGIES)
def test_plans_of_any_length_are_sound(name: str, schedule: Schedule) -> None:
    for strategy in (STRONG[name], STRATEGIES[name]()):
        for steps in [*range(3 if name == "loop" else 1, 70), 99, 128, 255, 300]:
            table = strategy.plan(steps, schedule)
            a_t, a_s = table.alpha_t, table.alpha_s
            assert len(table) == len(a_t) == steps
            assert a_t[0] == 0
            assert a_s[-1] == 1
            assert (a_t[1:] == a_s[:-1]).all()
            assert (a_t <= a_s).all()
            bound = np.array([remasking_rates.sigma_max(*row[:2]) for row in table.rows()])
            assert (table.sigma >= 0).all()
            assert (table.sigma <= bound).all()
            assert table.sigma[-1] == 0, "the last step masks again"
            reveal = (a_s - (1 - table.sigma) * a_t) / (1 - a_t)
            assert ((reveal >= 0) & (reveal <= 1 + 1e-12)).all()


@pytest.mark.parametrize("schedule", [LogLinear(), Cosine()])
def test_a_stepwise_plan_walks_along_its_schedule(schedule: Schedule) -> None:
    import torch

    table = plan.Rescale(0.5).plan(40, schedule)
    times = torch.linspace(1, 0, 41, dtype=torch.float64)
    np.testing.assert_allclose(table.alpha_t, schedule.alpha(times)[:-1].numpy(), atol=1e-15)


def test_switch_is_ancestral_and_then_the_other() -> None:
    other = plan.Cap(0.03)
    table, full = plan.Switch(0.25, other).plan(20), other.plan(20)
    late = np.linspace(1, 0, 21)[:-1] <= 0.25 + 1e-9
    assert late.sum() == 5
    np.testing.assert_array_equal(table.sigma, np.where(late, full.sigma, 0))


@pytest.mark.parametrize("steps", [3, 10, 19, 64, 128, 300])
@pytest.mark.parametrize(("t_on", "t_off"), [(0.55, 0.05), (0.9, 0.4), (0.99, 0.01), (0.7, 0.3)])
def test_the_loops_plateau_is_rounded_to_the_grid(steps: int, t_on: float, t_off: float) -> None:
    table = Loop(t_on, t_off, eta=0.02, alpha_on=0.8).plan(steps)
    on_plateau = table.alpha_t == table.alpha_s
    edges = [min(round(t_on * steps), steps - 1), max(round(t_off * steps), 1)]
    assert on_plateau.sum() == edges[0] - edges[1] >= 1
    assert table.alpha_t[on_plateau] == pytest.approx(0.8)
    np.testing.assert_array_equal(table.sigma, np.where(on_plateau, 0.02, 0))
    assert (table.alpha_s[: steps - edges[0]] <= 0.8).all(), "no step jumps over the edge"
    assert (table.alpha_t[steps - edges[1] :] >= 0.8).all()


def test_too_few_steps_for_a_loop() -> None:
    for steps in (1, 2):
        with pytest.raises(ValueError, match=f"at least 3 steps for its three parts, got {steps}"):
            Loop().plan(steps)
    with pytest.raises(ValueError, match=r"t_on=0.55 to t_off=0.5"):
        Loop(t_on=0.55, t_off=0.5).plan(4)


@pytest.mark.parametrize("name", STRATEGIES)
def test_no_steps(name: str) -> None:
    for steps in (0, -4):
        with pytest.raises(ValueError, match=f"got {steps}|steps is {steps}"):
            STRATEGIES[name]().plan(steps)


@pytest.mark.parametrize(
    ("strategy", "message"),
    [
        (lambda: plan.Cap(1.5), "eta must lie in .*got 1.5"),
        (lambda: plan.Rescale(0.5, cap=-1), "eta_cap must lie in"),
        (lambda: plan.Psi(float("nan")), "kappa must lie in .*nan"),
        (lambda: plan.DiscreteFlow(-1), "beta must be at least 0, got -1"),
        (lambda: plan.Switch(2.0), "t_switch is 2.0"),
        (lambda: plan.Switch(float("nan")), "t_switch is nan"),
        (lambda: Loop(t_on=0.1, t_off=0.2), "0 < t_off < t_on < 1, got t_on=0.1 and t_off=0.2"),
        (lambda: Loop(t_on=1.0), "0 < t_off < t_on < 1"),
        (lambda: Loop(t_off=0.0), "0 < t_off < t_on < 1"),
        (lambda: Loop(alpha_on=1.2), "alpha_on must lie in"),
        (lambda: Loop(eta=-0.1), "eta must lie in"),
    ],
)
def test_parameters_out_of_range_are_named(strategy: object, message: str) -> None:
    assert callable(strategy)
    with pytest.raises(ValueError, match=message):
        strategy().plan(10)


NAN = float("nan")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "columns of one length, got 0, 0, 0"),
        ([(0.1, 1, 0)], "step 0 does not start where"),
        ([(0, 0.5, 0), (0.4, 1, 0)], "step 1 does not start where the step before ended: .*0.4"),
        ([(0, 0.5, 0), (0.5, 0.4, 0), (0.4, 1, 0)], "step 1 goes back towards the noise"),
        ([(0, 0.5, 0), (0.5, 0.9, 0.3), (0.9, 1, 0)], "step 1 has a sigma outside .*sigma 0.3"),
        ([(0, 0.5, 0), (0.5, 1, 0.01)], "step 1 has a sigma outside"),
        ([(0, 0.5, -0.1), (0.5, 1, 0)], "step 0 has a sigma outside"),
        ([(0, 0.5, 0)], "the last step ends at alpha 0.5, expected 1"),
        ([(0, 0.5, NAN), (0.5, 1, 0)], "step 0 has an entry that is no number"),
        ([(0, NAN, 0), (NAN, 1, 0)], "step 0 has an entry that is no number"),
    ],
)
def test_an_invalid_table_is_refused(rows: list[plan.Row], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Plan.from_rows(rows)


def test_a_plan_is_data() -> None:
    table = plan.Rescale(0.3).plan(5)
    again = Plan.from_rows(table.rows())
    np.testing.assert_array_equal(again.sigma, table.sigma)
    lines = str(table).splitlines()
    assert len(lines) == 6
    assert lines[0].split() == ["step", "alpha_t", "alpha_s", "sigma"]
    assert lines[3].split() == ["2", "0.40000", "0.60000", "0.30000"]
