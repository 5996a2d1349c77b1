"""The training loop.

Each step draws a batch (:mod:`molgen.training.batch`), takes the gradient of its mean loss, and
updates the weights (:mod:`molgen.training.optim`) and their moving average, which is evaluated and
exported.

A batch is split into micro-batches; on a CPU each runs on one of ``workers`` threads with one core,
and gradients are added in the order of the micro-batches, so the result does not depend on timing.
All random numbers are a function of ``(seed, step)``: a resumed run equals an uninterrupted one.

Imports torch, never RDKit: data are tokenised already (:mod:`molgen.data.dataset`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from molgen.data.dataset import TokenDataset
from molgen.diffusion.likelihood import held_out_bound, spread
from molgen.errors import MolgenError
from molgen.nn.config import DenoiserConfig
from molgen.nn.denoiser import MoleculeDenoiser
from molgen.nn.trunk import Trunk
from molgen.training import state
from molgen.training.batch import Batch, draw_batch
from molgen.training.log import TrainingLog
from molgen.training.objective import Objective, objective_for
from molgen.training.optim import Optimizers, WeightAverage, learning_rate
from molgen.training.recipe import TrainConfig
from molgen.utils.locks import locked
from molgen.utils.threads import Workers, resolve_dtype, workers

ESTIMATED_ON = 2048  # held-out molecules of the log's estimate


def new_model(shape: DenoiserConfig, seed: int) -> MoleculeDenoiser:
    """Return a network with random weights, a function of the seed; global state is unchanged."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return MoleculeDenoiser(shape)


class Trainer:
    """The state of a run and its one step."""

    def __init__(
        self,
        data: TokenDataset,
        model: Trunk,
        config: TrainConfig,
        pool: Workers,
        objective: Objective | None = None,
    ) -> None:
        """Start a run.

        Args:
            data: to train on.
            model: the network, trained in place.
            config: of training.
            pool: threads for micro-batches.
            objective: of training; by default that of the network's noise.

        Raises:
            MolgenError: if the network does not fit the data.
        """
        check_fit(data, model.config)
        self.data, self.config, self.pool = data, config, pool
        self.objective: Objective = objective or objective_for(
            model.config.noise,
            model.pad_id,
            model.mask_id,
            model.time_input,
            config.self_correct,
            config.prefix_masks,
        )
        self.dtype = resolve_dtype(config.dtype, config.device)
        self.model = model.float().to(config.device).train()
        self.optimizers = Optimizers(
            self.model, config.weight_decay, pool.count, config.muon, self.dtype
        )
        self.average = WeightAverage(self.model, config.ema_decay)
        self.step = 0
        self.per_epoch = data.batches_per_epoch(config.batch_size)

    @cached_property
    def fingerprint(self) -> str:
        """Digest of the data."""
        return self.data.fingerprint()

    @property
    def total(self) -> int:
        """Steps of the whole run."""
        return max(1, round(self.config.epochs * self.per_epoch))

    @property
    def epoch(self) -> float:
        """Passes over the training part so far."""
        return self.step / self.per_epoch

    @property
    def run(self) -> dict[str, Any]:
        """Data and recipe of the run, for :mod:`molgen.training.state`."""
        return {"data": self.fingerprint, "recipe": asdict(self.config)}

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors of the state: weights, their average and the optimisers' tensors."""
        found = {f"model.{k}": v.detach().contiguous() for k, v in self.model.named_parameters()}
        found |= {f"average.{k}": v for k, v in self.average.weights.items()}
        return found | {f"optimizer.{k}": v for k, v in self.optimizers.state().items()}

    @torch.no_grad()
    def restore(self, place: Path) -> None:
        """Restore a checkpoint; see :func:`molgen.training.state.load`."""
        shapes = {
            f"{kind}.{name}": p.shape
            for kind in ("model", "average")
            for name, p in self.model.named_parameters()
        }
        self.step, tensors = state.load(place, self.run, shapes)
        start = "optimizer."
        self.optimizers.load_state(
            {k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)}
        )
        for name, p in self.model.named_parameters():
            p.copy_(tensors[f"model.{name}"])
            self.average.weights[name].copy_(tensors[f"average.{name}"])
        state.forget_older(place)

    def rate(self) -> float:
        """Return the learning rate of the next step."""
        c = self.config
        return learning_rate(self.step, self.total, c.peak_rate, c.warmup, c.decay_fraction)

    def remaining_batches(self) -> Iterator[NDArray[np.int64]]:
        """Yield the rows of every remaining step, starting within an epoch if necessary."""
        while self.step < self.total:
            epoch, start = divmod(self.step, self.per_epoch)
            batches = self.data.batches(self.config.batch_size, self.config.seed, epoch)
            for rows in islice(batches, start, None):
                yield rows
                if self.step >= self.total:
                    return

    def gradients(self, batch: Batch, rows: int) -> tuple[float, list[Tensor | None]]:
        """Return a micro-batch's summed loss and its gradients of the mean over ``rows``."""
        device = torch.device(self.config.device).type
        with torch.autocast(device, torch.bfloat16, enabled=self.dtype is torch.bfloat16):
            losses = self.objective.losses(self.model, batch)
        total = losses.sum()
        found = torch.autograd.grad(total / rows, list(self.model.parameters()), allow_unused=True)
        return float(total.detach()), list(found)

    def train_step(self, rows: NDArray[np.int64]) -> float:
        """Take one step on the given rows; return the mean loss in nats per molecule."""
        c, count = self.config, len(rows)
        batch = draw_batch(self.data, rows, self.step, c.seed, c.drop_all, self.objective)
        micro_batches = batch.to(c.device).micro_batches(
            c.shard if c.device.startswith("cpu") else count
        )
        results = list(self.pool.map(lambda part: self.gradients(part, count), micro_batches))
        for p, *parts in zip(self.model.parameters(), *(g for _, g in results), strict=True):
            present = [g for g in parts if g is not None]
            p.grad = torch.stack(present).sum(0) if len(present) > 1 else (present or [None])[0]
        self.optimizers.step(self.rate(), self.pool)
        self.step += 1
        self.average.update(self.model, self.step)
        return sum(loss for loss, _ in results) / count

    def evaluate(self, molecules: int = ESTIMATED_ON) -> float:
        """Return an estimate on held-out molecules for the averaged weights.

        For a denoiser the unconditional bound in nats per molecule, length included, for other
        networks the mean loss; one noising per molecule, the same at every call. NaN if nothing is
        held out.
        """
        with self.average.applied(self.model):
            if not isinstance(self.model, MoleculeDenoiser):
                return self.mean_loss(spread(np.flatnonzero(self.data.held_out), molecules))
            bound = held_out_bound(
                self.model,
                self.data,
                molecules,
                every_count=False,
                pool=self.pool,
                dtype=self.dtype,
            )
        return bound.nats

    def mean_loss(self, rows: NDArray[np.int64]) -> float:
        """Return the mean loss over rows of the data set, NaN for no rows."""
        c, device = self.config, torch.device(self.config.device).type

        @torch.no_grad()  # grad mode is per thread
        def total(part: NDArray[np.int64]) -> float:
            batch = draw_batch(self.data, part, 0, c.seed, 1.0, self.objective).to(c.device)
            with torch.autocast(device, torch.bfloat16, enabled=self.dtype is torch.bfloat16):
                return float(self.objective.losses(self.model, batch).double().sum())

        rows = rows[np.argsort(self.data.lengths[rows], kind="stable")]
        parts = [rows[i : i + c.batch_size] for i in range(0, len(rows), c.batch_size)]
        return sum(self.pool.map(total, parts)) / len(rows) if len(rows) else float("nan")


def check_fit(data: TokenDataset, shape: DenoiserConfig) -> None:
    """Check that a network can be trained on a data set.

    Raises:
        MolgenError: if vocabulary, properties or lengths do not fit.
    """
    pairs = {
        "vocabulary size": (shape.vocab_size, len(data.vocab)),
        "properties": (property_names(shape), tuple(data.properties)),
    }
    for name, (own, needed) in pairs.items():
        if own != needed:
            raise MolgenError(f"the network's {name}: got {own!r}, expected {needed!r}")
    places = data.tokens.shape[1] + (shape.noise == "none")  # plus the beginning
    if places > shape.max_position_embeddings:
        raise MolgenError(
            f"the longest molecule has {places} positions, "
            f"expected at most the network's {shape.max_position_embeddings}"
        )


def property_names(shape: DenoiserConfig) -> tuple[str, ...]:
    """Return a network's properties: conditions of a denoiser, labels of a classifier."""
    return tuple(getattr(shape, "labels", None) or shape.properties)


def train(
    data: TokenDataset,
    folder: str | Path,
    network: DenoiserConfig | Trunk,
    config: TrainConfig,
    progress: bool = True,
    on_checkpoint: Callable[[Trainer], None] | None = None,
    export: Callable[[Trainer], None] | None = None,
    objective: Objective | None = None,
) -> Trainer:
    """Train for ``config.epochs``, with exact checkpoints.

    Args:
        data: tokenised molecules.
        folder: for ``state/``, from which a run is resumed if it exists, and ``training_log.csv``.
        network: the shape of a new network, or one to start from, which is trained in place.
        config: of training.
        progress: show loss, held-out estimate and molecules per second: as a bar if standard error
            is a terminal, as lines otherwise.
        on_checkpoint: called after every checkpoint.
        export: called once at the end, before the worker threads are stopped.
        objective: of training; by default that of the network's noise.

    Returns:
        The run; its averaged weights are in ``trainer.average``.

    Raises:
        MolgenError: if the network does not fit the data, or the folder has another run.
        FloatingPointError: if the loss is not finite; the last checkpoint is kept.
        OSError: if a checkpoint cannot be written; the previous one is kept.
    """
    folder = Path(folder)
    model = network if isinstance(network, Trunk) else new_model(network, config.seed)
    with locked(folder), workers(config.device, config.workers) as pool:
        trainer = Trainer(data, model, config, pool, objective)
        if place := state.find(folder):
            trainer.restore(place)
        log = TrainingLog(folder, trainer.step, trainer.total, progress)
        try:
            _loop(trainer, folder, log, on_checkpoint)
        finally:
            log.close()
        if export:
            export(trainer)
    return trainer


def _loop(
    trainer: Trainer,
    folder: Path,
    log: TrainingLog,
    on_checkpoint: Callable[[Trainer], None] | None,
) -> None:
    config = trainer.config
    for rows in trainer.remaining_batches():
        log.note(trainer.train_step(rows), len(rows))
        done = trainer.step >= trainer.total
        if trainer.step % config.evaluate_every == 0 or done:
            log.write(trainer.step, trainer.epoch, trainer.rate(), trainer.evaluate())
        if trainer.step % config.checkpoint_every == 0 or done:
            state.save(folder, trainer.step, trainer.run, trainer.tensors())
            if on_checkpoint:
                on_checkpoint(trainer)
