"""Training a joint block: the exact log-probability of several masked tokens together.

    x_t: n of L tokens masked  ->  B: k of the n  ->  loss = -log p(x_B | x_t),  n, k uniform

In half of the rows any ``n`` tokens are masked and ``B`` is any ``k`` of them, as in a step of a
plan; in the others the last ``n`` are masked and ``B`` is the next ``k``, as in an order from left
to right, in which the joint distribution is easiest to learn: no token between two of ``B`` is
missing.

The denoiser is frozen and runs forward only. With ``k = n`` the rest of a molecule is drawn in one
step. Every token of ``B`` has the same weight.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from molgen.data.dataset import TokenDataset
from molgen.diffusion import noise
from molgen.diffusion.likelihood import spread
from molgen.errors import MolgenError
from molgen.nn.denoiser import MoleculeDenoiser
from molgen.nn.joint_block import JointBlock, shape_for
from molgen.training import state
from molgen.training.batch import Batch, Noised, draw_batch
from molgen.training.recipe import TrainConfig
from molgen.training.trainer import Trainer, train

RECIPE: dict[str, float] = {"decay_fraction": 0.8}  # a short run decays early
HELD_OUT, BATCH = 2048, 256  # molecules that a block is measured on, and in a forward


@dataclass(frozen=True)
class JointDraws:
    """Cross-entropy of the tokens that a step places, each given those to its left.

    Attributes:
        denoiser: the frozen network.
        prefixes: share of the rows in which tokens are placed from left to right.
    """

    denoiser: MoleculeDenoiser
    prefixes: float = 0.5
    drops_values = True

    def corrupt(self, x_0: Tensor, real: Tensor, generator: torch.Generator) -> Noised:
        """Mask, and choose the tokens to place; see :class:`molgen.training.batch.Corruption`."""
        counts = noise.exact_counts(real.sum(1), generator)
        masked = noise.mask_exactly(x_0, real, counts, generator)
        part = noise.exact_counts(counts, generator)
        placed = noise.mask_exactly(x_0, masked, part, generator)
        u = torch.rand((len(x_0), 1), generator=generator, device=x_0.device)
        suffix = noise.mask_suffix(real, counts)
        rest = noise.mask_suffix(real, counts - part)
        masked = torch.where(u < self.prefixes, suffix, masked)
        placed = torch.where(u < self.prefixes, suffix & ~rest, placed)
        mask_id = self.denoiser.mask_id
        return Noised(
            torch.where(masked, mask_id, x_0), x_s=torch.where(masked & ~placed, mask_id, x_0)
        )

    def losses(self, model: JointBlock, batch: Batch) -> Tensor:
        """Return each row's loss: ``-log p(x_B | x_t)`` over the mean size of B, shape (batch,)."""
        joint, _, count = self.nats(model, batch)
        return joint / (count.sum() / len(count))

    def nats(self, model: JointBlock, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Return ``-log p(x_B | x_t)``, that of the denoiser's product, and the size of B.

        All with shape (batch,).

        Raises:
            MolgenError: if the batch has no rows after the step.
        """
        if batch.x_s is None:
            raise MolgenError("x_s is None, expected the rows after the step")
        place = (batch.x_t == model.mask_id) & (batch.x_s != model.mask_id)
        with torch.no_grad():
            features = self.denoiser.read(batch.x_t, batch.values)
            own = self.denoiser.heads(features).logits
        before = previous(batch.x_s, model.mask_id)
        logits = model.logits(own, features, before, place, batch.values)
        target = torch.where(place, batch.x_0, 0)[..., None]
        joint, product = (
            torch.where(place, -each.log_softmax(-1).gather(-1, target).squeeze(-1), 0.0).sum(1)
            for each in (logits, own)
        )
        return joint, product, place.sum(1)


def previous(tokens: Tensor, mask_id: int) -> Tensor:
    """Return the token before each position, with a mask before the first; same shape."""
    first = torch.full_like(tokens[:, :1], mask_id)
    return torch.cat([first, tokens[:, :-1]], dim=1)


def train_block(
    data: TokenDataset,
    denoiser: MoleculeDenoiser,
    folder: str | Path,
    config: TrainConfig,
    progress: bool = True,
    resume: bool = True,
    prefixes: float = 0.5,
    start: JointBlock | None = None,
) -> JointBlock:
    """Train a joint block for a denoiser; the same call resumes an interrupted run.

    Args:
        data: tokenised molecules, of the denoiser's vocabulary.
        denoiser: the frozen network, of masked noise and without a time input.
        folder: for checkpoints and ``training_log.csv``.
        config: of training.
        progress: show progress.
        resume: from a checkpoint in the folder.
        prefixes: see :class:`JointDraws`.
        start: a block to start from, which is trained in place; None for a new one.

    Returns:
        The block with averaged weights, in evaluation mode.

    Raises:
        MolgenError, FloatingPointError, OSError: as :func:`molgen.training.trainer.train`.
    """
    check_denoiser(denoiser)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        block = start or JointBlock(shape_for(denoiser.config))
    frozen = denoiser.eval().requires_grad_(False).to(config.device)

    def end(trainer: Trainer) -> None:
        trainer.average.write(block)

    if not resume:
        state.remove(Path(folder))
    train(
        data,
        folder,
        block,
        config,
        progress,
        export=end,
        objective=JointDraws(frozen, prefixes),
    )
    return block.eval()


def check_denoiser(denoiser: MoleculeDenoiser) -> None:
    """Check that a network can have a joint block.

    Raises:
        MolgenError: if its noise is not masked, or it has a time input.
    """
    noise = denoiser.config.noise
    if noise != "masked" or denoiser.time_input:
        raise MolgenError(
            f"noise is {noise!r}, expected 'masked' without a time input for a joint block"
        )


@torch.no_grad()
def mean_nats(
    data: TokenDataset, denoiser: MoleculeDenoiser, block: JointBlock, seed: int = 0
) -> dict[str, float]:
    """Return nats a token drawn, on held-out molecules without conditions.

    Args:
        data: with a held-out part; its first molecules, evenly spread, are used.
        denoiser: of the block.
        block: on the same device.
        seed: of the noise.

    Returns:
        ``block``: of joint draws, ``product``: of the denoiser's product; NaN if nothing is held
        out.
    """
    objective, total = JointDraws(denoiser), np.zeros(3)
    rows = spread(np.flatnonzero(data.held_out), HELD_OUT)
    for start in range(0, len(rows), BATCH):
        part = rows[start : start + BATCH]
        batch = draw_batch(data, part, start, seed, 1.0, objective).to(str(denoiser.device))
        total += [float(values.double().sum()) for values in objective.nats(block, batch)]
    joint, product, tokens = total
    if not tokens:
        return {"block": float("nan"), "product": float("nan")}
    return {"block": joint / tokens, "product": product / tokens}
