"""Exact checkpoints of a training run: resumed equals uninterrupted.

``state/`` holds the float32 weights, their moving average and the optimisers' tensors in one
safetensors file, and the step in JSON beside it. A new checkpoint is written aside and then takes
the old one's place, so a kill at any moment leaves one whole checkpoint.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file, save_file

if TYPE_CHECKING:
    from molgen.train import Trainer

FOLDER = "state"


def exists(folder: Path) -> bool:
    """Return whether there is a checkpoint to go on from."""
    return (folder / FOLDER / "state.json").exists() or (
        folder / f"{FOLDER}.old" / "state.json"
    ).exists()


def save(folder: Path, trainer: Trainer) -> None:
    """Write a checkpoint of the run."""
    tensors = {f"model.{k}": v.detach().contiguous() for k, v in trainer.model.named_parameters()}
    tensors |= {f"average.{k}": v for k, v in trainer.average.weights.items()}
    tensors |= {f"optimizer.{k}": v for k, v in trainer.optimizers.state().items()}
    fresh, place, old = (folder / f"{FOLDER}{suffix}" for suffix in (".new", "", ".old"))
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    save_file({k: v.cpu() for k, v in tensors.items()}, fresh / "state.safetensors")
    meta = {"step": trainer.step, "seed": trainer.config.seed}
    (fresh / "state.json").write_text(json.dumps(meta), encoding="utf-8")
    shutil.rmtree(old, ignore_errors=True)
    if place.exists():
        os.replace(place, old)
    os.replace(fresh, place)
    shutil.rmtree(old, ignore_errors=True)


def load(folder: Path, trainer: Trainer) -> None:
    """Restore a checkpoint into a run of the same shape.

    Raises:
        ValueError: if the checkpoint belongs to a network of another shape or to another seed.
    """
    place = folder / FOLDER
    if not (place / "state.json").exists():
        place = folder / f"{FOLDER}.old"
    meta = json.loads((place / "state.json").read_text(encoding="utf-8"))
    if meta["seed"] != trainer.config.seed:
        raise ValueError(
            f"{place} was trained with seed {meta['seed']}, asked for {trainer.config.seed}"
        )
    tensors = load_file(place / "state.safetensors", device="cpu")
    weights = {k[6:]: v for k, v in tensors.items() if k.startswith("model.")}
    own = {name: p.shape for name, p in trainer.model.named_parameters()}
    if {name: v.shape for name, v in weights.items()} != own:
        raise ValueError(f"{place} holds a network of another shape than the one asked for")
    with torch.no_grad():
        for name, p in trainer.model.named_parameters():
            p.copy_(weights[name])
            trainer.average.weights[name].copy_(tensors[f"average.{name}"])
    state = {k[10:]: v for k, v in tensors.items() if k.startswith("optimizer.")}
    trainer.optimizers.load_state(state)
    trainer.step = int(meta["step"])
