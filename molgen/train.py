"""Training: one plain loop.

For every row a count of masked tokens is drawn uniformly from 1..length and that many tokens are
masked; the loss is ``length / count`` times the cross-entropy summed over the masked tokens. Its
expectation is the negative evidence bound of masked diffusion under ``alpha_t = 1 - t`` (in nats
per molecule, given its length) with far less variance than masking each token on its own coin.

A batch is cut into shards; on a CPU every shard runs on one of ``workers`` threads, each with one
core, and gradients are added in the order of the shards, so the result does not depend on timing.
All randomness is a function of ``(seed, step)``: a resumed run equals an uninterrupted one.

Imports torch, never RDKit: data arrives tokenised (:mod:`molgen.dataset`).
"""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from molgen import noise, training_state
from molgen.dataset import TokenDataset
from molgen.denoiser import DenoiserConfig, MoleculeDenoiser
from molgen.likelihood import held_out_bound
from molgen.optim import Optimizers, WeightAverage, learning_rate
from molgen.threads import Workers, resolve_dtype, workers

LOG_COLUMNS = ["step", "epoch", "loss", "learning_rate", "molecules_per_second", "held_out_nats"]


@dataclass(frozen=True)
class TrainConfig:
    """How to train.

    Attributes:
        epochs: passes over the training part; may change on resume while the rate is flat.
        batch_size: molecules per step.
        peak_rate: learning rate of the plateau, for Muon and AdamW alike.
        warmup: steps over which it rises.
        decay_fraction: part of the run over which it falls to zero.
        weight_decay: of the block matrices.
        muon: whether Muon trains the block matrices.
        ema_decay: of the weight average.
        drop_all: probability that a row sees no property at all; otherwise a keep rate is drawn
            uniformly for the row and every property is kept independently at that rate.
        seed: of everything random.
        evaluate_every: steps between held-out estimates.
        checkpoint_every: steps between exact checkpoints.
        workers: CPU threads; 0 means one per core. Without meaning on a GPU.
        shard: molecules per shard on a CPU.
        device: ``"cpu"``, ``"cuda"``, ...
        dtype: ``"bf16"``, ``"fp32"`` or ``"auto"``: of the matrix products.
    """

    epochs: float = 10.0
    batch_size: int = 256
    peak_rate: float = 2e-3
    warmup: int = 200
    decay_fraction: float = 0.5
    weight_decay: float = 0.01
    muon: bool = True
    ema_decay: float = 0.999
    drop_all: float = 0.35
    seed: int = 0
    evaluate_every: int = 500
    checkpoint_every: int = 500
    workers: int = 0
    shard: int = 64
    device: str = "cpu"
    dtype: str = "auto"


def drop_properties(values: Tensor, drop_all: float, generator: torch.Generator) -> Tensor:
    """Leave out property values (as NaN): all of them, or each on its own coin.

    Args:
        values: property values with shape (batch, properties).
        drop_all: probability that a row keeps none.
        generator: source of randomness.
    """
    batch = values.shape[0]
    u = torch.rand((batch, 2), generator=generator, device=values.device)
    keep_rate = torch.where(u[:, :1] < drop_all, 0.0, u[:, 1:])
    coins = torch.rand(values.shape, generator=generator, device=values.device)
    return torch.where(coins < keep_rate, values, float("nan"))


def row_losses(
    model: MoleculeDenoiser, x_0: Tensor, masked: Tensor, counts: Tensor, values: Tensor | None
) -> Tensor:
    """Return each row's loss in nats: an unbiased estimate of its bound given its length.

    Args:
        model: the denoiser.
        x_0: clean tokens with shape (batch, length), padded.
        masked: True at masked positions, same shape.
        counts: masked tokens per row, shape (batch,).
        values: property values with shape (batch, properties), NaN where left out, or None.
    """
    x_t = torch.where(masked, model.mask_id, x_0)
    log_p = model.logits(x_t, values).log_softmax(-1)
    # a padded position is never masked; its own id has log-probability -inf, so choose id 0 there
    target = torch.where(masked, x_0, 0)
    cross_entropy = -log_p.gather(-1, target[..., None]).squeeze(-1)
    lengths = (x_0 != model.pad_id).sum(1)
    return torch.where(masked, cross_entropy, 0.0).sum(1) * lengths / counts


@dataclass(frozen=True)
class Batch:
    """Tensors of one step: see :func:`row_losses` for shapes."""

    x_0: Tensor
    masked: Tensor
    counts: Tensor
    values: Tensor

    def shards(self, size: int) -> list[Batch]:
        """Cut into consecutive shards of at most ``size`` rows."""
        parts = zip(
            *(t.split(size) for t in (self.x_0, self.masked, self.counts, self.values)),
            strict=True,
        )
        return [Batch(*part) for part in parts]


def draw_batch(
    data: TokenDataset, rows: NDArray[np.int64], config: TrainConfig, step: int
) -> Batch:
    """Noise the given rows and drop properties; a function of ``(seed, step)``."""
    generator = torch.Generator().manual_seed(config.seed * 1_000_003 + step)
    lengths = torch.from_numpy(data.lengths[rows])
    x_0 = torch.from_numpy(data.tokens[rows, : int(lengths.max())].astype(np.int64))
    counts = noise.exact_counts(lengths, generator)
    masked = noise.mask_exactly(x_0, x_0 != data.pad_id, counts, generator)
    values = drop_properties(torch.from_numpy(data.values[rows]), config.drop_all, generator)
    return Batch(*(t.to(config.device) for t in (x_0, masked, counts, values)))


class Trainer:
    """The state of a run and its one step."""

    def __init__(
        self,
        data: TokenDataset,
        shape: DenoiserConfig,
        config: TrainConfig,
        pool: Workers,
        model: MoleculeDenoiser | None = None,
    ) -> None:
        """Start a run.

        Args:
            data: what to train on.
            shape: of the network.
            config: how to train.
            pool: threads to run shards on.
            model: weights to start from instead of random ones.
        """
        torch.manual_seed(config.seed)
        self.data, self.config, self.pool = data, config, pool
        self.dtype = resolve_dtype(config.dtype, config.device)
        self.model = (model or MoleculeDenoiser(shape)).float().to(config.device).train()
        self.optimizers = Optimizers(self.model, config.weight_decay, pool.count, config.muon)
        self.average = WeightAverage(self.model, config.ema_decay)
        self.step = 0
        self.per_epoch = data.batches_per_epoch(config.batch_size)

    @property
    def total(self) -> int:
        """Steps of the whole run."""
        return max(1, round(self.config.epochs * self.per_epoch))

    def rate(self) -> float:
        """Return the learning rate of the next step."""
        c = self.config
        return learning_rate(self.step, self.total, c.peak_rate, c.warmup, c.decay_fraction)

    def remaining_batches(self) -> Iterator[NDArray[np.int64]]:
        """Yield the rows of every step that is left, from the middle of an epoch if need be."""
        while self.step < self.total:
            epoch, start = divmod(self.step, self.per_epoch)
            batches = self.data.batches(self.config.batch_size, self.config.seed, epoch)
            for rows in islice(batches, start, None):
                yield rows
                if self.step >= self.total:
                    return

    def autocast(self) -> torch.autocast:
        """Return the context in which the network runs."""
        device = self.config.device.split(":")[0]
        return torch.autocast(device, torch.bfloat16, enabled=self.dtype is torch.bfloat16)

    def gradients(self, batch: Batch, rows: int) -> tuple[float, list[Tensor | None]]:
        """Return a shard's summed loss and the gradients of its part of the mean over ``rows``."""
        with self.autocast():
            losses = row_losses(self.model, batch.x_0, batch.masked, batch.counts, batch.values)
        total = losses.sum()
        found = torch.autograd.grad(total / rows, list(self.model.parameters()), allow_unused=True)
        return float(total.detach()), list(found)

    def train_step(self, rows: NDArray[np.int64]) -> float:
        """Take one step on the given rows; return the mean loss in nats per molecule."""
        batch = draw_batch(self.data, rows, self.config, self.step)
        size = self.config.shard if self.config.device.startswith("cpu") else len(rows)
        results = list(
            self.pool.map(lambda shard: self.gradients(shard, len(rows)), batch.shards(size))
        )
        for p, *parts in zip(self.model.parameters(), *(g for _, g in results), strict=True):
            present = [g for g in parts if g is not None]
            p.grad = torch.stack(present).sum(0) if len(present) > 1 else (present or [None])[0]
        self.optimizers.step(self.rate(), self.pool)
        self.step += 1
        self.average.update(self.model, self.step)
        return sum(loss for loss, _ in results) / len(rows)

    def evaluate(self, molecules: int = 2048) -> float:
        """Return the held-out bound of the averaged weights on the first held-out molecules.

        Unconditional, in nats per molecule, length included; one masking per molecule, the same
        at every call. NaN where nothing is held out.
        """
        self.average.swap(self.model)
        self.model.eval()
        with self.autocast():
            bound = held_out_bound(self.model, self.data, limit=molecules, every_count=False)
        self.average.swap(self.model)
        self.model.train()
        return bound.nats


def train(
    data: TokenDataset,
    folder: str | Path,
    shape: DenoiserConfig,
    config: TrainConfig,
    model: MoleculeDenoiser | None = None,
    resume: bool = True,
    progress: bool = True,
    on_checkpoint: Callable[[Trainer], None] | None = None,
) -> Trainer:
    """Train until ``config.epochs`` are done, checkpointing exactly on the way.

    Args:
        data: tokenised molecules.
        folder: where ``state/`` (for resuming) and ``training_log.csv`` go.
        shape: of the network.
        config: how to train.
        model: weights to start from.
        resume: go on from ``folder/state`` where there is one.
        progress: show a bar with loss and molecules per second (where stderr is a terminal).
        on_checkpoint: called after every checkpoint.

    Raises:
        FloatingPointError: if the loss stops being a number; the last checkpoint is kept.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with workers(config.device, config.workers) as pool:
        trainer = Trainer(data, shape, config, pool, model)
        if resume and training_state.exists(folder):
            training_state.load(folder, trainer)
        log = TrainingLog(folder, trainer.step)
        with tqdm(
            total=trainer.total,
            initial=trainer.step,
            unit="step",
            disable=None if progress else True,
        ) as bar:
            for rows in trainer.remaining_batches():
                loss = trainer.train_step(rows)
                log.note(loss, len(rows))
                bar.update()
                done = trainer.step >= trainer.total
                if trainer.step % config.evaluate_every == 0 or done:
                    bar.set_postfix_str(log.write(trainer))
                if trainer.step % config.checkpoint_every == 0 or done:
                    training_state.save(folder, trainer)
                    if on_checkpoint:
                        on_checkpoint(trainer)
    return trainer


class TrainingLog:
    """``training_log.csv``: one line per held-out estimate."""

    def __init__(self, folder: Path, step: int) -> None:
        """Open the log; lines written after the resumed step are dropped."""
        self.path = folder / "training_log.csv"
        kept: list[list[str]] = []
        if step and self.path.exists():
            with self.path.open(newline="") as file:
                kept = [row for row in list(csv.reader(file))[1:] if int(row[0]) <= step]
        with self.path.open("w", newline="") as file:
            csv.writer(file).writerows([LOG_COLUMNS, *kept])
        self._start()

    def _start(self) -> None:
        self.losses: list[float] = []
        self.molecules, self.since = 0, time.monotonic()

    def note(self, loss: float, molecules: int) -> None:
        """Remember a step's loss.

        Raises:
            FloatingPointError: if it is not a number.
        """
        if not math.isfinite(loss):
            raise FloatingPointError(f"the loss became {loss}; the last checkpoint is kept")
        self.losses.append(loss)
        self.molecules += molecules

    def write(self, trainer: Trainer) -> str:
        """Append a line; return it in short for the progress bar."""
        speed = self.molecules / (time.monotonic() - self.since)
        loss, held_out = float(np.mean(self.losses)), trainer.evaluate()
        epoch = trainer.step / trainer.per_epoch
        row = [trainer.step, epoch, loss, trainer.rate(), speed, held_out]
        with self.path.open("a", newline="") as file:
            csv.writer(file).writerow([f"{value:.6g}" for value in row])
        self._start()
        return f"loss {loss:.2f}, held out {held_out:.2f}, {speed:.0f} molecules/s"
