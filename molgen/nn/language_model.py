"""Language models: autoregressive distributions of strings.

    p(x) = prod_i p(x_i | x_<i) * p(end | x)

``[MASK]`` is the beginning of a string; ``[PAD]`` as the next token is its end. A string of maximum
length is truncated there, without an end, so that all probabilities sum to one.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from molgen.errors import MolgenError
from molgen.nn.denoiser import Denoiser


class Prefixes(Protocol):
    """Prefixes of rows, all of one length, with the state of the model."""

    def append(self, tokens: Tensor) -> Tensor:
        """Append one token to each row and return the distribution of the next.

        Args:
            tokens: ids with shape (rows,), on the CPU; the first are all ``[MASK]``.

        Returns:
            ``log p(next token | tokens so far)`` on the CPU with shape (rows, vocab), float64,
            normalised; ``[PAD]`` is the end.
        """
        ...

    def keep(self, rows: Tensor) -> None:
        """Continue with a subset of rows, in this order; repetitions are allowed.

        Args:
            rows: indices with shape (kept,), no more than the current rows.
        """
        ...


class LanguageModel(Protocol):
    """An autoregressive distribution of strings, guided or not."""

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
        """Id of the end."""
        ...

    @property
    def mask_id(self) -> int:
        """Id of the beginning."""
        ...

    @property
    def vocab_size(self) -> int:
        """Tokens including the special ones."""
        ...

    @property
    def max_length(self) -> int:
        """Maximum length of a row in tokens."""
        ...

    def begin(self, rows: int, condition: Tensor | None = None) -> Prefixes:
        """Start rows.

        Args:
            rows: number of rows.
            condition: property values with shape (rows, properties), NaN where absent, or None.
        """
        ...


@torch.no_grad()
def sequence_log_prob(model: Denoiser, tokens: Tensor, condition: Tensor | None = None) -> Tensor:
    """Return ``log p(x)`` of whole rows, exactly, from one uncached forward.

    This is the probability that the sampler draws the row: a row of maximum length is truncated
    there, so its end has no factor. Over all rows these probabilities sum to one.

    Args:
        model: a network of noise ``"none"``.
        tokens: ids with shape (batch, length), padded on the right.
        condition: property values with shape (batch, properties), NaN where absent, or None.

    Returns:
        Nats with shape (batch,), float64, at most 0.

    Raises:
        MolgenError: if a row is longer than the maximum, or has a token behind its end.
    """
    longest = model.max_length
    if tokens.shape[1] > longest:
        raise MolgenError(f"row has {tokens.shape[1]} tokens, expected at most {longest}")
    place = torch.arange(tokens.shape[1] + 1, device=tokens.device)[:longest]
    lengths = (tokens != model.pad_id).sum(1, keepdim=True)
    if bool(((tokens != model.pad_id) & (place[: tokens.shape[1]] >= lengths)).any()):
        raise MolgenError("tokens has a row with padding before its end, expected it behind only")
    prefix = F.pad(tokens, (1, 0), value=model.mask_id)[:, : len(place)]
    target = F.pad(tokens, (0, 1), value=model.pad_id)[:, : len(place)]
    log_p = model.logits(prefix, condition).double().log_softmax(-1)
    nats = log_p.gather(-1, target[..., None]).squeeze(-1)
    return torch.where(place <= lengths, nats, 0.0).sum(1)
