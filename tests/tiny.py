"""Tiny models: a predictor that is a table of random numbers, and a random network.

The table is exact in any batch, so tests of the sampler against it compare token for token. The
network spells over five characters, so that a good part of what it writes is a molecule.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from molgen.checkpoints.folder import save_checkpoint
from molgen.data.prior import Prior
from molgen.data.tokenizer import Tokenizer
from molgen.guidance.conditional_denoiser import MicroBatchedDenoiser
from molgen.guidance.predictor import Prediction
from molgen.molecules.training_index import TrainingIndex
from molgen.nn.denoiser import Denoiser, DenoiserConfig, MoleculeDenoiser

CHARACTERS = ["(", "=", "C", "N", "O"]
PROPERTIES = ("qed", "ring_count", "logp")
KNOWN = ["C", "N", "O", "CC", "CN", "CO", "C=O", "CCC", "CCO", "NCO"]
HASHES = 997


class Table:
    """A predictor with ``p(x_0 | x_t)`` from a table, by a hash of row, alpha and condition."""

    def __init__(self, vocab: int = 5, max_length: int = 9, forwards: int = 1) -> None:
        rng = np.random.default_rng(vocab)
        self.pad_id, self.mask_id, self.max_length = vocab, vocab + 1, max_length
        self.forwards = forwards
        self.asked = 0
        """Rows predicted so far."""
        self._primes = rng.choice(np.arange(3, 9999, 2), max_length, replace=False)
        self._p = np.zeros((HASHES, max_length, vocab + 2))
        self._p[..., :vocab] = rng.dirichlet(np.full(vocab, 0.4), (HASHES, max_length))

    def __call__(
        self,
        tokens: NDArray[np.int64],
        wanted: NDArray[np.bool_],
        condition: NDArray[np.float32] | None,
        alpha_t: NDArray[np.float64],
        rows: NDArray[np.int64] | None = None,
    ) -> Prediction:
        self.asked += len(tokens)
        assert wanted.any(1).all(), "a row without wanted positions was predicted"
        width = tokens.shape[1]
        coded = np.where(tokens == self.pad_id, 0, tokens + 1)
        code = coded @ self._primes[:width] + (alpha_t * 1e6).astype(np.int64)
        if condition is not None:
            code = code + (np.nan_to_num(condition) * 1e3).astype(np.int64).sum(1)
        p = self._p[code % HASHES, :width][wanted]
        return Prediction(p, np.zeros(len(tokens), dtype=np.int64))


def ones(count: int) -> NDArray[np.int64]:
    """Lengths for rows of a sampler without given lengths."""
    return np.ones(count, dtype=np.int64)


def network(
    properties: tuple[str, ...] = PROPERTIES,
    time_input: bool = False,
    width: int = 32,
    noise: str = "masked",
    quality: bool = False,
) -> MoleculeDenoiser:
    """A network with random parameters, so that its output depends on all inputs."""
    n = len(properties)
    config = DenoiserConfig(
        vocab_size=len(CHARACTERS) + 2,
        max_position_embeddings=12,
        hidden_size=width,
        num_layers=2,
        num_heads=4,
        condition_size=16,
        properties=list(properties),
        property_mean=[0.4] * n,
        property_std=[0.2] * n,
        time_input=time_input,
        noise=noise,
        quality=quality,
    )
    denoiser = MoleculeDenoiser(config)
    generator = torch.Generator().manual_seed(0)
    for parameter in denoiser.parameters():
        spread = 1.2 * parameter.shape[-1] ** -0.5
        parameter.data = spread * torch.randn(parameter.shape, generator=generator)
    denoiser.head.bias.data = torch.tensor([-2.5, -1.5, 1.5, 0.5, 0.5, 0.0, 0.0])
    return denoiser.eval()


def prior(properties: tuple[str, ...] = PROPERTIES) -> Prior:
    """A table of 600 rows of 1 to 9 tokens."""
    rng = np.random.default_rng(1)
    lengths = rng.integers(1, 10, 600)
    columns = {
        "qed": rng.beta(4, 5, 600).round(3),
        "ring_count": rng.integers(0, 4, 600).astype(float),
        "logp": rng.normal(0.5, 1, 600).round(2),
    }
    values = np.array([columns[name] for name in properties]).reshape(len(properties), -1).T
    return Prior.from_training(lengths, values, properties)


def save(
    folder: Path,
    representation: str = "smiles",
    index: bool = True,
    sampling: dict[str, object] | None = None,
    card: str = "# Tiny\n",
    noise: str = "masked",
    quality: bool = False,
) -> Path:
    """Write a checkpoint."""
    vocab = CHARACTERS if representation == "smiles" else ["[=C]", "[Branch1]", "[C]", "[N]", "[O]"]
    save_checkpoint(
        folder,
        network(time_input=noise == "uniform", noise=noise, quality=quality),
        Tokenizer(vocab, representation),
        prior(),
        TrainingIndex.from_smiles(KNOWN) if index else None,
        {"representation": representation, "sampling": sampling or {"steps": 12}},
        card,
    )
    return folder


def fp32(denoiser: Denoiser, **more: Any) -> MicroBatchedDenoiser:
    """A network on the CPU in single precision, as predictors take it."""
    return MicroBatchedDenoiser(denoiser, dtype="fp32", **more)
