"""The joint block: a causal layer on a frozen denoiser, for joint draws of several tokens.

A prediction ``p(x_0 | x_t)`` is a product over the masked tokens. Drawing a set ``B`` of them at
once from the product ignores how they depend on each other, an error of as many nats as their total
correlation. A joint block has the denoiser's output as its input and reads the tokens of ``B`` from
left to right, so that

    p(x_B | x_t)  =  prod_(l in B) p(x_l | x_t, B, x_j of B with j < l)

is a joint distribution with a known log-probability. The denoiser runs once for all of ``B``; the
block is a single layer. It is told which tokens are in ``B``: the others stay masked, and are
marginalised. Its output is a change of the denoiser's logits, initially zero, so that an untrained
block is the product.

With one layer, the key and value of a position depend on its own input only, which holds the token
before it. A draw (:class:`Sweep`) computes those of all positions at once, and then, for each token
of ``B``, one query and the key and value of the position after it: as many steps as tokens are
drawn, not as the row is long.

Reference: Campbell et al., "Self-Speculative Masked Diffusions" (2025), for a causal layer on a
bidirectional trunk; there it verifies drafts of the trunk.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, cast

import torch
from msgspec import Meta
from torch import Tensor, nn
from torch.nn import functional as F

from molgen.errors import MolgenError
from molgen.nn.config import DenoiserConfig
from molgen.nn.stored import Size, StoredShape
from molgen.nn.trunk import Block, Trunk, modulate
from molgen.utils.threads import wide


class StoredBlockShape(StoredShape, kw_only=True):
    """The shape of a joint block; see :class:`JointBlockConfig`."""

    model_type: Annotated[str, Meta(pattern="^molgen_joint_block$")]
    denoiser_size: Size


class JointBlockConfig(DenoiserConfig):
    """Shape of a :class:`JointBlock`: of a causal trunk, and the width of its denoiser."""

    model_type = "molgen_joint_block"

    def __init__(self, denoiser_size: int = 256, noise: str = "none", **kwargs: Any) -> None:
        """Set the shape.

        Args:
            denoiser_size: width of the denoiser's output.
            noise: ``"none"``: the block is causal.
            **kwargs: see :class:`molgen.nn.config.DenoiserConfig`.

        Raises:
            MolgenError: for an unknown noise.
        """
        super().__init__(noise=noise, **kwargs)
        self.denoiser_size = denoiser_size


class JointBlock(Trunk):
    """Logits of each token given the tokens to its left that are drawn with it."""

    config_class = JointBlockConfig  # type: ignore[assignment]
    config: JointBlockConfig
    base_model_prefix = "joint"
    stored: ClassVar[type[StoredShape]] = StoredBlockShape

    def __init__(self, config: JointBlockConfig) -> None:
        super().__init__(config)
        self.inward = nn.Linear(config.denoiser_size, config.hidden_size, bias=False)
        self.placed = nn.Embedding(2, config.hidden_size)
        self.head = nn.Linear(config.hidden_size, config.vocab_size)
        self.post_init()

    def _zero_layers(self) -> set[nn.Module]:
        """Return the layers that are initialised to zero, so that the logits do not change."""
        return super()._zero_layers() | {self.head}

    def embed(self, previous: Tensor, features: Tensor, place: Tensor) -> Tensor:
        """Return the input at each position.

        Args:
            previous: ids of the token before each position after the draw, ``[MASK]`` if it stays
                masked and before the first, shape (batch, length).
            features: output of the denoiser's trunk, shape (batch, length, its width).
            place: True at the tokens to draw, shape (batch, length).

        Returns:
            Vectors with shape (batch, length, hidden).
        """
        return self.token(previous) + self.inward(features) + self.placed(place.long())

    def logits(
        self,
        own: Tensor,
        features: Tensor,
        previous: Tensor,
        place: Tensor,
        condition: Tensor | None = None,
    ) -> Tensor:
        """Return unnormalised ``log p(x_l | x_t, B, tokens of B to the left)``.

        Args:
            own: logits of the denoiser, shape (batch, length, vocab).
            features: see :meth:`embed`, likewise ``previous`` and ``place``.
            previous: see :meth:`embed`.
            place: see :meth:`embed`.
            condition: property values with shape (batch, properties), NaN where absent.

        Returns:
            Logits with the shape of ``own``.
        """
        real = torch.ones(previous.shape, dtype=torch.bool, device=previous.device)
        x = self.features(self.embed(previous, features, place), real, condition)
        return own + wide(self.head(x))


class Sweep:
    """A draw of tokens from left to right, with the keys and values of all positions.

    Attributes:
        tokens: ids of the rows, shape (rows, length), of one length; drawn ones replace masks.
    """

    def __init__(
        self,
        block: JointBlock,
        tokens: Tensor,
        features: Tensor,
        place: Tensor,
        condition: Tensor | None,
    ) -> None:
        """Compute keys and values at all positions, those after a token to draw provisionally.

        Args:
            block: on its device.
            tokens: ids before the draw, shape (rows, length).
            features: see :meth:`JointBlock.embed`.
            place: True at the tokens to draw, shape (rows, length).
            condition: property values with shape (rows, properties), NaN where absent, or None.
        """
        self.block, self.tokens = block, tokens.clone()
        self._layer = cast(Block, block.blocks[0])
        self._attention = self._layer.attention
        rows, length = tokens.shape
        c = block.condition(condition, None, rows)
        self._modulation = self._layer.modulation(c).chunk(4, dim=-1)
        self._last = block.modulation(c).chunk(2, dim=-1)
        at = torch.arange(length, device=tokens.device)
        self._fixed = block.inward(features) + block.placed(place.long()) + block.from_start(at)
        bias = self._attention.distance_bias[:, at[:, None] - at + block.max_length - 1]
        self._bias = bias.masked_fill(at > at[:, None], float("-inf")).transpose(0, 1)
        self._rows = torch.arange(rows, device=tokens.device)
        first = torch.full_like(tokens[:, :1], block.mask_id)
        shift, scale, *_ = (part[:, None] for part in self._modulation)
        x = self._fixed + block.token(torch.cat([first, tokens[:, :-1]], dim=1))
        qkv = self._attention.qkv(modulate(x, shift, scale))
        self._keys, self._values = qkv.view(rows, length, 3, self._attention.heads, -1)[:, :, 1:] \
            .permute(2, 0, 3, 1, 4).unbind()  # fmt: skip

    def read(self, at: Tensor) -> Tensor:
        """Return the change of the denoiser's logits at a position of each row.

        Args:
            at: the positions, shape (rows,); every token to draw on their left has been set.

        Returns:
            Values with shape (rows, vocab).
        """
        block, layer, attention = self.block, self._layer, self._attention
        shift_1, scale_1, shift_2, scale_2 = self._modulation
        x = self._input(at)
        width = x.shape[1]
        q = F.linear(modulate(x, shift_1, scale_1), attention.qkv.weight[:width])
        q = q.view(len(x), attention.heads, 1, -1)
        scores = q @ self._keys.transpose(-1, -2) / math.sqrt(width // attention.heads)
        scores = scores + self._bias[at][:, :, None].to(scores.dtype)
        x = x + attention.out((scores.softmax(-1) @ self._values).flatten(1))
        x = x + layer.down(F.relu(layer.up(modulate(x, shift_2, scale_2))).square())
        return wide(block.head(modulate(x, *self._last)))

    def put(self, at: Tensor, token: Tensor, use: Tensor) -> None:
        """Set a token of each row that is used, and update the position after it.

        Args:
            at: the positions, shape (rows,).
            token: ids with that shape.
            use: whether the row draws a token now, shape (rows,).
        """
        rows = self._rows[use]
        self.tokens[rows, at[use]] = token[use]
        after = (at + 1).clamp(max=self.tokens.shape[1] - 1)
        shift, scale, *_ = self._modulation
        x = modulate(self._input(after), shift, scale)
        weight = self._attention.qkv.weight[x.shape[1] :]
        key, value = F.linear(x, weight).view(len(x), 2, self._attention.heads, -1).unbind(1)
        self._keys[rows, :, after[use]] = key[use]
        self._values[rows, :, after[use]] = value[use]

    def _input(self, at: Tensor) -> Tensor:
        """Return the input of the layer at a position of each row, shape (rows, hidden)."""
        before = self.tokens[self._rows, (at - 1).clamp(min=0)]
        before = torch.where(at > 0, before, self.block.mask_id)
        return self._fixed[self._rows, at] + self.block.token(before)


SHARED = (
    "vocab_size", "max_position_embeddings", "hidden_size", "num_heads", "mlp_ratio",
    "condition_size", "properties", "property_mean", "property_std",
)  # fmt: skip
"""Fields that a joint block has from its denoiser."""


def shape_for(denoiser: DenoiserConfig) -> JointBlockConfig:
    """Return the shape of a joint block for a denoiser: of its width."""
    given = {name: getattr(denoiser, name) for name in SHARED}
    return JointBlockConfig(denoiser_size=denoiser.hidden_size, num_layers=1, **given)


def check_shape(
    block: JointBlockConfig, denoiser: DenoiserConfig, name: str, fields: Sequence[str] = SHARED
) -> None:
    """Check that a joint block fits a denoiser.

    Args:
        block: its shape.
        denoiser: of which it reads the output.
        name: of the block, for the error.
        fields: of the shape that must be equal.

    Raises:
        MolgenError: naming the first field that differs.
    """
    expected = shape_for(denoiser)
    for field in fields:
        found, wanted = getattr(block, field), getattr(expected, field)
        if found != wanted:
            raise MolgenError(f"{field} of {name} is {found!r}, expected {wanted!r}")
