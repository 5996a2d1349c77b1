"""Correction during sampling: when rows are corrected, the result, and its cost."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from molgen.diffusion import plan
from molgen.guidance.predictor import Prediction
from molgen.sampling import words
from molgen.sampling.corrector import Corrector, correct
from molgen.sampling.event_sampler import Sampler
from molgen.sampling.sampler import Given, Job
from tiny import Table

LENGTHS = np.array([5, 1, 9, 3, 7, 7, 2, 9])
PAD, MASK = Table().pad_id, Table().mask_id


class Alternate(Table):
    """Predicts 1 at even and 2 at odd positions, with high probability."""

    def __call__(
        self,
        tokens: NDArray[np.int64],
        wanted: NDArray[np.bool_],
        condition: NDArray[np.float32] | None,
        alpha_t: NDArray[np.float64],
        rows: NDArray[np.int64] | None = None,
    ) -> Prediction:
        self.asked += len(tokens)
        row, place = np.nonzero(wanted)
        p = np.full((len(row), PAD + 2), 0.05)
        p[:, PAD:] = 0
        p[np.arange(len(row)), 1 + place % 2] += 1 - p.sum(1)
        return Prediction(p, np.zeros(len(tokens), dtype=np.int64))


EXPECTED = np.where(np.arange(9) < LENGTHS[:, None], 1 + np.arange(9) % 2, PAD)


def test_placed_tokens_are_corrected_and_masks_stay() -> None:
    rng = np.random.default_rng(0)
    real = np.arange(9) < LENGTHS[:, None]
    tokens = np.where(real, rng.integers(0, 5, real.shape), PAD)
    tokens = np.where(real & (rng.random(real.shape) < 0.4), MASK, tokens)
    fixed = (tokens < PAD) & (rng.random(real.shape) < 0.3)
    found = correct(Table(), Alternate(), 1, tokens, fixed, None, np.full(8, 0.5), np.arange(8))
    free = (tokens < PAD) & ~fixed
    assert (found.tokens[free] == EXPECTED[free]).all()
    assert (found.tokens[~free] == tokens[~free]).all()
    assert (found.forwards == 1 + (tokens == MASK).any(1)).all()
    assert (found.p[tokens == MASK] == 1).all()
    np.testing.assert_allclose(found.p[free], 0.8)


@pytest.mark.parametrize("rounds", [1, 3])
def test_the_sampler_corrects_at_its_steps_and_counts(rounds: int) -> None:
    predictor, plain_predictor = Table(forwards=2), Alternate()
    sampler = Sampler(
        predictor, plan.Ancestral().plan(16), None, 3, Corrector(4, rounds), plain_predictor
    )
    found = sampler.run(Job(LENGTHS, seed=1, record=True))
    assert found.nfe.sum() == 2 * predictor.asked + plain_predictor.asked
    assert plain_predictor.asked % rounds == 0
    events = found.trajectory
    assert events is not None
    for row, length in enumerate(LENGTHS):
        own = events.of(row)
        corrected = own.step[own.action == 1]
        assert (corrected % 4 == 0).all()
        assert (corrected > 0).all()
        assert (found.tokens[row, :length] < PAD).all()
    early = [events.of(row).step[:1] < 12 for row in range(len(LENGTHS))]
    assert np.concatenate(early).any()
    # tokens placed before the last correction are those of the corrector
    wanted = total = 0
    for row, length in enumerate(LENGTHS):
        own = events.of(row)
        for place in range(length):
            here = own.position == place
            if own.step[here].min() < 12:
                total += 1
                wanted += int(found.tokens[row, place] == EXPECTED[row, place])
    assert total > 10
    assert wanted == total


def test_an_unchanged_row_is_not_corrected() -> None:
    tokens = np.where(np.arange(9) < LENGTHS[:, None], 0, PAD)
    plain_predictor = Alternate()
    sampler = Sampler(Table(), plan.Ancestral().plan(64), None, 8, Corrector(4), plain_predictor)
    found = sampler.run(Job(LENGTHS, given=Given(tokens)))
    assert plain_predictor.asked == len(LENGTHS)
    assert (found.tokens == EXPECTED).all()
    assert (found.nfe == 1).all()


def test_rows_do_not_depend_on_the_batch() -> None:
    def draw(batch_size: int) -> NDArray[np.int64]:
        table = plan.Rescale(0.4).plan(20)
        sampler = Sampler(Table(), table, None, batch_size, Corrector(3, 2), Table(vocab=5))
        return np.column_stack([(s := sampler.run(Job(LENGTHS, seed=5))).tokens, s.nfe])

    np.testing.assert_array_equal(draw(1), draw(8))


def test_words() -> None:
    assert words.corrector("none") is None
    assert words.corrector("likeliest:every=4,rounds=2") == Corrector(4, 2)
    for text in ("best", "likeliest:every=0", "likeliest:every=1.5", "likeliest:often=3"):
        with pytest.raises(ValueError, match=r"corrector|every|often"):
            words.corrector(text)
