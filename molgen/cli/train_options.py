"""The options of ``molgen train``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from molgen.api.train_options import (
    BATCH,
    CHECKPOINT,
    EPOCHS,
    HEADS,
    INIT_RATE,
    LAYERS,
    RATE,
    WIDTH,
)
from molgen.cli import options

if TYPE_CHECKING:
    from molgen.sampling.result import Result


def add_data(group: Any) -> None:
    """Add the options of reading and cleaning the file."""
    group.add_argument(
        "--column",
        metavar="C",
        help="the SMILES column (default: smiles, canonical_smiles, structure, ...)",
    )
    group.add_argument(
        "--properties",
        metavar="LIST",
        help="to condition on: NAME,NAME,... or none (default: qed,ring_count,logp,tpsa,mw,sa)",
    )
    group.add_argument("--representation", choices=["smiles", "selfies"], help="(default: smiles)")
    group.add_argument(
        "--max-length",
        type=options.positive,
        metavar="L",
        help="reject molecules with more tokens (default: 128)",
    )
    group.add_argument(
        "--held-out",
        type=float,
        metavar="X",
        help="fraction held out (default: 0.05; with --init up to 0.2 of a small series)",
    )
    group.add_argument(
        "--keep-salts",
        action="store_const",
        const=True,
        help="keep all fragments of a row (default: the largest organic one)",
    )
    group.add_argument(
        "--neutralise",
        action="store_const",
        const=True,
        help="remove charges by adding or removing protons",
    )
    group.add_argument("--source", metavar="TEXT", help="name of the data on the model card")


def add_training(group: Any) -> None:
    """Add the options of the network and of training."""
    group.add_argument(
        "--epochs",
        type=float,
        metavar="E",
        help=f"(default: {EPOCHS:g}; for a series with --init: until its held-out loss stops "
        "improving)",
    )
    group.add_argument(
        "--batch-size",
        type=options.positive,
        metavar="B",
        help=f"(default: {BATCH}; for a series with --init: an eighth of it, at most 64)",
    )
    group.add_argument(
        "--lr",
        type=float,
        metavar="R",
        help=f"peak learning rate (default: {RATE}; with --init {INIT_RATE}, for a series less)",
    )
    for name, default in (("layers", LAYERS), ("width", WIDTH), ("heads", HEADS)):
        text = f"of the network (default: {default})"
        group.add_argument(f"--{name}", type=options.positive, metavar="N", help=text)
    group.add_argument(
        "--noise",
        choices=["masked", "uniform", "none"],
        help="noise of the diffusion: masked (default: MDLM, ReMDM), uniform (UDLM), or none: an "
        "autoregressive network",
    )
    group.add_argument(
        "--self-correct",
        action="store_true",
        help="also train to correct its own draws and predict their errors (masked noise; twice "
        "the time a step)",
    )
    group.add_argument(
        "--prefix-masks",
        type=float,
        default=0.0,
        metavar="X",
        help="share of the rows with every mask behind a clean prefix, for sampling with --blocks "
        "or an order (masked noise; 0.15 is usual, default: 0)",
    )
    group.add_argument(
        "--seed",
        type=seed,
        default=0,
        metavar="S",
        help="of the split and of training (default: 0)",
    )
    options.add_device(group, options.TRAINING)
    group.add_argument(
        "--workers", type=options.positive, metavar="N", help="CPU threads and processes"
    )
    group.add_argument(
        "--checkpoint-every",
        type=options.positive,
        metavar="N",
        help=f"steps between checkpoints and held-out estimates (default: {CHECKPOINT}; for a "
        "series with --init: an epoch)",
    )


def seed(text: str) -> int:
    """Read a whole number from 0 to 2^31."""
    value = options.whole(text)
    if not 0 <= value < 2**31:
        raise argparse.ArgumentTypeError(f"expected a whole number from 0 to 2^31, got {value}")
    return value


def check_interrupted(found: Result[Any]) -> None:
    """Print what an interrupted run keeps.

    Raises:
        KeyboardInterrupt: if it was interrupted.
    """
    name, _, kept = found.reason.partition(": ")
    if name == "interrupted":
        options.say(kept)
        raise KeyboardInterrupt
