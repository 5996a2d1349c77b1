"""A classifier that starts from the first layers of its network: the same features."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import tiny
from molgen.nn.denoiser import DenoiserConfig, MoleculeDenoiser
from molgen.training import classifier
from property_models.classifiers.network import NoisyClassifier, NoisyClassifierConfig
from tiny_classifier import EDGES, MASS


def network(layers: int, clock: bool = False) -> MoleculeDenoiser:
    config = DenoiserConfig(
        vocab_size=len(tiny.CHARACTERS) + 2,
        max_position_embeddings=12,
        hidden_size=32,
        num_layers=layers,
        num_heads=4,
        condition_size=16,
        properties=["qed", "logp"],
        property_mean=[0.5, 1.0],
        property_std=[0.1, 1.0],
        time_input=clock,
        noise="uniform" if clock else "masked",
    )
    found = MoleculeDenoiser(config)
    generator = torch.Generator().manual_seed(2)
    for parameter in found.parameters():
        parameter.data = 0.3 * torch.randn(parameter.shape, generator=generator)
    return found.eval()


def noisy(like: MoleculeDenoiser, **changes: Any) -> NoisyClassifier:
    config = NoisyClassifierConfig(
        labels=list(EDGES),
        edges=list(EDGES.values()),
        mass=list(MASS.values()),
        vocab_size=like.vocab_size,
        max_position_embeddings=12,
        time_input=like.time_input,
        noise=like.config.noise,
        **{**classifier.sizes_of(like), **changes},
    )
    return NoisyClassifier(config).eval()


@pytest.mark.parametrize("clock", [False, True])
def test_its_features_are_those_of_the_network_without_condition(clock: bool) -> None:
    whole = network(2, clock)
    found = noisy(whole)
    classifier.start_from(found, whole)
    tokens = torch.tensor([[0, 3, whole.mask_id, 2], [1, whole.mask_id, 4, whole.pad_id]])
    alpha = torch.tensor([0.7, 0.4]) if clock else None
    with torch.no_grad():
        whole.modulation.weight.zero_()  # the last norm belongs to the network's own heads
        whole.modulation.bias.zero_()
        real = tokens != whole.pad_id
        expected = whole.features(whole.token(tokens), real, None, alpha)
        torch.testing.assert_close(found._features(tokens, alpha)[0], expected)
    assert found.log_prob(tokens, alpha).exp().sum(-1).allclose(torch.ones(2, 2))


def test_it_takes_the_first_layers() -> None:
    whole = network(classifier.LAYERS + 2)
    found = noisy(whole)
    classifier.start_from(found, whole)
    assert len(found.blocks) == classifier.LAYERS
    for mine, theirs in zip(found.blocks, whole.blocks, strict=False):
        assert all(
            torch.equal(a, b) for a, b in zip(mine.parameters(), theirs.parameters(), strict=True)
        )


def test_another_shape_is_rejected() -> None:
    whole = network(1)
    with pytest.raises(ValueError, match="hidden_size of the classifier is 64"):
        classifier.start_from(noisy(whole, hidden_size=64), whole)
    with pytest.raises(ValueError, match="noise of the classifier is masked, expected"):
        classifier.start_from(noisy(whole), network(1, clock=True))
