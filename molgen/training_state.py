"""Exact checkpoints of a training run: resumed equals uninterrupted.

``state/`` holds the float32 weights, their moving average and the optimisers' tensors in one
safetensors file, and in JSON beside it the step and what the run was begun with. A new checkpoint
is written aside and then takes the old one's place:

    state.new written  ->  state -> state.old  ->  state.new -> state  ->  state.old removed

Each arrow is one rename, so whenever the run is killed ``state`` or ``state.old`` is whole.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

if TYPE_CHECKING:
    from molgen.train import Trainer

FOLDER = "state"
TENSORS, META = "state.safetensors", "state.json"
FIXED = (
    "seed",
    "batch_size",
    "muon",
    "drop_all",
    "self_correct",
)  # of the recipe: a resumed run has the same


def find(folder: str | Path) -> Path | None:
    """Return where the checkpoint to go on from lies, None if there is none."""
    places = (Path(folder) / FOLDER, Path(folder) / f"{FOLDER}.old")
    return next((p for p in places if (p / META).exists() and (p / TENSORS).exists()), None)


def read_meta(place: Path) -> dict[str, Any]:
    """Return what a checkpoint says of its run.

    Raises:
        ValueError: if the file is damaged.
    """
    try:
        meta: dict[str, Any] = json.loads((place / META).read_text(encoding="utf-8"))
        meta["step"], meta["seed"] = int(meta["step"]), int(meta["seed"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{place / META} is damaged") from error
    return meta


def save(folder: Path, trainer: Trainer) -> None:
    """Write a checkpoint of the run.

    Raises:
        OSError: if it cannot be written; the one before is kept.
    """
    tensors = {f"model.{k}": v.detach().contiguous() for k, v in trainer.model.named_parameters()}
    tensors |= {f"average.{k}": v for k, v in trainer.average.weights.items()}
    tensors |= {f"optimizer.{k}": v for k, v in trainer.optimizers.state().items()}
    meta = {
        "step": trainer.step,
        "seed": trainer.config.seed,
        "data": trainer.fingerprint,
        "recipe": asdict(trainer.config),
    }
    fresh, place, old = (folder / f"{FOLDER}{suffix}" for suffix in (".new", "", ".old"))
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    try:
        save_file({k: v.cpu() for k, v in tensors.items()}, fresh / TENSORS)
        (fresh / META).write_text(json.dumps(meta), encoding="utf-8")
    except SafetensorError as error:
        shutil.rmtree(fresh, ignore_errors=True)
        raise OSError(f"cannot write {fresh / TENSORS}: {error}") from error
    except OSError:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    if place.exists():  # only then is what may be left of an older one of no use
        shutil.rmtree(old, ignore_errors=True)
        place.rename(old)
    fresh.rename(place)
    shutil.rmtree(old, ignore_errors=True)


def remove(folder: Path) -> None:
    """Forget the run: take its checkpoint away, if there is one."""
    for suffix in ("", ".old", ".new"):
        shutil.rmtree(folder / f"{FOLDER}{suffix}", ignore_errors=True)


def load(place: Path, trainer: Trainer) -> None:
    """Restore a checkpoint into a run of the same data, shape and recipe.

    Args:
        place: where :func:`find` found it.
        trainer: the run, newly made.

    Raises:
        ValueError: if the checkpoint belongs to another run, naming what differs, or is damaged.
    """
    meta = read_meta(place)
    _check_run(place, meta, trainer)
    try:
        tensors = load_file(place / TENSORS, device="cpu")
    except SafetensorError as error:
        raise ValueError(f"{place / TENSORS} is damaged: {error}") from error
    own = {f"model.{name}": p.shape for name, p in trainer.model.named_parameters()}
    if {k: v.shape for k, v in tensors.items() if k.startswith("model.")} != own:
        raise ValueError(f"{place} holds a network of another shape than the one asked for")
    trainer.optimizers.load_state(
        {k.removeprefix("optimizer."): v for k, v in tensors.items() if k.startswith("optimizer.")}
    )
    with torch.no_grad():
        for name, p in trainer.model.named_parameters():
            p.copy_(tensors[f"model.{name}"])
            trainer.average.weights[name].copy_(tensors[f"average.{name}"])
    trainer.step = meta["step"]
    left = place.with_name(f"{FOLDER}.old")
    if place.name == FOLDER and left.exists():  # of a run that was killed while saving
        shutil.rmtree(left, ignore_errors=True)


def _check_run(place: Path, meta: dict[str, Any], trainer: Trainer) -> None:
    """Check that the run is the same; a checkpoint that says less is compared in less.

    Raises:
        ValueError: naming what differs.
    """
    if meta.get("data", trainer.fingerprint) != trainer.fingerprint:
        raise ValueError(f"{place} belongs to a run on other data")
    before, now = {"seed": meta["seed"], **meta.get("recipe", {})}, asdict(trainer.config)
    for name in FIXED:
        if before.get(name, now[name]) != now[name]:
            raise ValueError(
                f"{place} belongs to a run with {name} {before[name]}, asked for {now[name]}"
            )
