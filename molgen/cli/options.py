"""Options that several commands share, and what their words mean."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from molgen.model import Model
    from molgen.sampling.settings import Settings
    from molgen.targets import Target


MOST = 10_000_000  # rows or steps of one run; more would not fit in memory


def positive(text: str) -> int:
    """Read a whole number from 1 to :data:`MOST`."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if not 1 <= value <= MOST:
        shown = text if len(text) < 40 else f"{text[:20]}..."
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 to {MOST}, got {shown!r}")
    return value


def whole(text: str) -> int:
    """Read a whole number."""
    try:
        return int(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected a whole number, got {text[:40]!r}") from error


def say(text: str) -> None:
    """Print at once; a reader that has gone away does not end the run."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add the MODEL argument."""
    parser.add_argument(
        "model", metavar="MODEL", help="a bundled name (see `molgen models`), a folder, or a hub id"
    )


def add_targets(parser: argparse.ArgumentParser, required: bool = False) -> None:
    """Add ``--target``."""
    parser.add_argument(
        "--target",
        action="append",
        default=[],
        required=required,
        metavar="PROP=VALUE",
        help="a property to aim at: VALUE is max, min, a number, LO..HI, LO.. or ..HI; "
        "may be repeated",
    )


def add_sampling(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how to draw; each defaults to the model's own recommendation."""
    group = parser.add_argument_group("sampling", "by default as the model's card recommends")
    group.add_argument(
        "--preset", metavar="FILE", help="start from what `molgen tune` wrote instead"
    )
    group.add_argument("--steps", type=positive, metavar="T", help="steps of the plan")
    group.add_argument("--seed", type=whole, default=0, metavar="S", help="same seed, same rows")
    group.add_argument(
        "--guidance",
        metavar="GUIDANCE",
        help="cfg: classifier-free; cbg: by the model's guide, fudge its name for autoregressive "
        "models; none: targets do not steer; parameters as cbg:scores=exact,tilt_mask=1",
    )
    group.add_argument(
        "--gamma",
        metavar="G",
        help="strength of the guidance: a number, or START..END, a line from all noise to none",
    )
    group.add_argument(
        "--remask",
        metavar="STRATEGY",
        help="ancestral, cap, rescale, switch, loop, forward-backward, dfm, psi; "
        "parameters as loop:t_on=.55,t_off=.05",
    )
    group.add_argument("--eta", type=float, metavar="E", help="strength of remasking, in [0, 1]")
    group.add_argument(
        "--weights",
        metavar="W",
        help="which placed tokens are masked again first: uniform, confidence, sharpened, and for "
        "models with a quality head quality and property; parameters as sharpened:tau=.5",
    )
    group.add_argument(
        "--context",
        metavar="C",
        help="contrast each prediction with one that sees less of the row: none, or "
        "hide:share=.3,strength=2",
    )
    group.add_argument(
        "--corrector",
        metavar="C",
        help="mend rows on the way: none, or likeliest:every=8,rounds=1 (models trained with "
        "--self-correct)",
    )
    group.add_argument(
        "--order",
        metavar="O",
        help="place tokens in an order of the network's own instead of a plan: none, random, "
        "left-to-right, entropy, margin, entropy-bounded:gamma=.1, klass",
    )
    group.add_argument(
        "--grammar",
        metavar="G",
        help="condition every draw on a well-formed text: none, or smiles: parentheses balance, "
        "ring labels come in pairs",
    )
    group.add_argument(
        "--adapt",
        metavar="A",
        help="rows that are no new molecule go on, up to a budget of forwards a row: none, "
        "restart:budget=128, or remask:share=.4,budget=128,until=valid+unique+novel; until may "
        "hold likely, too: the model's guide finds it at least as probable as odds=.5 that all "
        "targets are met",
    )
    group.add_argument(
        "--conditions",
        metavar="C",
        help="what the network is told of a row: asked, the targets alone; or profile, every other "
        "property, too, as a molecule of the training data that meets them has it: more diverse",
    )
    group.add_argument("--temperature", type=float, metavar="X", help="below 1 sharpens")
    group.add_argument("--top-p", type=float, metavar="P", help="nucleus of the distribution")
    group.add_argument(
        "--batch-size", type=positive, metavar="B", help="rows in flight; speed only"
    )
    add_device(group, "fp64")


def add_device(parser: Any, *more: str) -> None:
    """Add ``--device`` and ``--dtype``, whose choices may be ``more``."""
    parser.add_argument("--device", metavar="D", help="cpu (default), cuda, cuda:1, ...")
    choices = ["auto", "bf16", "fp32", *more]
    alike = "; fp64 is slow, and draws the same rows on every processor" if more else ""
    parser.add_argument("--dtype", choices=choices, help=f"of the matrix products{alike}")


def targets(arguments: argparse.Namespace) -> dict[str, Target]:
    """Return the targets asked for.

    Raises:
        ValueError: if one is not PROP=VALUE, or a property is asked for twice.
    """
    from molgen.targets import read_targets, split_targets

    return read_targets(split_targets(arguments.target))


def settings(
    arguments: argparse.Namespace,
    model: Model,
    purpose: str = "sampling",
    targets: Mapping[str, Target] | None = None,
) -> Settings:
    """Return the model's recommended settings with what the command line changes.

    A strategy that is named comes with uniform weights, as published, unless weights are named too,
    and whoever names a method goes without a preset that is tuned for the targets.

    Args:
        arguments: of the command line.
        model: whose recommendations to start from.
        purpose: see :meth:`molgen.model.Model.preset`.
        targets: likewise.

    Raises:
        ValueError: if an option is out of range.
    """
    from molgen.sampling.preset_file import read_preset
    from molgen.sampling.settings import METHOD
    from molgen.sampling.words import OPTIONAL, from_info, gamma, guidance, strategy, token_weights

    chosen = {} if arguments.preset is None else read_preset(arguments.preset)["sampling"]
    changes: dict[str, Any] = {
        name: value
        for name in ("steps", "temperature", "top_p", "batch_size", "device", "dtype", "conditions")
        if (value := getattr(arguments, name)) is not None
    }
    if arguments.gamma is not None:
        changes["gamma"] = gamma(arguments.gamma)
    if arguments.guidance not in (None, "none"):
        changes["steering"] = guidance(arguments.guidance)
    if arguments.remask is not None or arguments.eta is not None:
        own = model.preset(purpose) | chosen
        remask = arguments.remask or own.get("remask", "ancestral")
        if arguments.remask is not None:
            changes["weights"] = None
        else:  # another eta for the recommended strategy
            remask = re.sub(r"\beta=[^,]*,?", "", remask)
        changes["strategy"] = strategy(remask, arguments.eta)
    if arguments.weights is not None:
        changes["weights"] = token_weights(arguments.weights)
    for name, read in OPTIONAL.items():
        if (text := getattr(arguments, name)) is not None:
            changes[name] = read(text)
    named = set(METHOD) & set(changes) or arguments.guidance == "none"
    found = from_info(model.preset(purpose, None if named else targets) | chosen).changed(**changes)
    check_device(found.device)
    if arguments.weights and found.weights and not found.strategy.plan(found.steps).sigma.any():
        raise ValueError(
            f"weights {arguments.weights} choose which tokens are masked again, but this strategy "
            "masks none again: give one that does, such as --remask rescale --eta 0.1"
        )
    return found


def check_device(device: str) -> None:
    """Check that a device is there.

    Raises:
        ValueError: if it is not.
    """
    import torch

    try:
        torch.ones(1, device=device).item()
    except (RuntimeError, AssertionError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(f"device {device!r} cannot be used: {reason}") from error
