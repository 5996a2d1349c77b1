"""Particles against the tilted joint distribution of the exact chain, and their counts."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import chains
import tiny
from molgen.discovery.particles import (
    Logarithms,
    ParticleFilter,
    Particles,
    Unnormalised,
    merged,
    normalised,
    systematic,
)
from molgen.guidance.kernels import Linear
from molgen.guidance.predictor import NetworkPredictor
from molgen.guidance.shaping import Shaping
from molgen.utils.threads import workers
from tiny import fp32

GAMMA = 3.0
GROUPS, PARTICLES = 2, 8_000
REWARD = np.array([0.0, 2.0, 1.0, -1.0, 3.0, 0.5, 1.5, -0.5])
"""Of each clean state."""
NOISE = 0.015
"""Bound on the total variation of 16,000 weighted draws over 8 states, with a margin."""


def which(tokens: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.asarray(tokens @ [4, 2, 1])


def tilted(gamma: float) -> NDArray[np.float64]:
    weight = chains.tilted(1.0) ** gamma * chains.TARGET ** (1 - gamma)
    return np.asarray(weight / weight.sum())


def normalised_guidance() -> NDArray[np.float64]:
    """Exactly what D-CFG, normalised per token, draws one token at a time in a random order."""
    log_f = GAMMA * chains.LOG_P_GIVEN_Y[..., :2] + (1 - GAMMA) * chains.LOG_P[..., :2]
    q = np.asarray(log_f.softmax(-1))
    found = np.zeros(8)
    for i, clean in enumerate(chains.CLEAN.tolist()):
        for order in permutations(range(chains.LENGTH)):
            row, chance = [chains.MASK] * chains.LENGTH, 1 / 6
            for place in order:
                chance *= q[np.dot(row, [9, 3, 1]), place, clean[place]]
                row[place] = clean[place]
            found[i] += chance
    return found


def draw(groups: int = GROUPS, condition: float | None = 1.0, **options: object) -> Particles:
    with workers(count=1) as pool:
        mixture = Unnormalised(GAMMA) if condition is not None else None
        predictor = NetworkPredictor(fp32(chains.Denoiser()), pool, mixture, Logarithms())
        options = {"particles": PARTICLES, "every": 1, **options}
        given = None if condition is None else np.full((groups, 1), condition, dtype=np.float32)
        filter = ParticleFilter(predictor, **options)  # type: ignore[arg-type]
        return filter.run(np.full(groups, chains.LENGTH), given, seed=5)


def weighted(found: Particles, particles: int = PARTICLES) -> NDArray[np.float64]:
    groups = found.log_weights.reshape(-1, particles)
    weights = np.concatenate([normalised(group) for group in groups])
    return np.bincount(which(found.tokens), weights, minlength=8) / len(groups)


def distance(p: NDArray[np.float64], q: NDArray[np.float64]) -> float:
    return float(np.abs(p - q).sum() / 2)


def test_without_weights_they_are_guided_rows() -> None:
    plain = weighted(draw(normaliser=False))
    assert distance(plain, normalised_guidance()) < NOISE
    assert distance(plain, tilted(GAMMA)) > 4 * NOISE


def test_the_normaliser_corrects_guidance_to_the_tilted_joint() -> None:
    assert distance(weighted(draw()), tilted(GAMMA)) < NOISE
    never = draw(every=99)  # weights alone, no resampling
    assert np.ptp(never.log_weights) > 1
    assert distance(weighted(never), tilted(GAMMA)) < NOISE


def test_weights_correct_for_the_temperature() -> None:
    hot = draw(shaping=Shaping(temperature=1.5))
    assert distance(weighted(hot), tilted(GAMMA)) < 1.5 * NOISE


def test_an_oracle_twists_to_the_exponential_of_its_score() -> None:
    def reward(tokens: NDArray[np.int64], nfe: NDArray[np.int64]) -> NDArray[np.float64]:
        assert (tokens < chains.MASK).all()
        assert len(tokens) == len(nfe)
        return REWARD[which(tokens)]

    found = draw(condition=None, twist=0.7, reward=reward, draws=3)
    wanted = np.asarray(chains.TARGET) * np.exp(0.7 * REWARD)
    assert distance(weighted(found), wanted / wanted.sum()) < NOISE
    assert distance(np.asarray(chains.TARGET), wanted / wanted.sum()) > 4 * NOISE


def test_groups_are_the_same_in_any_batch() -> None:
    whole = draw(groups=3, particles=40)
    with workers(count=1) as pool:
        predictor = NetworkPredictor(
            fp32(chains.Denoiser()),
            pool,
            Unnormalised(GAMMA),
            Logarithms(),
        )
        last = ParticleFilter(predictor, particles=40, every=1).run(
            np.array([chains.LENGTH]), np.ones((1, 1), dtype=np.float32), seed=5, first=2
        )
    np.testing.assert_array_equal(last.tokens, whole.tokens[80:])
    np.testing.assert_allclose(last.log_weights, whole.log_weights[80:], atol=1e-12)


def test_lengths_differ_between_groups_and_forwards_are_counted() -> None:
    table = tiny.Table(max_length=9)
    lengths = np.array([4, 1, 9])

    class Logs(tiny.Table):
        def __call__(self, *words: Any) -> Any:  # type: ignore[override]
            found = table(*words)
            with np.errstate(divide="ignore"):
                return type(found)(np.log(found.p), found.classifier_forwards)

    found = ParticleFilter(Logs(), particles=6, every=2).run(lengths, seed=1)  # type: ignore[arg-type]
    real = found.tokens != table.pad_id
    np.testing.assert_array_equal(real.sum(1), np.repeat(lengths, 6))
    assert (found.tokens[real] < table.pad_id).all()
    np.testing.assert_array_equal(found.nfe, np.repeat(lengths, 6))
    assert table.asked == found.nfe.sum()
    np.testing.assert_allclose(found.log_weights, 0, atol=1e-12)  # no guidance


def test_a_mixture_keeps_its_normaliser() -> None:
    p, q = (torch.tensor([[[0.5, 0.3, 0.2, 0.0]]]), torch.tensor([[[0.2, 0.2, 0.6, 0.0]]]))
    alpha = torch.tensor([0.5])
    found = Unnormalised(Linear(1.0, 3.0)).combine(p.log(), q.log(), alpha).exp()
    torch.testing.assert_close(found[..., :3], (p**2 / q)[..., :3])
    assert found[0, 0, 3] == 0


def test_systematic_resampling_by_hand() -> None:
    weights = np.array([0.5, 0.25, 0.0, 0.25])
    assert systematic(weights, 0.0).tolist() == [0, 0, 1, 3]
    assert systematic(weights, 0.999).tolist() == [0, 0, 1, 3]
    counts = np.bincount(systematic(np.array([0.45, 0.55]), 0.5), minlength=2)
    assert counts.tolist() == [1, 1]
    rng = np.random.default_rng(0)
    for _ in range(50):
        weights = rng.dirichlet(np.full(16, 0.3))
        counts = np.bincount(systematic(weights, rng.random()), minlength=16)
        assert (np.abs(counts - 16 * weights) < 1).all()


def test_zero_weights_become_equal() -> None:
    np.testing.assert_allclose(normalised(np.array([-np.inf, -np.inf])), [0.5, 0.5])
    np.testing.assert_allclose(normalised(np.array([-1e9, -1e9 + np.log(3)])), [0.25, 0.75])


def test_weights_of_copies_are_added_up() -> None:
    kept, log_w = merged(["CC", "", "C", "CC", "O", "CC"], np.log([1.0, 9.0, 2.5, 1.0, 4.0, 1.0]))
    assert kept.tolist() == [4, 0, 2]
    np.testing.assert_allclose(np.exp(log_w), [4.0, 3.0, 2.5])
    assert merged([], np.zeros(0))[0].tolist() == []


def test_only_groups_with_a_low_effective_sample_size_are_resampled() -> None:
    options = {"condition": None, "twist": 2.0, "particles": 500, "groups": 2}
    reward = {"reward": lambda tokens, nfe: REWARD[which(tokens)]}
    found = draw(**options, **reward, every=1)  # type: ignore[arg-type]
    never = draw(**options, **reward, every=99)  # type: ignore[arg-type]
    assert (found.tokens != never.tokens).any()
    even = draw(particles=500, every=1, groups=2)  # whose weights stay above the threshold
    again = draw(particles=500, every=99, groups=2)
    np.testing.assert_array_equal(even.tokens, again.tokens)
