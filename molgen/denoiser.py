"""The denoiser: ``p(x_0 | x_t)``, the one thing a masked diffusion model learns.

:class:`Denoiser` is the protocol that guidance and sampling speak to; :class:`MoleculeDenoiser` is
the compact bidirectional transformer that molgen trains, a ``transformers`` ``PreTrainedModel`` so
that ``save_pretrained``, ``from_pretrained`` and ``push_to_hub`` work; :class:`MaskedLM` lends the
protocol to any Hugging Face masked language model.

Attention is written out as softmax(Q K^T) V: at the lengths of small molecules the fused CPU kernel
is several times slower in its backward pass. A row knows its length, so positions are embedded from
both ends, and heads carry a learned bias for each relative distance (Shaw et al., "Self-Attention
with Relative Position Representations", 2018). Conditions scale and shift every normalisation
(Peebles and Xie, "Scalable Diffusion Models with Transformers", 2023).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForMaskedLM,
    PreTrainedModel,
)
from transformers.modeling_outputs import MaskedLMOutput

from molgen.condition import PropertyEmbedding
from molgen.denoiser_config import DenoiserConfig

__all__ = ["Denoiser", "DenoiserConfig", "MaskedLM", "MoleculeDenoiser"]


class Denoiser(Protocol):
    """What guidance and sampling need of a network; plain attributes will do as well."""

    @property
    def vocab_size(self) -> int:
        """Tokens including the special ones."""
        ...

    @property
    def mask_id(self) -> int:
        """Id of the mask token."""
        ...

    @property
    def pad_id(self) -> int:
        """Id of the padding token."""
        ...

    @property
    def max_length(self) -> int:
        """Longest row in tokens."""
        ...

    @property
    def time_input(self) -> bool:
        """Whether the network is told ``alpha_t``."""
        ...

    def logits(
        self, tokens: Tensor, condition: Tensor | None = None, alpha: Tensor | None = None
    ) -> Tensor:
        """Return unnormalised ``log p(x_0 | x_t)``.

        Args:
            tokens: noised ids with shape (batch, length).
            condition: property values with shape (batch, properties), NaN where left out.
            alpha: fraction kept with shape (batch,), for networks with a time input.

        Returns:
            Logits with shape (batch, length, vocab), ``-inf`` at padding and mask tokens.
        """
        ...


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
            blocked: True at keys that are padding, shape (batch, 1, 1, length), or None.
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
    """Layer norm without weights, then ``x (1 + scale) + shift``."""
    normed = F.layer_norm(x, x.shape[-1:])
    return torch.addcmul(shift.to(normed.dtype), normed, 1 + scale.to(normed.dtype))


class MoleculeDenoiser(PreTrainedModel):
    """Transformer denoiser with optional conditions and time input."""

    config_class = DenoiserConfig
    config: DenoiserConfig
    base_model_prefix = "denoiser"

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__(config)
        width = config.hidden_size
        self.token = nn.Embedding(config.vocab_size, width)
        self.from_start = nn.Embedding(config.max_position_embeddings, width)
        self.from_end = nn.Embedding(config.max_position_embeddings, width)
        self.condition = PropertyEmbedding(config)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.num_layers))
        self.modulation = nn.Linear(config.condition_size, 2 * width)
        self.head = nn.Linear(width, config.vocab_size)
        self.post_init()

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
        """Return the layers that start at zero.

        Every block then starts as the identity with its norms unmodulated, and every token is
        equally likely. They are found from here and not from their parents, because transformers
        does not ask ``_init_weights`` for modules without parameters of their own.
        """
        blocks = cast(Iterator[Block], self.blocks)
        inner = [m for b in blocks for m in (b.attention.out, b.down, b.modulation)]
        return {*inner, self.modulation, self.head}

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
        """Whether the network is told ``alpha_t``."""
        return self.config.time_input

    def logits(
        self, tokens: Tensor, condition: Tensor | None = None, alpha: Tensor | None = None
    ) -> Tensor:
        """Return unnormalised ``log p(x_0 | x_t)``; see :class:`Denoiser`.

        Raises:
            ValueError: if a row is longer than ``max_length``.
        """
        batch, length = tokens.shape
        if length > self.max_length:
            raise ValueError(f"row of {length} tokens, the model takes {self.max_length}")
        real = tokens != self.pad_id
        full = bool(real.all())
        place = torch.arange(length, device=tokens.device)
        end = (real.sum(1, keepdim=True) - 1 - place).clamp(min=0)
        x = self.token(tokens) + self.from_start(place) + self.from_end(end)
        c = self.condition(condition, alpha, batch)
        distance = place[:, None] - place[None, :] + self.max_length - 1
        blocked = None if full else ~real[:, None, None, :]
        for block in self.blocks:
            x = block(x, c, distance, blocked)
        shift, scale = self.modulation(c)[:, None].chunk(2, dim=-1)
        logits = self.head(modulate(x, shift, scale)).float()
        special = torch.arange(self.vocab_size, device=tokens.device) >= self.pad_id
        return cast(Tensor, logits.masked_fill(special, float("-inf")))

    def forward(
        self,
        input_ids: Tensor,
        condition: Tensor | None = None,
        alpha: Tensor | None = None,
        **_: Any,
    ) -> MaskedLMOutput:
        """Return :meth:`logits` in the ``transformers`` form."""
        return MaskedLMOutput(logits=cast(Any, self.logits(input_ids, condition, alpha)))


class MaskedLM:
    """Any Hugging Face masked language model as a :class:`Denoiser`, unconditional.

    Its ids must end with ``[PAD]`` and ``[MASK]``, or the ids are given.
    """

    time_input = False

    def __init__(self, model: PreTrainedModel, pad_id: int, mask_id: int, max_length: int) -> None:
        self.model, self.pad_id, self.mask_id, self.max_length = model, pad_id, mask_id, max_length
        self.vocab_size = int(model.config.vocab_size)

    def logits(
        self, tokens: Tensor, condition: Tensor | None = None, alpha: Tensor | None = None
    ) -> Tensor:
        """Return unnormalised ``log p(x_0 | x_t)``; see :class:`Denoiser`.

        Raises:
            ValueError: if a condition is given.
        """
        if condition is not None and not bool(condition.isnan().all()):
            raise ValueError("condition is given, but this masked language model takes none")
        attention_mask = (tokens != self.pad_id).long()
        logits = self.model(input_ids=tokens, attention_mask=attention_mask).logits.float()
        special = torch.zeros(logits.shape[-1], dtype=torch.bool, device=logits.device)
        special[[self.pad_id, self.mask_id]] = True
        return cast(Tensor, logits.masked_fill(special, float("-inf")))


# Once molgen.denoiser is imported, transformers' own from_pretrained finds the class by itself.
AutoConfig.register(DenoiserConfig.model_type, DenoiserConfig, exist_ok=True)
for auto in (AutoModel, AutoModelForMaskedLM):
    auto.register(DenoiserConfig, MoleculeDenoiser, exist_ok=True)
