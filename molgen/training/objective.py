"""Training objectives: corruption of rows and loss, one class for each noise.

    masked    sum over masked tokens of -log p(x_0 | x_t), times length / count
    uniform   the continuous-time bound of uniform noise
    none      -log p(next token | tokens so far), the end included: an autoregressive model

in nats, computed by :mod:`molgen.diffusion.losses`.

The first is unbiased for the bound's integral over ``t``: with ``n`` of ``L`` tokens masked and
``n`` uniform in 1..L, a row's cross-entropy times ``L / n`` has the bound as its mean. The time
input of a network is an ``alpha_t`` drawn given ``n``: ``t`` then has the distribution of the n-th
smallest of L uniforms. For uniform noise each row of a batch has its own stratum of ``t``.

References: Sahoo et al., "Simple and Effective Masked Diffusion Language Models" (2024); Schiff et
al., "Simple Guidance Mechanisms for Discrete Diffusion Models" (2024).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from molgen.diffusion import noise
from molgen.diffusion.losses import (
    LEAST_NOISE,
    alpha_given_counts,
    masked_nll,
    next_token_nats,
    shifted,
    uniform_nats,
)
from molgen.errors import MolgenError
from molgen.nn.denoiser import Denoiser
from molgen.training.batch import Batch, Noised
from molgen.training.recipe import check_prefix_masks
from molgen.training.self_correction import SelfCorrecting
from molgen.utils.hints import one_of


class Objective(Protocol):
    """Interface of an objective for the training loop."""

    drops_values: bool
    """Whether property values are conditions, of which some are dropped; labels are not."""

    def corrupt(self, x_0: Tensor, real: Tensor, generator: torch.Generator) -> Noised:
        """Noise clean rows; see :class:`molgen.training.batch.Corruption`."""
        ...

    def losses(self, model: Any, batch: Batch) -> Tensor:
        """Return each row's loss in nats, shape (batch,)."""
        ...


@dataclass(frozen=True)
class Masked:
    """Masked diffusion: an exact number of tokens is masked, uniform in 1..length.

    Attributes:
        mask_id: id of the mask.
        time_input: whether the network has one.
        prefix_masks: share of the rows whose mask is all behind a clean prefix, as sampling block
            by block meets it and random places almost never do.
    """

    mask_id: int
    time_input: bool = False
    prefix_masks: float = 0.0
    drops_values = True

    def corrupt(self, x_0: Tensor, real: Tensor, generator: torch.Generator) -> Noised:
        """Mask; see :class:`molgen.training.batch.Corruption`."""
        counts = noise.exact_counts(real.sum(1), generator)
        masked = noise.mask_exactly(x_0, real, counts, generator)
        if self.prefix_masks:
            u = torch.rand((len(x_0), 1), generator=generator, device=x_0.device)
            masked = torch.where(u < self.prefix_masks, noise.mask_suffix(real, counts), masked)
        alpha = alpha_given_counts(real, counts, generator) if self.time_input else None
        return Noised(torch.where(masked, self.mask_id, x_0), alpha)

    def losses(self, model: Denoiser, batch: Batch) -> Tensor:
        """Return each row's loss: an unbiased estimate of its bound given its length."""
        masked = batch.x_t == self.mask_id
        nll = masked_nll(model, batch.x_0, masked, batch.values, batch.alpha)
        return nll.sum(1) * (batch.x_0 != model.pad_id).sum(1) / masked.sum(1)


@dataclass(frozen=True)
class Uniform:
    """Uniform-noise diffusion, ``alpha_t = 1 - t``; for networks with a time input."""

    pad_id: int
    drops_values = True

    def corrupt(self, x_0: Tensor, real: Tensor, generator: torch.Generator) -> Noised:
        """Replace tokens by random ones; see :class:`molgen.training.batch.Corruption`."""
        batch = len(x_0)
        strata = torch.randperm(batch, generator=generator, device=x_0.device)
        u = torch.rand(batch, generator=generator, device=x_0.device)
        alpha = 1 - ((strata + u) / batch).clamp(min=LEAST_NOISE)
        x_t = noise.corrupt_uniform(x_0, alpha[:, None], self.pad_id, generator)
        return Noised(torch.where(real, x_t, x_0), alpha)

    def losses(self, model: Denoiser, batch: Batch) -> Tensor:
        """Return each row's loss: an unbiased estimate of its bound given its length."""
        if batch.alpha is None:
            raise MolgenError("alpha is None, expected values for uniform noise")
        return uniform_nats(model, batch.x_0, batch.x_t, batch.alpha, batch.values)


@dataclass(frozen=True)
class NextToken:
    """Autoregression: no noise; each token is predicted from its prefix."""

    mask_id: int
    drops_values = True

    def corrupt(self, x_0: Tensor, real: Tensor, generator: torch.Generator) -> Noised:
        """Return the rows shifted right by one, behind the token of the beginning."""
        return Noised(shifted(x_0, self.mask_id))

    def losses(self, model: Denoiser, batch: Batch) -> Tensor:
        """Return ``-log p(x)`` of each row, its end included."""
        return next_token_nats(model, batch.x_0, batch.values)


def objective_for(
    noise: str,
    pad_id: int,
    mask_id: int,
    time_input: bool,
    self_correct: bool = False,
    prefix_masks: float = 0.0,
) -> Objective:
    """Return the objective of a denoiser for this noise.

    Raises:
        MolgenError: if there is none, the network of uniform noise has no time input,
            self-correction is requested for a network with other than masked noise or with a time
            input, or prefix masks for other than masked noise or beside self-correction.
    """
    check_prefix_masks(prefix_masks, noise, self_correct)
    if self_correct:
        if noise != "masked" or time_input:
            raise MolgenError(
                f"noise is {noise!r}, expected 'masked' without a time input for self-correction"
            )
        return SelfCorrecting(mask_id)
    if noise == "uniform" and not time_input:
        raise MolgenError("time_input is False, expected True for uniform noise")
    objectives: dict[str, Objective] = {
        "masked": Masked(mask_id, time_input, prefix_masks),
        "uniform": Uniform(pad_id),
        "none": NextToken(mask_id),
    }
    if noise not in objectives:
        raise MolgenError(f"noise is {noise!r}, {one_of(noise, objectives)}")
    return objectives[noise]
