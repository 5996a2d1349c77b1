"""Exact language models: two tokens, at most three of them, so 15 strings with known probabilities.

Strings of three tokens are cut off there and have no end, as those of a network at its longest are.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor

from molgen.nn.denoiser import DenoiserConfig, MoleculeDenoiser
from molgen.nn.language_model import LanguageModel, Prefixes

PAD, MASK, LONGEST, VOCAB = 2, 3, 3, 4
STRINGS = torch.tensor(
    [
        [*string, *[PAD] * (LONGEST - length)]
        for length in range(LONGEST + 1)
        for string in product(range(2), repeat=length)
    ]
)
"""All strings, padded, with shape (15, 3)."""
_GENERATOR = torch.Generator().manual_seed(7)
TARGET = torch.rand(len(STRINGS), generator=_GENERATOR, dtype=torch.float64).square()
TARGET /= TARGET.sum()
"""A distribution over `STRINGS`, with shape (15,)."""
MEETS = torch.rand(2, len(STRINGS), generator=_GENERATOR, dtype=torch.float64)
MEETS[0, 2::4] = 0
"""p(y | x) for two properties, with shape (2, 15); the first rules some strings out."""

Step = Callable[[Tensor, Tensor], Tensor]
"""Something with shape (rows, vocab) from the tokens so far, (rows, places), and whether each row
is without a condition, (rows,)."""


def given(weights: Tensor) -> Tensor:
    """Return the distribution over `STRINGS` with these weights."""
    return weights / weights.sum()


def mass(weights: Tensor, prefix: Tensor) -> Tensor:
    """Return the weight of all strings that go on as each row does: (rows, vocab).

    Args:
        weights: of `STRINGS`, with shape (15,).
        prefix: tokens so far behind the beginning, with shape (rows, places).
    """
    places = prefix.shape[1]
    fits = (STRINGS[None, :, :places] == prefix[:, None]).all(-1) * weights
    follows = torch.nn.functional.one_hot(STRINGS[:, places], VOCAB).double()
    return fits @ follows


class Reader:
    """Rows in flight of something that looks at the whole prefix each time."""

    def __init__(self, step: Step, free: Tensor) -> None:
        self._step, self._free = step, free
        self._read = torch.empty(len(free), 0, dtype=torch.int64)

    def append(self, tokens: Tensor) -> Tensor:
        self._read = torch.cat([self._read, tokens[:, None]], dim=1)
        assert (self._read[:, 0] == MASK).all(), "rows begin with [MASK]"
        return self._step(self._read[:, 1:], self._free)

    def keep(self, rows: Tensor) -> None:
        self._read, self._free = self._read[rows], self._free[rows]


class Exact:
    """The exact language model of a distribution, and of another where a condition is given."""

    forwards, classifier_forwards = 1, 0
    pad_id, mask_id, vocab_size, max_length = PAD, MASK, VOCAB, LONGEST

    def __init__(self, target: Tensor, conditional: Tensor) -> None:
        self.target, self.conditional = target, conditional

    def begin(self, rows: int, condition: Tensor | None = None) -> Prefixes:
        free = torch.ones(rows).bool() if condition is None else condition[:, 0].isnan()
        return Reader(self._step, free)

    def _step(self, prefix: Tensor, free: Tensor) -> Tensor:
        weights = torch.where(
            free[:, None], mass(self.target, prefix), mass(self.conditional, prefix)
        )
        total = weights.sum(1, keepdim=True)
        end = torch.eye(VOCAB).double()[PAD]  # what cannot have been written ends there
        return torch.where(total > 0, weights / total, end).log()


class Foresight:
    """The exact classifier of prefixes, p(y | prefix, next token), if rows follow ``target``."""

    forwards, vocab_size, max_length = 1, VOCAB, LONGEST

    def __init__(self, target: Tensor, meets: Tensor) -> None:
        self.target, self.meets = target, meets

    def begin(self, rows: int) -> Reader:
        return Reader(self._step, torch.ones(rows).bool())

    def _step(self, prefix: Tensor, _: Tensor) -> Tensor:
        every = mass(self.target, prefix)
        met = mass(self.target * self.meets, prefix)
        return torch.where(every > 0, met / every, 0.0).log()


def enumerated(model: LanguageModel, condition: Tensor | None = None) -> Tensor:
    """Return the probability of every string, as the product of next-token kernels: (15,)."""
    rows = model.begin(len(STRINGS), condition)
    token = torch.full((len(STRINGS),), MASK)
    total = torch.zeros(len(STRINGS), dtype=torch.float64)
    for place in range(LONGEST):
        log_p = rows.append(token)
        ended = token == PAD
        token = STRINGS[:, place]
        step = log_p.gather(1, token[:, None]).squeeze(1)
        total += torch.where(ended, 0.0, step)
    return total.exp()


def writer(
    vocab: int = VOCAB,
    longest: int = LONGEST,
    width: int = 32,
    properties: tuple[str, ...] = ("y",),
    layers: int = 2,
) -> MoleculeDenoiser:
    """An autoregressive network with random parameters."""
    config = DenoiserConfig(
        vocab_size=vocab,
        max_position_embeddings=longest,
        hidden_size=width,
        num_layers=layers,
        num_heads=4,
        condition_size=16,
        properties=list(properties),
        property_mean=[0.4] * len(properties),
        property_std=[0.2] * len(properties),
        noise="none",
    )
    network = MoleculeDenoiser(config)
    generator = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        spread = 1.2 * parameter.shape[-1] ** -0.5
        parameter.data = spread * torch.randn(parameter.shape, generator=generator)
    return network.eval()
