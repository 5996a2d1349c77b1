"""Checkpoints: a folder with everything a model needs, and nothing that runs code.

| file | what |
|---|---|
| ``config.json``, ``model.safetensors`` | the network, as ``transformers`` writes it |
| ``tokenizer.json``, ``tokenizer_config.json`` | the tokenizer, likewise |
| ``prior.safetensors`` | lengths and property values of training rows: where targets come from |
| ``known.safetensors`` | the index that answers "is it novel?", without the training data |
| ``molgen.json`` | representation, data, recipe, default sampling, measured numbers |
| ``README.md`` | the model card |

A model is named by a bundled name, a folder, or a hub id (``owner/name``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from molgen.known import KnownMolecules
from molgen.targets import Prior
from molgen.tokenizer import Tokenizer

if TYPE_CHECKING:
    from molgen.denoiser import MoleculeDenoiser
    from molgen.model import Model

BUNDLED = Path(__file__).parent / "weights"
FORMAT = 1


def bundled_names() -> tuple[str, ...]:
    """Return the names of the models that come with molgen."""
    return tuple(sorted(p.parent.name for p in BUNDLED.glob("*/config.json")))


def locate(name: str | Path) -> Path:
    """Return the folder of a model.

    Args:
        name: a bundled name, a folder, or a hub id (``owner/name``), which is downloaded.

    Raises:
        ValueError: naming what came and the bundled models there are.
    """
    text = str(name)
    if text in bundled_names():
        return BUNDLED / text
    folder = Path(name)
    if (folder / "config.json").is_file() and (folder / "molgen.json").is_file():
        return folder
    if folder.exists():
        raise ValueError(f"{text!r} is not a molgen model: it has no config.json and molgen.json")
    parts = text.split("/")
    if len(parts) == 2 and all(parts) and not text.startswith((".", "~")):
        return _download(text)
    known = ", ".join(bundled_names()) or "none"
    raise ValueError(
        f"no model {text!r}: expected a bundled name ({known}), a folder, or a hub id owner/name"
    )


def _download(hub_id: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(hub_id))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(
            f"no folder {hub_id!r}, and the hub gave no model of that name: {reason}"
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers from drawing progress bars for a file that takes a blink."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def read_info(folder: Path) -> dict[str, Any]:
    """Return ``molgen.json``.

    Raises:
        ValueError: if it is damaged or of a newer format.
    """
    path = folder / "molgen.json"
    try:
        info: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    if info.get("format") != FORMAT:
        raise ValueError(f"{path} has format {info.get('format')}, this molgen reads {FORMAT}")
    return info


def save(
    folder: str | Path,
    denoiser: MoleculeDenoiser,
    tokenizer: Tokenizer,
    prior: Prior,
    known: KnownMolecules | None,
    info: Mapping[str, Any],
    card: str = "",
) -> None:
    """Write a checkpoint; weights as bfloat16.

    Args:
        folder: made if it is missing.
        denoiser: the network.
        tokenizer: its tokenizer.
        prior: where targets and lengths come from.
        known: canonical SMILES of everything given to training, held-out part included.
        info: what goes into ``molgen.json``.
        card: text of the model card.
    """
    import copy

    import torch

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with _quiet():
        copy.deepcopy(denoiser).to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save(folder)
    prior.save(folder / "prior.safetensors")
    if known is not None:
        known.save(folder / "known.safetensors")
    text = json.dumps({"format": FORMAT, **info}, indent=2) + "\n"
    (folder / "molgen.json").write_text(text, encoding="utf-8")
    if card:
        (folder / "README.md").write_text(card, encoding="utf-8")


def load(name: str | Path) -> Model:
    """Load a model by bundled name, folder or hub id.

    Raises:
        ValueError: if there is no such model or a file of it is missing or damaged.
    """
    import torch
    from safetensors import SafetensorError

    from molgen.denoiser import MoleculeDenoiser
    from molgen.model import Model

    folder = locate(name)
    info = read_info(folder)
    try:
        with _quiet():
            denoiser = MoleculeDenoiser.from_pretrained(folder, dtype=torch.float32)
        index = folder / "known.safetensors"
        return Model(
            name=str(name),
            denoiser=denoiser.eval(),
            tokenizer=Tokenizer.load(folder),
            prior=Prior.load(folder / "prior.safetensors"),
            known=KnownMolecules.load(index) if index.exists() else None,
            info=info,
        )
    except (OSError, SafetensorError, KeyError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(f"model {str(name)!r} cannot be read: {reason}") from error
