"""A small frontier: its axes, property and folder."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from molgen.api.load import ModelLike, loaded
from molgen.checkpoints.hub import locate, resolve
from molgen.checkpoints.info import read_info
from molgen.errors import MolgenError

USUAL: dict[str, Any] = {
    "gamma": (1, 2, 3, 4, 5), "steps": (32, 128), "seeds": (0, 1, 2), "n": 1024,
}  # fmt: skip
QUICK: dict[str, Any] = {"gamma": (1, 3, 5), "steps": 32, "seeds": (0, 1), "n": 256}
"""Axes of a small frontier: two minutes on two cores for the bundled QM9 model."""
QUICK_PROPERTY = "ring_count"  # or a model's first property


def sizes(given: dict[str, Any], quick: bool) -> dict[str, Any]:
    """Return axes and rows, those that are None filled in."""
    default = QUICK if quick else USUAL
    return {name: default[name] if value is None else value for name, value in given.items()}


def quick_property(model: ModelLike) -> str:
    """Return the property of a small frontier of a model."""
    if isinstance(model, str | Path):
        info = read_info(locate(resolve(model)))
    else:
        info = loaded(model).info
    properties = info.get("properties") or [QUICK_PROPERTY]
    return QUICK_PROPERTY if QUICK_PROPERTY in properties else str(properties[0])


def quick_folder(model: ModelLike, name: str) -> Path:
    """Return the folder of a small frontier, in the present one."""
    own = resolve(model) if isinstance(model, str | Path) else loaded(model).name
    return Path(re.sub(r"[^\w.-]+", "-", f"frontier-{Path(own).name}-{name}-quick"))


def missing(name: str) -> MolgenError:
    """Return the error of an argument that only a small frontier can do without."""
    return MolgenError(f"{name} is missing, expected {name}=..., or quick=True")
