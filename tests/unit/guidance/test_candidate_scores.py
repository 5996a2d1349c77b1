from __future__ import annotations

from collections.abc import Iterable

import pytest
import torch
from torch import Tensor, nn

import chains
from chains import LOG_P, MASK, STATES
from molgen.diffusion.posterior import log_masked_posterior
from molgen.guidance.candidate_scores import AmortisedScores, ExactScores, TaylorScores

VOCAB = MASK + 1
LINEAR = torch.arange(9, dtype=torch.float64).mul(2.3).cos().reshape(3, VOCAB)
"""Weight of each place and token in a linear log classifier."""
UNIFORM = torch.zeros(27, 3, VOCAB).double().log_softmax(-1)
MASKED = STATES == MASK


def linear_classifier(onehot: Tensor, alpha: Tensor) -> Tensor:
    return (onehot * LINEAR).sum((1, 2))


def linear_classifier_of_tokens(tokens: Tensor, alpha: Tensor) -> Tensor:
    return linear_classifier(chains.one_hot(tokens), alpha)


def brute_force(tokens: Tensor) -> Tensor:
    scores = torch.empty(*tokens.shape, VOCAB, dtype=torch.float64)
    for place in range(tokens.shape[1]):
        for value in range(VOCAB):
            changed = tokens.clone()
            changed[:, place] = value
            scores[:, place, value] = chains.noised_classifier(changed, torch.zeros(len(tokens)))
    return scores


class Counting:
    """The exact classifier, with a count of its rows."""

    candidate_forwards = 1

    def __init__(self) -> None:
        self.seen: list[int] = []

    def __call__(self, tokens: Tensor, alpha: Tensor) -> Tensor:
        assert alpha.shape == (len(tokens),)
        self.seen.append(len(tokens))
        return chains.noised_classifier(tokens, alpha)

    def candidates(self, tokens: Tensor, alpha: Tensor, wanted: Tensor) -> Tensor:
        """A head that is exact for masked tokens and NaN elsewhere."""
        known = MASKED[chains.number(tokens)].unsqueeze(-1) & (torch.arange(VOCAB) != MASK)
        return torch.where(known, brute_force(tokens), torch.nan)


@pytest.mark.parametrize("chunk", [1, 7, 4096])
def test_exact_scores_are_the_classifier_at_every_possible_candidate(chunk: int) -> None:
    log_q = log_masked_posterior(LOG_P, STATES, 0.4, 0.6, 0.0, MASK)
    classifier = Counting()
    exact = ExactScores(classifier, chunk)
    scores = exact(log_q, STATES, 0.4)
    torch.testing.assert_close(scores[MASKED], brute_force(STATES)[MASKED], rtol=0, atol=1e-15)
    assert max(classifier.seen) <= chunk
    # Clean tokens have no choice. A masked one may become either token or, as all of them, stay.
    cost = 2 * MASKED.sum(1) + MASKED.any(1)
    assert exact.forwards(log_q, STATES).tolist() == cost.tolist()
    assert sum(classifier.seen) == int(cost.sum())


def test_where_no_token_may_stay_only_candidates_are_evaluated() -> None:
    classifier = Counting()
    exact = ExactScores(classifier)
    first = MASKED & (MASKED.cumsum(1) == 1)  # only the first masked token is about to be placed
    log_p = torch.where(first.unsqueeze(-1), LOG_P, chains.one_hot(STATES).log())
    scores = exact(log_p, STATES, 0.4)
    reachable = (log_p > -torch.inf) & first.unsqueeze(-1)
    torch.testing.assert_close(scores[reachable], brute_force(STATES)[reachable])
    assert exact.forwards(log_p, STATES).tolist() == (2 * MASKED.any(1)).tolist()
    assert sum(classifier.seen) == 2 * 19


def test_exact_scores_cover_the_clean_branch_when_it_has_a_choice() -> None:
    log_q = log_masked_posterior(LOG_P, STATES, 0.4, 0.6, 0.3, MASK)
    scores = ExactScores(chains.noised_classifier)(log_q, STATES, 0.4)
    reachable = log_q > -torch.inf
    torch.testing.assert_close(scores[reachable], brute_force(STATES)[reachable])


def test_every_classifier_row_has_the_alpha_of_its_row() -> None:
    clocks = torch.linspace(0, 1, 27).double()

    def clock(tokens: Tensor, alpha: Tensor) -> Tensor:
        return alpha

    log_q = log_masked_posterior(LOG_P, STATES, 0.4, 0.6, 0.3, MASK)
    exact = ExactScores(clock, chunk=5)(log_q, STATES, clocks)
    reachable = log_q > -torch.inf
    expected = clocks[:, None, None].expand_as(log_q)
    torch.testing.assert_close(exact[reachable], expected[reachable], rtol=0, atol=0)
    assert (ExactScores(clock)(log_q, STATES, 0.25)[reachable] == 0.25).all()

    def soft_clock(onehot: Tensor, alpha: Tensor) -> Tensor:
        return onehot.sum((1, 2)) * alpha

    taylor = TaylorScores(soft_clock)(log_q, STATES, clocks)
    torch.testing.assert_close(taylor, 3 * expected, rtol=0, atol=1e-15)


def test_taylor_scores_are_exact_for_a_linear_log_classifier() -> None:
    taylor = TaylorScores(linear_classifier)(UNIFORM, STATES, 0.5)
    exact = ExactScores(linear_classifier_of_tokens)(UNIFORM, STATES, 0.5)
    torch.testing.assert_close(taylor, exact, rtol=0, atol=1e-14)
    assert TaylorScores(linear_classifier).forwards(UNIFORM, STATES).tolist() == [2] * 27


def test_taylor_scores_are_clamped_and_leave_no_gradients_behind() -> None:
    layer = nn.Linear(3 * VOCAB, 1).double()

    def classifier(onehot: Tensor, alpha: Tensor) -> Tensor:
        return 50 * layer(onehot.flatten(1) * alpha[:, None]).squeeze(-1)

    with torch.inference_mode():
        alpha = torch.full((27,), 0.7).double()
        scores = TaylorScores(classifier, clamp=2.0)(UNIFORM, STATES, alpha)
        change = scores - classifier(chains.one_hot(STATES), alpha)[:, None, None]
    assert float(change.abs().max()) == pytest.approx(2)
    assert layer.weight.grad is None
    assert not scores.requires_grad


def amortised_cases() -> Iterable[tuple[str, Tensor, Tensor]]:
    """A step's kind, its log-probabilities, and the classifier rows it takes beside the head."""
    none = torch.zeros(27, dtype=torch.int64)
    yield "prediction", LOG_P, none
    ancestral = log_masked_posterior(LOG_P, STATES, 0.4, 0.6, 0.0, MASK)
    yield "mask entry", ancestral, MASKED.any(1).long()
    remasking = log_masked_posterior(LOG_P, STATES, 0.4, 0.6, 0.3, MASK)
    yield "clean branch", remasking, 1 + (~MASKED).sum(1)


@pytest.mark.parametrize(("kind", "log_q", "rows"), amortised_cases())
def test_an_amortised_head_is_used_only_for_learned_entries(
    kind: str, log_q: Tensor, rows: Tensor
) -> None:
    classifier = Counting()
    amortised = AmortisedScores(classifier, MASK)
    scores = amortised(log_q, STATES, 0.4)
    needed = (log_q > -torch.inf) & ((log_q > -torch.inf).sum(-1, keepdim=True) > 1)
    torch.testing.assert_close(scores[needed], brute_force(STATES)[needed], rtol=0, atol=1e-15)
    assert amortised.forwards(log_q, STATES).tolist() == (1 + rows).tolist()
    assert sum(classifier.seen) == int(rows.sum())


def test_without_a_mask_the_head_scores_every_entry() -> None:
    class Head(Counting):
        def candidates(self, tokens: Tensor, alpha: Tensor, wanted: Tensor) -> Tensor:
            return brute_force(tokens)

    classifier = Head()
    amortised = AmortisedScores(classifier, None)
    scores = amortised(UNIFORM[:8, :, :2], chains.CLEAN, 0.5)
    torch.testing.assert_close(scores, brute_force(chains.CLEAN)[..., :2])
    assert not classifier.seen
    assert amortised.forwards(UNIFORM[:8, :, :2], chains.CLEAN).tolist() == [1] * 8
