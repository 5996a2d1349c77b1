"""Exporting a training run as a model folder with the averaged weights.

Files are written into a temporary folder and then moved one by one, ``molgen.json`` last, because
a folder without it is not a model. RDKit is not needed: the training-set index was made with the
data and is copied.
"""

from __future__ import annotations

import math
import platform
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from molgen.checkpoints.card import card
from molgen.checkpoints.files import INDEX, INFO, find
from molgen.checkpoints.folder import save_checkpoint
from molgen.data.dataset import TokenDataset
from molgen.data.prior import Prior
from molgen.data.tokenizer import Tokenizer
from molgen.diffusion.likelihood import Bound, held_out_bound
from molgen.nn.denoiser import MoleculeDenoiser
from molgen.training import log as training_log
from molgen.training.log import loss_curve
from molgen.training.trainer import Trainer
from molgen.utils.files import staged
from molgen.version import __version__

NETWORK = ("noise", "quality", "num_layers", "hidden_size", "num_heads")  # of its shape
SAMPLING = {"remask": "ancestral", "steps": 128}
MEASURED_WITH = 100_000  # forwards at most: each molecule takes one per token


def export(
    trainer: Trainer,
    folder: Path,
    facts: Mapping[str, Any],
    places: tuple[Path, ...] = (),
    name: str = "",
    progress: bool = False,
) -> dict[str, Any]:
    """Measure the averaged weights and write the model.

    Args:
        trainer: a finished run.
        folder: of the run, with ``training_log.csv`` and, for novelty, the training-set index.
        facts: further entries of ``molgen.json``; ``data`` and ``seeds`` are completed.
        places: folders to write the model to; the run's own if none are given.
        name: of the model on its card; each folder's own name if empty.
        progress: show a bar if standard error is a terminal.

    Returns:
        The content of ``molgen.json``.

    Raises:
        OSError: if a file cannot be written; no partial file is left.
    """
    with trainer.average.applied(trainer.model), torch.no_grad():
        exact = [p.clone() for p in trainer.model.parameters()]
        for p in trainer.model.parameters():  # the exported precision is measured
            p.copy_(p.to(torch.bfloat16).float())
        label = "held-out bound" if progress else ""
        bound = held_out_bound(
            trainer.model,
            trainer.data,
            round(MEASURED_WITH / max(1.0, float(trainer.data.lengths.mean()))),
            pool=trainer.pool,
            dtype=trainer.dtype,
            progress=label,
        )
        info = describe(trainer, facts, bound)
        for place in places or (folder,):
            write(place, trainer.model, trainer.data, folder, info, name or place.resolve().name)
        for p, kept in zip(trainer.model.parameters(), exact, strict=True):
            p.copy_(kept)
    return info


def describe(trainer: Trainer, facts: Mapping[str, Any], bound: Bound) -> dict[str, Any]:
    """Return the content of ``molgen.json`` without its format."""
    data, shape = trainer.data, trainer.model.config
    held_out = int(data.held_out.sum())
    about = {
        "source": "molecules",
        "molecules": len(data),
        "training": len(data) - held_out,
        "held_out": held_out,
        "mean_tokens": float(data.lengths.mean()),
        "longest": int(data.lengths.max()),
        "vocabulary": len(data.vocab),
        **facts.get("data", {}),
    }
    tuned = f"{facts['init']}, fine-tuned on " if "init" in facts else ""
    return {
        "summary": f"{tuned}{len(data):,} molecules of {about['source']}",
        "representation": data.representation,
        "properties": list(data.properties),
        "sampling": dict(SAMPLING),
        **facts,
        "data": about,
        "network": {name: getattr(shape, name) for name in NETWORK},
        "parameters": sum(p.numel() for p in trainer.model.parameters()),
        "recipe": asdict(trainer.config),
        "steps": trainer.step,
        "epochs": trainer.epoch,
        "seeds": {"split": 0, **facts.get("seeds", {}), "training": trainer.config.seed},
        "measured": {"held_out": measured(bound, trainer.dtype)},
        "software": software(),
    }


def measured(bound: Bound, dtype: torch.dtype) -> dict[str, Any]:
    """Return the entries of a bound; null if nothing is held out."""
    numbers = {
        "nats_per_molecule": bound.nats,
        "standard_error": bound.error,
        "length_nats": bound.length_nats,
        "perplexity_per_token": bound.perplexity,
        "tokens_per_molecule": bound.tokens,
    }
    finite = {name: v if math.isfinite(v) else None for name, v in numbers.items()}
    tokens = round(bound.tokens * bound.molecules) if bound.molecules else 0
    kind = str(dtype).removeprefix("torch.")
    return {**finite, "tokens": tokens, "molecules": bound.molecules, "matrix_products": kind}


def software() -> dict[str, str]:
    """Return the releases of the software used."""
    import transformers

    return {
        "molgen": __version__,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "python": platform.python_version(),
    }


def write(
    place: Path,
    model: MoleculeDenoiser,
    data: TokenDataset,
    run: Path,
    info: Mapping[str, Any],
    name: str,
) -> None:
    """Write a model to a folder.

    Args:
        place: the folder, created if it is missing.
        model: the network.
        data: its training data.
        run: the run's folder.
        info: content of ``molgen.json``.
        name: of the model.
    """
    rows = ~data.held_out
    prior = Prior.from_training(data.lengths[rows], data.values[rows], data.properties)
    tokenizer = Tokenizer(list(data.vocab), data.representation)
    with staged(place, last=INFO) as aside:
        save_checkpoint(aside, model, tokenizer, prior, None, info, card(name, info))
        if place.resolve() != run.resolve():
            for file in (INDEX, training_log.FILE):
                if (source := find(run, file)).exists():
                    shutil.copyfile(source, aside / file)
        draw_losses(run / training_log.FILE, aside / "loss.png")


def draw_losses(log: Path, path: Path) -> None:
    """Draw the loss curve, or print why it cannot be drawn (such as missing matplotlib)."""
    try:
        loss_curve(log, path)
    except ValueError as error:
        print(f"no {path.name}: {error}")
