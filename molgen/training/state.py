"""Exact checkpoints of a training run: a resumed run equals an uninterrupted one.

``state/`` has the float32 weights, their moving average and the optimisers' tensors in one
safetensors file, and the step, data and recipe of the run in JSON. A new checkpoint is written to
a temporary folder, which then replaces the old one:

    state.new written  ->  state -> state.old  ->  state.new -> state  ->  state.old removed

Each arrow is one rename, so that ``state`` or ``state.old`` is complete after any interruption.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from msgspec import Struct
from safetensors.torch import save_file
from torch import Tensor

from molgen.errors import MolgenError
from molgen.nn.weights import read_tensors
from molgen.utils.array_files import safetensors_layout
from molgen.utils.files import naming, sync
from molgen.utils.interrupts import uninterrupted
from molgen.utils.json_files import checked, read_json

FOLDER = "state"
TENSORS, META = "state.safetensors", "state.json"
FIXED = (
    "seed",
    "batch_size",
    "muon",
    "drop_all",
    "self_correct",
    "prefix_masks",
    "light_masks",
)  # of the recipe: equal in a resumed run


class _Meta(Struct):
    """Required content of ``state.json``; the recipe is compared with the requested one."""

    step: int
    seed: int
    data: str | None = None
    recipe: dict[str, bool | int | float | str] = {}


def find(folder: str | Path) -> Path | None:
    """Return the folder of the checkpoint to resume from, None if there is none."""
    places = (Path(folder) / FOLDER, Path(folder) / f"{FOLDER}.old")
    return next((p for p in places if (p / META).exists() and (p / TENSORS).exists()), None)


def read_meta(place: Path) -> dict[str, Any]:
    """Return the metadata of a checkpoint.

    Raises:
        MolgenError: if the file is damaged.
    """
    meta = read_json(place / META, dict)
    checked(meta, _Meta, place / META)
    return meta


def save(folder: Path, step: int, run: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write a checkpoint of a run.

    Args:
        folder: of the run.
        step: steps taken.
        run: its ``data``, a digest, and ``recipe``, the hyperparameters with ``seed``.
        tensors: by name.

    Raises:
        OSError: if it cannot be written; the previous one is kept.
    """
    meta = {"step": step, "seed": run["recipe"]["seed"], **run}
    fresh, place, old = (folder / f"{FOLDER}{suffix}" for suffix in (".new", "", ".old"))
    with uninterrupted():
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        try:
            with naming(place / TENSORS, fresh / TENSORS):
                save_file({k: v.cpu() for k, v in tensors.items()}, fresh / TENSORS)
            with naming(place / META, fresh / META):
                (fresh / META).write_text(json.dumps(meta), encoding="utf-8")
            for path in (fresh / TENSORS, fresh / META, fresh):
                sync(path)
        except OSError:
            shutil.rmtree(fresh, ignore_errors=True)
            raise
        if place.exists():  # only then is the rest of an older one not needed
            shutil.rmtree(old, ignore_errors=True)
            place.rename(old)
        fresh.rename(place)
        sync(folder)
        shutil.rmtree(old, ignore_errors=True)


def remove(folder: Path) -> None:
    """Remove the checkpoint of a run, if there is one."""
    for suffix in ("", ".old", ".new"):
        shutil.rmtree(folder / f"{FOLDER}{suffix}", ignore_errors=True)


def load(
    place: Path, run: Mapping[str, Any], shapes: Mapping[str, torch.Size]
) -> tuple[int, dict[str, Tensor]]:
    """Read a checkpoint of a run of the same data, shape and recipe.

    Args:
        place: folder from :func:`find`.
        run: the current run, as for :func:`save`.
        shapes: of the network's tensors, by their names in the file.

    Returns:
        Steps taken, and the tensors by name, on the CPU.

    Raises:
        MolgenError: if the checkpoint belongs to another run, with the difference, or is damaged.
    """
    meta = read_meta(place)
    _check_run(place, meta, run)
    return meta["step"], tensors(place, shapes)


def tensors(place: Path, shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
    """Return a checkpoint's tensors by name, on the CPU.

    Args:
        place: folder from :func:`find`.
        shapes: of a network's tensors, by their names in the file.

    Raises:
        MolgenError: if they have other shapes, or the file is damaged.
    """
    found = safetensors_layout(place / TENSORS)
    for kind in dict.fromkeys(name.partition(".")[0] for name in shapes):
        own = {k: v.shape for k, v in found.items() if k.startswith(f"{kind}.")}
        if own != {k: tuple(v) for k, v in shapes.items() if k.startswith(f"{kind}.")}:
            raise MolgenError(f"{place} has a network of another shape than the requested one")
    return read_tensors(place / TENSORS)


def forget_older(place: Path) -> None:
    """Remove the rest of the previous checkpoint, if the run was interrupted while saving."""
    left = place.with_name(f"{FOLDER}.old")
    if place.name == FOLDER and left.exists():
        shutil.rmtree(left, ignore_errors=True)


def _check_run(place: Path, meta: Mapping[str, Any], run: Mapping[str, Any]) -> None:
    """Check that the run is the same; missing keys of a checkpoint are not compared.

    Raises:
        MolgenError: if they differ, with the name and both values.
    """
    if meta.get("data", run["data"]) != run["data"]:
        raise MolgenError(f"{place} belongs to a run on other data")
    before, now = {"seed": meta["seed"], **meta.get("recipe", {})}, run["recipe"]
    if "recipe" in meta:  # one that was written before there were such masks had none
        before = {"prefix_masks": 0.0, "light_masks": 0.0} | before
    for name in FIXED:
        if before.get(name, now[name]) != now[name]:
            raise MolgenError(
                f"{place} belongs to a run with {name} {before[name]}, expected {now[name]}"
            )
