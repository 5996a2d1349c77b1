from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import tiny
from molgen.guidance.candidate_scores import AmortisedScores, ExactScores, TaylorScores
from molgen.guidance.classifier import ClassifierTarget, PropertyClassifier
from molgen.guidance.kernels import Linear
from molgen.targets import Range
from property_models.classifiers.network import NoisyClassifier, log_meets
from tiny_classifier import classifier

PAD, MASK = len(tiny.CHARACTERS), len(tiny.CHARACTERS) + 1
RNG = np.random.default_rng(0)
TOKENS = torch.from_numpy(RNG.integers(0, PAD, (40, 6)))
TOKENS[torch.from_numpy(RNG.random((40, 6)) < 0.5)] = MASK
ALPHA = torch.from_numpy(RNG.random(40))
CLASSIFIER, CLOCKED = classifier(), classifier(time_input=True)
HIGH, RINGS = (
    ClassifierTarget("qed", Range(0.6, 1.0), 2.0),
    ClassifierTarget("ring_count", 1, Linear(0.0, 3.0)),
)


@torch.inference_mode()
def met(network: NoisyClassifier, name: str, target: Range | float) -> torch.Tensor:
    bins = network.log_prob(TOKENS, ALPHA.float())[:, network.index(name)]
    return log_meets(bins, network.wanted(name, target))


@pytest.mark.parametrize("network", [CLASSIFIER, CLOCKED])
def test_it_is_the_weighted_sum_over_properties(network: NoisyClassifier) -> None:
    found = PropertyClassifier(network, [HIGH, RINGS], dtype="fp32")(TOKENS, ALPHA)
    qed = met(network, "qed", Range(0.6, 1.0))
    expected = 2 * qed + 3 * ALPHA * met(network, "ring_count", 1)
    torch.testing.assert_close(found, expected, check_dtype=False, rtol=1e-5, atol=1e-5)
    assert float((qed - qed.mean()).abs().max()) > 0.2, "the prediction depends on the row"


@pytest.mark.parametrize("network", [CLASSIFIER, CLOCKED])
def test_candidates_are_those_of_the_network(network: NoisyClassifier) -> None:
    classifier = PropertyClassifier(network, [HIGH, RINGS], dtype="fp32")
    wanted = torch.from_numpy(RNG.random((40, 6)) < 0.3)
    found = classifier.candidates(TOKENS, ALPHA, wanted)
    assert found.shape == (40, 6, MASK + 1)
    assert (found[~wanted] == 0).all()
    with torch.inference_mode():
        bins = network.candidate_log_prob(TOKENS, [0, 1], ALPHA.float()).unbind(-2)
    high = log_meets(bins[0], network.wanted("qed", Range(0.6, 1.0)))
    rings = log_meets(bins[1], network.wanted("ring_count", 1))
    expected = (2 * high + 3 * ALPHA[:, None, None] * rings)[wanted]
    torch.testing.assert_close(found[wanted], expected, check_dtype=False, rtol=1e-5, atol=1e-5)
    assert classifier.candidate_forwards == 1


def test_it_takes_soft_tokens_without_trailing_classes() -> None:
    classifier = PropertyClassifier(CLASSIFIER, [HIGH], dtype="fp32")
    hard = torch.where(TOKENS == MASK, 0, TOKENS)
    expected = classifier(hard, ALPHA)
    for classes in (PAD, MASK + 1):
        soft = F.one_hot(hard, classes).double()
        torch.testing.assert_close(
            classifier(soft, ALPHA), expected, check_dtype=False, rtol=1e-5, atol=1e-5
        )


def test_taylor_is_the_slope_of_the_classifier() -> None:
    """Against differences along the line from x_t to the candidate."""
    classifier = PropertyClassifier(CLASSIFIER, [HIGH], dtype="fp32")
    log_q = torch.zeros(40, 6, MASK + 1).double().log_softmax(-1)
    scores = TaylorScores(classifier)(log_q, TOKENS, ALPHA)
    here = classifier(TOKENS, ALPHA).double()
    start = F.one_hot(TOKENS, MASK + 1).double()
    end = start.clone()
    end[:, 2] = F.one_hot(torch.full((40,), 3), MASK + 1).double()
    step = 2e-3
    ahead, back = (classifier(start + s * (end - start), ALPHA).double() for s in (step, -step))
    error = (scores[:, 2, 3] - here - (ahead - back) / (2 * step)).abs()
    assert float(error.quantile(0.8)) < 3e-3, "but for rows where a kink of a ReLU lies between"
    assert float((scores[:, 2, 3] - here).abs().median()) > 0.02


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_rows_are_batch_invariant(dtype: str) -> None:
    classifier = PropertyClassifier(CLOCKED, [HIGH, RINGS], dtype=dtype)
    log_q = torch.zeros(40, 6, MASK + 1).double().log_softmax(-1)
    for scores in (
        ExactScores(classifier, chunk=64),
        TaylorScores(classifier),
        AmortisedScores(classifier, None),
    ):
        whole = scores(log_q, TOKENS, ALPHA)
        for rows in (slice(0, 1), slice(3, 10), slice(5, 38)):
            part = scores(log_q[rows], TOKENS[rows], ALPHA[rows])
            torch.testing.assert_close(part, whole[rows], rtol=0, atol=0)


def test_invalid_targets_are_refused() -> None:
    for targets in ([], [HIGH, ClassifierTarget("qed", "max")]):
        with pytest.raises(ValueError, match="expected different properties, at least one"):
            PropertyClassifier(CLASSIFIER, targets)
    with pytest.raises(ValueError, match="logp"):
        PropertyClassifier(CLASSIFIER, [ClassifierTarget("logp", 1.0)])
    with pytest.raises(ValueError, match="no molecule of the training data meets it"):
        PropertyClassifier(CLASSIFIER, [ClassifierTarget("ring_count", Range(7, 9))])
