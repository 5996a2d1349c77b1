"""The likelihood bound: nats a model needs per molecule, at most.

With ``n`` tokens of a row of length ``L`` masked uniformly at random,

    -log p(x) <= -log p(L) + sum_{n=1..L} mean over masked tokens of CE(n)

which is the continuous-time bound of masked diffusion (Sahoo et al. 2024) written by counts; it
is the same for every schedule. The length is drawn, so its cost is part of the bound.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from molgen import noise
from molgen.dataset import TokenDataset
from molgen.denoiser import Denoiser

CHUNK = 512  # rows per forward


@dataclass(frozen=True)
class Bound:
    """A likelihood bound over a set of molecules.

    Attributes:
        nats: mean bound per molecule, its length's cost included.
        length_nats: the part that the length costs.
        tokens: mean tokens per molecule.
        molecules: how many molecules it is the mean of.
    """

    nats: float
    length_nats: float
    tokens: float
    molecules: int

    @property
    def perplexity(self) -> float:
        """Perplexity per token, ``exp(nats / tokens)``."""
        return float(np.exp(self.nats / self.tokens))


@torch.no_grad()
def row_bounds(
    model: Denoiser, x_0: Tensor, every_count: bool, seed: int, draws: int = 1
) -> Tensor:
    """Return the bound of each row given its length, in nats.

    Args:
        model: the denoiser, unconditional.
        x_0: clean tokens with shape (batch, length), padded.
        every_count: mask every count 1..length in turn, one forward each, instead of one count
            drawn per row and forward: ``length`` times the work, far less variance.
        seed: of the masks.
        draws: how often to repeat.

    Returns:
        Nats with shape (batch,).
    """
    generator = torch.Generator(device=x_0.device).manual_seed(seed)
    real = x_0 != model.pad_id
    lengths = real.sum(1)
    total = torch.zeros(len(x_0), dtype=torch.float64, device=x_0.device)
    for _ in range(draws):
        counted = range(1, int(lengths.max()) + 1) if every_count else [0]
        for n in counted:
            counts = (
                lengths.clamp(max=n) if n else noise.exact_counts(lengths, generator)
            )
            masked = noise.mask_exactly(x_0, real, counts, generator)
            logits = model.logits(torch.where(masked, model.mask_id, x_0))
            target = torch.where(masked, x_0, 0)[..., None]
            nll = -logits.log_softmax(-1).gather(-1, target).squeeze(-1).double()
            mean = torch.where(masked, nll, 0.0).sum(1) / counts
            total += torch.where(lengths >= n, mean, 0.0) if n else mean * lengths
    return total / draws


def held_out_bound(
    model: Denoiser, data: TokenDataset, limit: int | None = None, every_count: bool = True,
    seed: int = 0,
) -> Bound:
    """Return the bound over the held-out molecules of a data set.

    Args:
        model: the denoiser, on any device.
        data: the data set.
        limit: use only the first so many held-out molecules.
        every_count: see :func:`row_bounds`.
        seed: of the masks.
    """
    device = next(iter(model.parameters())).device if isinstance(model, torch.nn.Module) else "cpu"
    rows = np.flatnonzero(data.held_out)[:limit]
    rows = rows[np.argsort(data.lengths[rows], kind="stable")]
    nats = []
    for start in range(0, len(rows), CHUNK):
        chunk = rows[start : start + CHUNK]
        longest = int(data.lengths[chunk].max())
        x_0 = torch.from_numpy(data.tokens[chunk, :longest].astype(np.int64)).to(device)
        nats.append(row_bounds(model, x_0, every_count, seed + start).cpu().numpy())
    if not nats:
        return Bound(float("nan"), float("nan"), float("nan"), 0)
    length_nats = float(-data.length_log_probability()[data.lengths[rows]].mean())
    tokens = float(data.lengths[rows].mean())
    return Bound(float(np.concatenate(nats).mean()) + length_nats, length_nats, tokens, len(rows))
