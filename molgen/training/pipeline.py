"""The whole path of a training run: prepare a file once, train, finish.

    FILE -> dataset.npz, training_index.safetensors, report.csv, prepared.json    (prepare)
         -> state/, training_log.csv                                     (train)
         -> config.json, model.safetensors, ..., README.md               (finish)

The same command goes on where it was killed: without cleaning the file again
(:mod:`molgen.training.prepared`) and from the last checkpoint (:mod:`molgen.training.state`), bit
for bit.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from molgen.data.dataset import TokenDataset
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
        quality: likewise.

    Raises:
        ValueError: if the heads do not divide the width.
    """
    from molgen.nn.config import DenoiserConfig, places

    if width % heads:
        raise ValueError(f"width is {width}, expected a multiple of the {heads} heads")
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
    folder: Path,
    network: DenoiserConfig | MoleculeDenoiser,
    config: TrainConfig,
    resume: bool = True,
    progress: bool = False,
    exports: tuple[Path, ...] = (),
    say: Callable[[str], None] = print,
    stopping: bool = False,
) -> dict[str, Any]:
    """Train on prepared data and write the model.

    Args:
        prepared: from :func:`prepare`.
        folder: of the run, where the model goes, too.
        network: the shape of a new network, or one to start from.
        config: how to train.
        resume: go on from a checkpoint in the folder.
        progress: show how it goes.
        exports: further folders for the model alone, without data and checkpoints.
        say: told in a line what a user wants to know.
        stopping: end when the held-out part stops improving, at ``config.epochs`` at the latest.

    Returns:
        What ``molgen.json`` holds.

    Raises:
        ValueError, FloatingPointError, OSError: as :func:`molgen.training.trainer.train`.
    """
    from molgen.training.export import export
    from molgen.training.trainer import train

    info: dict[str, Any] = {}
    stop = EarlyStopping(folder) if stopping else None

    def end(trainer: Trainer) -> None:
        facts = prepared.facts
        if stop:
            stop.restore(trainer)
            facts = {**facts, "stopping": stop.facts(trainer)}
        info.update(export(trainer, folder, facts, (*exports, folder), "", progress))

    place = state.find(folder) if resume else None
    if place is not None:
        meta = state.read_meta(place)
        say(f"going on from step {meta['step']:,} in {place}")
        if warning := changed_fall(meta, config, prepared.data):
            say(warning)
    if stop:
        config = stop.begin(place, prepared.data, network, config)
    train(prepared.data, folder, network, config, resume, progress, stop, end)
    return info


def changed_fall(meta: dict[str, Any], config: TrainConfig, data: TokenDataset) -> str:
    """Return a warning if the run's length changes after its learning rate has begun to fall."""
    epochs = meta.get("recipe", {}).get("epochs", config.epochs)
    begun = (1 - config.decay_fraction) * epochs * data.batches_per_epoch(config.batch_size)
    if epochs == config.epochs or meta["step"] <= begun:
        return ""
    return (
        f"note: the learning rate was already falling towards the end of {epochs:g} epochs; with "
        f"{config.epochs:g} it jumps"
    )
