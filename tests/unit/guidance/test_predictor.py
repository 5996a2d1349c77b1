from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import tiny
from molgen.guidance.candidate_scores import AmortisedScores, ExactScores, TaylorScores
from molgen.guidance.classifier import ClassifierTarget, PropertyClassifier
from molgen.guidance.conditional_denoiser import MicroBatchedDenoiser
from molgen.guidance.kernels import (
    CandidateScores,
    ClassifierBased,
    ClassifierFree,
    Linear,
    classifier_free,
)
from molgen.guidance.predictor import NetworkPredictor
from molgen.nn.denoiser import MoleculeDenoiser
from molgen.targets import Range
from molgen.utils.threads import Workers, workers
from tiny import fp32
from tiny_classifier import classifier

ROWS, WIDTH = 90, 9
RNG = np.random.default_rng(0)
LENGTHS = RNG.integers(1, WIDTH + 1, ROWS)
PAD, MASK = len(tiny.CHARACTERS), len(tiny.CHARACTERS) + 1
REAL = np.arange(WIDTH) < LENGTHS[:, None]
MASKED = (RNG.random((ROWS, WIDTH)) < 0.6) & REAL
TOKENS = np.where(REAL, np.where(MASKED, MASK, RNG.integers(0, PAD, (ROWS, WIDTH))), PAD)
CONDITION = RNG.random((ROWS, 3)).astype(np.float32)
CONDITION[RNG.random((ROWS, 3)) < 0.3] = np.nan
ALPHA = RNG.random(ROWS)
NETWORK = tiny.network()
WIDE = tiny.network(width=256)
AIM = ClassifierTarget("qed", Range(0.6, 1.0))
HIGH = PropertyClassifier(classifier(), [AIM], dtype="fp32")


@pytest.fixture(scope="module")
def pool() -> Iterator[Workers]:
    with workers(count=2) as pool:
        yield pool


def one_by_one(denoiser: MoleculeDenoiser, condition: bool) -> torch.Tensor:
    """``log p`` of every masked token, each row alone: (masked tokens, vocab)."""
    found = []
    for row, length in enumerate(LENGTHS):
        given = torch.from_numpy(CONDITION[row : row + 1]) if condition else None
        alpha = torch.tensor([ALPHA[row]], dtype=torch.float32)
        with torch.inference_mode():
            logits = denoiser.logits(torch.from_numpy(TOKENS[row : row + 1, :length]), given, alpha)
        found.append(logits.log_softmax(-1)[0, MASKED[row, :length]])
    return torch.cat(found).double()


def predicted(predictor: NetworkPredictor, condition: bool, rows: NDArray[np.int64]) -> np.ndarray:
    given = CONDITION[rows] if condition else None
    return predictor(TOKENS[rows], MASKED[rows], given, ALPHA[rows]).p


@pytest.mark.parametrize("condition", [False, True])
@pytest.mark.parametrize("time_input", [False, True])
def test_it_is_the_network_at_the_wanted_positions(
    pool: Workers, condition: bool, time_input: bool
) -> None:
    denoiser = tiny.network(time_input=time_input)
    predictor = NetworkPredictor(fp32(denoiser), pool)
    p = predicted(predictor, condition, np.arange(ROWS))
    assert p.shape == (MASKED.sum(), len(tiny.CHARACTERS) + 2)
    assert p.dtype == np.float64
    np.testing.assert_allclose(p, one_by_one(denoiser, condition).exp(), atol=2e-6)
    np.testing.assert_allclose(p.sum(1), 1, atol=1e-12)
    assert (p[:, PAD:] == 0).all()
    assert predictor.forwards == 1


def test_guidance_mixes_both_predictions(pool: Workers) -> None:
    predictor = NetworkPredictor(fp32(NETWORK), pool, ClassifierFree(2.5))
    expected = classifier_free(
        one_by_one(NETWORK, True)[:, None], one_by_one(NETWORK, False)[:, None], 2.5
    )[:, 0].exp()
    p = predicted(predictor, True, np.arange(ROWS))
    np.testing.assert_allclose(p, expected, atol=1e-5)
    assert predictor.forwards == 2
    with pytest.raises(ValueError, match="condition is None"):
        predicted(predictor, False, np.arange(ROWS))


def test_gamma_may_depend_on_the_alpha_of_each_row(pool: Workers) -> None:
    late = ClassifierFree(lambda alpha: torch.where(torch.as_tensor(alpha) > 0.5, 3.0, 0.0))
    p = predicted(
        NetworkPredictor(fp32(NETWORK), pool, late),
        True,
        np.arange(ROWS),
    )
    row = np.nonzero(MASKED)[0]
    for clock, gamma in ((ALPHA[row] > 0.5, 3.0), (ALPHA[row] <= 0.5, 0.0)):
        fixed = NetworkPredictor(fp32(NETWORK), pool, ClassifierFree(gamma))
        np.testing.assert_array_equal(p[clock], predicted(fixed, True, np.arange(ROWS))[clock])


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
@pytest.mark.parametrize("gamma", [None, 2.5])
@pytest.mark.parametrize("denoiser", [NETWORK, WIDE])
def test_rows_are_batch_invariant(
    pool: Workers, denoiser: MoleculeDenoiser, gamma: float | None, dtype: str
) -> None:
    guidance = None if gamma is None else ClassifierFree(gamma)
    predictor = NetworkPredictor(MicroBatchedDenoiser(denoiser, dtype=dtype), pool, guidance)
    mixed = np.tile(np.flatnonzero(MASKED.any(1)), 8)  # more than a micro-batch of every length
    alike = np.tile(np.flatnonzero(MASKED.any(1) & (LENGTHS == 7)), 40)[:128]
    sizes = [1, 2, 7, 15, 16, 17, 31, 32, 33, 47, 48, 63, 65]
    for rows, parts in ((mixed, [1, 7, 300]), (alike, sizes)):
        place = np.cumsum(MASKED[rows].sum(1)) - MASKED[rows].sum(1)
        whole = predicted(predictor, True, rows)
        for size in parts:
            start = size % 5
            part = predicted(predictor, True, rows[start : start + size])
            np.testing.assert_array_equal(part, whole[place[start] : place[start] + len(part)])


def by_hand(scores: CandidateScores, gamma: float) -> np.ndarray:
    """The network's own distribution of every masked token, tilted one token at a time."""
    given = np.full((ROWS, WIDTH, MASK + 1), -np.inf)
    given[MASKED] = one_by_one(NETWORK, False).numpy()
    found = []
    for row, length in enumerate(LENGTHS):
        tokens = torch.from_numpy(TOKENS[row : row + 1, :length])
        log_p = torch.from_numpy(given[row : row + 1, :length])
        score = scores(log_p, tokens, torch.tensor([ALPHA[row]]))
        tilted = torch.where(log_p > -torch.inf, log_p + gamma * score, -torch.inf)
        found.append(tilted[0, MASKED[row, :length]].softmax(-1))
    return torch.cat(found).numpy()


@pytest.mark.parametrize("kind", ["exact", "Taylor", "amortised"])
def test_tilts_act_on_the_wanted_positions_and_are_counted_row_by_row(
    pool: Workers, kind: str
) -> None:
    scores: dict[str, CandidateScores] = {
        "exact": ExactScores(HIGH),
        "Taylor": TaylorScores(HIGH, clamp=1.5),
        "amortised": AmortisedScores(HIGH, MASK),
    }
    tilt = ClassifierBased(scores[kind], 2.0, MASK, tilt_mask=True)  # no mask entry: no difference
    predictor = NetworkPredictor(fp32(NETWORK), pool, tilts=[tilt])
    found = predictor(TOKENS, MASKED, None, ALPHA)
    np.testing.assert_allclose(found.p, by_hand(scores[kind], 2.0), atol=2e-5)
    assert np.abs(found.p - one_by_one(NETWORK, False).exp().numpy()).max() > 0.1
    per_row = {"exact": PAD * MASKED.sum(1), "Taylor": 2, "amortised": 1}[kind]
    np.testing.assert_array_equal(found.classifier_forwards, np.broadcast_to(per_row, ROWS))


def test_a_tilt_follows_the_mixture_and_another_tilt(pool: Workers) -> None:
    tilt, free = ClassifierBased(AmortisedScores(HIGH, MASK), 1.5, MASK), ClassifierFree(2.5)
    whole = np.arange(ROWS)
    mixed = predicted(NetworkPredictor(fp32(NETWORK), pool, free), True, whole)
    one = predicted(
        NetworkPredictor(fp32(NETWORK), pool, free, tilts=[tilt]),
        True,
        whole,
    )
    two = predicted(
        NetworkPredictor(fp32(NETWORK), pool, free, tilts=[tilt] * 2),
        True,
        whole,
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        first, second = (np.log(b / a)[:, :PAD] for a, b in ((mixed, one), (one, two)))
    for change in (first, second):
        change -= change.mean(1, keepdims=True)
    np.testing.assert_allclose(first, second, atol=1e-9)
    assert np.abs(first).max() > 0.1


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_tilted_rows_are_batch_invariant(pool: Workers, dtype: str) -> None:
    tilting = PropertyClassifier(classifier(time_input=True), [AIM], dtype=dtype)
    for scores in (ExactScores(tilting), AmortisedScores(tilting, MASK)):
        tilts = [ClassifierBased(scores, Linear(0.0, 3.0), MASK)]
        predictor = NetworkPredictor(
            MicroBatchedDenoiser(WIDE, dtype=dtype), pool, ClassifierFree(2.0), tilts=tilts
        )
        rows = np.tile(np.flatnonzero(MASKED.any(1)), 2)
        place = np.cumsum(MASKED[rows].sum(1)) - MASKED[rows].sum(1)
        whole = predicted(predictor, True, rows)
        for start, size in ((0, 1), (3, 7), (11, 33)):
            part = predicted(predictor, True, rows[start : start + size])
            np.testing.assert_array_equal(part, whole[place[start] : place[start] + len(part)])


def test_bf16_is_near(pool: Workers) -> None:
    p = [
        predicted(
            NetworkPredictor(MicroBatchedDenoiser(WIDE, dtype=d), pool), True, np.arange(ROWS)
        )
        for d in ("fp32", "bf16")
    ]
    assert 0 < np.abs(p[0] - p[1]).mean() < 0.02
    assert all(parameter.dtype is torch.float32 for parameter in WIDE.parameters())


def test_damaged_weights_are_noticed(pool: Workers) -> None:
    broken = tiny.network()
    broken.head.bias.data[2] = float("nan")
    with pytest.raises(ValueError, match="not numbers"):
        predicted(NetworkPredictor(MicroBatchedDenoiser(broken), pool), True, np.arange(ROWS))
    huge = NetworkPredictor(MicroBatchedDenoiser(NETWORK), pool, ClassifierFree(1e308))
    with pytest.raises(ValueError, match="or gamma is too large"):
        predicted(huge, True, np.arange(ROWS))
