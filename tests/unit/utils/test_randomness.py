from __future__ import annotations

import numpy as np
import pytest

from molgen.utils import randomness
from molgen.utils.randomness import LENGTH, SHUFFLE, STEP, TARGET, Use, uniform

SHAPE = (40, 50, 60)
AXES = np.ogrid[:40, :50, :60]


def by_hand(seed: int, stream: int, *coordinates: int) -> float:
    """The definition in whole numbers of any size."""

    def mix(h: int) -> int:
        h = (h ^ (h >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        h = (h ^ (h >> 27)) * 0x94D049BB133111EB % 2**64
        return h ^ (h >> 31)

    h = mix((seed * 4 + stream + 1) * 0x9E3779B97F4A7C15 % 2**64)
    for coordinate in coordinates:
        h = mix((h + (coordinate + 1) * 0x9E3779B97F4A7C15) % 2**64)
    return (h >> 11) / 2**53


@pytest.mark.parametrize("seed", [0, 3, -1, 2**61, 10**30])
def test_the_numbers_are_those_of_the_definition(seed: int) -> None:
    for stream, at in [(STEP, (17, 127, 21)), (LENGTH, (0,)), (TARGET, (10**12, 4)), (SHUFFLE, ())]:
        assert float(uniform(seed, stream, *at)) == by_hand(seed, stream, *at)


def test_numbers_are_uniform_and_independent() -> None:
    u = uniform(7, STEP, *AXES)
    assert u.shape == SHAPE
    assert u.min() >= 0
    assert u.max() < 1
    n = u.size
    for power in (1, 2, 3):
        spread = np.sqrt(1 / (2 * power + 1) - 1 / (power + 1) ** 2)
        assert abs(np.mean(u**power) - 1 / (power + 1)) < 5 * spread / np.sqrt(n)
    ranks = (np.arange(n) + 0.5) / n
    assert np.abs(np.sort(u.ravel()) - ranks).max() < 2.2 / np.sqrt(n)  # Kolmogorov-Smirnov
    z = (u - 0.5) * np.sqrt(12)
    for axis in range(3):  # neighbouring molecules, steps, positions
        a, b = np.take(z, range(1, SHAPE[axis]), axis), np.take(z, range(SHAPE[axis] - 1), axis)
        assert abs(np.mean(a * b)) < 5 / np.sqrt(a.size)


def test_streams_and_seeds_are_independent() -> None:
    draws = [uniform(seed, stream, *AXES) for seed in range(3) for stream in range(4)]
    assert len(np.unique(np.concatenate([d.ravel() for d in draws]))) == 12 * draws[0].size
    z = np.array([d.ravel() - 0.5 for d in draws]) * np.sqrt(12)
    correlation = z @ z.T / z.shape[1]
    assert np.abs(correlation - np.diag(np.diag(correlation))).max() < 5 / np.sqrt(z.shape[1])


def test_coordinates_are_distinguished_by_place_and_number() -> None:
    u = [uniform(0, STEP, *at) for at in [(1, 2, 3), (3, 2, 1), (2, 1, 3), (1, 2), (1, 2, 0), (1,)]]
    assert len(set(map(float, u))) == 6


def test_a_number_does_not_depend_on_the_others_of_a_call() -> None:
    u = uniform(5, STEP, *AXES)
    part = uniform(5, STEP, np.array([[31], [4]]), np.array([7, 9, 2]), 11)
    np.testing.assert_array_equal(part, u[[[31], [4]], [7, 9, 2], 11])


def test_shapes() -> None:
    assert uniform(0, STEP, np.arange(0)).shape == (0,)
    assert uniform(0, STEP, np.arange(0)[:, None], np.arange(3)).shape == (0, 3)
    assert np.shape(uniform(0, STEP, 1, 2)) == ()
    assert len({randomness.STEP, LENGTH, TARGET, SHUFFLE}) == 4


def test_choose_follows_the_weights_and_never_returns_a_weight_of_zero() -> None:
    u = (np.arange(1000) + 0.5) / 1000
    found = randomness.choose([0.0, 3.0, 0.0, 1.0, 0.0], u)
    assert np.bincount(found, minlength=5).tolist() == [0, 750, 0, 250, 0]
    assert randomness.choose([2.0], 0.999) == 0
    assert randomness.choose([1.0, 1.0], u.reshape(10, 100)).shape == (10, 100)


def test_uses_have_fixed_and_distinct_numbers() -> None:
    names = "COMPLETION MOVE_PART MOVE_POSITION MOVE_LENGTH MOVE_PLACE MOVE_KIND MOVE_FRAGMENT"
    names += " MOVE_SPAN ACCEPT PARTICLE_POSITION PARTICLE_OUTLOOK RESAMPLE LEAD_REGION LEAD_SIZE"
    names += " LEAD_CHOICE LEAD_SPAN TUNE LEAD_DONOR REDRAW"
    assert [(use.name, use - 2**62) for use in Use] == [
        (name, number) for number, name in enumerate(names.split())
    ]
    assert randomness.used(3, Use.ACCEPT, 5, 7) == uniform(3, SHUFFLE, 2**62 + 8, 5, 7)
    rows = uniform(3, SHUFFLE, np.arange(10_000), 7).ravel()
    drawn = [randomness.used(3, use, np.arange(1000), 7) for use in Use]
    everything = np.concatenate([rows, *drawn])
    assert len(np.unique(everything)) == len(everything)
