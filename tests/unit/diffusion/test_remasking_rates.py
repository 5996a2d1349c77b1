from __future__ import annotations

import pytest

from molgen.diffusion import remasking_rates

GRID = [(a / 20, b / 20) for a in range(21) for b in range(a, 21)]


def test_every_strategy_stays_within_the_bound() -> None:
    for alpha_t, alpha_s in GRID:
        chosen = [
            remasking_rates.ancestral(alpha_t, alpha_s),
            remasking_rates.cap(alpha_t, alpha_s, 0.9),
            remasking_rates.rescale(alpha_t, alpha_s, 1.0),
            remasking_rates.forward_backward(alpha_t, alpha_s),
            remasking_rates.discrete_flow(alpha_t, alpha_s, 5.0),
            remasking_rates.psi(alpha_t, alpha_s, 0.0),
        ]
        bound = remasking_rates.sigma_max(alpha_t, alpha_s)
        assert all(0 <= value <= bound + 1e-15 for value in chosen)


def test_no_token_is_remasked_before_one_is_placed() -> None:
    assert (
        remasking_rates.sigma_max(0, 0.5)
        == remasking_rates.psi(0, 0.5, 0)
        == remasking_rates.forward_backward(0, 0.5)
        == 0
    )


def test_values_by_hand() -> None:
    assert remasking_rates.sigma_max(0.8, 0.9) == pytest.approx(0.125)
    assert remasking_rates.cap(0.8, 0.9, 0.04) == 0.04
    assert remasking_rates.cap(0.8, 0.9, 0.5) == pytest.approx(0.125)
    assert remasking_rates.rescale(0.8, 0.9, 0.5) == pytest.approx(0.0625)
    assert remasking_rates.rescale(0.8, 0.9, 0.5, eta_cap=0.04) == pytest.approx(0.02)
    assert remasking_rates.forward_backward(0.8, 0.84) == pytest.approx(0.05)
    assert remasking_rates.forward_backward(0.1, 0.3) == 1  # the formula says 2
    assert remasking_rates.discrete_flow(0.8, 0.84, 2) == pytest.approx(0.1)
    assert remasking_rates.psi(0.5, 0.6, 0.75) == pytest.approx(0.1)


def test_loop_rises_stays_and_rises() -> None:
    window = {"t_on": 0.55, "t_off": 0.05, "alpha_on": 0.9}
    at = [remasking_rates.loop_alpha(t, **window) for t in (1, 0.775, 0.55, 0.3, 0.05, 0.025, 0)]
    assert at == pytest.approx([0, 0.45, 0.9, 0.9, 0.9, 0.95, 1])
    assert remasking_rates.loop(0.4, 0.3, 0.02, **window) == (0.9, 0.9, 0.02)
    assert remasking_rates.loop(0.4, 0.3, 0.5, **window) == pytest.approx((0.9, 0.9, 1 / 9))
    assert [
        remasking_rates.loop(*step, 0.02, **window)[2] for step in ((0.6, 0.5), (0.1, 0.0))
    ] == [0, 0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: remasking_rates.cap(0.5, 0.6, 1.5), r"eta must lie in \[0, 1\], got 1.5"),
        (lambda: remasking_rates.rescale(0.5, 0.6, 0.5, -1), "eta_cap must lie in"),
        (lambda: remasking_rates.psi(0.5, 0.6, float("nan")), "kappa must lie in"),
        (lambda: remasking_rates.discrete_flow(0.5, 0.6, -1), "beta must be at least 0, got -1"),
        (lambda: remasking_rates.loop_alpha(0.5, 0.05, 0.55, 0.9), "need 0 < t_off <= t_on < 1"),
        (lambda: remasking_rates.loop_alpha(0.5, 0.55, 0.05, 1.9), "alpha_on must lie in"),
    ],
)
def test_parameters_out_of_range_are_refused(call: object, message: str) -> None:
    assert callable(call)
    with pytest.raises(ValueError, match=message):
        call()
