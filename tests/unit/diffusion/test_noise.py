from __future__ import annotations

import math
from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
import torch
from torch import Tensor

import chains
from chains import CLEAN, MASK, STATES, TARGET
from molgen.diffusion.losses import masked_nelbo, uniform_nelbo
from molgen.diffusion.noise import (
    Cosine,
    LogLinear,
    Schedule,
    corrupt_uniform,
    exact_counts,
    mask_exactly,
)

ENTROPY = float(-(TARGET * TARGET.log()).sum())
"""Nats per sequence of the target: what the bound comes to for an exact denoiser."""
TIMES = torch.linspace(0.01, 0.99, 33, dtype=torch.float64)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("schedule", [LogLinear(), Cosine()])
def test_schedules_run_from_clean_to_noise_with_the_right_slope(schedule: Schedule) -> None:
    ends = schedule.alpha(torch.tensor([0.0, 1.0], dtype=torch.float64))
    assert ends.tolist() == pytest.approx([1, 0], abs=1e-15)
    t = TIMES.clone().requires_grad_()
    (slope,) = torch.autograd.grad(schedule.alpha(t).sum(), t)
    torch.testing.assert_close(schedule.alpha_prime(TIMES), slope, rtol=0, atol=1e-14)
    assert (slope < 0).all()
    torch.testing.assert_close(schedule.time(schedule.alpha(TIMES)), TIMES, rtol=0, atol=1e-13)


def integral(loss_at: Callable[[Tensor], float], power: int, points: int) -> float:
    """The integral over t in [0, 1] by Gauss-Legendre, dense near 0 as t = u ** power."""
    nodes, weights = np.polynomial.legendre.leggauss(points)
    total = 0.0
    for u, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        t = torch.tensor(u**power, dtype=torch.float64)
        total += weight * power * u ** (power - 1) * loss_at(t)
    return total


def expected_masked_loss(schedule: Schedule, t: Tensor) -> float:
    alpha, slope = schedule.alpha(t), schedule.alpha_prime(t)
    joint = TARGET[:, None] * chains.masked_noise(float(alpha))
    log_p = chains.denoise(TARGET).log().expand(8, 27, 3, 3).flatten(0, 1)
    x_0, x_t = CLEAN.repeat_interleave(27, 0), STATES.repeat(8, 1)
    loss = masked_nelbo(log_p, x_0, x_t, alpha, slope, MASK).sum(-1).reshape(8, 27)
    return float((joint * torch.where(joint > 0, loss, 0)).sum())


@pytest.mark.parametrize(("schedule", "points"), [(LogLinear(), 3), (Cosine(), 20)])
def test_masked_bound_of_the_exact_denoiser_is_the_entropy(schedule: Schedule, points: int) -> None:
    """Any schedule gives the same; under 1 - t the integrand is a polynomial of degree two."""
    bound = integral(lambda t: expected_masked_loss(schedule, t), 1, points)
    assert bound == pytest.approx(ENTROPY, abs=1e-12)


def test_an_exact_count_of_masks_has_the_same_objective() -> None:
    """With n uniform in 1..length, weight length / n: the mean loss is the entropy again."""
    log_p = chains.denoise(TARGET).log()
    total = 0.0
    for n in (1, 2, 3):
        subsets = list(combinations(range(3), n))
        for places in subsets:
            x_t = CLEAN.clone()
            x_t[:, list(places)] = MASK
            prediction = log_p[x_t @ torch.tensor([9, 3, 1])]
            clean = prediction.gather(-1, CLEAN[..., None]).squeeze(-1)
            loss = -(clean * (x_t == MASK)).sum(-1) * 3 / n
            total += float(TARGET @ loss) / len(subsets) / 3
    assert total == pytest.approx(ENTROPY, abs=1e-12)


def expected_uniform_loss(schedule: Schedule, t: Tensor) -> float:
    alpha, slope = schedule.alpha(t), schedule.alpha_prime(t)
    joint = TARGET[:, None] * chains.uniform_noise(float(alpha))
    log_p = chains.denoise_from_others(TARGET, float(alpha)).log()
    log_p = log_p.expand(8, 8, 3, 2).flatten(0, 1)
    x_0, x_t = CLEAN.repeat_interleave(8, 0), CLEAN.repeat(8, 1)
    loss = uniform_nelbo(log_p, x_0, x_t, alpha, slope).sum(-1).reshape(8, 8)
    return float((joint * loss).sum())


@pytest.mark.parametrize("schedule", [LogLinear(), Cosine()])
def test_uniform_bound_of_the_exact_denoiser_is_the_entropy(schedule: Schedule) -> None:
    bound = integral(lambda t: expected_uniform_loss(schedule, t), 4, 60)
    assert bound == pytest.approx(ENTROPY, abs=1e-7)


def test_uniform_loss_is_zero_for_the_truth_alone() -> None:
    """Per token it is 0 for a prediction that is right and sure, and positive for any other."""
    alpha, slope = torch.tensor(0.4).double(), torch.tensor(-1.0).double()
    x_0, x_t = CLEAN, CLEAN.roll(3, 0)
    sure = chains.one_hot(x_0)[..., :2].clamp(1e-12, 1).log()
    unsure = torch.full_like(sure, math.log(0.5))
    assert (uniform_nelbo(sure, x_0, x_t, alpha, slope).abs() < 1e-9).all()
    assert (uniform_nelbo(unsure, x_0, x_t, alpha, slope) > 1e-3).all()


def test_clean_tokens_carry_no_masked_loss() -> None:
    log_p = torch.zeros(1, 3, 3).double().log_softmax(-1)
    x_0, x_t = torch.tensor([[0, 1, 1]]), torch.tensor([[0, MASK, 1]])
    alpha, slope = torch.tensor([[0.75]]).double(), torch.tensor([[-1.0]]).double()
    loss = masked_nelbo(log_p, x_0, x_t, alpha, slope, MASK)
    assert loss[0].tolist() == pytest.approx([0, 4 * math.log(3), 0])


def test_uniform_corruption_has_the_stated_marginal() -> None:
    x_0 = torch.full((1, 200_000), 3)
    x_t = corrupt_uniform(x_0, torch.tensor(0.4), 5, seeded())
    share = torch.bincount(x_t[0], minlength=5) / x_t.numel()
    assert share.tolist() == pytest.approx([0.12, 0.12, 0.12, 0.52, 0.12], abs=0.01)


def test_exact_counts_are_uniform_over_one_to_length() -> None:
    counts = exact_counts(torch.full((8000,), 8), seeded())
    assert torch.bincount(counts, minlength=9).tolist() == [0, *[1000] * 8]
    mixed = exact_counts(torch.tensor([1, 5, 9]).repeat(100), seeded()).reshape(100, 3)
    assert (mixed >= 1).all()
    assert mixed.amax(0).tolist() == [1, 5, 9]


def test_mask_exactly_chooses_that_many_real_tokens_each_equally_often() -> None:
    real = torch.tensor([[True] * 6, [True] * 4 + [False] * 2]).repeat_interleave(6000, 0)
    counts = torch.tensor([2, 3]).repeat_interleave(6000)
    chosen = mask_exactly(torch.zeros(12_000, 6), real, counts, seeded())
    assert (chosen.sum(-1) == counts).all()
    assert not (chosen & ~real).any()
    share = chosen.reshape(2, 6000, 6).double().mean(1)
    assert share[0].tolist() == pytest.approx([1 / 3] * 6, abs=0.03)
    assert share[1, :4].tolist() == pytest.approx([3 / 4] * 4, abs=0.03)
