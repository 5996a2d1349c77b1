"""Incremental forwards of a causal trunk, one token at a time, with cached keys and values.

    full forward     every position attends to all positions up to itself  O(length) tokens a step
    cached forward   the newest position attends to cached keys and values one token a step

Both give the same activations, since in a causal trunk no position depends on a later one. A cached
forward counts as one forward of the network (NFE), although it is cheaper; seconds are reported
separately.

All rows of a batch are at the same position, so no attention mask is needed. Finished rows are
dropped with :meth:`KVCache.keep`, which compacts the cache. The cache uses the modules of the
trunk; only attention over cached keys and values is implemented here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional as F

from molgen.errors import MolgenError
from molgen.nn.denoiser import MoleculeDenoiser
from molgen.nn.micro_batches import precision, prepared
from molgen.nn.trunk import Attention, Block, Trunk, modulate
from molgen.utils.threads import resolve_dtype


class KVCache:
    """Keys and values of the tokens that a causal trunk has read so far."""

    def __init__(self, trunk: Trunk, rows: int, condition: Tensor | None = None) -> None:
        """Start rows without tokens.

        Args:
            trunk: a network with ``causal`` true, on its device.
            rows: number of rows.
            condition: property values with shape (rows, properties), NaN where absent; None if
                all are absent.

        Raises:
            MolgenError: if the trunk is not causal, or the condition has another shape.
        """
        if not trunk.causal:
            noise = trunk.config.noise
            raise MolgenError(f"noise is {noise!r}, expected 'none' (autoregressive)")
        self.trunk, self.place = trunk, 0
        self._blocks = list(cast(Iterator[Block], trunk.blocks))
        first = self._blocks[0].attention
        width = trunk.config.hidden_size
        self._cache = torch.empty(
            (len(self._blocks), 2, rows, first.heads, trunk.max_length, width // first.heads),
            dtype=first.qkv.weight.dtype,
            device=first.qkv.weight.device,
        )  # (layers, keys and values, rows, heads, places, head width)
        # the condition of a row is constant, so its modulation is computed once
        c = trunk.condition(condition, None, rows)
        self._modulation = [b.modulation(c)[:, None] for b in self._blocks]
        self._modulation.append(trunk.modulation(c)[:, None])

    def append(self, tokens: Tensor) -> Tensor:
        """Append one token to each row.

        Args:
            tokens: ids with shape (rows,).

        Returns:
            Activations at the new position, with shape (rows, 1, hidden).

        Raises:
            MolgenError: if the rows have the maximum length already.
        """
        trunk = self.trunk
        if self.place == trunk.max_length:
            raise MolgenError(
                f"row has {self.place + 1} tokens, expected at most {trunk.max_length}"
            )
        place = torch.tensor([self.place], device=tokens.device)
        x = trunk.token(tokens[:, None]) + trunk.from_start(place)
        for layer, block in enumerate(self._blocks):
            shift_1, scale_1, shift_2, scale_2 = self._modulation[layer].chunk(4, dim=-1)
            x = x + self._attend(block.attention, layer, modulate(x, shift_1, scale_1))
            x = x + block.down(F.relu(block.up(modulate(x, shift_2, scale_2))).square())
        self.place += 1
        shift, scale = self._modulation[-1].chunk(2, dim=-1)
        return modulate(x, shift, scale)

    def keep(self, rows: Tensor) -> None:
        """Continue with a subset of rows, in this order.

        Args:
            rows: indices with shape (kept,), no more than the current rows; may have repetitions.
        """
        for layer in self._cache:
            layer[:, : len(rows), :, : self.place] = layer[:, rows, :, : self.place]
        self._cache = self._cache[:, :, : len(rows)]
        self._modulation = [m[rows] for m in self._modulation]

    def _attend(self, attention: Attention, layer: int, x: Tensor) -> Tensor:
        """Attend from the new position to all so far; x and the result are (rows, 1, hidden)."""
        rows, _, width = x.shape
        q, k, v = attention.qkv(x).view(rows, 1, 3, attention.heads, -1).permute(2, 0, 3, 1, 4)
        now, zero = self.place, self.trunk.max_length - 1  # the index of distance 0
        self._cache[layer, 0, :, :, now] = k[:, :, 0]
        self._cache[layer, 1, :, :, now] = v[:, :, 0]
        keys, values = self._cache[layer, :, :, :, : now + 1]
        bias = attention.distance_bias[:, zero : zero + now + 1].flip(1)[:, None]
        scores = q @ keys.transpose(-1, -2) / math.sqrt(width // attention.heads)
        scores = scores + bias.to(scores.dtype)
        return cast(Tensor, attention.out((scores.softmax(-1) @ values).transpose(1, 2).flatten(2)))


class CachedDenoiser:
    """A network of noise ``"none"`` as a language model; see :mod:`molgen.nn.language_model`."""

    forwards, classifier_forwards = 1, 0

    def __init__(
        self, denoiser: MoleculeDenoiser, device: str = "cpu", dtype: str = "auto"
    ) -> None:
        """Prepare the network.

        Args:
            denoiser: the network.
            device: to run on.
            dtype: ``"bf16"``, ``"fp32"`` or ``"auto"``: of the matrix products.

        Raises:
            MolgenError: if the network is not autoregressive.
        """
        if not denoiser.causal:
            noise = denoiser.config.noise
            raise MolgenError(f"noise is {noise!r}, expected 'none' (autoregressive)")
        self.device, self.dtype = torch.device(device), resolve_dtype(dtype, device)
        self.denoiser = prepared(denoiser, self.device, self.dtype)
        self.vocab_size, self.max_length = denoiser.vocab_size, denoiser.max_length
        self.pad_id, self.mask_id = denoiser.pad_id, denoiser.mask_id

    @torch.inference_mode()
    def begin(self, rows: int, condition: Tensor | None = None) -> CachedRows:
        """Start rows; see :class:`molgen.nn.language_model.LanguageModel`."""
        condition = None if condition is None else condition.to(self.device)
        with precision(self.device, self.dtype):
            return CachedRows(self, KVCache(self.denoiser, rows, condition))


class CachedRows:
    """Prefixes of a :class:`CachedDenoiser`."""

    def __init__(self, model: CachedDenoiser, cache: KVCache) -> None:
        self._model, self._cache = model, cache

    @torch.inference_mode()
    def append(self, tokens: Tensor) -> Tensor:
        """Return ``log p`` of the next token; see :class:`molgen.nn.language_model.Prefixes`."""
        model = self._model
        with precision(model.device, model.dtype):
            logits = model.denoiser.head(self._cache.append(tokens.to(model.device)))[:, 0]
        logits[:, model.mask_id] = -torch.inf
        return cast(Tensor, logits.cpu().double().log_softmax(-1))

    @torch.inference_mode()
    def keep(self, rows: Tensor) -> None:
        """Continue with a subset of rows; see :class:`molgen.nn.language_model.Prefixes`."""
        self._cache.keep(rows.to(self._model.device))
