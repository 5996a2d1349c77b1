"""Early stopping: a run ends when its held-out part stops improving, with the weights of its best.

A small series is learned by heart in no time, and the rest is forgotten meanwhile.
"""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from molgen.data.dataset import TokenDataset
from molgen.diffusion.likelihood import held_out_bound
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


CHECKS = 4  # in a row without a better one, after which a run ends
NOISED = 512  # rows that a check is made on: few molecules are noised many times
BEST, STOPPING = "best.safetensors", "stopping.json"


class EarlyStopping:
    """Ends a run when its held-out part stops improving.

    At every checkpoint the averaged weights are judged by the unconditional bound of the held-out
    molecules, each under the same masks every time. After :data:`CHECKS` checkpoints without a
    better one the run ends, with the weights of the best. The record lies beside the checkpoint,
    so a run that was killed goes on as if it had not been.

    Attributes:
        folder: of the run.
        record: the bound in nats per molecule by the step it was found at.
        planned: steps that the run would have had.
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
        """Read the record of a run that goes on; return how to train, no further than its end.

        Args:
            place: the checkpoint to go on from; None for a new run.
            data: what is trained on.
            network: what was started from.
            config: how to train.
        """
        per_epoch = data.batches_per_epoch(config.batch_size)
        self.planned = max(1, round(config.epochs * per_epoch))
        if place is None:
            return config
        self.record = self._read()
        step = state.read_meta(place)["step"]
        if step not in self.record:  # killed between the checkpoint and its judgement
            self._judge(place, step, data, network, config)
        return replace(config, epochs=step / per_epoch) if self.over else config

    @property
    def best(self) -> int:
        """The step of the best weights so far."""
        return min(self.record, key=lambda step: (self.record[step], step))

    @property
    def over(self) -> bool:
        """Whether there were checks enough without a better one."""
        return sum(step > self.best for step in self.record) >= CHECKS

    def __call__(self, trainer: Trainer) -> None:
        """Judge a run at a checkpoint, and end it when it is time."""
        with trainer.average.applied(trainer.model):
            model = cast("MoleculeDenoiser", trainer.model)
            nats = held_out_nats(model, trainer.data, trainer.pool, trainer.dtype)
        self._note(trainer.step, nats, trainer.average.weights)
        if self.over:
            trainer.config = replace(trainer.config, epochs=trainer.epoch)

    def restore(self, trainer: Trainer) -> None:
        """Give a run that has ended the weights of its best checkpoint."""
        path = self.folder / BEST
        check_weights(safetensors_layout(path), trainer.average.weights, path)
        best = read_tensors(path)
        for name, kept in trainer.average.weights.items():
            kept.copy_(best[name])

    def facts(self, trainer: Trainer) -> dict[str, Any]:
        """Return what ``molgen.json`` says of the end of a run."""
        return {
            "planned_steps": self.planned,
            "best_step": self.best,
            "best_epoch": self.best / trainer.per_epoch,
            "held_out_nats": {str(step): nats for step, nats in sorted(self.record.items())},
        }

    def _judge(
        self,
        place: Path,
        step: int,
        data: TokenDataset,
        network: DenoiserConfig | MoleculeDenoiser,
        config: TrainConfig,
    ) -> None:
        """Judge the averaged weights of a checkpoint."""
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
        self._note(step, nats, average)

    def _note(self, step: int, nats: float, weights: dict[str, Tensor]) -> None:
        """Keep what was found; the weights first, because a record without them is of no use."""
        from safetensors.torch import save_file

        self.record[step] = nats
        if self.best == step:
            with replacing(self.folder / BEST) as part:
                save_file({k: v.detach().cpu().contiguous() for k, v in weights.items()}, part)
        with replacing(self.folder / STOPPING) as part:
            part.write_text(json.dumps(self.record) + "\n", encoding="utf-8")

    def _read(self) -> dict[int, float]:
        """Return the record, empty where there is none."""
        path = self.folder / STOPPING
        try:
            record = read_json(path, dict[str, float])
            if not all(step.isdecimal() for step in record):
                raise ValueError(f"{path} is damaged: its keys are no steps")
            return {int(step): nats for step, nats in record.items()}
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise ValueError(f"{error}; begin again with --no-resume") from error


def held_out_nats(model: Denoiser, data: TokenDataset, pool: Workers, dtype: torch.dtype) -> float:
    """Return the mean bound of held-out molecules, the few of a small series noised many times."""
    times = max(1, NOISED // max(1, int(data.held_out.sum())))
    bounds = [
        held_out_bound(model, data, NOISED, every_count=False, seed=i, pool=pool, dtype=dtype)
        for i in range(times)
    ]
    return sum(bound.nats for bound in bounds) / times
