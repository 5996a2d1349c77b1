from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from molgen.diffusion import token_weights
from molgen.diffusion.posterior import reveal_rate, sigma_max

PSI = torch.tensor([[0.9, 0.0, 0.3, 0.01], [0.5, 0.5, 0.5, 0.5], [0.2, 0.4, 0.6, 0.8]]).double()
CLEAN = torch.tensor([[True, False, True, True], [True] * 4, [False] * 4])


@pytest.mark.parametrize("normalise", ["sum", "mean"])
def test_weights_are_distributed_over_clean_tokens_alone(
    normalise: token_weights.Normalise,
) -> None:
    for weights in (
        token_weights.confidence_weights(PSI, CLEAN, normalise),
        token_weights.sharpened_weights(PSI, CLEAN, 0.5, normalise),
    ):
        total = torch.tensor([1.0, 1.0, 0.0] if normalise == "sum" else [3.0, 4.0, 0.0])
        assert (weights[~CLEAN] == 0).all()
        torch.testing.assert_close(weights.sum(-1).float(), total)


def test_values_by_hand() -> None:
    published = token_weights.confidence_weights(PSI, CLEAN)[0]
    assert float(published[3] / published[0]) == pytest.approx(math.exp(0.89))
    sharp = token_weights.sharpened_weights(PSI, CLEAN, tau=2.0)[0]
    assert float(sharp[3] / sharp[0]) == pytest.approx(math.sqrt(90))
    flat = token_weights.sharpened_weights(PSI, CLEAN, tau=math.inf)
    torch.testing.assert_close(flat, CLEAN.to(flat))


def test_a_token_placed_with_no_probability_comes_first() -> None:
    psi = torch.tensor([[0.0, 0.5]])
    weights = token_weights.sharpened_weights(
        psi, torch.ones(1, 2, dtype=torch.bool), normalise="sum"
    )
    assert weights[0].tolist() == pytest.approx([1, 0])


def test_token_sigma_is_capped() -> None:
    weights = np.array([[3.0, 0.5, 0.5, 0.0]])
    capped = token_weights.token_sigma(np.array(0.1), weights, np.array(0.125))
    assert capped[0].tolist() == pytest.approx([0.125, 0.05, 0.05, 0])


def test_published_weights_leave_rows_more_masked_by_the_remasked_tokens() -> None:
    """From the right marginal, with masked tokens placed at the ancestral rate or at the plan's."""
    alpha_t, alpha_s, base = 0.5, 0.6, 0.2
    psi = torch.tensor([[0.9, 0.2, 0.6]]).double()
    excess = {"ancestral": 0.0, "plan": 0.0}
    mean_sigma = 0.0
    for state in range(8):
        clean = torch.tensor([[bool(state >> place & 1) for place in range(3)]])
        chance = float(torch.where(clean, alpha_t, 1 - alpha_t).prod())
        weights = token_weights.confidence_weights(psi, clean, "mean").numpy()
        bound = sigma_max(alpha_t, alpha_s).numpy()
        own = torch.from_numpy(token_weights.token_sigma(np.array(base), weights, bound))
        mean_sigma += chance * float(own.sum()) / 3
        for rule, at_masked in (("ancestral", 0.0), ("plan", base)):
            left = 1 - reveal_rate(alpha_t, alpha_s, at_masked)
            after = torch.where(clean, own, left).mean()
            excess[rule] += chance * (float(after) - (1 - alpha_s))
    assert mean_sigma == pytest.approx(alpha_t * base)
    assert excess["ancestral"] == pytest.approx(mean_sigma, abs=1e-12)
    assert excess["plan"] == pytest.approx(0, abs=1e-12)


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="tau must be above 0, got 0"):
        token_weights.sharpened_weights(PSI, CLEAN, tau=0)
    with pytest.raises(ValueError, match=r"normalise .*'max'"):
        token_weights.confidence_weights(PSI, CLEAN, "max")  # type: ignore[arg-type]
