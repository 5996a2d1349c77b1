"""A small data set and a small network, for tests of training; no RDKit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from molgen.data.dataset import TokenDataset
from molgen.data.tokenizer import Tokenizer
from molgen.nn.denoiser import DenoiserConfig
from molgen.training.recipe import TrainConfig

WORDS = """
C N O CC CO C#N C=O CCC CCO COC NC=O CC=O CC#N C1CC1 C1CO1 CC(C)C CC(C)O CCCO CC(C)=O CC(N)=O
C1CCC1 C1COC1 CC1CC1 CC1CO1 CC1CN1 OC1CC1 CC(C)(C)C CC(C)C#N CCOC=O c1cc[nH]c1 c1ccoc1
O=C1CCN1 CC1CCO1 CCC(C)CO CC1(C)CO1 OCC1CCN1 CC(=O)CO N#CCN FC(F)F CNC(N)=O
"""
SMILES = tuple(WORDS.split())
"""40 canonical molecules of 1 to 9 tokens."""
TINY = [
    "--batch-size",
    "8",
    "--layers",
    "1",
    "--width",
    "16",
    "--heads",
    "2",
    "--workers",
    "1",
    "--dtype",
    "fp32",
]
"""Words of ``molgen train`` for a network of one layer."""
PREPARED = {"dataset.npz", "training_index.safetensors", "report.csv", "prepared.json"}
"""Files of a data set that is ready to be trained on."""


def dataset(
    smiles: Sequence[str] = SMILES, properties: int = 2, held_out: float = 0.2
) -> TokenDataset:
    """Molecules with up to two properties: the letters in each, and how many of them are O."""
    tokenizer = Tokenizer.from_corpus(smiles)
    columns = {
        "letters": np.array([sum(c.isalpha() for c in s) for s in smiles], dtype=np.float64),
        "oxygens": np.array([s.count("O") for s in smiles], dtype=np.float64),
    }
    values = {name: columns[name] for name in list(columns)[:properties]}
    encoded = [tokenizer.encode(s) for s in smiles]
    return TokenDataset.build(encoded, values, tokenizer.vocab, held_out_fraction=held_out)


def shape(
    data: TokenDataset, width: int = 16, time_input: bool = False, noise: str = "masked"
) -> DenoiserConfig:
    """A network of two layers."""
    mean, std = data.moments()
    return DenoiserConfig(
        vocab_size=len(data.vocab),
        max_position_embeddings=16,
        hidden_size=width,
        num_layers=2,
        num_heads=2,
        condition_size=8,
        properties=list(data.properties),
        property_mean=mean,
        property_std=std,
        time_input=time_input or noise == "uniform",
        noise=noise,
    )


def recipe(**changes: object) -> TrainConfig:
    """Four steps an epoch, three epochs, one thread."""
    values = {"epochs": 3, "batch_size": 8, "shard": 4, "workers": 1, "dtype": "fp32"}
    return TrainConfig(**{**values, "evaluate_every": 4, "checkpoint_every": 4, **changes})  # type: ignore[arg-type]
