"""Conditions: property values, each given or absent, as one vector.

A value is standardised by its training mean and standard deviation and expanded in Gaussian basis
functions, so that nearby values have nearby embeddings and the tails have their own parameters.
An absent property (NaN) contributes a learned vector; because training drops each property
independently, one network is conditioned on any subset of properties, including the empty one that
classifier-free guidance needs (Ho and Salimans, 2022).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from molgen.errors import MolgenError
from molgen.nn.config import DenoiserConfig
from molgen.utils.threads import wide

REACH = 4.0  # standard deviations covered by the basis; values are clamped to it
BUMPS = 17  # basis functions, with centres REACH / 8 standard deviations apart
TIME_FEATURES = 32


class PropertyEmbedding(nn.Module):
    """Values with shape (batch, properties), NaN where absent -> (batch, condition)."""

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
            values: property values in their own units, shape (batch, properties); NaN where absent;
                None if all are absent.
            alpha: fraction kept with shape (batch,); required with a time input only.
            batch: rows to return.

        Raises:
            MolgenError: if values have the wrong width, or alpha is required and missing.
        """
        if values is None:
            values = self.bumps.new_full((batch, self.properties), float("nan"))
        if values.shape != (batch, self.properties):
            raise MolgenError(
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
                raise MolgenError("alpha is None, expected values for a network with a time input")
            c = c + self.time(sinusoid(alpha.to(values.dtype)))
        return F.silu(self.out(F.silu(c)))


def sinusoid(alpha: Tensor) -> Tensor:
    """Return cosines and sines of ``alpha`` at geometric frequencies: (batch, TIME_FEATURES)."""
    half = TIME_FEATURES // 2
    frequencies = torch.exp(torch.arange(half, device=alpha.device) * (math.log(1000.0) / half))
    angle = wide(alpha)[:, None] * frequencies
    return torch.cat([angle.cos(), angle.sin()], dim=-1)
