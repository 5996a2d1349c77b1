"""Early stopping: a run ends when its held-out loss stops improving, with the best weights.

Without it a network overfits a small series quickly, and forgets the rest.
"""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from molgen.data.dataset import TokenDataset
from molgen.diffusion.likelihood import held_out_bound
from molgen.errors import MolgenError
from molgen.nn.config import DenoiserConfig
from molgen.nn.denoiser import Denoiser, MoleculeDenoiser
from molgen.nn.weights import check_weights, read_tensors
from molgen.training import state
from molgen.training.recipe import TrainConfig
from molgen.training.trainer import Trainer, new_model
from molgen.utils.array_files import safetensors_layout
from molgen.utils.files import replacing
from molgen.utils.json_files import read_json
from molgen.utils.threads import Workers, resolve_dtype, workers

if TYPE_CHECKING:
    import torch
    from torch import Tensor


CHECKS = 4  # consecutive evaluations without improvement after which a run ends (patience)
NOISED = 512  # rows of an evaluation: few molecules are noised many times
BEST, STOPPING = "best.safetensors", "stopping.json"


class EarlyStopping:
    """Ends a run when its held-out loss stops improving.

    At every checkpoint the averaged weights are evaluated by the unconditional bound of the
    held-out molecules, under the same masks every time. After :data:`CHECKS` checkpoints without
    improvement the run ends, with the best weights. The record is stored with the checkpoint, so
    a resumed run equals an uninterrupted one.

    Attributes:
        folder: of the run.
        record: the bound in nats per molecule by step.
        planned: steps of the run without early stopping.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.planned = folder, 0
        self.record: dict[int, float] = {}

    def begin(
        self,
        place: Path | None,
        data: TokenDataset,
        network: DenoiserConfig | MoleculeDenoiser,
        config: TrainConfig,
    ) -> TrainConfig:
        """Read the record of a resumed run; return its configuration, with its end if over.

        Args:
            place: the checkpoint to resume from; None for a new run.
            data: of training.
            network: that training started from.
            config: of training.
        """
        per_epoch = data.batches_per_epoch(config.batch_size)
        self.planned = max(1, round(config.epochs * per_epoch))
        if place is None:
            return config
        self.record = self._read()
        step = state.read_meta(place)["step"]
        if step not in self.record:  # interrupted between the checkpoint and its evaluation
            self._evaluate(place, step, data, network, config)
        return replace(config, epochs=step / per_epoch) if self.over else config

    @property
    def best(self) -> int:
        """The step of the best weights so far."""
        return min(self.record, key=lambda step: (self.record[step], step))

    @property
    def over(self) -> bool:
        """Whether there were :data:`CHECKS` evaluations without improvement."""
        return sum(step > self.best for step in self.record) >= CHECKS

    def __call__(self, trainer: Trainer) -> None:
        """Evaluate a run at a checkpoint, and end it if it stops improving."""
        with trainer.average.applied(trainer.model):
            model = cast("MoleculeDenoiser", trainer.model)
            nats = held_out_nats(model, trainer.data, trainer.pool, trainer.dtype)
        self._record(trainer.step, nats, trainer.average.weights)
        if self.over:
            trainer.config = replace(trainer.config, epochs=trainer.epoch)

    def restore(self, trainer: Trainer) -> None:
        """Restore the weights of the best checkpoint of a finished run."""
        path = self.folder / BEST
        check_weights(safetensors_layout(path), trainer.average.weights, path)
        best = read_tensors(path)
        for name, kept in trainer.average.weights.items():
            kept.copy_(best[name])

    def facts(self, trainer: Trainer) -> dict[str, Any]:
        """Return the entry of ``molgen.json`` on early stopping."""
        return {
            "planned_steps": self.planned,
            "best_step": self.best,
            "best_epoch": self.best / trainer.per_epoch,
            "held_out_nats": {str(step): nats for step, nats in sorted(self.record.items())},
        }

    def _evaluate(
        self,
        place: Path,
        step: int,
        data: TokenDataset,
        network: DenoiserConfig | MoleculeDenoiser,
        config: TrainConfig,
    ) -> None:
        """Evaluate the averaged weights of a checkpoint."""
        own = network if isinstance(network, MoleculeDenoiser) else new_model(network, config.seed)
        model = copy.deepcopy(own).float()
        shapes = {f"average.{k}": p.shape for k, p in model.named_parameters()}
        tensors = state.tensors(place, shapes)
        average = {k: tensors[f"average.{k}"] for k, _ in model.named_parameters()}
        model.load_state_dict(average, strict=False)
        model.to(config.device)
        with workers(config.device, config.workers) as pool:
            dtype = resolve_dtype(config.dtype, config.device)
            nats = held_out_nats(model, data, pool, dtype)
        self._record(step, nats, average)

    def _record(self, step: int, nats: float, weights: dict[str, Tensor]) -> None:
        """Store an evaluation; the weights first, because the record needs them."""
        from safetensors.torch import save_file

        self.record[step] = nats
        if self.best == step:
            with replacing(self.folder / BEST) as part:
                save_file({k: v.detach().cpu().contiguous() for k, v in weights.items()}, part)
        with replacing(self.folder / STOPPING) as part:
            part.write_text(json.dumps(self.record) + "\n", encoding="utf-8")

    def _read(self) -> dict[int, float]:
        """Return the record, empty if there is none."""
        path = self.folder / STOPPING
        try:
            record = read_json(path, dict[str, float])
            if not all(step.isdecimal() for step in record):
                raise MolgenError(f"{path} is damaged: its keys are not steps")
            return {int(step): nats for step, nats in record.items()}
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise MolgenError(f"{error}; start again with --no-resume") from error


def held_out_nats(model: Denoiser, data: TokenDataset, pool: Workers, dtype: torch.dtype) -> float:
    """Return the mean bound of held-out molecules; few molecules are noised many times."""
    times = max(1, NOISED // max(1, int(data.held_out.sum())))
    bounds = [
        held_out_bound(model, data, NOISED, every_count=False, seed=i, pool=pool, dtype=dtype)
        for i in range(times)
    ]
    return sum(bound.nats for bound in bounds) / times
