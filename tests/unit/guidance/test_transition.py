"""Full kernels on every state: limits of guidance, orders of convergence, and gaps.

Numbers asserted here are total variation distances to ``p(x) p(y | x)^gamma / Z`` on the 27 states
of :mod:`chains` (8 under uniform noise), where ``p(y | x)`` goes from 0.05 to 0.99.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import chains
from chains import CLEAN, LOG_P, MASK, STATES
from molgen.diffusion import plan
from molgen.diffusion.posterior import log_masked_posterior, masked_posterior
from molgen.guidance.candidate_scores import AmortisedScores, ExactScores, TaylorScores
from molgen.guidance.conditional_denoiser import MicroBatchedDenoiser
from molgen.guidance.kernels import (
    CandidateScores,
    ClassifierBased,
    ClassifierFree,
    Guidance,
    Linear,
    Strength,
)
from molgen.guidance.shaping import Shaping
from molgen.guidance.transition import MaskedTransition, Transition, UniformTransition
from tiny import fp32

MASKED = fp32(chains.Denoiser())
UNIFORM = MicroBatchedDenoiser(chains.Denoiser(uniform=True), dtype="fp32", classes=2)
EXACT = ExactScores(chains.noised_classifier)
KNOWN = chains.KnownScores()
ANCESTRAL, FORWARD_BACKWARD = plan.Ancestral(), plan.ForwardBackward()


def soft_classifier(onehot: Tensor, alpha: Tensor) -> Tensor:
    """The exact log p(y | x_t) at every state, and between them the log of the mean of p."""
    p = chains.LOG_HAS_PROPERTY.exp().reshape(3, 3, 3)
    return torch.einsum("bi,bj,bk,ijk->b", *onehot.unbind(1), p).log()


class Head:
    """A head that is off by a fixed pattern, of at most ``error`` nats at each candidate."""

    candidate_forwards = 1

    def __init__(self, error: float = 0.0) -> None:
        pattern = torch.arange(27 * 9).double().mul(1.7).sin().reshape(27, 3, 3)
        self.table = KNOWN.table + error * pattern

    def __call__(self, tokens: Tensor, alpha: Tensor) -> Tensor:
        return chains.noised_classifier(tokens, alpha)

    def candidates(self, tokens: Tensor, alpha: Tensor, wanted: Tensor) -> Tensor:
        return self.table[chains.number(tokens)]


def masked(
    scores: CandidateScores, gamma: Strength, tilt_mask: bool = False, guided: bool = False
) -> MaskedTransition:
    return MaskedTransition(MASKED, None, [ClassifierBased(scores, gamma, MASK, tilt_mask, guided)])


def final_distance(step: Transition, strategy: plan.Strategy, steps: int, gamma: float) -> float:
    """How far the chain ends from the target that guidance of this strength has."""
    condition = 1.0 if step.forwards == 2 else None
    end = chains.trace(step, strategy.plan(steps), condition)[-1]
    return chains.distance(end, chains.tilted(gamma))


# Kernels that draw from p(x | y) as steps grow. -----------------------------------------------

CONVERGENT: dict[str, Transition] = {
    "classifier-free": MaskedTransition(MASKED, ClassifierFree(1.0)),
    "classifier-free of log q": MaskedTransition(MASKED, ClassifierFree(1.0), mix_steps=True),
    "exact": masked(EXACT, 1.0),
    "exact, mask entry tilted": masked(EXACT, 1.0, tilt_mask=True),
    "exact head": masked(AmortisedScores(Head(), MASK), 1.0),
    "uniform noise, classifier-free": UniformTransition(UNIFORM, ClassifierFree(1.0)),
    "uniform noise, exact": UniformTransition(
        UNIFORM, None, [ClassifierBased(ExactScores(chains.uniform_classifier), 1.0, None)]
    ),
}


@pytest.mark.parametrize("name", CONVERGENT)
def test_at_gamma_1_the_chain_converges_to_the_conditional_at_first_order(name: str) -> None:
    coarse, fine = (final_distance(CONVERGENT[name], ANCESTRAL, n, 1.0) for n in (40, 80))
    assert math.log2(coarse / fine) == pytest.approx(1, abs=0.05)
    assert fine < 0.012


@pytest.mark.parametrize("name", [n for n in CONVERGENT if "uniform" not in n])
@pytest.mark.parametrize(
    ("strategy", "steps"),
    [(ANCESTRAL, 24), (FORWARD_BACKWARD, 24), (plan.Rescale(0.5), 24), (plan.Loop(eta=0.3), 24)],
)
def test_at_gamma_1_the_chain_is_that_of_the_conditional_denoiser(
    name: str, strategy: plan.Strategy, steps: int
) -> None:
    """Whatever is remasked, untilted: so it converges to p(x | y) as unguided chains do to p(x)."""
    table = strategy.plan(steps)
    p = chains.denoise(chains.tilted(1.0))
    expected = chains.follow([masked_posterior(p, STATES, *row, MASK) for row in table.rows()])
    condition = 1.0 if CONVERGENT[name].forwards == 2 else None
    found = chains.trace(CONVERGENT[name], table, condition)[-1]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize(
    ("strategy", "order"),
    [
        (lambda steps: FORWARD_BACKWARD, 1.0),
        (lambda steps: plan.Rescale(4 / steps), 1.0),
        (lambda steps: plan.Rescale(0.5), 0.31),
    ],
    ids=["forward-backward", "rescale 4/steps", "rescale 0.5"],
)
def test_with_remasking_it_converges_to_the_conditional_too(
    strategy: Callable[[int], plan.Strategy], order: float
) -> None:
    """The kernels of the conditional denoiser stand in: by the test above they are the same.

    A fixed share converges as fast as the remasking forgets early mistakes, so its order depends
    on the target: this one, where one molecule has a third of the mass, is slower than p(x), 1/2.
    """
    p = chains.denoise(chains.tilted(1.0))

    def distance(steps: int) -> float:
        rows = strategy(steps).plan(steps).rows()
        end = chains.follow([masked_posterior(p, STATES, *row, MASK) for row in rows])
        return chains.distance(end, chains.tilted(1.0))

    assert math.log2(distance(640) / distance(1280)) == pytest.approx(order, abs=0.03)


# Kernels that do not, and their gaps. -----------------------------------------------

GAPS: dict[str, tuple[Transition, plan.Strategy, float, float]] = {
    "exact, gamma 2": (masked(KNOWN, 2.0), ANCESTRAL, 2.0, 0.037),
    "exact, gamma 3": (masked(KNOWN, 3.0), ANCESTRAL, 3.0, 0.069),
    "exact, gamma 5": (masked(KNOWN, 5.0), ANCESTRAL, 5.0, 0.127),
    "exact, gamma 3, remasking": (masked(KNOWN, 3.0), FORWARD_BACKWARD, 3.0, 0.053),
    "exact, gamma 5, remasking": (masked(KNOWN, 5.0), FORWARD_BACKWARD, 5.0, 0.115),
    "mask entry tilted, gamma 3": (masked(KNOWN, 3.0, True), ANCESTRAL, 3.0, 0.067),
    "mask entry tilted, gamma 5": (masked(KNOWN, 5.0, True), ANCESTRAL, 5.0, 0.135),
    "classifier-free, gamma 3": (
        MaskedTransition(MASKED, ClassifierFree(3.0)), ANCESTRAL, 3.0, 0.069
    ),
    "Taylor, gamma 1": (masked(TaylorScores(soft_classifier), 1.0), ANCESTRAL, 1.0, 0.028),
    "Taylor within half a nat, gamma 1": (
        masked(TaylorScores(soft_classifier, clamp=0.5), 1.0), ANCESTRAL, 1.0, 0.050
    ),
    "Taylor, gamma 3": (masked(TaylorScores(soft_classifier), 3.0), ANCESTRAL, 3.0, 0.058),
    "head off by 0.1 nats": (masked(AmortisedScores(Head(0.1), MASK), 1.0), ANCESTRAL, 1.0, 0.022),
    "head off by 0.2 nats": (masked(AmortisedScores(Head(0.2), MASK), 1.0), ANCESTRAL, 1.0, 0.043),
    "head off by 0.4 nats": (masked(AmortisedScores(Head(0.4), MASK), 1.0), ANCESTRAL, 1.0, 0.082),
    "guided remasking, gamma 1": (
        masked(KNOWN, 1.0, guided=True), FORWARD_BACKWARD, 1.0, 0.054
    ),
    "guided remasking, gamma 3": (
        masked(KNOWN, 3.0, guided=True), FORWARD_BACKWARD, 3.0, 0.133
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GAPS)
def test_the_gap_to_the_tilted_target_is_as_stated(name: str) -> None:
    step, strategy, gamma, gap = GAPS[name]
    assert final_distance(step, strategy, 128, gamma) == pytest.approx(gap, abs=0.001)


# How many tokens are masked. -------------------------------------------------------------------


def excess_masked(step: Transition, table: plan.Plan) -> Tensor:
    """P(masked) - (1 - alpha_s) after each step at each position: (steps, 3)."""
    states = torch.stack(chains.trace(step, table, 1.0 if step.forwards == 2 else None))
    return states @ (STATES == MASK).double() - (1 - torch.from_numpy(table.alpha_s))[:, None]


@pytest.mark.parametrize("strategy", [ANCESTRAL, plan.Rescale(0.6), plan.Loop(eta=0.3)])
@pytest.mark.parametrize(
    "step",
    [
        MaskedTransition(MASKED, ClassifierFree(4.0), [ClassifierBased(EXACT, 3.0, MASK)]),
        masked(TaylorScores(soft_classifier), Linear(5.0, 0.0)),
        MaskedTransition(MASKED, None, shaping=Shaping(0.7, 0.9)),
    ],
    ids=["free and exact", "Taylor", "shaped"],
)
def test_guidance_without_the_mask_entry_keeps_the_marginals(
    step: Transition, strategy: plan.Strategy
) -> None:
    excess = excess_masked(step, strategy.plan(9))
    torch.testing.assert_close(excess, torch.zeros_like(excess), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("gamma", "most"), [(1.0, 0.0085), (3.0, 0.0508)], ids=["gamma 1", "gamma 3"]
)
def test_guided_remasking_masks_less_than_the_plan_by_as_much_as_stated(
    gamma: float, most: float
) -> None:
    excess = excess_masked(masked(KNOWN, gamma, guided=True), FORWARD_BACKWARD.plan(128))
    assert float(excess.min()) == pytest.approx(-most, abs=0.0002)
    assert float(excess.max()) < 0.001
    assert excess[-1].tolist() == pytest.approx([0, 0, 0], abs=1e-12)


# The order of operations, and their cost. ------------------------------------------------------


def one(value: float, *shape: int) -> Tensor:
    return torch.full(shape, value, dtype=torch.float64)


def kernel(step: Transition, sigma: float = 0.0, given: Tensor | None = None) -> Tensor:
    states = STATES if step.remasks else CLEAN
    n = len(states)
    found = step.predict(states, given, one(0.4, n))
    return step.kernel(found, states, one(0.4, n), one(0.6, n), one(sigma, n, 3)).q


def test_a_tilt_follows_the_mixture() -> None:
    classifier = ClassifierBased(EXACT, 2.0, MASK, tilt_mask=True)
    given = torch.ones(27, 1)
    both = kernel(MaskedTransition(MASKED, ClassifierFree(3.0), [classifier]), given=given)
    mixed = ClassifierFree(3.0).combine(chains.LOG_P_GIVEN_Y, LOG_P, 0.4)
    log_q = log_masked_posterior(mixed, STATES, 0.4, 0.6, 0.0, MASK)
    torch.testing.assert_close(both, classifier(log_q, STATES, 0.4).exp(), rtol=0, atol=1e-14)


def test_shaping_acts_on_placed_tokens_alone() -> None:
    shaping = Shaping(temperature=0.5)
    q = kernel(MaskedTransition(MASKED, shaping=shaping), sigma=0.2)
    p = (2 * LOG_P).log_softmax(-1).exp()
    expected = masked_posterior(p, STATES, 0.4, 0.6, 0.2, MASK)
    torch.testing.assert_close(q, expected, rtol=0, atol=1e-14)
    plain = kernel(UniformTransition(UNIFORM))
    sharp = kernel(UniformTransition(UNIFORM, shaping=shaping))
    assert float((plain - sharp).abs().max()) > 0.05
    torch.testing.assert_close(sharp.sum(-1), torch.ones(8, 3).double(), rtol=0, atol=1e-14)


@pytest.mark.parametrize("sigma", [0.0, 0.3])
def test_forwards_are_those_of_the_scores(sigma: float) -> None:
    def cost(*tilts: Guidance) -> list[int]:
        step = MaskedTransition(MASKED, None, tilts)
        found = step.predict(STATES, None, one(0.4, 27))
        kernel = step.kernel(found, STATES, one(0.4, 27), one(0.6, 27), one(sigma, 27, 3))
        return kernel.classifier_forwards.tolist()

    masks = (STATES == MASK).sum(1)
    assert cost() == [0] * 27
    assert cost(ClassifierBased(EXACT, 1.0, MASK)) == (2 * masks).tolist()
    own = masks > 0
    assert cost(ClassifierBased(EXACT, 1.0, MASK, tilt_mask=True)) == (2 * masks + own).tolist()
    both = ClassifierBased(EXACT, 1.0, MASK, tilt_mask=True, guided_remasking=True)
    if sigma:
        assert cost(both) == (2 * masks + (3 - masks) + 1).tolist()
    else:
        assert cost(both) == (2 * masks + own).tolist()
    taylor = ClassifierBased(TaylorScores(soft_classifier), 1.0, MASK)
    head = ClassifierBased(AmortisedScores(Head(), MASK), 1.0, MASK)
    assert cost(taylor, head) == [3] * 27


@pytest.mark.parametrize("uniform", [False, True])
@pytest.mark.parametrize("alphas", [(0.0, 0.1), (0.3, 0.4), (0.5, 0.5), (0.9, 1.0)])
def test_no_token_changes_more_often_than_the_bound(
    uniform: bool, alphas: tuple[float, float]
) -> None:
    states = CLEAN if uniform else STATES
    n, (a_t, a_s) = len(states), alphas
    sigma = 0.0 if a_t == 0 else 0.1 * (1 - a_s) / a_t
    classifier = ClassifierBased(EXACT, 3.0, MASK, tilt_mask=True)
    steps: list[Transition] = [
        MaskedTransition(MASKED),
        MaskedTransition(MASKED, None, [ClassifierBased(EXACT, 3.0, MASK)]),
        MaskedTransition(MASKED, None, [classifier]),
        MaskedTransition(MASKED, None, [ClassifierBased(EXACT, 3.0, MASK, False, True)]),
    ]
    for step in [UniformTransition(UNIFORM)] if uniform else steps:
        found = step.predict(states, None, one(a_t, n))
        q = step.kernel(found, states, one(a_t, n), one(a_s, n), one(sigma, n, 3)).q
        change = 1 - q.gather(-1, states.unsqueeze(-1)).squeeze(-1)
        alpha_t, alpha_s, own = (one(v, 1, 1).numpy() for v in (a_t, a_s, sigma))
        bound = step.most((states == MASK).numpy(), alpha_t, alpha_s, own)
        most = torch.from_numpy(bound.copy())
        assert (change <= most + 1e-12).all()
        if step is steps[0]:
            torch.testing.assert_close(change, most, rtol=0, atol=1e-14)


def test_bad_networks_and_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="network has 4 classes"):
        UniformTransition(MicroBatchedDenoiser(chains.Denoiser(uniform=True), dtype="fp32"))
    for step in (
        MaskedTransition(MASKED, ClassifierFree(2.0)),
        UniformTransition(UNIFORM, ClassifierFree(2.0)),
    ):
        with pytest.raises(ValueError, match="condition is None"):
            kernel(step)
    with pytest.raises(ValueError, match="not numbers"):
        kernel(MaskedTransition(MASKED, ClassifierFree(1e308)), given=torch.ones(27, 1))
