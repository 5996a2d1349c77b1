"""Reading ``molgen.json``: the keys in use are checked by type, others are informative."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta, Struct

from molgen.checkpoints.files import INFO
from molgen.errors import MolgenError
from molgen.utils.json_files import checked, read_json, shown

FORMAT = 1

Word = str | int | float | bool
Share = float | None


class _Measured(Struct):
    """Measured results of a preset when it was tuned, as shown in the model card."""

    n: int
    seeds: str | int
    valid: Share
    novel: Share
    mean: Share
    nfe: Share


class _Preset(Struct):
    sampling: dict[str, Word]
    measured: _Measured


class _Info(Struct):
    format: int
    summary: str = ""
    representation: Annotated[str, Meta(pattern="^(smiles|selfies)$")] = "smiles"
    properties: list[str] = []
    sampling: dict[str, Word] = {}
    design: dict[str, Word] = {}
    guided: dict[str, Word] = {}
    presets: dict[str, _Preset] = {}
    data: dict[str, Any] = {}
    network: dict[str, Any] = {}
    recipe: dict[str, Any] = {}
    seeds: dict[str, int] = {}
    measured: dict[str, Any] = {}
    software: dict[str, str] = {}
    parameters: int = 0
    steps: int = 0
    epochs: float = 0.0
    shares: str | None = None

    def __post_init__(self) -> None:
        """Check that ``shares`` is a sibling of the model's folder.

        Raises:
            MolgenError: if it is not a bare name.
        """
        name = self.shares
        if name is not None and (name in ("", ".", "..") or set(name) & set("/\\:\0")):
            raise MolgenError(
                f"shares is {shown(name)}, expected the bare name of a folder beside its own"
            )


def read_info(folder: Path) -> dict[str, Any]:
    """Return ``molgen.json``.

    Raises:
        MolgenError: if it is damaged or of a newer format.
        OSError: if it cannot be opened.
    """
    path = folder / INFO
    info: dict[str, Any] = read_json(path, dict)
    if info.get("format") != FORMAT:
        raise MolgenError(f"{path} has format {info.get('format')}, this molgen reads {FORMAT}")
    checked(info, _Info, path)
    return info


def home(folder: Path, info: dict[str, Any]) -> Path:
    """Return the folder with a model's prior and index: its own, or a sibling.

    Baselines of one data set share one prior and one index, in the folder of the first: ``shares``
    is its bare name, checked by :func:`read_info`.
    """
    shared = info.get("shares")
    return folder if shared is None else folder.parent / shared
