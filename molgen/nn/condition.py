"""Conditions: property values, each given or left out, as one vector.

A value is standardised by its training mean and standard deviation and spread over Gaussian bumps
along the axis, so nearby values have nearby embeddings and the tails keep their own parameters.
A property that is left out (NaN) contributes a learned vector of its own; because training drops
each property independently, one network serves every combination of targets, the empty one
included, which classifier-free guidance needs (Ho and Salimans, 2022).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from molgen.nn.config import DenoiserConfig
from molgen.utils.threads import wide

REACH = 4.0  # standard deviations covered by the bumps; a value further out counts as this far
BUMPS = 17  # centres REACH / 8 standard deviations apart
TIME_FEATURES = 32


class PropertyEmbedding(nn.Module):
    """Values with shape (batch, properties), NaN where left out -> (batch, condition)."""

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__()
        self.properties = len(config.properties)
        size = config.condition_size
        self.bumps = nn.Parameter(torch.empty(self.properties, BUMPS + 1, size))
        self.absent = nn.Parameter(torch.empty(self.properties, size))
        self.time = nn.Linear(TIME_FEATURES, size) if config.time_input else None
        self.out = nn.Linear(size, size)
        self.mean, self.std = config.property_mean, config.property_std
        self.reset()

    def reset(self) -> None:
        """Set the initial parameters."""
        nn.init.normal_(self.bumps, std=0.5)
        nn.init.normal_(self.absent, std=0.5)

    def forward(self, values: Tensor | None, alpha: Tensor | None, batch: int) -> Tensor:
        """Embed.

        Args:
            values: property values in their own units, shape (batch, properties); NaN where left
                out; None leaves out all.
            alpha: fraction kept with shape (batch,); needed only with a time input.
            batch: rows to return.

        Raises:
            ValueError: if values have the wrong width, or alpha is missing where it is needed.
        """
        if values is None:
            values = self.bumps.new_full((batch, self.properties), float("nan"))
        if values.shape != (batch, self.properties):
            raise ValueError(
                f"condition has shape {tuple(values.shape)}, expected {(batch, self.properties)}"
            )
        values = values.to(wide(self.bumps).dtype)
        given = ~values.isnan()
        mean, std = (values.new_tensor(moment) for moment in (self.mean, self.std))
        z = ((values - mean) / std).nan_to_num(0.0).clamp(-REACH, REACH)[..., None]
        centres = torch.linspace(-REACH, REACH, BUMPS, device=values.device, dtype=values.dtype)
        width = 2 * REACH / (BUMPS - 1)
        features = torch.cat([torch.exp(-0.5 * ((z - centres) / width) ** 2), z], dim=-1)
        embedded = torch.einsum("bpf,pfc->bpc", features, wide(self.bumps))
        c = torch.where(given[..., None], embedded, wide(self.absent)).sum(1)
        if self.time is not None:
            if alpha is None:
                raise ValueError("this network has a time input: alpha is needed")
            c = c + self.time(sinusoid(alpha.to(values.dtype)))
        return F.silu(self.out(F.silu(c)))


def sinusoid(alpha: Tensor) -> Tensor:
    """Return cosines and sines of ``alpha`` at geometric frequencies: (batch, TIME_FEATURES)."""
    half = TIME_FEATURES // 2
    frequencies = torch.exp(torch.arange(half, device=alpha.device) * (math.log(1000.0) / half))
    angle = wide(alpha)[:, None] * frequencies
    return torch.cat([angle.cos(), angle.sin()], dim=-1)
