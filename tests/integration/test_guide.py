"""Guides learn what they are for: small ones, on letters of which the answer is known."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from molgen.checkpoints.folder import load_classifier
from molgen.data.dataset import TokenDataset
from molgen.targets import Range
from molgen.training.classifier import ClassifierObjective, new_classifier, train_classifier
from molgen.training.recipe import TrainConfig
from property_models.classifiers.network import NoisyClassifier, log_meets

LENGTH, LETTERS, MASK, PAD = 4, 3, 4, 3
WORDS = np.array(list(itertools.product(range(LETTERS), repeat=LENGTH)))
"""Every word of four of the letters 0, 1, 2; y counts the zeros."""
SMALL = {"hidden_size": 32, "num_layers": 2, "num_heads": 2, "condition_size": 8}


def words(copies: int = 40) -> TokenDataset:
    tokens = np.tile(WORDS, (copies, 1))
    zeros = (tokens == 0).sum(1).astype(np.float64)
    values = {"zeros": zeros, "half": np.where(np.arange(len(zeros)) % 2, zeros, np.nan)}
    vocab = ["a", "b", "c", "[PAD]", "[MASK]"]
    return TokenDataset.build(tokens.tolist(), values, vocab, held_out_fraction=0.05)


@pytest.fixture(scope="module", params=["masked", "uniform", "none"])
def trained(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> NoisyClassifier:
    folder = tmp_path_factory.mktemp(request.param)
    config = TrainConfig(
        epochs=12, batch_size=128, shard=128, peak_rate=6e-3, decay_fraction=0.9, ema_decay=0.9,
        workers=1, dtype="fp32",
    )  # fmt: skip
    return train_classifier(
        words(), folder, request.param, config=config, progress=False, sizes=SMALL
    )


def exact(classifier: NoisyClassifier, tokens: Tensor, alpha: Tensor) -> Tensor:
    """``p(zeros = k | x_t)`` for words drawn uniformly, with shape (batch, LENGTH + 1)."""
    if classifier.noise == "none":
        written = (tokens[:, 1:] == 0).sum(1)
        free = (LENGTH - (tokens.shape[1] - 1)) * torch.ones(len(tokens))
        each = torch.full((len(tokens), LENGTH), 1 / LETTERS)
        each[torch.arange(LENGTH) >= free[:, None]] = 0.0
        return convolve(each, written)
    if classifier.noise == "masked":
        each = torch.where(tokens == MASK, 1 / LETTERS, (tokens == 0).float())
    else:
        uniform = (1 - alpha[:, None]) / LETTERS
        each = torch.where(tokens == 0, alpha[:, None] + uniform, uniform)
    return convolve(each, torch.zeros(len(tokens), dtype=torch.long))


def convolve(each: Tensor, begin: Tensor) -> Tensor:
    """Distribution of ``begin`` plus a sum of independent coins, (batch, LENGTH + 1)."""
    p = torch.nn.functional.one_hot(begin, LENGTH + 1).float()
    for coin in each.T:
        p = p * (1 - coin[:, None]) + torch.roll(p, 1, dims=1) * coin[:, None]
    return p


def states(classifier: NoisyClassifier) -> tuple[Tensor, Tensor]:
    """Noised words and their clocks."""
    generator = torch.Generator().manual_seed(5)
    alpha = 0.2 + 0.7 * torch.rand(64, generator=generator)
    x = torch.from_numpy(WORDS)[torch.randint(len(WORDS), (64,), generator=generator)]
    if classifier.noise == "none":
        return torch.cat([torch.full((64, 1), MASK), x[:, :2]], dim=1), alpha
    u = torch.rand(x.shape, generator=generator)
    noise = torch.randint(LETTERS, x.shape, generator=generator)
    return torch.where(
        u < alpha[:, None], x, MASK if classifier.noise == "masked" else noise
    ), alpha


@torch.no_grad()
def test_a_guide_learns_the_distribution_given_the_noised_row(trained: NoisyClassifier) -> None:
    tokens, alpha = states(trained)
    p = trained.log_prob(tokens, alpha).exp()[:, trained.index("zeros"), : LENGTH + 1]
    expected = exact(trained, tokens, alpha)
    distance = (p - expected).abs().sum(1) / 2
    chance = (trained_mass(trained) - expected).abs().sum(1) / 2
    assert distance.mean() < 0.09
    assert distance.mean() < 0.3 * chance.mean()


def trained_mass(classifier: NoisyClassifier) -> Tensor:
    return torch.from_numpy(classifier.bins[0].mass).float()


@torch.no_grad()
def test_one_forward_tells_every_candidate(trained: NoisyClassifier) -> None:
    tokens, alpha = states(trained)
    found = trained.candidate_log_prob(tokens, [0], alpha)[..., 0, :].exp()[..., : LENGTH + 1]
    assert found.shape == (*tokens.shape, 5, LENGTH + 1)
    errors = []
    for place, letter in itertools.product(range(tokens.shape[1]), range(LETTERS)):
        if trained.noise == "none":
            inputs, row = torch.cat([tokens, torch.full((64, 1), letter)], dim=1), slice(None)
            if place < tokens.shape[1] - 1:
                continue
        else:
            inputs = tokens.clone()
            inputs[:, place] = letter
            row = tokens[:, place] == MASK if trained.noise == "masked" else slice(None)  # type: ignore[assignment]
        expected = exact(trained, inputs, alpha)[row]
        errors.append((found[row, place, letter] - expected).abs().sum(-1) / 2)
    assert torch.cat(errors).mean() < 0.1


@torch.no_grad()
def test_soft_tokens_are_tokens(trained: NoisyClassifier) -> None:
    tokens, alpha = states(trained)
    soft = torch.nn.functional.one_hot(tokens, 5).float()
    torch.testing.assert_close(trained.log_prob(soft, alpha), trained.log_prob(tokens, alpha))


@torch.no_grad()
def test_a_target_sums_the_bins_that_meet_it(trained: NoisyClassifier) -> None:
    tokens, alpha = states(trained)
    bins = trained.log_prob(tokens, alpha)[:, 0]
    both = log_meets(bins, trained.wanted("zeros", Range(2, 3)))
    torch.testing.assert_close(both.exp(), bins.exp()[:, 2:4].sum(1))
    with pytest.raises(ValueError, match="no molecule of the training data meets it"):
        trained.wanted("zeros", 17)
    with pytest.raises(ValueError, match=r"target is ones, expected .*zeros, half"):
        trained.wanted("ones", 1)


@torch.no_grad()
def test_a_guide_is_saved_and_loaded_whole(trained: NoisyClassifier, tmp_path: Path) -> None:
    trained.save_pretrained(tmp_path / "classifier")
    again = load_classifier(tmp_path / "classifier", 5)
    tokens, alpha = states(trained)
    assert torch.equal(again.log_prob(tokens, alpha), trained.log_prob(tokens, alpha))
    with pytest.raises(ValueError, match="is 5, expected the network's 7"):
        load_classifier(tmp_path / "classifier", 7)


def test_a_missing_value_teaches_nothing() -> None:
    data = words(1)
    classifier = new_classifier(data, sizes=SMALL)
    objective = ClassifierObjective("masked", PAD, MASK, classifier.bins)
    labels = objective.labels(torch.tensor([[2.0, float("nan")], [4.0, 0.0]]))
    assert labels.tolist() == [[2, -1], [4, 0]]


def test_a_guide_needs_something_to_guide_towards() -> None:
    with pytest.raises(ValueError, match="no properties"):
        new_classifier(TokenDataset.build([[0, 1]], {}, words(1).vocab))
