"""The published network: checkpoints of Schiff et al. in their own format.

The authors' QM9, text8 and LM1B models share one layout, a diffusion transformer: token
embedding; a condition vector ``c = silu(mlp(sinusoid(sigma))) + silu(class embedding)`` of the
noise level ``sigma = -log alpha``; blocks of rotary attention and a GELU MLP whose norms ``c``
shifts, scales and gates; a final such norm and a linear layer. The modules below have the names of
the tensors in a checkpoint.

References: Schiff et al., "Simple Guidance Mechanisms for Discrete Diffusion Models" (2024);
Peebles and Xie, "Scalable Diffusion Models with Transformers" (2023), for the adaptive norms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, cast

import torch
from msgspec import Meta
from torch import Tensor, nn
from torch.nn import functional as F

from molgen.errors import MolgenError
from molgen.nn.stored import CONFIG, WEIGHTS, Few, Size
from molgen.nn.weights import with_weights
from molgen.utils.json_files import checked, read_json

SINUSOID_SIZE = 256
SINUSOID_PERIOD = 10_000.0
ROTARY_BASE = 10_000.0
MLP_RATIO = 4
SMALLEST_ALPHA = 1e-3
"""The published schedule ends here rather than at 0, where the noise level would be infinite."""


@dataclass(frozen=True)
class Kind:
    """The kind of a folder; others are rejected."""

    model_type: Annotated[str, Meta(pattern="^(mdlm|udlm)$")]


@dataclass(frozen=True)
class PublishedConfig:
    """The part of ``config.json`` that shapes the network."""

    vocab_size: Size
    """Tokens, the mask included."""
    model_length: Size
    """Longest row in tokens."""
    hidden_dim: Size
    """Width of the residual stream."""
    cond_dim: Size
    """Width of the condition vector."""
    n_blocks: Few
    """Transformer blocks."""
    n_heads: Few
    """Attention heads; divides ``hidden_dim``."""
    time_conditioning: bool
    """Whether the network is conditioned on the noise level."""
    cfg: bool
    """Whether it is conditioned on a class."""
    cfg_num_classes: Annotated[int, Meta(ge=-1, le=2**16)]
    """Number of classes; the class of that index means none."""

    @classmethod
    def from_file(cls, path: Path) -> PublishedConfig:
        """Read a ``config.json``; entries that do not affect the network are ignored.

        Raises:
            MolgenError: if it is of another kind, or an entry is missing or out of range.
            OSError: if it cannot be opened.
        """
        values = read_json(path, dict)
        checked(values, Kind, path)
        found = checked(values, cls, path)
        if found.hidden_dim % (2 * found.n_heads):
            raise MolgenError(
                f"{path} is damaged: hidden_dim is {found.hidden_dim}, expected an even number for "
                f"each of {found.n_heads} n_heads"
            )
        return found


class PublishedDenoiser(nn.Module):
    """A published checkpoint as a denoiser: raw logits from noised tokens."""

    def __init__(self, config: PublishedConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = Backbone(config)

    @classmethod
    def from_folder(cls, path: str | Path) -> PublishedDenoiser:
        """Load ``config.json`` and ``model.safetensors`` from a folder, for inference.

        Raises:
            FileNotFoundError: if one of the two files is missing.
            MolgenError: if one cannot be read, or the tensors do not fit the configuration.
        """
        folder = Path(path)
        config = PublishedConfig.from_file(folder / CONFIG)
        return with_weights(lambda: cls(config), folder / WEIGHTS).requires_grad_(False)

    def forward(
        self,
        tokens: Tensor,
        alpha: float | Tensor | None = None,
        condition: Tensor | None = None,
    ) -> Tensor:
        """Return the network's raw output.

        Args:
            tokens: noised tokens with shape (batch, length).
            alpha: fraction of tokens kept, a float or with shape (batch,); for a network with
                time conditioning, ignored by others. Clamped to at least `SMALLEST_ALPHA`.
            condition: class of each row with shape (batch,), or None for no class.

        Returns:
            Logits with shape (batch, length, vocab).

        Raises:
            MolgenError: if a row is too long, ``alpha`` is missing, or a class is given and the
                network has none.
        """
        config, (batch, length) = self.config, tokens.shape
        if length > config.model_length:
            raise MolgenError(
                f"tokens has rows of {length}, expected at most {config.model_length}"
            )
        if condition is not None and not config.cfg:
            raise MolgenError("condition is given, expected None for a network without classes")
        sigma = tokens.new_zeros(batch, dtype=torch.float32)
        if config.time_conditioning:
            if alpha is None:
                raise MolgenError("alpha is None, expected values for a network with a time input")
            kept = torch.as_tensor(alpha, dtype=sigma.dtype, device=sigma.device)
            sigma = sigma - kept.clamp(min=SMALLEST_ALPHA).log()
        if condition is None and config.cfg:
            condition = tokens.new_full((batch,), config.cfg_num_classes, dtype=torch.long)
        return cast(Tensor, self.backbone(tokens, sigma, condition))


class Backbone(nn.Module):
    """The network from tokens to logits."""

    def __init__(self, config: PublishedConfig) -> None:
        super().__init__()
        self.vocab_embed = TokenEmbedding(config.vocab_size, config.hidden_dim)
        self.sigma_map = NoiseLevel(config.cond_dim)
        if config.cfg:
            self.cond_map = ClassEmbedding(config.cfg_num_classes, config.cond_dim)
        self.rotary_emb = Rotary(config.hidden_dim // config.n_heads)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_blocks))
        self.output_layer = OutputLayer(config)

    def forward(self, tokens: Tensor, sigma: Tensor, condition: Tensor | None) -> Tensor:
        """Return logits (batch, length, vocab); sigma and condition have the shape (batch,)."""
        x = self.vocab_embed(tokens)
        c = F.silu(self.sigma_map(sigma))
        if condition is not None:
            c = c + F.silu(self.cond_map(condition))
        rotation = self.rotary_emb(tokens.shape[1])
        for block in self.blocks:
            x = block(x, c, rotation)
        return cast(Tensor, self.output_layer(x, c))


class TokenEmbedding(nn.Module):
    """A table of token vectors."""

    def __init__(self, vocab: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.zeros(vocab, width))

    def forward(self, tokens: Tensor) -> Tensor:
        """Return vectors with shape (batch, length, hidden)."""
        return F.embedding(tokens, self.embedding)


class NoiseLevel(nn.Module):
    """Sinusoids of the noise level, cosines first, through an MLP."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(SINUSOID_SIZE, width), nn.SiLU(), nn.Linear(width, width)
        )

    def forward(self, sigma: Tensor) -> Tensor:
        """Return vectors with shape (batch, condition) from ``sigma`` with shape (batch,)."""
        half = SINUSOID_SIZE // 2
        steps = torch.arange(half, device=sigma.device, dtype=sigma.dtype) / half
        angle = sigma[:, None] * torch.exp(-math.log(SINUSOID_PERIOD) * steps)
        features = torch.cat([angle.cos(), angle.sin()], dim=-1)
        return cast(Tensor, self.mlp(features.to(next(self.mlp.parameters()).dtype)))


class ClassEmbedding(nn.Module):
    """A vector per class, and one for none."""

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        self.embedding_table = nn.Embedding(classes + 1, width)

    def forward(self, condition: Tensor) -> Tensor:
        """Return vectors with shape (batch, condition)."""
        return cast(Tensor, self.embedding_table(condition))


class Rotary(nn.Module):
    """Rotary positions: feature pairs (i, i + dim / 2) rotated in proportion to the position."""

    inv_freq: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("inv_freq", ROTARY_BASE ** (-torch.arange(0, dim, 2) / dim))

    def forward(self, length: int) -> tuple[Tensor, Tensor]:
        """Return cosines and sines, each with shape (length, dim / 2)."""
        places = torch.arange(length, device=self.inv_freq.device, dtype=self.inv_freq.dtype)
        angle = torch.outer(places, self.inv_freq)
        return angle.cos(), angle.sin()


class Block(nn.Module):
    """Attention and MLP, each behind an adaptive norm and a gate."""

    def __init__(self, config: PublishedConfig) -> None:
        super().__init__()
        width = config.hidden_dim
        self.heads = config.n_heads
        self.norm1, self.norm2 = nn.LayerNorm(width, bias=False), nn.LayerNorm(width, bias=False)
        self.attn_qkv = nn.Linear(width, 3 * width, bias=False)
        self.attn_out = nn.Linear(width, width, bias=False)
        self.mlp = nn.Sequential(
            nn.Linear(width, MLP_RATIO * width),
            nn.GELU(approximate="tanh"),
            nn.Linear(MLP_RATIO * width, width),
        )
        self.adaLN_modulation = nn.Linear(config.cond_dim, 6 * width)

    def forward(self, x: Tensor, c: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
        """Return activations (batch, length, hidden), given c with shape (batch, condition)."""
        shift_1, scale_1, gate_1, shift_2, scale_2, gate_2 = self.adaLN_modulation(c)[
            :, None
        ].chunk(6, dim=-1)
        x = x + gate_1 * self.attention(_modulate(self.norm1(x), shift_1, scale_1), rotation)
        return x + gate_2 * cast(Tensor, self.mlp(_modulate(self.norm2(x), shift_2, scale_2)))

    def attention(self, x: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
        """Return attended activations with the shape of ``x``, (batch, length, hidden)."""
        q, k, v = self.attn_qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        q, k = _rotate(q, rotation), _rotate(k, rotation)
        attended = F.scaled_dot_product_attention(q, k, v)
        return cast(Tensor, self.attn_out(attended.transpose(1, 2).flatten(2)))


class OutputLayer(nn.Module):
    """The last adaptive norm and the linear layer to the vocabulary."""

    def __init__(self, config: PublishedConfig) -> None:
        super().__init__()
        self.norm_final = nn.LayerNorm(config.hidden_dim, bias=False)
        self.linear = nn.Linear(config.hidden_dim, config.vocab_size)
        self.adaLN_modulation = nn.Linear(config.cond_dim, 2 * config.hidden_dim)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """Return logits with shape (batch, length, vocab)."""
        shift, scale = self.adaLN_modulation(c)[:, None].chunk(2, dim=-1)
        return cast(Tensor, self.linear(_modulate(self.norm_final(x), shift, scale)))


def _modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    return x * (1 + scale) + shift


def _rotate(x: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    """Rotate features with shape (batch, heads, length, dim)."""
    cos, sin = (part.to(x.dtype) for part in rotation)
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)
