"""The pipeline of a training run: make the data set, train, export.

    FILE -> dataset.npz, training_index.safetensors, report.csv, prepared.json    (prepare)
         -> state/, training_log.csv                                              (train)
         -> config.json, model.safetensors, ..., README.md                        (export)

The same command resumes an interrupted run: without cleaning the file again
(:mod:`molgen.training.prepared`) and exactly from the last checkpoint
(:mod:`molgen.training.state`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from molgen.data.dataset import TokenDataset
from molgen.errors import MolgenError
from molgen.training import state
from molgen.training.early_stopping import EarlyStopping
from molgen.training.prepared import PreparedDataset, prepare

if TYPE_CHECKING:
    from molgen.nn.config import DenoiserConfig
    from molgen.nn.denoiser import MoleculeDenoiser
    from molgen.training.recipe import TrainConfig
    from molgen.training.trainer import Trainer

__all__ = ["PreparedDataset", "fit", "prepare", "shape_for"]


def shape_for(
    data: TokenDataset,
    layers: int,
    width: int,
    heads: int,
    noise: str = "masked",
    quality: bool = False,
) -> DenoiserConfig:
    """Return the shape of a network for a data set.

    Args:
        data: the data set.
        layers: transformer blocks.
        width: of the residual stream.
        heads: attention heads.
        noise: see :class:`molgen.nn.config.DenoiserConfig`.
        quality: see :class:`molgen.nn.config.DenoiserConfig`.

    Raises:
        MolgenError: if the heads do not divide the width.
    """
    from molgen.nn.config import DenoiserConfig, places

    if width % heads:
        raise MolgenError(f"width is {width}, expected a multiple of the {heads} heads")
    mean, std = data.moments()
    return DenoiserConfig(
        vocab_size=len(data.vocab),
        max_position_embeddings=places(data.tokens.shape[1], noise),
        hidden_size=width,
        num_layers=layers,
        num_heads=heads,
        properties=list(data.properties),
        property_mean=mean,
        property_std=std,
        noise=noise,
        time_input=noise == "uniform",
        quality=quality,
    )


def fit(
    prepared: PreparedDataset,
    folders: Sequence[Path],
    network: DenoiserConfig | MoleculeDenoiser,
    config: TrainConfig,
    resume: bool = True,
    progress: bool = False,
    report: Callable[[str], None] = print,
    stopping: bool = False,
) -> dict[str, Any]:
    """Train on a data set and write the model.

    Args:
        prepared: the data set from :func:`prepare`.
        folders: the first for the run and the model, the others for the model only, without data
            and checkpoints.
        network: the shape of a new network, or one to start from.
        config: of training.
        resume: from a checkpoint in the folder.
        progress: show progress.
        report: called with lines for the user.
        stopping: end early if the held-out loss stops improving, at ``config.epochs`` at the
            latest.

    Returns:
        The content of ``molgen.json``.

    Raises:
        MolgenError, FloatingPointError, OSError: as :func:`molgen.training.trainer.train`.
    """
    from molgen.training.export import export
    from molgen.training.trainer import train

    folder, *others = folders
    info: dict[str, Any] = {}
    stop = EarlyStopping(folder) if stopping else None

    def end(trainer: Trainer) -> None:
        facts = prepared.facts
        if stop:
            stop.restore(trainer)
            facts = {**facts, "stopping": stop.facts(trainer)}
        info.update(export(trainer, folder, facts, (*others, folder), "", progress))

    place = state.find(folder) if resume else None
    if place is not None:
        meta = state.read_meta(place)
        report(f"resuming from step {meta['step']:,} in {place}")
        if warning := changed_decay(meta, config, prepared.data):
            report(warning)
    if stop:
        config = stop.begin(place, prepared.data, network, config)
    if not resume:
        state.remove(folder)
    train(prepared.data, folder, network, config, progress, stop, end)
    return info


def changed_decay(meta: dict[str, Any], config: TrainConfig, data: TokenDataset) -> str:
    """Return a warning if the run's length changes after the decay of its learning rate starts."""
    epochs = meta.get("recipe", {}).get("epochs", config.epochs)
    decay_start = (1 - config.decay_fraction) * epochs * data.batches_per_epoch(config.batch_size)
    if epochs == config.epochs or meta["step"] <= decay_start:
        return ""
    return (
        f"note: the learning rate was already decaying in a run of {epochs:g} epochs; with "
        f"{config.epochs:g} epochs it jumps"
    )
