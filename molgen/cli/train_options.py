"""The options of ``molgen train``, and the objects they stand for."""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING, Any

from molgen.cli import options

if TYPE_CHECKING:
    from molgen.ingest import Options
    from molgen.model import Model
    from molgen.recipe import TrainConfig

RATE = 2e-3
INIT_RATE = 5e-4  # fine-tuning starts near a good place, which the full rate would leave at once
LAYERS, WIDTH, HEADS = 6, 256, 4


def add_data(group: Any) -> None:
    """Add what is to be made of the file."""
    group.add_argument("--column", metavar="C", help="the SMILES column (default: smiles)")
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
        help="leave out molecules with more tokens (default: 128)",
    )
    group.add_argument(
        "--held-out", type=float, metavar="X", help="part kept from training (default: 0.05)"
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
        help="remove charges where protons can",
    )
    group.add_argument("--source", metavar="TEXT", help="what the model card calls the data")


def add_training(group: Any) -> None:
    """Add the network and how to train it."""
    group.add_argument("--epochs", type=float, default=30.0, metavar="E", help="(default: 30)")
    group.add_argument(
        "--batch-size", type=options.positive, default=256, metavar="B", help="(default: 256)"
    )
    group.add_argument(
        "--lr",
        type=float,
        metavar="R",
        help=f"peak learning rate (default: {RATE}; with --init {INIT_RATE})",
    )
    for name, default in (("layers", LAYERS), ("width", WIDTH), ("heads", HEADS)):
        text = f"of the network (default: {default})"
        group.add_argument(f"--{name}", type=options.positive, metavar="N", help=text)
    group.add_argument(
        "--noise",
        choices=["masked", "uniform", "none"],
        help="what the network learns to undo: masked (default: MDLM, ReMDM), uniform (UDLM), or "
        "none: an autoregressive network",
    )
    group.add_argument(
        "--self-correct",
        action="store_true",
        help="learn to mend and to judge its own draws, too (masked noise; twice the time a step)",
    )
    group.add_argument(
        "--seed",
        type=seed,
        default=0,
        metavar="S",
        help="of the split and of training (default: 0)",
    )
    options.add_device(group)
    group.add_argument(
        "--workers", type=options.positive, metavar="N", help="CPU threads and processes"
    )
    group.add_argument(
        "--checkpoint-every",
        type=options.positive,
        default=500,
        metavar="N",
        help="steps between checkpoints and held-out estimates (default: 500)",
    )


def names(text: str) -> tuple[str, ...]:
    """Read names separated by commas; ``none`` is no name at all."""
    return () if text.strip() == "none" else tuple(name.strip() for name in text.split(","))


def seed(text: str) -> int:
    """Read a whole number from 0 to 2^31."""
    value = options.whole(text)
    if not 0 <= value < 2**31:
        raise argparse.ArgumentTypeError(f"expected a whole number from 0 to 2^31, got {value}")
    return value


def recipe(arguments: argparse.Namespace) -> TrainConfig:
    """Return how to train.

    Raises:
        ValueError: if a number is out of range.
    """
    from molgen.recipe import TrainConfig

    rate = arguments.lr if arguments.lr is not None else INIT_RATE if arguments.init else RATE
    for name, value in (("epochs", arguments.epochs), ("lr", rate)):
        if not (value > 0 and math.isfinite(value)):
            raise ValueError(f"--{name} is {value}, expected a number above 0")
    return TrainConfig(
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        peak_rate=rate,
        self_correct=arguments.self_correct,
        seed=arguments.seed,
        evaluate_every=arguments.checkpoint_every,
        checkpoint_every=arguments.checkpoint_every,
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
    """Return what to make of a file; a model to start from decides about most of it.

    Raises:
        ValueError: if an option is out of range or contradicts the model.
    """
    from molgen.ingest import MAX_TOKENS, Options

    if init is None:
        return Options(**wanted, seed=seed)
    own = {"properties": init.properties, "representation": init.tokenizer.representation}
    for name, value in own.items():
        if wanted.get(name, value) != value:
            raise ValueError(
                f"{name} {wanted[name]!r} is asked for, but the model {init.name!r} has {value!r}"
            )
    longest = init.denoiser.max_length
    if wanted.get("max_tokens", 0) > longest:
        raise ValueError(f"--max-length is more than the {longest} tokens of {init.name!r}")
    return Options(**{"max_tokens": min(MAX_TOKENS, longest), **wanted, **own}, seed=seed)
