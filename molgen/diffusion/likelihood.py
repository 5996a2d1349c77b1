"""The likelihood bound: nats a model needs per molecule, at most.

With ``n`` tokens of a row of length ``L`` masked uniformly at random,

    -log p(x) <= -log p(L) + sum_{n=1..L} mean over masked tokens of CE(n)

which is the continuous-time bound of masked diffusion (Sahoo et al., "Simple and Effective Masked
Diffusion Language Models", 2024) written by counts; it is the same for every schedule. The length
is drawn, so its cost is part of the bound. Equality holds for the exact denoiser. Under uniform
noise the integral over ``t`` is taken at random times, one in each stratum (Schiff et al., "Simple
Guidance Mechanisms for Discrete Diffusion Models", 2024). An autoregressive network needs no bound:
its value is exact, and the end token takes the place of the length.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from molgen.data.dataset import TokenDataset
from molgen.diffusion import noise
from molgen.diffusion.losses import (
    LEAST_NOISE,
    alpha_given_counts,
    masked_nll,
    next_token_nats,
    uniform_nats,
)
from molgen.nn.denoiser import Denoiser, noise_of
from molgen.utils.progress import Bar
from molgen.utils.threads import Workers

CHUNK = 256  # rows per forward: large enough for a GPU, several for each CPU worker


@dataclass(frozen=True)
class Bound:
    """A likelihood bound over a set of molecules.

    Attributes:
        nats: mean bound per molecule, its length's cost included.
        error: standard error of that mean over molecules.
        length_nats: the part that the length costs.
        tokens: mean tokens per molecule.
        molecules: number of molecules.
    """

    nats: float
    error: float
    length_nats: float
    tokens: float
    molecules: int

    @property
    def perplexity(self) -> float:
        """Perplexity per token, ``exp(nats / tokens)``, the length's cost included."""
        return float(np.exp(self.nats / self.tokens))


@torch.no_grad()
def row_bounds(
    model: Denoiser, x_0: Tensor, every_count: bool, seed: int, draws: int = 1
) -> Tensor:
    """Return the bound of each row given its length, in nats, by the noise of the network.

    Args:
        model: the denoiser, unconditional.
        x_0: clean tokens with shape (batch, length), padded.
        every_count: mask every count 1..length in turn, one forward each, instead of one count
            drawn per row and forward: ``length`` times the work, far less variance. Under uniform
            noise, as many times as the longest row has tokens instead of one.
        seed: of the noise.
        draws: how often to repeat.

    Returns:
        Nats with shape (batch,), float64.
    """
    kind = noise_of(model)
    if kind == "none":
        return next_token_nats(model, x_0).double()
    if kind == "uniform":
        return uniform_bounds(model, x_0, (x_0.shape[1] if every_count else 1) * draws, seed)
    return masked_bounds(model, x_0, every_count, seed, draws)


def uniform_bounds(model: Denoiser, x_0: Tensor, times: int, seed: int) -> Tensor:
    """Return the bound of each row under uniform noise, from one time in each of ``times`` strata.

    Shapes as in :func:`row_bounds`.
    """
    generator = torch.Generator(device=x_0.device).manual_seed(seed)
    real = x_0 != model.pad_id
    total = torch.zeros(len(x_0), dtype=torch.float64, device=x_0.device)
    for stratum in range(times):
        u = torch.rand(len(x_0), generator=generator, device=x_0.device)
        alpha = 1 - ((stratum + u) / times).clamp(min=LEAST_NOISE)
        noised = noise.corrupt_uniform(x_0, alpha[:, None], model.pad_id, generator)
        x_t = torch.where(real, noised, x_0)
        total += uniform_nats(model, x_0, x_t, alpha).double()
    return total / times


def masked_bounds(
    model: Denoiser, x_0: Tensor, every_count: bool, seed: int, draws: int = 1
) -> Tensor:
    """Return the bound of each row under masked noise; see :func:`row_bounds`."""
    generator = torch.Generator(device=x_0.device).manual_seed(seed)
    real = x_0 != model.pad_id
    lengths = real.sum(1)
    total = torch.zeros(len(x_0), dtype=torch.float64, device=x_0.device)
    for _ in range(draws):
        for n in range(1, int(lengths.max()) + 1) if every_count else [0]:
            counts = lengths.clamp(max=n) if n else noise.exact_counts(lengths, generator)
            masked = noise.mask_exactly(x_0, real, counts, generator)
            alpha = alpha_given_counts(real, counts, generator) if model.time_input else None
            mean = masked_nll(model, x_0, masked, alpha=alpha).double().sum(1) / counts
            # all counts of a row shorter than n are done; a drawn count represents all of them
            total += torch.where(lengths >= n, mean, 0.0) if n else mean * lengths
    return total / draws


def held_out_bound(
    model: Denoiser,
    data: TokenDataset,
    limit: int | None = None,
    every_count: bool = True,
    seed: int = 0,
    pool: Workers | None = None,
    dtype: torch.dtype = torch.float32,
    progress: str = "",
) -> Bound:
    """Return the bound over the held-out molecules of a data set, all NaN where there are none.

    Args:
        model: the denoiser, on any device.
        data: the data set.
        limit: use only so many held-out molecules, spread over the data set's order.
        every_count: see :func:`row_bounds`.
        seed: of the masks.
        pool: threads to share the chunks on.
        dtype: of the matrix products.
        progress: label of a progress bar; empty for none.
    """
    parameter = next(iter(model.parameters()), None) if isinstance(model, nn.Module) else None
    device = torch.device("cpu") if parameter is None else parameter.device
    rows = spread(np.flatnonzero(data.held_out), limit)
    if not len(rows):
        return Bound(math.nan, math.nan, math.nan, math.nan, 0)
    rows = rows[np.argsort(data.lengths[rows], kind="stable")]
    chunks = [(i, rows[i : i + CHUNK]) for i in range(0, len(rows), CHUNK)]

    def nats(chunk: tuple[int, NDArray[np.int64]]) -> NDArray[np.float64]:
        start, part = chunk
        longest = int(data.lengths[part].max())
        x_0 = torch.from_numpy(data.tokens[part, :longest].astype(np.int64)).to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=dtype is torch.bfloat16):
            return row_bounds(model, x_0, every_count, seed + start).cpu().numpy()

    found = []
    with Bar(len(rows), label=progress, shown=bool(progress)) as bar:
        for part in pool.map(nats, chunks) if pool else map(nats, chunks):
            found.append(part)
            bar.add(len(part))
    cost = -data.length_log_probability()[data.lengths[rows]]
    if noise_of(model) == "none":  # the end token includes the cost of the length
        cost = np.zeros_like(cost)
    total = np.concatenate(found) + cost
    error = float(total.std() / np.sqrt(len(total)))
    tokens = float(data.lengths[rows].mean())
    return Bound(float(total.mean()), error, float(cost.mean()), tokens, len(rows))


def spread(rows: NDArray[np.int64], limit: int | None) -> NDArray[np.int64]:
    """Return at most ``limit`` rows at even distances: files are often sorted, by size say."""
    if limit is None or len(rows) <= limit:
        return rows
    return rows[np.arange(limit) * len(rows) // limit]
