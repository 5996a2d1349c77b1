"""Options that several commands share, and what their words mean."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from molgen.model import Model, Settings
    from molgen.targets import Target


def positive(text: str) -> int:
    """Read a whole number of at least one."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return value


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
        help="a property to aim at: VALUE is max, min, a number, or LO..HI; may be repeated",
    )


def add_sampling(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how to draw; each defaults to the model's own recommendation."""
    group = parser.add_argument_group("sampling", "by default as the model's card recommends")
    group.add_argument("--steps", type=positive, metavar="T", help="steps of the plan")
    group.add_argument("--seed", type=int, default=0, metavar="S", help="same seed, same rows")
    group.add_argument(
        "--guidance", choices=["cfg", "none"], default="cfg",
        help="cfg: classifier-free; none: targets do not steer",
    )
    group.add_argument("--gamma", type=float, metavar="G", help="strength of the guidance")
    group.add_argument(
        "--remask", metavar="STRATEGY",
        help="ancestral, cap, rescale, switch, loop, forward-backward, dfm, psi; "
        "parameters as loop:t_on=.55,t_off=.05",
    )
    group.add_argument("--eta", type=float, metavar="E", help="strength of the remasking, in [0, 1]")
    group.add_argument(
        "--weights", choices=["uniform", "confidence", "sharpened"],
        help="which placed tokens are masked again first",
    )
    group.add_argument("--temperature", type=float, metavar="X", help="below 1 sharpens")
    group.add_argument("--top-p", type=float, metavar="P", help="nucleus of each token's distribution")
    group.add_argument("--batch-size", type=positive, metavar="B", help="rows in flight (speed only)")
    add_device(group)


def add_device(parser: Any) -> None:
    """Add ``--device`` and ``--dtype``."""
    parser.add_argument("--device", metavar="D", default=None, help="cpu (default), cuda, cuda:1, ...")
    parser.add_argument("--dtype", choices=["auto", "bf16", "fp32"], help="of the matrix products")


def targets(arguments: argparse.Namespace) -> dict[str, Target]:
    """Return the targets asked for.

    Raises:
        ValueError: if one is not PROP=VALUE, or a property is asked for twice.
    """
    from molgen.targets import parse_target

    found: dict[str, Target] = {}
    for text in arguments.target:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals or not name:
            raise ValueError(f"target is {text!r}, expected PROP=VALUE such as qed=max")
        if name in found:
            raise ValueError(f"target {name} is given twice")
        found[name] = parse_target(value)
    return found


def settings(arguments: argparse.Namespace, model: Model) -> Settings:
    """Return the model's recommended settings with what the command line changes.

    Raises:
        ValueError: if an option is out of range.
    """
    from molgen.presets import strategy, token_weights

    changes: dict[str, Any] = {
        name: value
        for name in ("steps", "gamma", "temperature", "top_p", "batch_size", "device", "dtype")
        if (value := getattr(arguments, name)) is not None
    }
    if arguments.remask is not None or arguments.eta is not None:
        remask = arguments.remask or model.info.get("sampling", {}).get("remask", "ancestral")
        if arguments.remask is None:  # another eta for the recommended strategy
            remask = remask.partition(":")[0]
        changes["strategy"] = strategy(remask, arguments.eta)
    if arguments.weights is not None:
        changes["weights"] = token_weights(arguments.weights)
    found = model.settings(**changes)
    check_device(found.device)
    return found


def check_device(device: str) -> None:
    """Check that a device is there.

    Raises:
        ValueError: if it is not.
    """
    import torch

    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(f"device {device!r} cannot be used: {reason}") from error
