from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

import chains
from molgen.diffusion import remasking_rates
from molgen.diffusion.posterior import (
    check_step,
    log_masked_posterior,
    masked_posterior,
    reveal_rate,
    sigma_max,
    subs,
    uniform_posterior,
)

MASK = 4
TOKENS = torch.tensor([[0, MASK, 3], [MASK, MASK, 2]])
STEPS = [(0.0, 0.1), (0.2, 0.3), (0.5, 0.9), (0.7, 0.7), (0.95, 1.0), (1.0, 1.0)]


def logits(dtype: torch.dtype = torch.float64) -> Tensor:
    waves = torch.arange(2 * 3 * 5, dtype=torch.float64).mul(1.7).sin() * 3
    return waves.reshape(2, 3, 5).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_subs_never_predicts_the_mask_and_keeps_clean_tokens(dtype: torch.dtype) -> None:
    log_p = subs(logits(dtype), TOKENS, MASK)
    assert log_p.dtype == dtype
    p = log_p.exp().double()
    torch.testing.assert_close(p.sum(-1), torch.ones(2, 3).double(), rtol=0, atol=1e-2)
    assert (p[..., MASK] == 0).all()
    assert p[0, 0].tolist() == [1, 0, 0, 0, 0]
    torch.testing.assert_close(
        p[0, 1, :4], logits(dtype)[0, 1, :4].double().softmax(-1), atol=1e-2, rtol=0
    )


def test_subs_takes_logits_of_minus_infinity() -> None:
    ruled_out = logits().index_fill(-1, torch.tensor([0, MASK]), -torch.inf)
    p = subs(ruled_out, TOKENS, MASK).exp()
    assert not p.isnan().any()
    assert p[0, 0, 0] == 1  # a placed token stays, though the network would not place it
    assert p[0, 1, 0] == 0


@pytest.mark.parametrize("alphas", STEPS)
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_posterior_is_a_distribution_in_both_forms(
    alphas: tuple[float, float], share: float
) -> None:
    strength = share * remasking_rates.sigma_max(*alphas)
    log_p = subs(logits(), TOKENS, MASK)
    q = masked_posterior(log_p.exp(), TOKENS, *alphas, strength, MASK)
    assert (q >= 0).all()
    torch.testing.assert_close(q.sum(-1), torch.ones(2, 3).double(), rtol=0, atol=1e-15)
    log_q = log_masked_posterior(log_p, TOKENS, *alphas, strength, MASK)
    torch.testing.assert_close(log_q.exp(), q, rtol=0, atol=1e-15)
    assert q[0, 0, 0] == pytest.approx(1 - strength)
    assert q[0, 1, MASK] == pytest.approx(1 - float(reveal_rate(*alphas, strength)))


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_posterior_given_the_clean_token_keeps_its_marginal(share: float) -> None:
    """Summed over x_t, q(x_s | x_t, x_0) q(x_t | x_0) is q(x_s | x_0), for any sigma allowed."""
    for alpha_t, alpha_s in STEPS:
        strength = share * remasking_rates.sigma_max(alpha_t, alpha_s)
        states = torch.tensor([[0], [MASK]])
        known = torch.eye(5, dtype=torch.float64)[[0, 0]].unsqueeze(1)
        q = masked_posterior(known, states, alpha_t, alpha_s, strength, MASK)
        mixed = alpha_t * q[0, 0] + (1 - alpha_t) * q[1, 0]
        assert mixed.tolist() == pytest.approx([alpha_s, 0, 0, 0, 1 - alpha_s], abs=1e-15)


def test_ancestral_posterior_is_bayes_rule() -> None:
    alpha_t, alpha_s = 0.3, 0.55
    p = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.0], dtype=torch.float64)
    at_s = alpha_s * p
    at_s[MASK] = 1 - alpha_s
    to_mask = torch.full_like(p, 1 - alpha_t / alpha_s)  # masked at t, given the token at s
    to_mask[MASK] = 1
    expected = at_s * to_mask / (at_s * to_mask).sum()
    q = masked_posterior(p.expand(1, 1, 5), torch.tensor([[MASK]]), alpha_t, alpha_s, 0.0, MASK)
    torch.testing.assert_close(q[0, 0], expected, rtol=0, atol=1e-15)


def test_rows_have_their_own_alphas_and_tokens_their_own_sigma() -> None:
    p = subs(logits(), TOKENS, MASK).exp()
    alpha_t, alpha_s = torch.tensor([0.2, 0.6]).double(), torch.tensor([0.3, 0.9]).double()
    strength = torch.tensor([[0.1, 0.0, 0.7], [0.0, 0.0, 0.15]]).double()
    together = masked_posterior(p, TOKENS, alpha_t, alpha_s, strength, MASK)
    for row in range(2):
        for place in range(3):
            alone = masked_posterior(
                p[row : row + 1, place : place + 1],
                TOKENS[row : row + 1, place : place + 1],
                float(alpha_t[row]),
                float(alpha_s[row]),
                float(strength[row, place]),
                MASK,
            )
            torch.testing.assert_close(together[row, place], alone[0, 0], rtol=0, atol=0)


def test_coarse_predictions_do_not_round_the_alphas() -> None:
    """At 1,024 steps bfloat16 cannot distinguish the alphas; the reveal rate must stay exact."""
    p = subs(logits(torch.bfloat16), TOKENS, MASK).exp()
    q = masked_posterior(p, TOKENS, 512 / 1024, 513 / 1024, 0.0, MASK)
    assert q.dtype == torch.bfloat16
    assert float(q[1, 0, :MASK].sum()) == pytest.approx(2 / 1024, rel=0.02)


@pytest.mark.parametrize(
    ("alpha_t", "alpha_s", "strength"),
    [(0.5, 0.8, 0.41), (0.5, 0.8, -0.1), (0.0, 0.5, 0.1), (0.5, 0.6, float("nan"))],
)
def test_sigma_beyond_its_bound_is_refused(alpha_t: float, alpha_s: float, strength: float) -> None:
    p = subs(logits(), TOKENS, MASK).exp()
    with pytest.raises(ValueError, match=r"sigma must lie in \[0, sigma_max\]"):
        masked_posterior(p, TOKENS, alpha_t, alpha_s, strength, MASK)


def test_sigma_at_its_bound_up_to_rounding_is_accepted() -> None:
    for alpha_t, alpha_s in STEPS:
        bound = remasking_rates.sigma_max(alpha_t, alpha_s)
        check_step(alpha_t, alpha_s, bound * (1 + 1e-15))
        check_step(*torch.tensor([alpha_t, alpha_s, bound], dtype=torch.float32))


@pytest.mark.parametrize("alphas", [(0.5, 0.4), (-0.1, 0.5), (0.5, 1.1), (0.5, float("nan"))])
def test_steps_that_do_not_go_forward_are_refused(alphas: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="need 0 <= alpha_t <= alpha_s <= 1"):
        check_step(*alphas, 0.0)
    with pytest.raises(ValueError, match="need 0 <= alpha_t <= alpha_s <= 1"):
        uniform_posterior(logits().softmax(-1), TOKENS, *alphas)


def test_bound_and_rate_by_hand_and_at_the_ends() -> None:
    assert sigma_max(torch.tensor([0.0, 0.2, 0.8]), torch.tensor([0.5, 0.5, 0.9])).tolist() == (
        pytest.approx([0, 1, 0.125])
    )
    assert float(reveal_rate(0.0, 0.25, 0.0)) == 0.25
    assert float(reveal_rate(0.5, 0.75, 0.1)) == pytest.approx(0.6)
    assert float(reveal_rate(0.5, 1.0, 0.0)) == 1
    assert float(reveal_rate(1.0, 1.0, 0.0)) == 1
    for alphas in STEPS:
        assert float(sigma_max(*alphas)) == remasking_rates.sigma_max(*alphas)
        assert 0 <= float(reveal_rate(*alphas, sigma_max(*alphas))) <= 1


@pytest.mark.parametrize("alphas", [(0.0, 0.3), (0.1, 0.4), (0.5, 0.5), (0.6, 0.99), (0.8, 1.0)])
def test_uniform_posterior_is_bayes_rule_over_the_whole_row(alphas: tuple[float, float]) -> None:
    """q(x_s token | x_t), with every other token and the clean row summed out by brute force."""
    alpha_t, alpha_s = alphas
    step = chains.uniform_noise(alpha_t / alpha_s)  # q(x_t | x_s)
    at_s = chains.TARGET @ chains.uniform_noise(alpha_s)
    joint = at_s[:, None] * step
    given_t = (joint / joint.sum(0)).T
    expected = torch.einsum("ts,slv->tlv", given_t, chains.one_hot(chains.CLEAN)[..., :2])
    p = chains.denoise_from_others(chains.TARGET, alpha_t)
    q = uniform_posterior(p, chains.CLEAN, alpha_t, alpha_s)
    torch.testing.assert_close(q, expected, rtol=0, atol=1e-14)


def test_uniform_posterior_takes_alphas_per_row() -> None:
    p, alpha_t, alpha_s = logits().softmax(-1), torch.tensor([0.2, 0.6]), torch.tensor([0.3, 0.9])
    together = uniform_posterior(p, TOKENS, alpha_t.double(), alpha_s.double())
    for row in range(2):
        alphas = float(alpha_t.double()[row]), float(alpha_s.double()[row])
        alone = uniform_posterior(p[[row]], TOKENS[[row]], *alphas)
        torch.testing.assert_close(together[[row]], alone, rtol=0, atol=1e-15)


def test_uniform_chain_converges_at_first_order() -> None:
    def final_distance(steps: int) -> float:
        state = torch.full((8,), 1 / 8, dtype=torch.float64)
        for i in range(steps):
            p = chains.denoise_from_others(chains.TARGET, i / steps)
            q = uniform_posterior(p, chains.CLEAN, i / steps, (i + 1) / steps)
            state = state @ chains.transition(q, chains.CLEAN)
        return float((state - chains.TARGET).abs().sum() / 2)

    assert math.log2(final_distance(320) / final_distance(640)) == pytest.approx(1, abs=0.05)
