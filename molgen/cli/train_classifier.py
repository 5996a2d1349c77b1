"""Train a noisy classifier for a model: properties of the final molecule from noised tokens.

It is used for guidance (`molgen sample --guidance cbg:classifier=DIR`); training takes minutes.
FILE is the training data of the model, as SMILES or as the dataset.npz of its training folder; the
classifier predicts every property that the model is conditioned on.

Example:
  molgen train-classifier out/qm9/dataset.npz --model qm9 --out out/classifier
"""

from __future__ import annotations

import argparse
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, cast

from molgen.cli import inputs, options, train_options
from molgen.errors import MolgenError

if TYPE_CHECKING:
    from molgen.nn.denoiser import MoleculeDenoiser

EPOCHS = 6.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("file", metavar="FILE", help="csv, smi, gzipped or not; or a dataset.npz")
    parser.add_argument(
        "--model",
        required=True,
        metavar="MODEL",
        type=options.model_name,
        help="the model to be guided",
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="folder of the classifier")
    parser.add_argument("--column", metavar="C", help="the column to read")
    parser.add_argument(
        "--epochs", type=float, default=EPOCHS, metavar="E", help=f"(default: {EPOCHS:g})"
    )
    parser.add_argument("--batch-size", type=options.positive, default=256, metavar="B")
    parser.add_argument("--lr", type=float, default=2e-3, metavar="R", help="peak learning rate")
    parser.add_argument("--seed", type=train_options.seed, default=0, metavar="S")
    parser.add_argument("--workers", type=options.positive, metavar="N", help="CPU threads")
    parser.add_argument("--no-resume", action="store_true", help="start again")
    parser.add_argument(
        "--from-scratch",
        action="store_true",
        help="start from random weights, not from the model's first layers",
    )
    options.add_device(parser, options.TRAINING)


def run(arguments: argparse.Namespace) -> int:
    """Make the data set, train and write; return the exit status."""
    source, folder = Path(arguments.file), Path(arguments.out)
    if not source.is_file():
        raise MolgenError(f"no file {str(source)!r}")
    for name in ("epochs", "lr"):
        value = getattr(arguments, name)
        if not (value > 0 and math.isfinite(value)):
            raise MolgenError(f"--{name} is {value}, expected a number above 0")
    if arguments.device:
        options.check_device(arguments.device)
    from molgen.utils.files import check_folder
    from molgen.utils.locks import locked

    check_folder(folder)
    try:
        with locked(folder):
            return _run(arguments, source, folder)
    except FloatingPointError as error:
        raise MolgenError(f"{error}; the last checkpoint is kept") from error


def _run(arguments: argparse.Namespace, source: Path, folder: Path) -> int:
    from molgen import load
    from molgen.checkpoints.folder import save_network
    from molgen.nn.denoiser import noise_of
    from molgen.training.classifier import RECIPE, train_classifier
    from molgen.training.prepared import prepare
    from molgen.training.recipe import TrainConfig

    model = load(arguments.model)
    wanted = {"column": arguments.column} if arguments.column else {}
    chosen = train_options.data_options(wanted, arguments.seed, model)
    prepared = prepare(
        source,
        folder,
        chosen,
        model,
        processes=arguments.workers or os.cpu_count() or 1,
        resume=not arguments.no_resume,
        progress=True,
    )
    inputs.note(prepared.notes)
    options.say(prepared.summary)
    config = TrainConfig(
        **RECIPE,  # type: ignore[arg-type]
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        peak_rate=arguments.lr,
        seed=arguments.seed,
        workers=arguments.workers or 0,
        device=arguments.device or "cpu",
        dtype=arguments.dtype or "auto",
    )
    kind = noise_of(model.denoiser)
    start = None if arguments.from_scratch else model.denoiser
    classifier = train_classifier(
        prepared.data,
        folder,
        kind,
        config=config,
        resume=not arguments.no_resume,
        network=cast("MoleculeDenoiser | None", start),
    )
    save_network(classifier, folder)
    options.say(f"classifier of {', '.join(classifier.properties)} for {kind} noise in {folder}")
    return 0
