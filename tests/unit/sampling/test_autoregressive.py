"""Exactness: the whole distribution over the 15 strings of :mod:`strings`, and draws from it."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

import strings
from molgen.diffusion.losses import next_token_nats
from molgen.guidance.next_token import ClassifierFreeModel, FudgeModel
from molgen.guidance.shaping import Shaping
from molgen.nn.language_model import LanguageModel, sequence_log_prob
from molgen.sampling.autoregressive import AutoregressiveSampler, filled
from molgen.sampling.sampler import Job, Samples
from molgen.utils.threads import Workers, workers
from strings import LONGEST, MASK, MEETS, PAD, STRINGS, TARGET, Exact, Foresight, enumerated, given
from tiny import ones

WANTED = given(TARGET * MEETS[0])
BOTH = given(TARGET * MEETS[0] * MEETS[1])
CONDITION = torch.full((len(STRINGS), 1), 0.5)
PLAIN = Exact(TARGET, WANTED)
FUDGE = FudgeModel(PLAIN, Foresight(TARGET, MEETS[0]))


@pytest.fixture(scope="module")
def pool() -> Iterator[Workers]:
    with workers(count=2) as pool:
        yield pool


def close(found: Tensor, expected: Tensor, atol: float = 1e-12) -> None:
    torch.testing.assert_close(found, expected, atol=atol, rtol=0)


def test_an_unguided_model_samples_its_own_distribution() -> None:
    close(enumerated(PLAIN), TARGET)
    close(enumerated(PLAIN, CONDITION), WANTED)
    assert float((TARGET - WANTED).abs().sum()) > 0.5, "the property changes the distribution"


def test_exact_fudge_at_gamma_1_samples_p_of_x_given_y() -> None:
    close(enumerated(FUDGE), WANTED)
    close(enumerated(FudgeModel(PLAIN, Foresight(TARGET, MEETS[0]), 0.0)), TARGET)


def test_classifier_free_guidance_at_gamma_1_samples_p_of_x_given_y() -> None:
    close(enumerated(ClassifierFreeModel(PLAIN, 1.0), CONDITION), WANTED)
    close(enumerated(ClassifierFreeModel(PLAIN, 0.0), CONDITION), TARGET)


def test_guidances_compose() -> None:
    second = Foresight(WANTED, MEETS[1])
    close(enumerated(FudgeModel(FUDGE, second)), BOTH)
    close(enumerated(FudgeModel(ClassifierFreeModel(PLAIN, 1.0), second), CONDITION), BOTH)
    close(enumerated(ClassifierFreeModel(FudgeModel(PLAIN, second), 1.0), CONDITION), BOTH)


def test_the_costs_of_nested_guidances_add_up() -> None:
    score = Foresight(TARGET, MEETS[0])
    outer = FudgeModel(ClassifierFreeModel(FudgeModel(PLAIN, score), 2.0), score)
    assert (outer.forwards, outer.classifier_forwards) == (2, 3)


def test_gamma_mixes_each_kernel_by_hand() -> None:
    first, gamma = torch.tensor([MASK]), 2.5
    condition = CONDITION[:1]
    free, bound = (PLAIN.begin(1, c).append(first).exp() for c in (None, condition))
    guided = ClassifierFreeModel(PLAIN, gamma).begin(1, condition).append(first).exp()
    real = slice(0, PAD + 1)
    mixed = bound[:, real] ** gamma * free[:, real] ** (1 - gamma)
    close(guided[:, real], given(mixed))
    chance = Foresight(TARGET, MEETS[0]).begin(1).append(first).exp()
    tilted = FudgeModel(PLAIN, Foresight(TARGET, MEETS[0]), gamma).begin(1).append(first).exp()
    close(tilted, given(free * chance**gamma))


@pytest.mark.parametrize(("gamma", "gap"), [(0.5, 0.0643), (2.0, 0.1057), (4.0, 0.2172)])
def test_at_other_gammas_both_guidances_agree_but_tilt_no_whole_strings(
    gamma: float, gap: float
) -> None:
    fudge = enumerated(FudgeModel(PLAIN, Foresight(TARGET, MEETS[0]), gamma))
    close(enumerated(ClassifierFreeModel(PLAIN, gamma), CONDITION), fudge)
    close(fudge.sum(), torch.tensor(1.0).double())
    # kernels normalised token by token are not p(x) p(y | x) ** gamma: total variation, as it is
    whole = given(TARGET * MEETS[0] ** gamma)
    assert float((fudge - whole).abs().sum() / 2) == pytest.approx(gap, abs=1e-4)


ROWS = 20_000
LIMIT = 54.6  # of chi-square with 14 degrees of freedom: passed by chance once in a million


@pytest.mark.parametrize(
    ("model", "guided", "expected"),
    [
        (PLAIN, False, TARGET),
        (FUDGE, False, WANTED),
        (ClassifierFreeModel(PLAIN, 1.0), True, WANTED),
        (FudgeModel(ClassifierFreeModel(PLAIN, 1.0), Foresight(WANTED, MEETS[1])), True, BOTH),
    ],
)
def test_frequencies_are_those_of_the_exact_kernels(
    pool: Workers, model: LanguageModel, guided: bool, expected: Tensor
) -> None:
    condition = np.full((ROWS, 1), 0.5, dtype=np.float32) if guided else None
    counts = frequencies(
        AutoregressiveSampler(model, pool, batch_size=7_000).run(Job(ones(ROWS), condition))
    )
    possible = expected.numpy() > 0
    assert counts[~possible].sum() == 0
    for each in (TARGET, WANTED, BOTH):
        hoped = np.maximum(each.numpy()[possible] * ROWS, 1e-9)
        passes = ((counts[possible] - hoped) ** 2 / hoped).sum() < LIMIT
        assert passes == (each is expected), "it follows its own distribution and no other"


def frequencies(samples: Samples) -> NDArray[np.int64]:
    """How often each string was written, shape (15,)."""
    tokens = np.pad(
        samples.tokens, ((0, 0), (0, LONGEST - samples.tokens.shape[1])), constant_values=PAD
    )
    same = (tokens[:, None] == STRINGS.numpy()).all(2)
    assert (same.sum(1) == 1).all()
    return np.asarray(same.sum(0))


def test_temperature_and_nucleus_shape_every_token(pool: Workers) -> None:
    cold = AutoregressiveSampler(PLAIN, pool, Shaping(temperature=1e-9)).run(Job(ones(50)))
    assert (cold.tokens == cold.tokens[0]).all()
    token, greedy = torch.tensor([MASK]), []
    rows = PLAIN.begin(1)
    for _ in range(LONGEST):
        token = rows.append(token).argmax(1)
        greedy.append(int(token))
    written = greedy[: greedy.index(PAD)] if PAD in greedy else greedy
    assert cold.tokens[0].tolist() == written
    narrow = AutoregressiveSampler(PLAIN, pool, Shaping(top_p=1e-9)).run(Job(ones(50)))
    np.testing.assert_array_equal(narrow.tokens, cold.tokens)


def draw(
    pool: Workers, count: int, batch_size: int, first: int = 0, seed: int = 3
) -> tuple[list[list[int]], NDArray[np.int64], NDArray[np.int64]]:
    condition = np.linspace(0, 1, 500, dtype=np.float32)[:, None]
    condition[::3] = np.nan
    model = FudgeModel(ClassifierFreeModel(PLAIN, 1.5), Foresight(TARGET, MEETS[0]))
    sampler = AutoregressiveSampler(model, pool, batch_size=batch_size)
    samples = sampler.run(Job(ones(count), condition[first : first + count], seed, first))
    rows = [[t for t in row if t != PAD] for row in samples.tokens.tolist()]
    return rows, samples.nfe, samples.classifier_nfe


def test_rows_are_batch_invariant(pool: Workers) -> None:
    rows, nfe, classifier_nfe = draw(pool, 150, 256)
    for batch_size in (1, 7, 100):
        assert draw(pool, 150, batch_size)[0] == rows
    head, tail = draw(pool, 101, 256), draw(pool, 49, 20, first=101)
    assert head[0] + tail[0] == rows
    np.testing.assert_array_equal(np.append(head[1], tail[1]), nfe)
    np.testing.assert_array_equal(np.append(head[2], tail[2]), classifier_nfe)
    assert sum(a != b for a, b in zip(draw(pool, 150, 256, seed=4)[0], rows, strict=True)) > 25


def test_every_token_and_the_end_cost_a_forward(pool: Workers) -> None:
    model = FudgeModel(ClassifierFreeModel(PLAIN, 1.5), Foresight(TARGET, MEETS[0]))
    condition = np.full((300, 1), 0.5, dtype=np.float32)
    for each, guided in ((PLAIN, None), (FUDGE, None), (model, condition)):
        samples = AutoregressiveSampler(each, pool).run(Job(ones(300), guided))
        lengths = (samples.tokens != PAD).sum(1)
        steps = np.minimum(lengths + 1, LONGEST)
        assert {0, LONGEST} <= set(lengths), "empty rows and rows cut off are kept"
        np.testing.assert_array_equal(samples.nfe, steps * each.forwards)
        np.testing.assert_array_equal(samples.classifier_nfe, steps * each.classifier_forwards)


def test_a_recorded_trajectory_replays(pool: Workers) -> None:
    samples = AutoregressiveSampler(PLAIN, pool, batch_size=64).run(
        Job(ones(200), first=10, record=True)
    )
    events = samples.trajectory
    assert events is not None
    assert (events.step == events.position).all()
    p = dict(zip(map(tuple, STRINGS.tolist()), TARGET.tolist(), strict=True))
    for row, tokens in enumerate(samples.tokens):
        own = events.of(10 + row)
        length = int((tokens != PAD).sum())
        assert own.token.tolist() == tokens[:length].tolist()
        if length == LONGEST:
            assert math.prod(own.probability) == pytest.approx(p[tuple(tokens)], rel=1e-12)


def test_rows_are_reported_once_as_they_end(pool: Workers) -> None:
    seen: dict[int, tuple[list[int], int]] = {}

    def note(index: NDArray[np.int64], ended: Samples) -> None:
        assert len(index) == len(ended.tokens) == len(ended.nfe) == len(ended.classifier_nfe) > 0
        for i, row, cost in zip(
            index.tolist(), ended.tokens.tolist(), ended.nfe.tolist(), strict=True
        ):
            assert i not in seen
            seen[i] = row, cost

    sampler = AutoregressiveSampler(PLAIN, pool, batch_size=70)
    samples = sampler.run(Job(ones(200), first=100), note)
    assert sorted(seen) == list(range(200))
    width = samples.tokens.shape[1]
    for i, row in enumerate(samples.tokens.tolist()):
        assert seen[i] == (row + [PAD] * (LONGEST - width), samples.nfe[i])


def test_forwards_are_filled_with_rows_that_are_there() -> None:
    for count in (1, 63, 64, 65, 200, 256):
        rows = filled(np.arange(100, 100 + count))
        assert len(rows) % 32 == 0
        assert len(rows) >= 64
        assert len(rows) - count < 64
        assert rows[:count].tolist() == list(range(100, 100 + count))
        assert set(rows[count:]) <= {99 + count}


def test_bad_arguments(pool: Workers) -> None:
    with pytest.raises(ValueError, match="batch_size is 0, expected at least 1"):
        AutoregressiveSampler(PLAIN, pool, batch_size=0)
    with pytest.raises(ValueError, match="condition is None"):
        AutoregressiveSampler(ClassifierFreeModel(PLAIN, 2.0), pool).run(Job(ones(2)))


@pytest.mark.parametrize(
    ("gamma", "message"),
    [
        (lambda alpha: alpha, "gamma is a function of alpha_t, but an autoregressive network has"),
        (math.inf, "gamma is inf, expected a finite number"),
        (math.nan, "gamma is nan, expected a finite number"),
        ("strong", "gamma is 'strong', expected a finite number"),
    ],
)
def test_gamma_must_be_a_number(gamma: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ClassifierFreeModel(PLAIN, gamma)
    with pytest.raises(ValueError, match=message):
        FudgeModel(PLAIN, Foresight(TARGET, MEETS[0]), gamma)


def test_the_classifier_must_have_the_vocabulary_and_length_of_the_network() -> None:
    short = Foresight(TARGET, MEETS[0])
    short.max_length = 2
    with pytest.raises(ValueError, match="classifier has 4 tokens and max_length 2"):
        FudgeModel(PLAIN, short)


def test_a_row_that_cannot_meet_the_property_is_continued(pool: Workers) -> None:
    hopeless = FudgeModel(PLAIN, Foresight(TARGET, torch.zeros(len(STRINGS)).double()))
    close(enumerated(hopeless), TARGET)


def test_likelihoods_of_all_strings_sum_to_one() -> None:
    network = strings.writer()
    values = torch.full((len(STRINGS), 1), 0.7)
    for condition in (None, values):
        nats = sequence_log_prob(network, STRINGS, condition)
        assert nats.dtype == torch.float64
        assert float(nats.exp().sum()) == pytest.approx(1, abs=1e-6)
        ended = STRINGS[:, -1] == PAD
        paid = -next_token_nats(
            network, STRINGS[ended, :-1], None if condition is None else values[ended]
        )
        torch.testing.assert_close(nats[ended], paid.double(), atol=1e-5, rtol=0)
    unlike = sequence_log_prob(network, STRINGS) - sequence_log_prob(network, STRINGS, values)
    assert float(unlike.abs().max()) > 0.1, "the condition matters"


def test_likelihood_of_rows_that_are_none() -> None:
    network = strings.writer()
    assert sequence_log_prob(network, torch.empty(2, 0, dtype=torch.int64)).shape == (2,)
    with pytest.raises(ValueError, match="row has 4 tokens, expected at most 3"):
        sequence_log_prob(network, torch.zeros(1, 4, dtype=torch.int64))
    with pytest.raises(ValueError, match="a row with padding before its end"):
        sequence_log_prob(network, torch.tensor([[0, PAD, 1]]))
