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
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from msgspec import Struct
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from molgen.nn.weights import read_tensors
from molgen.utils.array_files import safetensors_layout
from molgen.utils.json_files import checked, read_json

FOLDER = "state"
TENSORS, META = "state.safetensors", "state.json"
FIXED = (
    "seed",
    "batch_size",
    "muon",
    "drop_all",
    "self_correct",
)  # of the recipe: a resumed run has the same


class _Meta(Struct):
    """What ``state.json`` must hold; the recipe's own keys are compared with those asked for."""

    step: int
    seed: int
    data: str | None = None
    recipe: dict[str, bool | int | float | str] = {}


def find(folder: str | Path) -> Path | None:
    """Return where the checkpoint to go on from lies, None if there is none."""
    places = (Path(folder) / FOLDER, Path(folder) / f"{FOLDER}.old")
    return next((p for p in places if (p / META).exists() and (p / TENSORS).exists()), None)


def read_meta(place: Path) -> dict[str, Any]:
    """Return what a checkpoint says of its run.

    Raises:
        ValueError: if the file is damaged.
    """
    meta = read_json(place / META, dict)
    checked(meta, _Meta, place / META)
    return meta


def save(folder: Path, step: int, run: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write a checkpoint of a run.

    Args:
        folder: of the run.
        step: steps taken.
        run: what it was begun with: ``data``, a digest; ``recipe``, its settings, ``seed`` among
            them.
        tensors: by name.

    Raises:
        OSError: if it cannot be written; the one before is kept.
    """
    meta = {"step": step, "seed": run["recipe"]["seed"], **run}
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


def load(
    place: Path, run: Mapping[str, Any], shapes: Mapping[str, torch.Size]
) -> tuple[int, dict[str, Tensor]]:
    """Read a checkpoint of a run of the same data, shape and recipe.

    Args:
        place: where :func:`find` found it.
        run: what is begun now, as :func:`save` takes it.
        shapes: of the network's tensors, by the names they were saved under.

    Returns:
        Steps taken, and the tensors by name, on the CPU.

    Raises:
        ValueError: if the checkpoint belongs to another run, naming what differs, or is damaged.
    """
    meta = read_meta(place)
    _check_run(place, meta, run)
    return meta["step"], tensors(place, shapes)


def tensors(place: Path, shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
    """Return a checkpoint's tensors by name, on the CPU.

    Args:
        place: where :func:`find` found it.
        shapes: of a network's tensors, by the names they were saved under.

    Raises:
        ValueError: if they have other shapes, or the file is damaged.
    """
    found = safetensors_layout(place / TENSORS)
    for kind in dict.fromkeys(name.partition(".")[0] for name in shapes):
        own = {k: v.shape for k, v in found.items() if k.startswith(f"{kind}.")}
        if own != {k: tuple(v) for k, v in shapes.items() if k.startswith(f"{kind}.")}:
            raise ValueError(f"{place} holds a network of another shape than the one asked for")
    return read_tensors(place / TENSORS)


def forget_older(place: Path) -> None:
    """Take away what is left of the checkpoint before, of a run that was killed while saving."""
    left = place.with_name(f"{FOLDER}.old")
    if place.name == FOLDER and left.exists():
        shutil.rmtree(left, ignore_errors=True)


def _check_run(place: Path, meta: Mapping[str, Any], run: Mapping[str, Any]) -> None:
    """Check that the run is the same; a checkpoint that says less is compared in less.

    Raises:
        ValueError: naming what differs.
    """
    if meta.get("data", run["data"]) != run["data"]:
        raise ValueError(f"{place} belongs to a run on other data")
    before, now = {"seed": meta["seed"], **meta.get("recipe", {})}, run["recipe"]
    for name in FIXED:
        if before.get(name, now[name]) != now[name]:
            raise ValueError(
                f"{place} belongs to a run with {name} {before[name]}, asked for {now[name]}"
            )
