"""Language models: a distribution of strings, one token after another.

    p(x) = prod_i p(x_i | x_<i) * p(end | x)

``[MASK]`` stands for the beginning of a string; ``[PAD]`` as the next token is its end. A string as
long as the network takes is cut off there, with no end, so that all probabilities sum to one.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from molgen.nn.denoiser import Denoiser


class Prefixes(Protocol):
    """Rows in the middle of being written, all of one length, and what is remembered of them."""

    def append(self, tokens: Tensor) -> Tensor:
        """Take one more token of each row and say what may follow.

        Args:
            tokens: ids with shape (rows,), on the CPU; the first are all ``[MASK]``.

        Returns:
            ``log p(next token | tokens so far)`` on the CPU with shape (rows, vocab), float64,
            normalised; ``[PAD]`` is the end.
        """
        ...

    def keep(self, rows: Tensor) -> None:
        """Go on with these rows alone, in this order; one may be named twice.

        Args:
            rows: indices with shape (kept,), no more than there are.
        """
        ...


class LanguageModel(Protocol):
    """A distribution of strings, a token at a time; guided ones are made of plain ones."""

    @property
    def forwards(self) -> int:
        """Forwards of the network for each token and row."""
        ...

    @property
    def classifier_forwards(self) -> int:
        """Forwards of classifiers for each token and row."""
        ...

    @property
    def pad_id(self) -> int:
        """Id that stands for the end."""
        ...

    @property
    def mask_id(self) -> int:
        """Id that stands for the beginning."""
        ...

    @property
    def vocab_size(self) -> int:
        """Tokens including the special ones."""
        ...

    @property
    def max_length(self) -> int:
        """Most tokens a row may have."""
        ...

    def begin(self, rows: int, condition: Tensor | None = None) -> Prefixes:
        """Begin rows.

        Args:
            rows: how many.
            condition: property values with shape (rows, properties), NaN where left out, or None.
        """
        ...


@torch.no_grad()
def sequence_log_prob(model: Denoiser, tokens: Tensor, condition: Tensor | None = None) -> Tensor:
    """Return ``log p(x)`` of whole rows, exactly, from one uncached forward.

    The probability is that of the sampler's writing the row: a row as long as the network takes is
    cut off there, so it has no end to pay for. Over all rows these probabilities sum to one.

    Args:
        model: a network of noise ``"none"``.
        tokens: ids with shape (batch, length), padded on the right.
        condition: property values with shape (batch, properties), NaN where left out, or None.

    Returns:
        Nats with shape (batch,), float64, at most 0.

    Raises:
        ValueError: if a row is longer than the network takes, or has a token behind its end.
    """
    longest = model.max_length
    if tokens.shape[1] > longest:
        raise ValueError(f"row of {tokens.shape[1]} tokens, the model takes {longest}")
    place = torch.arange(tokens.shape[1] + 1, device=tokens.device)[:longest]
    lengths = (tokens != model.pad_id).sum(1, keepdim=True)
    if bool(((tokens != model.pad_id) & (place[: tokens.shape[1]] >= lengths)).any()):
        raise ValueError("tokens: a row has padding before its end, expected it behind alone")
    prefix = F.pad(tokens, (1, 0), value=model.mask_id)[:, : len(place)]
    target = F.pad(tokens, (0, 1), value=model.pad_id)[:, : len(place)]
    log_p = model.logits(prefix, condition).double().log_softmax(-1)
    nats = log_p.gather(-1, target[..., None]).squeeze(-1)
    return torch.where(place <= lengths, nats, 0.0).sum(1)
