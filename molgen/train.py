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
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
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
        workers: CPU threads; 0 means one per core. One on a GPU.
        shard: molecules per shard on a CPU.
        device: ``"cpu"``, ``"cuda"``, ...
        dtype: ``"bf16"`` or ``"fp32"``: of the matrix products.
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
    dtype: str = "bf16"


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
        self, data: TokenDataset, shape: DenoiserConfig, config: TrainConfig,
        model: MoleculeDenoiser | None = None,
    ) -> None:
        """Start a run.

        Args:
            data: what to train on.
            shape: of the network.
            config: how to train.
            model: weights to start from instead of random ones.
        """
        torch.manual_seed(config.seed)
        on_cpu = config.device == "cpu"
        self.workers = (config.workers or torch.get_num_threads()) if on_cpu else 1
        self.data, self.config = data, config
        self.model = (model or MoleculeDenoiser(shape)).float().to(config.device).train()
        self.optimizers = Optimizers(self.model, config.weight_decay, self.workers, config.muon)
        self.average = WeightAverage(self.model, config.ema_decay)
        self.step = 0
        one_core = (lambda: torch.set_num_threads(1)) if on_cpu else None
        if on_cpu:  # a team of threads inside each operation would fight the workers for the cores
            torch.set_num_threads(1)
        self.pool = ThreadPoolExecutor(self.workers, initializer=one_core)
        self.per_epoch = data.batches_per_epoch(config.batch_size)

    @property
    def total(self) -> int:
        """Steps of the whole run."""
        return max(1, round(self.config.epochs * self.per_epoch))

    def gradients(self, batch: Batch, rows: int) -> tuple[float, list[Tensor | None]]:
        """Return a shard's summed loss and the gradients of its part of the mean over ``rows``."""
        enabled = self.config.dtype == "bf16"
        with torch.autocast(self.config.device.split(":")[0], torch.bfloat16, enabled=enabled):
            losses = row_losses(self.model, batch.x_0, batch.masked, batch.counts, batch.values)
        total = losses.sum()
        found = torch.autograd.grad(total / rows, list(self.model.parameters()), allow_unused=True)
        return float(total.detach()), list(found)

    def train_step(self, rows: NDArray[np.int64]) -> float:
        """Take one step on the given rows; return the mean loss in nats per molecule."""
        batch = draw_batch(self.data, rows, self.config, self.step)
        size = self.config.shard if self.config.device == "cpu" else len(rows)
        results = list(
            self.pool.map(lambda shard: self.gradients(shard, len(rows)), batch.shards(size))
        )
        for p, *parts in zip(self.model.parameters(), *(g for _, g in results), strict=True):
            present = [g for g in parts if g is not None]
            p.grad = torch.stack(present).sum(0) if len(present) > 1 else (present or [None])[0]
        c = self.config
        rate = learning_rate(self.step, self.total, c.peak_rate, c.warmup, c.decay_fraction)
        self.optimizers.step(rate, self.pool)
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
        with torch.autocast(
            self.config.device.split(":")[0], torch.bfloat16, enabled=self.config.dtype == "bf16"
        ):
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
    trainer = Trainer(data, shape, config, model)
    if resume and training_state.exists(folder):
        training_state.load(folder, trainer)
    log = _open_log(folder, trainer.step)
    bar = tqdm(
        total=trainer.total, initial=trainer.step, unit="step", disable=None if progress else True
    )
    losses: list[float] = []
    seen, since = 0, time.monotonic()
    while trainer.step < trainer.total:
        epoch, start = divmod(trainer.step, trainer.per_epoch)
        for i, rows in enumerate(data.batches(config.batch_size, config.seed, epoch)):
            if i < start:
                continue
            losses.append(trainer.train_step(rows))
            seen += len(rows)
            if not math.isfinite(losses[-1]):
                raise FloatingPointError(f"loss is {losses[-1]} at step {trainer.step}")
            bar.update()
            done = trainer.step >= trainer.total
            if trainer.step % config.evaluate_every == 0 or done:
                speed = seen / (time.monotonic() - since)
                held_out = trainer.evaluate()
                row = [trainer.step, trainer.step / trainer.per_epoch, float(np.mean(losses)),
                       learning_rate(trainer.step, trainer.total, config.peak_rate, config.warmup,
                                     config.decay_fraction), speed, held_out]
                _append(log, [f"{value:.6g}" for value in row])
                bar.set_postfix_str(
                    f"loss {np.mean(losses):.2f}, held out {held_out:.2f}, {speed:.0f} molecules/s"
                )
                losses, seen, since = [], 0, time.monotonic()
            if trainer.step % config.checkpoint_every == 0 or done:
                training_state.save(folder, trainer)
                if on_checkpoint:
                    on_checkpoint(trainer)
            if done:
                break
    bar.close()
    return trainer


def _open_log(folder: Path, step: int) -> Path:
    """Return the log's path; rows written after the resumed step are dropped."""
    path = folder / "training_log.csv"
    kept: list[list[str]] = []
    if step and path.exists():
        with path.open(newline="") as file:
            kept = [row for row in list(csv.reader(file))[1:] if int(row[0]) <= step]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([LOG_COLUMNS, *kept])
    return path


def _append(path: Path, row: list[str]) -> None:
    with path.open("a", newline="") as file:
        csv.writer(file).writerow(row)


def with_epochs(config: TrainConfig, epochs: float) -> TrainConfig:
    """Return the configuration with another number of epochs."""
    return replace(config, epochs=epochs)


def as_json(config: TrainConfig) -> dict[str, object]:
    """Return the configuration as plain values."""
    return asdict(config)
