"""Remasking weights: which tokens come first, and that their number is that of the plan."""

from __future__ import annotations

import numpy as np
import pytest

from molgen.diffusion import plan
from molgen.diffusion.token_weights import (
    WEIGHTS,
    Attribution,
    Evidence,
    Quality,
    Sharpened,
    TokenWeights,
)
from molgen.guidance.predictor import NetworkPredictor
from molgen.sampling.event_sampler import Sampler
from molgen.sampling.sampler import Job
from molgen.sampling.words import token_weights
from molgen.training.self_correction import SelfCorrecting
from molgen.utils.threads import workers
from tiny import Table, fp32

CLEAN = np.array([[True, True, True, False], [True, False, False, False]])
EVIDENCE = Evidence(
    psi=np.array([[0.9, 0.1, 0.5, 1.0], [0.3, 1.0, 1.0, 1.0]]),
    quality=np.array([[0.2, 0.8, 0.4, 1.0], [0.3, 1.0, 1.0, 1.0]]),
    delta=np.array([[0.0, 1.0, -1.0, 0.0], [2.0, 0.0, 0.0, 0.0]]),
)


@pytest.mark.parametrize(
    ("weights", "proportions"),
    [
        (Sharpened(), [1 / 0.9, 1 / 0.1, 1 / 0.5]),
        (Quality(), [1 / 0.2, 1 / 0.8, 1 / 0.4]),
        (Quality(tau=0.5), [1 / 0.04, 1 / 0.64, 1 / 0.16]),
        (Quality(tau=1.0, gamma=2.0), [1 / 0.2, np.exp(2) / 0.8, np.exp(-2) / 0.4]),
        (Attribution(gamma=1.0), [1.0, np.e, 1 / np.e]),
    ],
)
def test_by_hand(weights: TokenWeights, proportions: list[float]) -> None:
    found = weights(EVIDENCE, CLEAN)
    expected = 3 * np.array(proportions) / np.sum(proportions)
    np.testing.assert_allclose(found[0], [*expected, 1.0])
    np.testing.assert_allclose(found[1], 1.0)  # alone, and masks as in the plan


def test_the_scores_that_they_depend_on() -> None:
    reads = {name: kind().reads for name, kind in WEIGHTS.items() if kind}
    assert reads == {
        "confidence": "psi", "sharpened": "psi", "quality": "quality", "property": "property"
    }  # fmt: skip
    found = token_weights("quality:tau=.5,gamma=2")
    assert found == Quality(0.5, 2.0)
    assert found is not None
    assert found.reads == "property"
    with pytest.raises(ValueError, match="tau is 0"):
        token_weights("quality:tau=0")


@pytest.mark.parametrize("weights", [Sharpened(2.0), Quality(2.0), Attribution(0.5)])
def test_the_masked_fraction_is_kept_where_nothing_is_capped(weights: TokenWeights) -> None:
    rows, length = 3000, 6
    table = plan.Cap(0.02).plan(40)
    sampler = Sampler(Judging(), table, weights, rows)
    events = sampler.run(Job(np.full(rows, length), record=True)).trajectory
    assert events is not None
    change = np.bincount(events.step, np.where(events.action == 0, -1, 1), minlength=len(table))
    masked = rows * length + np.cumsum(change)
    expected = rows * length * (1 - table.alpha_s)
    error = np.sqrt(expected * table.alpha_s)
    assert int(events.action.sum()) > 2000
    assert (np.abs(masked - expected)[:-1] < 4.5 * error[:-1]).all()


class Judging(Table):
    """A table with a quality head."""

    def __call__(self, tokens, wanted, condition, alpha_t, rows=None):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN204
        found = super().__call__(tokens, wanted, condition, alpha_t)
        quality = 0.1 + 0.8 * (tokens % 3) / 2
        return type(found)(found.p, found.classifier_forwards, quality, (tokens % 2) - 0.5)


def test_attribution_from_the_quality_head() -> None:
    import torch

    from molgen.guidance.kernels import ClassifierFree
    from molgen.nn.denoiser import with_quality_head
    from tiny import network

    model = with_quality_head(network())
    assert model.quality_head is not None
    torch.nn.init.normal_(model.quality_head.weight, generator=torch.Generator().manual_seed(1))
    tokens = np.array([[0, 2, 3, 6], [1, 6, 2, 5]])
    wanted = tokens == model.mask_id
    condition = np.array([[0.9, np.nan, np.nan]] * 2, dtype=np.float32)
    clock = np.full(2, 0.5)
    with workers() as pool, torch.no_grad():
        guided = NetworkPredictor(fp32(model), pool, ClassifierFree(2.0))
        found = guided(tokens, wanted, condition, clock)
        plain = NetworkPredictor(fp32(model), pool)(tokens, wanted, condition, clock)
        x = torch.from_numpy(tokens)
        given = model.answer(x, torch.from_numpy(condition)).quality
        free = model.answer(x).quality
    assert plain.delta is None
    assert found.quality is not None
    assert found.delta is not None
    assert plain.quality is not None
    assert given is not None
    assert free is not None
    real = tokens != model.pad_id
    logsigmoid = torch.nn.functional.logsigmoid
    expected = (logsigmoid(free) - logsigmoid(given)).numpy()
    np.testing.assert_allclose(found.delta[real], expected[real], atol=1e-5)
    np.testing.assert_allclose(found.quality[real], given.sigmoid().numpy()[real], atol=1e-5)
    np.testing.assert_allclose(plain.quality[real], found.quality[real], atol=1e-5)
    assert np.abs(expected[real]).max() > 1e-3
    assert SelfCorrecting(model.mask_id).quality == 1.0
