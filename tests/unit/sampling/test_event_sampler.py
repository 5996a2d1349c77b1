"""The event-driven sampler against the plain loop, and against exact distributions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

import chains
from molgen.diffusion import plan, remasking_rates, token_weights
from molgen.diffusion.noise import Cosine, LogLinear
from molgen.diffusion.posterior import masked_posterior
from molgen.sampling.event_sampler import Sampler, Samples
from molgen.sampling.sampler import Job
from molgen.utils import randomness
from molgen.utils.randomness import inverse_cdf
from tiny import Table

LENGTHS = np.array([5, 1, 9, 3, 7, 7, 2, 9, 4, 6, 8, 5])
BUSY: dict[str, plan.Strategy] = {
    "ancestral": plan.Ancestral(),
    "cap": plan.Cap(0.3),
    "rescale": plan.Rescale(0.6),
    "switch": plan.Switch(0.7, plan.Cap(0.4)),
    "loop": plan.Loop(eta=0.3, alpha_on=0.7),
    "forward-backward": plan.ForwardBackward(),
    "dfm": plan.DiscreteFlow(2.0),
    "psi": plan.Psi(0.4),
}
"""Every strategy, with enough remasking that most tokens are placed several times."""
WEIGHTS: dict[str, token_weights.TokenWeights | None] = {
    **{name: kind() if kind else None for name, kind in token_weights.WEIGHTS.items()},
    "confidence of mean one": token_weights.Confidence("mean"),
    "very sharp": token_weights.Sharpened(tau=0.2),
}


@dataclass
class Plain:
    """The published loop: the whole batch predicted at every step, all rows at the same step."""

    predictor: Table
    table: plan.Plan
    weights: token_weights.TokenWeights | None = None

    def run(
        self, lengths: NDArray[np.int64], condition: NDArray[np.float32] | None, seed: int
    ) -> Samples:
        width = int(lengths.max())
        real = np.arange(width) < lengths[:, None]
        pad, mask = self.predictor.pad_id, self.predictor.mask_id
        tokens = np.where(real, mask, pad)
        psi, nfe = np.ones(tokens.shape), np.zeros(len(lengths), dtype=np.int64)
        for step, (a_t, a_s, base) in enumerate(self.table.rows()):
            masked, placed = tokens == mask, real & (tokens != mask)
            own = np.full(tokens.shape, base)
            if self.weights is not None:
                own = np.minimum(
                    base * self.weights(token_weights.Evidence(psi, psi, 0 * psi), placed),
                    remasking_rates.sigma_max(a_t, a_s),
                )
            reveal = (a_s - (1 - own) * a_t) / (1 - a_t)
            row = np.arange(len(lengths))[:, None]
            u = randomness.uniform(seed, randomness.STEP, row, step, np.arange(width))
            place, remove = masked & (u < reveal), placed & (u < own)
            p = self.predictor(tokens, real, condition, np.full(len(lengths), a_t)).p
            full = np.zeros((*tokens.shape, p.shape[1]))
            full[real] = p
            for m, k in np.argwhere(place):
                cdf = np.cumsum(full[m, k])
                token = int(np.searchsorted(cdf, u[m, k] / reveal[m, k] * cdf[-1], side="right"))
                tokens[m, k], psi[m, k] = token, full[m, k, token]
            tokens[remove], psi[remove] = mask, 1.0
            nfe += place.any(1) * self.predictor.forwards
        return Samples(tokens, nfe)


def same(a: Samples, b: Samples) -> None:
    np.testing.assert_array_equal(a.tokens, b.tokens)
    np.testing.assert_array_equal(a.nfe, b.nfe)


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("name", plan.STRATEGIES)
def test_it_is_the_plain_loop_to_the_last_token(name: str, weights: str) -> None:
    table = BUSY[name].plan(19, Cosine() if name == "cap" else LogLinear())
    condition = np.linspace(0, 1, len(LENGTHS), dtype=np.float32)[:, None]
    for given in (None, condition) if weights == "uniform" else (condition,):
        plain = Plain(Table(), table, WEIGHTS[weights]).run(LENGTHS, given, 4)
        found = Sampler(Table(), table, WEIGHTS[weights], 5).run(Job(LENGTHS, given, 4))
        same(found, plain)
    assert (found.tokens[np.arange(9) < LENGTHS[:, None]] < Table().pad_id).all()


def test_remasking_did_happen_there() -> None:
    for name, strategy in BUSY.items():
        samples = Sampler(Table(), strategy.plan(19)).run(Job(LENGTHS, seed=4, record=True))
        assert samples.trajectory is not None
        removed = int(samples.trajectory.action.sum())
        assert (removed == 0) == (name == "ancestral")
        assert name == "ancestral" or removed > 20


@pytest.mark.parametrize("weights", ["uniform", "sharpened"])
def test_rows_are_batch_invariant(weights: str) -> None:
    table = plan.Rescale(0.5).plan(12)
    lengths = np.tile(LENGTHS, 2)

    def draw(lengths: NDArray[np.int64], batch_size: int, first: int = 0) -> Samples:
        sampler = Sampler(Table(), table, WEIGHTS[weights], batch_size)
        return sampler.run(Job(lengths, seed=9, first=first))

    whole = draw(lengths, 256)
    for batch_size in (1, 7):
        same(draw(lengths, batch_size), whole)
    head, tail = draw(lengths[:17], 7), draw(lengths[17:], 7, first=17)
    same(Samples(np.concatenate([head.tokens, tail.tokens]), np.append(head.nfe, tail.nfe)), whole)
    other = Sampler(Table(), table, WEIGHTS[weights]).run(Job(lengths, seed=10))
    assert (other.tokens != whole.tokens).any(1).mean() > 0.9


@pytest.mark.parametrize("forwards", [1, 2])
def test_forwards_are_counted_where_they_happen(forwards: int) -> None:
    predictor = Table(forwards=forwards)
    sampler = Sampler(predictor, plan.Rescale(0.4).plan(200), batch_size=7)
    samples = sampler.run(Job(LENGTHS, record=True))
    assert samples.nfe.sum() == predictor.asked * forwards
    events = samples.trajectory
    assert events is not None
    for row, nfe in enumerate(samples.nfe):
        own = events.of(row)
        assert nfe == forwards * len(np.unique(own.step[own.action == 0]))


def test_many_steps_cost_no_more_than_there_are_placements() -> None:
    samples = Sampler(Table(), plan.Ancestral().plan(4000)).run(Job(LENGTHS))
    assert (samples.nfe <= LENGTHS).all()
    assert samples.nfe.sum() >= 0.95 * LENGTHS.sum()


ROWS = 40_000


@pytest.mark.parametrize(
    ("strategy", "steps"),
    [
        (plan.Ancestral(), 3),
        (plan.Ancestral(), 12),
        (plan.Rescale(0.7), 8),
        (plan.Loop(eta=0.3), 20),
        (plan.ForwardBackward(), 6),
    ],
)
def test_frequencies_are_those_of_the_exact_chain(strategy: plan.Strategy, steps: int) -> None:
    table = strategy.plan(steps)
    lengths = np.full(ROWS, chains.LENGTH)
    samples = Sampler(chains.Exact(), table, batch_size=ROWS).run(Job(lengths, seed=steps))
    counts = np.bincount(samples.tokens @ [4, 2, 1], minlength=8)
    kernel = [
        masked_posterior(chains.denoise(chains.TARGET), chains.STATES, *row, chains.MASK)
        for row in table.rows()
    ]
    expected = chains.follow(kernel)[chains.IS_CLEAN].numpy() * ROWS
    assert expected.sum() == pytest.approx(ROWS)
    assert ((counts - expected) ** 2 / expected).sum() < chains.LIMIT
    target = chains.TARGET.numpy() * ROWS  # not reached in so few steps: the test is sensitive
    assert ((counts - target) ** 2 / target).sum() > 3 * chains.LIMIT


@pytest.mark.parametrize("name", BUSY)
def test_the_masked_fraction_follows_the_schedule(name: str) -> None:
    table = BUSY[name].plan(20)
    rows, length = 4000, 6
    samples = Sampler(Table(), table, batch_size=rows).run(Job(np.full(rows, length), record=True))
    events = samples.trajectory
    assert events is not None
    change = np.bincount(events.step, np.where(events.action == 0, -1, 1), minlength=len(table))
    masked = rows * length + np.cumsum(change)
    expected = rows * length * (1 - table.alpha_s)
    error = np.sqrt(expected * table.alpha_s)
    assert masked[-1] == 0
    assert (np.abs(masked - expected)[:-1] < 4.5 * error[:-1]).all()


def test_rows_are_reported_once_as_they_end() -> None:
    seen: dict[int, NDArray[np.int64]] = {}

    def note(index: NDArray[np.int64], ended: Samples) -> None:
        assert len(index) == len(ended.tokens) == len(ended.nfe) == len(ended.classifier_nfe) > 0
        for i, row in zip(index.tolist(), ended.tokens, strict=True):
            assert i not in seen
            seen[i] = row.copy()

    sampler = Sampler(Table(), plan.Rescale(0.5).plan(16), batch_size=3)
    samples = sampler.run(Job(LENGTHS, first=100), note)
    assert sorted(seen) == list(range(len(LENGTHS)))
    np.testing.assert_array_equal(np.array([seen[i] for i in range(len(LENGTHS))]), samples.tokens)


def test_a_batch_has_room() -> None:
    with pytest.raises(ValueError, match="batch_size is 0, expected at least 1"):
        Sampler(Table(), plan.Ancestral().plan(4), batch_size=0)


def test_inverse_cdf_by_hand() -> None:
    p = np.array([[0.0, 0.25, 0.0, 0.75, 0.0]] * 6)
    at = np.array([0.0, 0.2, 0.25, 0.6, 0.999999, 1 - 2.0**-53])
    assert inverse_cdf(p, at).tolist() == [1, 1, 3, 3, 3, 3]


def test_inverse_cdf_never_draws_the_impossible() -> None:
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.full(30, 0.3), 20_000)
    p[:, rng.random(30) < 0.3] = 0
    p[:, -2:] = 0
    p /= p.sum(1, keepdims=True)
    for quantile in (0.0, 5e-324, 0.5, 1 - 2.0**-53):
        token = inverse_cdf(p, np.full(len(p), quantile))
        assert (p[np.arange(len(p)), token] > 0).all()
