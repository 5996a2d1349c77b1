from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

import chains
from chains import CLEAN, MASK, STATES, TARGET
from molgen.candidates import ExactScores, TaylorScores
from molgen.guidance import (
    ClassifierBased,
    ClassifierFree,
    classifier_free_masked,
    classifier_free_uniform,
    tilt,
)
from molgen.posterior import log_masked_posterior, masked_posterior, subs

VOCAB = MASK + 1
HAS_PROPERTY = torch.tensor([0.9, 0.2, 0.6, 0.05, 0.3, 0.7, 0.5, 0.99], dtype=torch.float64)
"""p(y | x) of each clean state."""
POSTERIOR = TARGET * HAS_PROPERTY / (TARGET * HAS_PROPERTY).sum()
"""p(x | y) over the clean states."""
LOG_P = chains.denoise(TARGET).log()
LINEAR = torch.arange(9, dtype=torch.float64).mul(2.3).cos().reshape(3, VOCAB)
"""Weight of each place and token in a linear log classifier."""


def noised_classifier(tokens: Tensor) -> Tensor:
    """The exact log p(y | x_t) of any of the 27 states."""
    states = tokens @ torch.tensor([9, 3, 1])
    return (chains.given(TARGET) @ HAS_PROPERTY).log()[states]


def linear_classifier(onehot: Tensor) -> Tensor:
    return (onehot * LINEAR).sum((1, 2))


def linear_classifier_of_tokens(tokens: Tensor) -> Tensor:
    return linear_classifier(chains.one_hot(tokens))


def brute_force(tokens: Tensor) -> Tensor:
    scores = torch.empty(*tokens.shape, VOCAB, dtype=torch.float64)
    for place in range(tokens.shape[1]):
        for value in range(VOCAB):
            changed = tokens.clone()
            changed[:, place] = value
            scores[:, place, value] = noised_classifier(changed)
    return scores


def two_predictions() -> tuple[Tensor, Tensor]:
    logits = torch.arange(2 * 27 * 9).double().mul(1.3).sin().mul(4).reshape(2, 27, 3, VOCAB)
    return subs(logits[0], STATES, MASK), subs(logits[1], STATES, MASK)


@pytest.mark.parametrize("gamma", [-0.5, 0.0, 0.5, 1.0, 3.0, 20.0])
def test_classifier_free_mixes_and_normalises(gamma: float) -> None:
    cond, uncond = two_predictions()
    mixed = classifier_free_masked(cond, uncond, gamma)
    assert not mixed.isnan().any()
    assert (mixed[..., MASK] == -torch.inf).all()
    torch.testing.assert_close(mixed.exp().sum(-1), torch.ones(27, 3).double(), rtol=0, atol=1e-14)
    odds = mixed[-1, :, 0] - mixed[-1, :, 1]
    expected = gamma * (cond[-1, :, 0] - cond[-1, :, 1])
    expected = expected + (1 - gamma) * (uncond[-1, :, 0] - uncond[-1, :, 1])
    torch.testing.assert_close(odds, expected, rtol=1e-12, atol=1e-12)


def test_classifier_free_at_0_and_1_is_the_one_or_the_other() -> None:
    cond, uncond = two_predictions()
    uncond[-1, 0] = torch.tensor([0.0, -torch.inf, -torch.inf])  # certain, against the condition
    for mix in (classifier_free_masked, classifier_free_uniform):
        torch.testing.assert_close(mix(cond, uncond, 1.0), cond, rtol=0, atol=1e-15)
        torch.testing.assert_close(mix(cond, uncond, 0.0), uncond, rtol=0, atol=1e-15)


def test_what_one_prediction_rules_out_stays_ruled_out() -> None:
    cond = torch.tensor([[[0.5, 0.5, 0.0]]]).double().log()
    uncond = torch.tensor([[[0.0, 0.5, 0.5]]]).double().log()
    for gamma in (0.5, 3.0):
        assert classifier_free_masked(cond, uncond, gamma).exp().tolist() == [[[0, 1, 0]]]


def test_strength_may_follow_the_clock_of_each_row() -> None:
    cond, uncond = two_predictions()
    guide = ClassifierFree(lambda alpha: 4 * alpha)
    clocks = torch.linspace(0, 1, 27).double()
    together = guide.combine(cond, uncond, clocks)
    for row in (0, 13, 26):
        alone = guide.combine(cond[[row]], uncond[[row]], float(clocks[row]))
        torch.testing.assert_close(together[[row]], alone, rtol=0, atol=1e-15)
    fixed = ClassifierFree(2.0).combine(cond, uncond, 0.5)
    torch.testing.assert_close(guide.combine(cond, uncond, 0.5), fixed, rtol=0, atol=0)


@pytest.mark.parametrize("chunk", [1, 7, 4096])
def test_exact_scores_are_the_classifier_at_every_candidate_within_reach(chunk: int) -> None:
    seen = []

    def counting(tokens: Tensor) -> Tensor:
        seen.append(len(tokens))
        return noised_classifier(tokens)

    log_q = log_masked_posterior(LOG_P, STATES, 0.4, 0.6, 0.0, MASK)
    scores = ExactScores(counting, chunk)(log_q, STATES)
    masked = STATES == MASK
    torch.testing.assert_close(scores[masked], brute_force(STATES)[masked], rtol=0, atol=1e-15)
    assert max(seen[1:]) <= chunk
    # One row per state as it is, and two candidates per masked token; clean tokens need none.
    assert sum(seen) == len(STATES) + 2 * int(masked.sum())


def test_exact_scores_cover_the_clean_branch_when_it_has_a_choice() -> None:
    log_q = log_masked_posterior(LOG_P, STATES, 0.4, 0.6, 0.3, MASK)
    scores = ExactScores(noised_classifier)(log_q, STATES)
    reachable = log_q > -torch.inf
    torch.testing.assert_close(scores[reachable], brute_force(STATES)[reachable])


def test_taylor_scores_are_exact_for_a_linear_log_classifier() -> None:
    log_q = torch.zeros(27, 3, VOCAB).double().log_softmax(-1)
    taylor = TaylorScores(linear_classifier)(log_q, STATES)
    exact = ExactScores(linear_classifier_of_tokens)(log_q, STATES)
    torch.testing.assert_close(taylor, exact, rtol=0, atol=1e-14)


def test_taylor_scores_are_clamped_and_leave_no_gradients_behind() -> None:
    layer = nn.Linear(3 * VOCAB, 1).double()

    def classifier(onehot: Tensor) -> Tensor:
        return 50 * layer(onehot.flatten(1)).squeeze(-1)

    log_q = torch.zeros(27, 3, VOCAB).double().log_softmax(-1)
    with torch.inference_mode():
        scores = TaylorScores(classifier, clamp=2.0)(log_q, STATES)
        change = scores - classifier(chains.one_hot(STATES))[:, None, None]
    assert float(change.abs().max()) == pytest.approx(2)
    assert layer.weight.grad is None
    assert not scores.requires_grad


def test_tilt_by_hand() -> None:
    log_q = torch.tensor([[[0.2, 0.3, 0.5]]]).double().log()
    scores = torch.tensor([[[2.0, 1.0, 4.0]]]).double().log()
    free = tilt(log_q, scores, 1.0).exp()[0, 0]
    assert free.tolist() == pytest.approx([0.4 / 2.7, 0.3 / 2.7, 2.0 / 2.7])
    kept = tilt(log_q, scores, 2.0, keep=MASK).exp()[0, 0]
    assert kept.tolist() == pytest.approx([0.5 * 0.8 / 1.1, 0.5 * 0.3 / 1.1, 0.5])
    torch.testing.assert_close(tilt(log_q, scores, 0.0), log_q)
    gammas = torch.tensor([1.0, 2.0])
    rows = tilt(log_q.repeat(2, 1, 1), scores.repeat(2, 1, 1), gammas)
    torch.testing.assert_close(rows[1:], tilt(log_q, scores, 2.0))


def test_tilt_meets_impossible_entries_without_nan() -> None:
    certain = torch.tensor([[[-torch.inf, -torch.inf, 0.0]]]).double()
    scores = torch.tensor([[[1.0, 2.0, 3.0]]]).double()
    for keep in (None, MASK):
        assert tilt(certain, scores, 5.0, keep).tolist() == certain.tolist()


@pytest.mark.parametrize("alphas", [(0.0, 0.2), (0.5, 0.6), (0.9, 1.0)])
def test_bayes_rule_leaves_the_reveal_rate_alone(alphas: tuple[float, float]) -> None:
    """At gamma 1 the exact classifier averages to p(y | x_t): tilting the mask changes nothing."""
    log_q = log_masked_posterior(LOG_P, STATES, *alphas, 0.0, MASK)
    scores = ExactScores(noised_classifier)
    published = ClassifierBased(scores, 1.0, MASK, tilt_mask=True)(log_q, STATES, alphas[0])
    kept = ClassifierBased(scores, 1.0, MASK)(log_q, STATES, alphas[0])
    torch.testing.assert_close(published.exp(), kept.exp(), rtol=0, atol=1e-14)
    conditional = chains.denoise(POSTERIOR)
    expected = masked_posterior(conditional, STATES, *alphas, 0.0, MASK)
    torch.testing.assert_close(kept.exp(), expected, rtol=0, atol=1e-14)


def test_guiding_the_prediction_is_guiding_the_step_at_the_plans_rate() -> None:
    guide = ClassifierBased(ExactScores(noised_classifier), 3.0, MASK)
    log_q = guide(log_masked_posterior(LOG_P, STATES, 0.5, 0.6, 0.0, MASK), STATES, 0.5)
    tilted = guide(LOG_P, STATES, 0.5)
    q = log_masked_posterior(tilted, STATES, 0.5, 0.6, 0.0, MASK)
    torch.testing.assert_close(log_q.exp(), q.exp(), rtol=0, atol=1e-14)


def test_guided_remasking_takes_off_what_holds_the_property_back() -> None:
    state = torch.tensor([[0, 1, 1]])  # of all clean states the one with the least p(y | x)
    log_q = log_masked_posterior(chains.one_hot(state).log(), state, 0.5, 0.6, 0.2, MASK)
    guide = ClassifierBased(ExactScores(noised_classifier), 2.0, MASK, tilt_mask=True)
    q = guide(log_q, state, 0.5).exp()
    odds = (noised_classifier(torch.tensor([[0, MASK, 1]])) - noised_classifier(state)).exp() ** 2
    expected = 0.2 * odds / (0.2 * odds + 0.8)
    assert float(q[0, 1, MASK]) == pytest.approx(float(expected))
    assert (q[..., MASK] > 0.2).all()
    untouched = ClassifierBased(ExactScores(noised_classifier), 2.0, MASK)(log_q, state, 0.5)
    torch.testing.assert_close(untouched, log_q)


def test_guidances_nest() -> None:
    first = ClassifierBased(ExactScores(noised_classifier), 1.0, MASK)
    second = ClassifierBased(ExactScores(linear_classifier_of_tokens), 2.0, MASK)
    one_way = second(first(LOG_P, STATES, 0.5), STATES, 0.5)
    other_way = first(second(LOG_P, STATES, 0.5), STATES, 0.5)
    torch.testing.assert_close(one_way, other_way)


@pytest.mark.parametrize("rule", ["classifier-based", "classifier-free"])
def test_at_gamma_1_the_guided_chain_converges_to_the_conditional(rule: str) -> None:
    if rule == "classifier-based":
        guided = ClassifierBased(ExactScores(noised_classifier), 1.0, MASK)(LOG_P, STATES, 0.0)
    else:
        guided = ClassifierFree(1.0).combine(chains.denoise(POSTERIOR).log(), LOG_P, 0.0)
    p = guided.exp()

    def final_distance(steps: int) -> float:
        kernel = [
            masked_posterior(p, STATES, i / steps, (i + 1) / steps, 0.0, MASK) for i in range(steps)
        ]
        return chains.distance(chains.follow(kernel), POSTERIOR)

    assert math.log2(final_distance(160) / final_distance(320)) == pytest.approx(1, abs=0.05)
    assert final_distance(320) < 2e-3


def test_uniform_noise_is_guided_by_bayes_rule_too() -> None:
    """One step from alpha 0 of a single token: the guided posterior is p(x | y)."""
    p_y = torch.tensor([0.9, 0.1], dtype=torch.float64)
    log_q = torch.tensor([[[0.3, 0.7]]], dtype=torch.float64).log()
    guide = ClassifierBased(ExactScores(lambda tokens: p_y.log()[tokens[:, 0]]), 1.0, mask_id=None)
    guided = guide(log_q, torch.tensor([[1]]), 0.0).exp()
    assert guided[0, 0].tolist() == pytest.approx([0.27 / 0.34, 0.07 / 0.34])


def test_states_are_numbered_as_the_classifier_assumes() -> None:
    assert (STATES @ torch.tensor([9, 3, 1])).tolist() == list(range(27))
    torch.testing.assert_close(noised_classifier(CLEAN).exp(), HAS_PROPERTY)
