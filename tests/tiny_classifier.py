"""A tiny noisy classifier with random parameters, with alphabet and properties of :mod:`tiny`."""

from __future__ import annotations

import torch

import tiny
from property_models.classifiers.network import NoisyClassifier, NoisyClassifierConfig

EDGES = {"qed": [0.0, 0.3, 0.5, 0.7, 1.0], "ring_count": [-0.5, 0.5, 1.5, 2.5]}
MASS = {"qed": [0.1, 0.4, 0.4, 0.1], "ring_count": [0.5, 0.3, 0.2]}


def classifier(time_input: bool = False, noise: str = "masked") -> NoisyClassifier:
    """Return a classifier whose predictions depend on all of its inputs."""
    config = NoisyClassifierConfig(
        labels=list(EDGES),
        edges=list(EDGES.values()),
        mass=list(MASS.values()),
        vocab_size=len(tiny.CHARACTERS) + 2,
        max_position_embeddings=12,
        hidden_size=32,
        num_layers=2,
        num_heads=4,
        condition_size=16,
        time_input=time_input,
        noise=noise,
    )
    network = NoisyClassifier(config)
    generator = torch.Generator().manual_seed(1)
    for parameter in network.parameters():
        spread = 1.5 * parameter.shape[-1] ** -0.5
        parameter.data = spread * torch.randn(parameter.shape, generator=generator)
    return network.eval()
