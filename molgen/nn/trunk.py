"""The trunk of molgen's networks: a compact conditional transformer over tokens.

Attention is computed as softmax(Q K^T) V: at the lengths of small molecules the fused CPU kernel
is several times slower in its backward pass. The length of a row is an input, so positions are
embedded from both ends, and heads have a learned bias for each relative distance (Shaw et al.,
"Self-Attention with Relative Position Representations", 2018). Conditions scale and shift every
normalisation (Peebles and Xie, "Scalable Diffusion Models with Transformers", 2023). A causal trunk
attends to the left only, and has no embedding of the distance to the end.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel

from molgen.errors import MolgenError
from molgen.nn.condition import PropertyEmbedding
from molgen.nn.config import DenoiserConfig
from molgen.nn.stored import StoredShape


class Attention(nn.Module):
    """Multi-head softmax attention with a learned bias per head and relative distance."""

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__()
        self.heads = config.num_heads
        self.qkv = nn.Linear(config.hidden_size, 3 * config.hidden_size, bias=False)
        self.out = nn.Linear(config.hidden_size, config.hidden_size, bias=False)
        distances = 2 * config.max_position_embeddings - 1
        self.distance_bias = nn.Parameter(torch.zeros(self.heads, distances))

    def forward(self, x: Tensor, distance: Tensor, blocked: Tensor | None) -> Tensor:
        """Attend.

        Args:
            x: activations with shape (batch, length, hidden).
            distance: index of the relative distance of each pair, shape (length, length).
            blocked: True at masked keys, broadcastable to (batch, 1, length, length), or None.
        """
        batch, length, width = x.shape
        q, k, v = self.qkv(x).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-1, -2) / math.sqrt(width // self.heads)
        scores = scores + self.distance_bias[:, distance].to(scores.dtype)
        if blocked is not None:
            scores = scores.masked_fill(blocked, float("-inf"))
        return cast(Tensor, self.out((scores.softmax(-1) @ v).transpose(1, 2).flatten(2)))


class Block(nn.Module):
    """Pre-norm transformer block whose norms are scaled and shifted by the condition."""

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.attention = Attention(config)
        self.up = nn.Linear(width, config.mlp_ratio * width, bias=False)
        self.down = nn.Linear(config.mlp_ratio * width, width, bias=False)
        self.modulation = nn.Linear(config.condition_size, 4 * width)

    def forward(self, x: Tensor, c: Tensor, distance: Tensor, blocked: Tensor | None) -> Tensor:
        """Return activations of the same shape (batch, length, hidden); c: (batch, condition)."""
        shift_1, scale_1, shift_2, scale_2 = self.modulation(c)[:, None].chunk(4, dim=-1)
        x = x + self.attention(modulate(x, shift_1, scale_1), distance, blocked)
        return x + self.down(F.relu(self.up(modulate(x, shift_2, scale_2))).square())


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Return ``norm(x) (1 + scale) + shift``, with a layer norm without weights."""
    normed = F.layer_norm(x, x.shape[-1:])
    return torch.addcmul(shift.to(normed.dtype), normed, 1 + scale.to(normed.dtype))


class Trunk(PreTrainedModel):
    """A network up to its heads."""

    config_class = DenoiserConfig
    config: DenoiserConfig
    base_model_prefix = "trunk"
    stored: ClassVar[type[StoredShape]] = StoredShape
    """Allowed content of ``config.json``."""

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__(config)
        width = config.hidden_size
        self.token = nn.Embedding(config.vocab_size, width)
        self.from_start = nn.Embedding(config.max_position_embeddings, width)
        if not self.causal:
            self.from_end = nn.Embedding(config.max_position_embeddings, width)
        self.condition = PropertyEmbedding(config)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.num_layers))
        self.modulation = nn.Linear(config.condition_size, 2 * width)

    def _init_weights(self, module: nn.Module) -> None:
        """Set a module's initial weights (called by ``post_init``)."""
        if isinstance(module, nn.Linear):
            std = 0.0 if module in self._zero_layers() else module.in_features**-0.5
            nn.init.normal_(module.weight, std=std)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=0.5)
        elif isinstance(module, Attention):
            nn.init.zeros_(module.distance_bias)
        elif isinstance(module, PropertyEmbedding):
            module.reset()

    def _zero_layers(self) -> set[nn.Module]:
        """Return the layers that are initialised to zero.

        Every block is then initially the identity with unmodulated norms. They are listed here and
        not by their parents, because transformers does not call ``_init_weights`` for modules
        without parameters of their own.
        """
        blocks = cast(Iterator[Block], self.blocks)
        inner = [m for b in blocks for m in (b.attention.out, b.down, b.modulation)]
        return {*inner, self.modulation}

    @property
    def vocab_size(self) -> int:
        """Tokens including the special ones."""
        return self.config.vocab_size

    @property
    def pad_id(self) -> int:
        """Id of the padding token."""
        return self.config.vocab_size - 2

    @property
    def mask_id(self) -> int:
        """Id of the mask token."""
        return self.config.vocab_size - 1

    @property
    def max_length(self) -> int:
        """Longest row in tokens."""
        return self.config.max_position_embeddings

    @property
    def time_input(self) -> bool:
        """Whether the network is conditioned on ``alpha_t``."""
        return self.config.time_input

    @property
    def causal(self) -> bool:
        """Whether each position attends only to itself and to its left (autoregressive)."""
        return self.config.noise == "none"

    def features(
        self,
        embedded: Tensor,
        real: Tensor,
        condition: Tensor | None = None,
        alpha: Tensor | None = None,
    ) -> Tensor:
        """Return the input of the heads.

        Args:
            embedded: token vectors with shape (batch, length, hidden).
            real: True where a token is not padding, shape (batch, length).
            condition: property values with shape (batch, properties), NaN where absent.
            alpha: fraction kept with shape (batch,), for networks with a time input.

        Returns:
            Activations with the shape of ``embedded``.

        Raises:
            MolgenError: if a row is longer than ``max_length``.
        """
        batch, length = real.shape
        if length > self.max_length:
            raise MolgenError(f"row has {length} tokens, expected at most {self.max_length}")
        place = torch.arange(length, device=real.device)
        x = embedded + self.from_start(place)
        if self.causal:
            blocked: Tensor | None = place[None, :] > place[:, None]
        else:
            x = x + self.from_end((real.sum(1, keepdim=True) - 1 - place).clamp(min=0))
            blocked = None if bool(real.all()) else ~real[:, None, None, :]
        c = self.condition(condition, alpha, batch)
        distance = place[:, None] - place[None, :] + self.max_length - 1
        for block in self.blocks:
            x = block(x, c, distance, blocked)
        shift, scale = self.modulation(c)[:, None].chunk(2, dim=-1)
        return modulate(x, shift, scale)
