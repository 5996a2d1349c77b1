from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

import chains
from chains import CLEAN, LOG_P, MASK, STATES
from molgen.diffusion.posterior import log_masked_posterior, masked_posterior, subs
from molgen.guidance.candidate_scores import ExactScores
from molgen.guidance.kernels import (
    ClassifierBased,
    ClassifierFree,
    Linear,
    classifier_free,
    nest,
    tilt,
)

VOCAB = MASK + 1
POSTERIOR = chains.tilted(1.0)
"""p(x | y) over the clean states."""
EXACT = ExactScores(chains.noised_classifier)
IS_MASK = torch.arange(VOCAB) == MASK
LINEAR = torch.arange(9, dtype=torch.float64).mul(2.3).cos().reshape(3, VOCAB)
"""Weight of each place and token in a linear log classifier."""


def linear_classifier(tokens: Tensor, alpha: Tensor) -> Tensor:
    return (chains.one_hot(tokens) * LINEAR).sum((1, 2))


def log_y(states: Tensor) -> Tensor:
    """log p(y | x_t) of each state."""
    return chains.noised_classifier(states, torch.zeros(len(states)))


def two_predictions() -> tuple[Tensor, Tensor]:
    logits = torch.arange(2 * 27 * 9).double().mul(1.3).sin().mul(4).reshape(2, 27, 3, VOCAB)
    return subs(logits[0], STATES, MASK), subs(logits[1], STATES, MASK)


@pytest.mark.parametrize("gamma", [-0.5, 0.0, 0.5, 1.0, 3.0, 20.0])
def test_classifier_free_mixes_and_normalises(gamma: float) -> None:
    cond, uncond = two_predictions()
    mixed = classifier_free(cond, uncond, gamma)
    assert not mixed.isnan().any()
    assert (mixed[..., MASK] == -torch.inf).all()
    torch.testing.assert_close(mixed.exp().sum(-1), torch.ones(27, 3).double(), rtol=0, atol=1e-14)
    target_probability = mixed[-1, :, 0] - mixed[-1, :, 1]
    expected = gamma * (cond[-1, :, 0] - cond[-1, :, 1])
    expected = expected + (1 - gamma) * (uncond[-1, :, 0] - uncond[-1, :, 1])
    torch.testing.assert_close(target_probability, expected, rtol=1e-12, atol=1e-12)


def test_classifier_free_at_0_and_1_is_the_one_or_the_other() -> None:
    cond, uncond = two_predictions()
    uncond[-1, 0] = torch.tensor([0.0, -torch.inf, -torch.inf])  # certain, against the condition
    torch.testing.assert_close(classifier_free(cond, uncond, 1.0), cond, rtol=0, atol=1e-15)
    torch.testing.assert_close(classifier_free(cond, uncond, 0.0), uncond, rtol=0, atol=1e-15)


def test_values_impossible_in_one_prediction_stay_impossible() -> None:
    cond = torch.tensor([[[0.5, 0.5, 0.0]]]).double().log()
    uncond = torch.tensor([[[0.0, 0.5, 0.5]]]).double().log()
    for gamma in (0.5, 3.0):
        assert classifier_free(cond, uncond, gamma).exp().tolist() == [[[0, 1, 0]]]


def test_strength_may_depend_on_the_alpha_of_each_row() -> None:
    cond, uncond = two_predictions()
    classifier = ClassifierFree(lambda alpha: 4 * alpha)
    clocks = torch.linspace(0, 1, 27).double()
    together = classifier.combine(cond, uncond, clocks)
    for row in (0, 13, 26):
        alone = classifier.combine(cond[[row]], uncond[[row]], float(clocks[row]))
        torch.testing.assert_close(together[[row]], alone, rtol=0, atol=1e-15)
    fixed = ClassifierFree(2.0).combine(cond, uncond, 0.5)
    torch.testing.assert_close(classifier.combine(cond, uncond, 0.5), fixed, rtol=0, atol=0)
    line = ClassifierFree(Linear(0.0, 4.0)).combine(cond, uncond, clocks)
    torch.testing.assert_close(line, together, rtol=0, atol=0)


def test_linear_goes_from_noise_to_clean() -> None:
    assert [Linear(3.0, 1.0)(alpha) for alpha in (0.0, 0.5, 1.0)] == [3.0, 2.0, 1.0]
    for start, end in ((math.nan, 1.0), (0.0, math.inf)):
        with pytest.raises(ValueError, match=r"(start|end) is (nan|inf)"):
            Linear(start, end)


def test_tilt_by_hand() -> None:
    log_q = torch.tensor([[[0.2, 0.3, 0.5]]]).double().log()
    scores = torch.tensor([[[2.0, 1.0, 4.0]]]).double().log()
    free = tilt(log_q, scores, 1.0).exp()[0, 0]
    assert free.tolist() == pytest.approx([0.4 / 2.7, 0.3 / 2.7, 2.0 / 2.7])
    kept = tilt(log_q, scores, 2.0, IS_MASK).exp()[0, 0]
    assert kept.tolist() == pytest.approx([0.5 * 0.8 / 1.1, 0.5 * 0.3 / 1.1, 0.5])
    torch.testing.assert_close(tilt(log_q, scores, 0.0), log_q)
    gammas = torch.tensor([1.0, 2.0])
    rows = tilt(log_q.repeat(2, 1, 1), scores.repeat(2, 1, 1), gammas)
    torch.testing.assert_close(rows[1:], tilt(log_q, scores, 2.0))


def test_tilt_meets_impossible_entries_without_nan() -> None:
    certain = torch.tensor([[[-torch.inf, -torch.inf, 0.0]]]).double()
    scores = torch.tensor([[[1.0, 2.0, 3.0]]]).double()
    for kept in (None, IS_MASK):
        assert tilt(certain, scores, 5.0, kept).tolist() == certain.tolist()


@pytest.mark.parametrize("alphas", [(0.0, 0.2), (0.5, 0.6), (0.9, 1.0)])
def test_bayes_rule_keeps_the_reveal_rate(alphas: tuple[float, float]) -> None:
    """At gamma 1 the exact classifier averages to p(y | x_t): tilting the mask changes nothing."""
    log_q = log_masked_posterior(LOG_P, STATES, *alphas, 0.0, MASK)
    published = ClassifierBased(EXACT, 1.0, MASK, tilt_mask=True)(log_q, STATES, alphas[0])
    kept = ClassifierBased(EXACT, 1.0, MASK)(log_q, STATES, alphas[0])
    torch.testing.assert_close(published.exp(), kept.exp(), rtol=0, atol=1e-14)
    conditional = chains.denoise(POSTERIOR)
    expected = masked_posterior(conditional, STATES, *alphas, 0.0, MASK)
    torch.testing.assert_close(kept.exp(), expected, rtol=0, atol=1e-14)


def test_guiding_the_prediction_is_guiding_the_step_at_the_plans_rate() -> None:
    classifier = ClassifierBased(EXACT, 3.0, MASK)
    log_q = classifier(log_masked_posterior(LOG_P, STATES, 0.5, 0.6, 0.0, MASK), STATES, 0.5)
    tilted = classifier(LOG_P, STATES, 0.5)
    q = log_masked_posterior(tilted, STATES, 0.5, 0.6, 0.0, MASK)
    torch.testing.assert_close(log_q.exp(), q.exp(), rtol=0, atol=1e-14)


def test_guided_remasking_remasks_tokens_that_lower_the_property() -> None:
    state = torch.tensor([[0, 1, 1]])  # of all clean states the one with the least p(y | x)
    log_q = log_masked_posterior(chains.one_hot(state).log(), state, 0.5, 0.6, 0.2, MASK)
    classifier = ClassifierBased(EXACT, 2.0, MASK, guided_remasking=True)
    q = classifier(log_q, state, 0.5).exp()
    target_probability = (log_y(torch.tensor([[0, MASK, 1]])) - log_y(state)).exp() ** 2
    expected = 0.2 * target_probability / (0.2 * target_probability + 0.8)
    assert float(q[0, 1, MASK]) == pytest.approx(float(expected))
    assert (q[..., MASK] > 0.2).all()
    assert classifier.forwards(log_q, state).tolist() == [4], "as it is, and each token masked"
    for untouched in (ClassifierBased(EXACT, 2.0, MASK, tilt_mask=True), without_mask(2.0)):
        torch.testing.assert_close(untouched(log_q, state, 0.5), log_q)
        assert untouched.forwards(log_q, state).tolist() == [0]


def without_mask(gamma: float) -> ClassifierBased:
    return ClassifierBased(EXACT, gamma, MASK)


@pytest.mark.parametrize("tilt_mask", [False, True])
@pytest.mark.parametrize("guided_remasking", [False, True])
def test_each_branch_tilts_its_mask_entry_only_if_set(
    tilt_mask: bool, guided_remasking: bool
) -> None:
    log_q = log_masked_posterior(LOG_P, STATES, 0.5, 0.6, 0.3, MASK)
    classifier = ClassifierBased(EXACT, 3.0, MASK, tilt_mask, guided_remasking)
    q = classifier(log_q, STATES, 0.5).exp()
    everywhere = torch.ones_like(log_q, dtype=torch.bool)
    scores = EXACT.at(everywhere, STATES, 0.5)
    free, kept = tilt(log_q, scores, 3.0).exp(), tilt(log_q, scores, 3.0, IS_MASK).exp()
    masked = STATES == MASK
    torch.testing.assert_close(q[masked], (free if tilt_mask else kept)[masked])
    torch.testing.assert_close(q[~masked], (free if guided_remasking else kept)[~masked])
    assert float((free - kept)[masked].abs().max()) > 0.05
    assert float((free - kept)[~masked].abs().max()) > 0.05


def test_two_classifiers_in_turn_are_one_with_the_sum_of_their_scores() -> None:
    def both(tokens: Tensor, alpha: Tensor) -> Tensor:
        return chains.noised_classifier(tokens, alpha) + 2 * linear_classifier(tokens, alpha)

    first, second = without_mask(1.5), ClassifierBased(ExactScores(linear_classifier), 3.0, MASK)
    one = ClassifierBased(ExactScores(both), 1.5, MASK)
    for log_q in (LOG_P, log_masked_posterior(LOG_P, STATES, 0.5, 0.6, 0.3, MASK)):
        expected = one(log_q, STATES, 0.5)
        for order in ([first, second], [second, first]):
            nested, forwards = nest(order, log_q, STATES, 0.5)
            torch.testing.assert_close(nested, expected, rtol=0, atol=1e-13)
            assert forwards.tolist() == (2 * one.forwards(log_q, STATES)).tolist()


def test_classifier_based_may_follow_classifier_free() -> None:
    """By hand: the odds of a token are those of the mixture times those of the classifier."""
    cond, uncond = two_predictions()
    mixed = ClassifierFree(2.0).combine(cond, uncond, 0.5)
    nested, _ = nest([without_mask(3.0)], mixed, STATES, 0.5)
    last = nested[-1, 1]  # all masked, the middle token
    target_probability = 2 * (cond[-1, 1, 0] - cond[-1, 1, 1]) - (
        uncond[-1, 1, 0] - uncond[-1, 1, 1]
    )
    gains = log_y(torch.tensor([[MASK, 0, MASK], [MASK, 1, MASK]]))
    assert float(last[0] - last[1]) == pytest.approx(
        float(target_probability + 3 * (gains[0] - gains[1]))
    )


def test_uniform_noise_is_guided_by_bayes_rule_too() -> None:
    """One step from alpha 0 of a single token: the guided posterior is p(x | y)."""
    p_y = torch.tensor([0.9, 0.1], dtype=torch.float64)
    log_q = torch.tensor([[[0.3, 0.7]]], dtype=torch.float64).log()
    scores = ExactScores(lambda tokens, alpha: p_y.log()[tokens[:, 0]])
    classifier = ClassifierBased(scores, 1.0, mask_id=None)
    guided = classifier(log_q, torch.tensor([[1]]), 0.0).exp()
    assert guided[0, 0].tolist() == pytest.approx([0.27 / 0.34, 0.07 / 0.34])


def test_states_are_numbered_as_the_classifier_assumes() -> None:
    assert (STATES @ torch.tensor([9, 3, 1])).tolist() == list(range(27))
    torch.testing.assert_close(log_y(CLEAN).exp(), chains.HAS_PROPERTY)
