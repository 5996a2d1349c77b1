"""The dense sampler against the event-driven one, against exact chains, and against itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

import chains
import tiny
from molgen.diffusion import plan, token_weights
from molgen.guidance.candidate_scores import AmortisedScores, ExactScores
from molgen.guidance.classifier import ClassifierTarget, PropertyClassifier
from molgen.guidance.conditional_denoiser import MicroBatchedDenoiser
from molgen.guidance.kernels import ClassifierBased, ClassifierFree
from molgen.guidance.predictor import NetworkPredictor
from molgen.guidance.shaping import Shaping
from molgen.guidance.transition import MaskedTransition, Transition, UniformTransition
from molgen.sampling.event_sampler import Sampler
from molgen.sampling.kernel_sampler import DenseSampler, draw_changes
from molgen.sampling.sampler import Job, Samples
from molgen.sampling.trajectory import Trajectory
from molgen.targets import Range
from molgen.utils.arrays import Floats, Mask
from molgen.utils.threads import Workers, workers
from tiny import fp32
from tiny_classifier import classifier

LENGTHS = np.array([5, 1, 9, 3, 7, 7, 2, 9, 4, 6, 8, 5])
CONDITION = np.linspace(0, 1, 36, dtype=np.float32).reshape(12, 3)
NETWORK, CLOCKED = tiny.network(), tiny.network(time_input=True)
PAD, MASK = NETWORK.pad_id, NETWORK.mask_id
MASKED = fp32(NETWORK)
UNIFORM = fp32(CLOCKED, classes=PAD)
HIGH = PropertyClassifier(classifier(), [ClassifierTarget("qed", Range(0.6, 1.0))], dtype="fp32")
CLOCKED_HIGH = PropertyClassifier(
    classifier(time_input=True, noise="uniform"),
    [ClassifierTarget("qed", Range(0.6, 1.0))],
    dtype="fp32",
)


@pytest.fixture(scope="module")
def pool() -> Iterator[Workers]:
    with workers(count=2) as pool:
        yield pool


STRATEGIES: list[tuple[plan.Strategy, token_weights.TokenWeights | None]] = [
    (plan.Ancestral(), None),
    (plan.Rescale(0.6), None),
    (plan.Loop(eta=0.3, alpha_on=0.7), token_weights.Sharpened(tau=0.5)),
    (plan.Psi(0.4), token_weights.Confidence()),
]


@pytest.mark.parametrize(("strategy", "weights"), STRATEGIES)
def test_at_the_reveal_rate_of_the_plan_it_is_the_event_sampler_to_the_last_token(
    pool: Workers, strategy: plan.Strategy, weights: token_weights.TokenWeights | None
) -> None:
    free, shaping = ClassifierFree(2.0), Shaping(0.8, 0.95)
    tilts = [ClassifierBased(AmortisedScores(HIGH, MASK), 3.0, MASK)]
    table = strategy.plan(17)
    predictor = NetworkPredictor(fp32(NETWORK), pool, free, shaping, tilts=tilts)
    events = Sampler(predictor, table, weights).run(Job(LENGTHS, CONDITION, 3))
    step = MaskedTransition(MASKED, free, tilts, shaping)
    dense = DenseSampler(step, table, pool, weights).run(Job(LENGTHS, CONDITION, 3))
    np.testing.assert_array_equal(dense.tokens, events.tokens)
    if isinstance(strategy, plan.Ancestral):
        np.testing.assert_array_equal(dense.nfe, events.nfe)
        np.testing.assert_array_equal(events.classifier_nfe, events.nfe // 2)
    else:  # a step that only remasks needs a forward here, and none there
        assert (dense.nfe >= events.nfe).all()


def transitions() -> dict[str, tuple[Transition, plan.Strategy]]:
    exact = ClassifierBased(ExactScores(HIGH), 2.0, MASK, tilt_mask=True, guided_remasking=True)
    head = ClassifierBased(AmortisedScores(HIGH, MASK), 3.0, MASK, tilt_mask=True)
    free = ClassifierBased(AmortisedScores(CLOCKED_HIGH, None), 2.0, None)
    return {
        "exact, guided remasking": (MaskedTransition(MASKED, None, [exact]), plan.Rescale(0.5)),
        "mask entry tilted": (MaskedTransition(MASKED, None, [head]), plan.Rescale(0.5)),
        "mixture of log q": (
            MaskedTransition(MASKED, ClassifierFree(3.0), mix_steps=True),
            plan.ForwardBackward(),
        ),
        "uniform": (UniformTransition(UNIFORM), plan.Ancestral()),
        "uniform, guided": (UniformTransition(UNIFORM, ClassifierFree(2.0)), plan.Ancestral()),
        "uniform, classifier": (UniformTransition(UNIFORM, None, [free]), plan.Ancestral()),
    }


TRANSITIONS = transitions()


@pytest.mark.parametrize("name", TRANSITIONS)
def test_rows_are_batch_invariant(pool: Workers, name: str) -> None:
    step, strategy = TRANSITIONS[name]

    def draw(rows: slice, batch_size: int) -> Samples:
        sampler = DenseSampler(step, strategy.plan(5), pool, None, batch_size)
        return sampler.run(Job(LENGTHS[rows], CONDITION[rows], 9, rows.start))

    whole = draw(slice(0, 12), 256)
    real = np.arange(9) < LENGTHS[:, None]
    assert (whole.tokens[real] < PAD).all()
    assert (whole.tokens[~real] == PAD).all()
    parts = [draw(slice(0, 5), 2), draw(slice(5, 12), 256)]
    for row in (0, 5):
        part = parts[row > 0]
        rows = slice(row, row + len(part.nfe))
        width = part.tokens.shape[1]
        np.testing.assert_array_equal(part.tokens, whole.tokens[rows, :width])
        np.testing.assert_array_equal(part.nfe, whole.nfe[rows])
        np.testing.assert_array_equal(part.classifier_nfe, whole.classifier_nfe[rows])


class Impatient(UniformTransition):
    """Takes every step, also those that cannot change a token."""

    def most(self, masked: Mask, alpha_t: Floats, alpha_s: Floats, sigma: Floats) -> Floats:
        return np.ones(np.broadcast_shapes(masked.shape, alpha_t.shape))


def test_skipped_steps_under_uniform_noise_would_change_nothing(pool: Workers) -> None:
    table, job = plan.Ancestral().plan(60), Job(LENGTHS[:6], CONDITION[:6], 5)
    few = DenseSampler(UniformTransition(UNIFORM), table, pool).run(job)
    all_steps = DenseSampler(Impatient(UNIFORM), table, pool).run(job)
    np.testing.assert_array_equal(few.tokens, all_steps.tokens)
    assert all_steps.nfe.tolist() == [60] * 6
    assert few.nfe.sum() < 0.6 * all_steps.nfe.sum()


def test_a_row_in_which_nothing_changed_reuses_its_prediction(pool: Workers) -> None:
    head = ClassifierBased(AmortisedScores(HIGH, MASK), 3.0, MASK, True, True)
    step = MaskedTransition(MASKED, ClassifierFree(2.0), [head])
    table, job = plan.Rescale(0.1).plan(24), Job(LENGTHS[:6], CONDITION[:6], 2)
    sampler = DenseSampler(step, table, pool, batch_size=4)
    reused = sampler.run(replace(job, record=True))
    step.repeats = False
    anew = DenseSampler(step, table, pool, batch_size=4).run(job)
    np.testing.assert_array_equal(reused.tokens, anew.tokens)
    np.testing.assert_array_equal(reused.classifier_nfe, anew.classifier_nfe)
    events = reused.trajectory
    assert isinstance(events, Trajectory)
    for row in range(6):
        changes = np.unique(events.of(row).step)
        # one at the start and after every change, if there is anything left to do by then
        after = [int((changes < len(table) - end).sum()) for end in (2, 1)]
        assert reused.nfe[row] in [2 * (1 + n) for n in after]
        assert reused.nfe[row] <= anew.nfe[row]
    assert reused.nfe.sum() < 0.7 * anew.nfe.sum()


def test_forwards_are_counted_row_by_row(pool: Workers) -> None:
    table = plan.Ancestral().plan(9)
    step = TRANSITIONS["uniform, guided"][0]
    samples = DenseSampler(step, table, pool).run(Job(LENGTHS, CONDITION))
    assert samples.nfe.tolist() == [18] * 12
    assert samples.classifier_nfe.tolist() == [0] * 12
    step = TRANSITIONS["uniform, classifier"][0]
    samples = DenseSampler(step, table, pool).run(Job(LENGTHS, CONDITION))
    assert samples.nfe.tolist() == samples.classifier_nfe.tolist() == [9] * 12
    exact = ClassifierBased(ExactScores(CLOCKED_HIGH), 2.0, None)
    step = UniformTransition(UNIFORM, None, [exact])
    samples = DenseSampler(step, plan.Ancestral().plan(3), pool).run(Job(LENGTHS[:4]))
    # every other token at every place, and the row as it is; the last step's q still reaches all
    assert samples.classifier_nfe.tolist() == (3 * ((PAD - 1) * LENGTHS[:4] + 1)).tolist()


@pytest.mark.parametrize("name", ["exact, guided remasking", "uniform"])
def test_a_trajectory_ends_in_the_drawn_tokens(pool: Workers, name: str) -> None:
    step, strategy = TRANSITIONS[name]
    sampler = DenseSampler(step, strategy.plan(5), pool)
    samples = sampler.run(Job(LENGTHS, CONDITION, 1, record=True))
    events = samples.trajectory
    assert isinstance(events, Trajectory)
    for row, length in enumerate(LENGTHS.tolist()):
        steps, states = events.states(row, length, MASK)
        np.testing.assert_array_equal(states[-1], samples.tokens[row, :length])
        assert (steps[0] == -1) == (name == "uniform")
    assert (events.probability > 0).all()
    assert (events.probability <= 1 + 1e-12).all()


ROWS = 12_000
LIMIT = 40.5  # of chi-square with 7 degrees of freedom: passed by chance once in a million


def exact_steps() -> dict[str, tuple[Transition, plan.Strategy, int]]:
    masked = fp32(chains.Denoiser())
    uniform = MicroBatchedDenoiser(chains.Denoiser(uniform=True), dtype="fp32", classes=2)
    both = ClassifierBased(chains.KnownScores(), 2.0, chains.MASK, True, True)
    exact = ClassifierBased(ExactScores(chains.uniform_classifier), 1.0, None)
    return {
        "ancestral": (MaskedTransition(masked), plan.Ancestral(), 3),
        "guided remasking": (MaskedTransition(masked, None, [both]), plan.Rescale(0.7), 8),
        "uniform": (UniformTransition(uniform), plan.Ancestral(), 3),
        "uniform, exact": (UniformTransition(uniform, None, [exact]), plan.Ancestral(), 3),
    }


@pytest.mark.parametrize("name", exact_steps())
def test_frequencies_are_those_of_the_exact_chain(
    name: str, pool: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "molgen.nn.micro_batches.MICRO_BATCH", ROWS
    )  # for speed: the states are few
    step, strategy, steps = exact_steps()[name]
    table = strategy.plan(steps)
    sampler = DenseSampler(step, table, pool, batch_size=ROWS)
    samples = sampler.run(Job(np.full(ROWS, chains.LENGTH), seed=steps))
    counts = np.bincount(samples.tokens @ [4, 2, 1], minlength=8)
    end = chains.trace(step, table)[-1]
    expected = (end[chains.IS_CLEAN] if step.remasks else end).numpy() * ROWS
    assert expected.sum() == pytest.approx(ROWS)
    assert ((counts - expected) ** 2 / expected).sum() < LIMIT
    target = chains.TARGET.numpy() * ROWS  # not reached in so few steps: the test is sensitive
    assert ((counts - target) ** 2 / target).sum() > 3 * LIMIT


def test_draws_by_hand() -> None:
    q = torch.tensor([0.2, 0.0, 0.3, 0.5]).double().expand(6, 4)
    tokens = torch.full((6,), 2)
    u = torch.tensor([0.0, 0.19, 0.21, 0.69, 0.71, 1 - 2.0**-53]).double()
    drawn, p = draw_changes(q, tokens, u)
    assert drawn.tolist() == [0, 0, 3, 3, 2, 2]
    assert p.tolist() == pytest.approx([2 / 7, 2 / 7, 5 / 7, 5 / 7, 1, 1])


def test_impossible_values_are_never_drawn() -> None:
    rng = np.random.default_rng(0)
    q = rng.dirichlet(np.full(8, 0.3), 5000)
    q[rng.random(q.shape) < 0.3] = 0
    q[:, -1] = 0
    q[:, 3] += 1e-300  # something is left
    tokens = torch.from_numpy(rng.integers(0, 8, 5000))
    table = torch.from_numpy(q / q.sum(1, keepdims=True))
    for u in (0.0, 0.5, 1 - 2.0**-53):
        drawn, p = draw_changes(table, tokens, torch.full((5000,), u).double())
        assert (table.gather(1, drawn[:, None]) > 0).all()
        assert ((p > 0) & (p <= 1 + 1e-12)).all()


def test_bad_arguments(pool: Workers) -> None:
    step = TRANSITIONS["uniform"][0]
    with pytest.raises(ValueError, match=r"sigma is up to .*uniform noise"):
        DenseSampler(step, plan.Rescale(0.5).plan(8), pool)
    with pytest.raises(ValueError, match="expected remask ancestral and weights uniform"):
        DenseSampler(step, plan.Ancestral().plan(8), pool, token_weights.Confidence())
    with pytest.raises(ValueError, match="batch_size is 0, expected at least 1"):
        DenseSampler(step, plan.Ancestral().plan(8), pool, None, 0)
