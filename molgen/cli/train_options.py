"""The options of ``molgen train``, and the objects made from them."""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING, Any

from molgen.cli import options
from molgen.errors import MolgenError

if TYPE_CHECKING:
    from molgen.model import Model
    from molgen.training.ingest import Options
    from molgen.training.recipe import TrainConfig

RATE = 2e-3
INIT_RATE = 5e-4  # trained weights are near an optimum, which the full rate would leave at once
EPOCHS, BATCH, CHECKPOINT = 30.0, 256, 500
LAYERS, WIDTH, HEADS = 6, 256, 4


def add_data(group: Any) -> None:
    """Add the options of reading and cleaning the file."""
    group.add_argument(
        "--column",
        metavar="C",
        help="the SMILES column (default: smiles, canonical_smiles, structure, ...)",
    )
    group.add_argument(
        "--properties",
        type=names,
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


def names(text: str) -> tuple[str, ...]:
    """Read names separated by commas; ``none`` is an empty list."""
    return () if text.strip() == "none" else tuple(name.strip() for name in text.split(","))


def seed(text: str) -> int:
    """Read a whole number from 0 to 2^31."""
    value = options.whole(text)
    if not 0 <= value < 2**31:
        raise argparse.ArgumentTypeError(f"expected a whole number from 0 to 2^31, got {value}")
    return value


def check(arguments: argparse.Namespace) -> None:
    """Check the numbers of the options.

    Raises:
        MolgenError: if one is out of range.
    """
    for name in ("epochs", "lr"):
        value = getattr(arguments, name)
        if value is not None and not (value > 0 and math.isfinite(value)):
            raise MolgenError(f"--{name} is {value}, expected a number above 0")


def recipe(arguments: argparse.Namespace, series: int = 0, correct: bool = False) -> TrainConfig:
    """Return the recipe of training.

    Args:
        arguments: checked arguments of the command line.
        series: number of training molecules if a model is fine-tuned on a series; else 0.
        correct: the network to start from is self-correcting, and is trained as such.
    """
    from molgen.training.recipe import TrainConfig, for_series

    own: dict[str, Any] = {
        "epochs": EPOCHS,
        "batch_size": BATCH,
        "peak_rate": INIT_RATE if arguments.init else RATE,
        "evaluate_every": CHECKPOINT,
        "checkpoint_every": CHECKPOINT,
    }
    own |= for_series(series, arguments.batch_size) if series else {}
    every = arguments.checkpoint_every
    given = {
        "epochs": arguments.epochs,
        "batch_size": arguments.batch_size,
        "peak_rate": arguments.lr,
        "evaluate_every": every,
        "checkpoint_every": every,
    }
    return TrainConfig(
        **{**own, **{name: value for name, value in given.items() if value is not None}},
        self_correct=arguments.self_correct or correct,
        seed=arguments.seed,
        workers=arguments.workers or 0,
        device=arguments.device or "cpu",
        dtype=arguments.dtype or "auto",
    )


def sizes(arguments: argparse.Namespace) -> tuple[int, int, int]:
    """Return layers, width and heads."""
    return arguments.layers or LAYERS, arguments.width or WIDTH, arguments.heads or HEADS


def changes(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the data options that were given, by their names in ``Options``."""
    given = {
        "column": arguments.column,
        "properties": arguments.properties,
        "representation": arguments.representation,
        "max_tokens": arguments.max_length,
        "held_out": arguments.held_out,
        "keep_salts": arguments.keep_salts,
        "neutralise": arguments.neutralise,
    }
    return {name: value for name, value in given.items() if value is not None}


def data_options(wanted: dict[str, Any], seed: int, init: Model | None) -> Options:
    """Return the options of reading a file; a model to start from defines most of them.

    Raises:
        MolgenError: if an option is out of range or contradicts the model.
    """
    from molgen.training.ingest import MAX_TOKENS, Options

    if init is None:
        return Options(**wanted, seed=seed)
    own = {"properties": init.properties, "representation": init.tokenizer.representation}
    if further := [p for p in wanted.get("properties", ()) if p not in init.properties]:
        raise MolgenError(
            f"properties is {', '.join(further)}, expected those of {init.name!r}: "
            f"{', '.join(init.properties) or 'none'}; for guidance by others use `molgen "
            "fit-property FILE --column C --classifier MODEL`"
        )
    for name, value in own.items():
        if wanted.get(name, value) != value:
            raise MolgenError(
                f"{name} is {wanted[name]!r}, expected {value!r} as in the model {init.name!r}"
            )
    longest = init.denoiser.max_length
    if wanted.get("max_tokens", 0) > longest:
        raise MolgenError(
            f"--max-length is {wanted['max_tokens']}, expected at most {longest} as in the model "
            f"{init.name!r}"
        )
    usual = {"max_tokens": min(MAX_TOKENS, longest), "held_out": None}
    return Options(**{**usual, **wanted, **own}, seed=seed)
