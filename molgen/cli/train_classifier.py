"""Train a noisy classifier for a model: properties of the final molecule from noised tokens.

It is used for guidance (`molgen sample --guidance cbg:classifier=DIR`); training takes minutes.
FILE is the training data of the model, as SMILES or as the dataset.npz of its training folder; the
classifier predicts every property that the model is conditioned on.

Example:
  molgen train-classifier out/qm9/dataset.npz --model qm9 --out out/classifier
"""

from __future__ import annotations

import argparse
from pathlib import Path

from molgen.api.train_classifier import BATCH, EPOCHS, RATE
from molgen.cli import options, outputs, train_options


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
    parser.add_argument("--batch-size", type=options.positive, default=BATCH, metavar="B")
    parser.add_argument("--lr", type=float, default=RATE, metavar="R", help="peak learning rate")
    parser.add_argument("--seed", type=train_options.seed, default=0, metavar="S")
    parser.add_argument("--workers", type=options.positive, metavar="N", help="CPU threads")
    parser.add_argument("--no-resume", action="store_true", help="start again")
    parser.add_argument(
        "--from-scratch",
        action="store_true",
        help="start from random weights, not from the model's first layers",
    )
    parser.add_argument(
        "--init",
        metavar="MODEL",
        help="train this model's classifier further; or the folder of a classifier",
    )
    parser.add_argument(
        "--light-masks",
        type=float,
        default=0.0,
        metavar="X",
        help="share of the rows, 0 to 1, with at most a quarter of the tokens masked "
        "(default: 0): whole molecules are predicted better",
    )
    options.add_device(parser, options.TRAINING)


def run(arguments: argparse.Namespace) -> int:
    """Make the data set, train and write; return the exit status."""
    from molgen.api.train_classifier import train_classifier

    names = (
        *("column", "epochs", "batch_size", "lr", "seed", "workers", "no_resume"),
        *("from_scratch", "init", "light_masks", "device", "dtype"),
    )
    given = {name: getattr(arguments, name) for name in names}
    train_classifier(
        Path(arguments.file), arguments.model, arguments.out, **given, progress=outputs.Screen()
    )
    return 0
