"""Options shared by several commands, and their readers."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from molgen.sampling.settings import DTYPES, METHOD, OPTIONS, from_words
from molgen.sampling.settings import MOST as MOST
from molgen.utils.options import COUNT, NUMBER, Option

if TYPE_CHECKING:
    from molgen.model import Model
    from molgen.sampling.settings import Settings
    from molgen.targets import Target


STDOUT = "-"  # as an output
TRAINING = [dtype for dtype in DTYPES if dtype != "fp64"]  # training does not support fp64


def is_piped(arguments: argparse.Namespace) -> bool:
    """Return whether the output is no file: it is written once, at the end, without a record."""
    from molgen.utils.files import is_stream

    return arguments.out == STDOUT or is_stream(arguments.out)


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


def seconds(text: str) -> float:
    """Read a number of seconds above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected seconds above 0, got {text[:40]!r}")
    return value


def whole(text: str) -> int:
    """Read a whole number."""
    try:
        return int(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected a whole number, got {text[:40]!r}") from error


def model_name(text: str) -> str:
    """Read the name of a model; a missing one is an error before any heavy import."""
    from molgen.checkpoints.hub import check_name

    try:
        check_name(text)
    except (ValueError, OSError) as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def model_or_file(text: str) -> str:
    """Read the name of a file or of a model, with the same check."""
    return text if os.path.isfile(text) else model_name(text)


def say(text: str) -> None:
    """Print and flush; a closed pipe does not end the run."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add the MODEL argument."""
    parser.add_argument(
        "model",
        metavar="MODEL",
        type=model_name,
        help="a bundled name (see `molgen models`), a folder, or hf:owner/name[@revision]",
    )


def add_targets(parser: argparse.ArgumentParser, required: bool = False) -> None:
    """Add ``--target``."""
    parser.add_argument(
        "--target",
        action="append",
        default=[],
        required=required,
        metavar="PROP=VALUE",
        help="target of a property: VALUE is max, min, a number, LO..HI, LO.. or ..HI; "
        "may be repeated",
    )


def add_sampling(parser: argparse.ArgumentParser) -> None:
    """Add the sampling options; each defaults to the model's own recommendation."""
    group = parser.add_argument_group("sampling", "by default as the model's card recommends")
    group.add_argument(
        "--preset", metavar="FILE", help="start from a preset of `molgen tune` instead"
    )
    for option in OPTIONS.values():
        add_option(group, option)
    group.add_argument("--seed", type=whole, default=0, metavar="S", help="same seed, same rows")
    group.add_argument("--eta", type=float, metavar="E", help="strength of remasking, in [0, 1]")


def add_option(parser: Any, option: Option) -> None:
    """Add an option of the table of settings; it is None if not given."""
    words: dict[str, Any] = {"help": option.help}
    if option.choices:
        words["choices"] = list(option.choices)
    else:
        words["metavar"] = option.metavar
    if option.kind == COUNT:
        words["type"] = positive
    elif option.kind == NUMBER:
        words["type"] = float
    parser.add_argument(f"--{option.key.replace('_', '-')}", **words)


def add_device(parser: Any, dtypes: Sequence[str] = DTYPES) -> None:
    """Add ``--device`` and ``--dtype``."""
    add_option(parser, OPTIONS["device"])
    option = OPTIONS["dtype"]
    help = option.help if "fp64" in dtypes else option.help.partition(";")[0]
    add_option(parser, replace(option, choices=dtypes, help=help))


def add_scorers(parser: argparse.ArgumentParser) -> None:
    """Add the options of user's functions."""
    group = parser.add_argument_group("your own functions", "in worker processes")
    group.add_argument(
        "--score-timeout",
        type=seconds,
        default=60.0,
        metavar="S",
        help="seconds that a call may take (default 60); then the molecule has no value",
    )
    group.add_argument(
        "--score-workers",
        type=positive,
        metavar="N",
        help="processes for each function (default: half of the cores)",
    )


def targets(arguments: argparse.Namespace) -> dict[str, Target]:
    """Return the given targets.

    Raises:
        MolgenError: if one is not PROP=VALUE, or a property is given twice.
    """
    from molgen.targets import read_targets, split_targets

    return read_targets(split_targets(arguments.target))


def settings(
    arguments: argparse.Namespace,
    model: Model,
    purpose: str = "sampling",
    targets: Mapping[str, Target] | None = None,
) -> Settings:
    """Return the model's recommended settings with the changes of the command line.

    A given remasking strategy has uniform remasking weights, as published, unless weights are given
    too. With a given method, no preset tuned for the targets is used.

    Args:
        arguments: of the command line.
        model: source of the recommended settings.
        purpose: see :meth:`molgen.model.Model.preset`.
        targets: see :meth:`molgen.model.Model.preset`.

    Raises:
        MolgenError: if an option is out of range.
    """
    from molgen.sampling.preset_file import read_preset
    from molgen.sampling.words import strategy

    chosen = {} if arguments.preset is None else read_preset(arguments.preset)["sampling"]
    given = {key: getattr(arguments, key) for key in OPTIONS}
    if unguided := given["guidance"] == "none":
        given["guidance"] = None
    changes: dict[str, Any] = {
        OPTIONS[key].name: OPTIONS[key].read(value)
        for key, value in given.items()
        if value is not None and key != "remask"
    }
    if arguments.remask is not None or arguments.eta is not None:
        own = model.preset(purpose) | chosen
        remask = arguments.remask or own.get("remask", "ancestral")
        if arguments.remask is not None:
            changes.setdefault("remask_weights", None)
        else:  # another eta for the recommended strategy
            remask = re.sub(r"\beta=[^,]*,?", "", remask)
        changes["remask"] = strategy(remask, arguments.eta)
    method_given = set(METHOD) & set(changes) or unguided
    preset = model.preset(purpose, None if method_given else targets) | chosen
    found = from_words(preset).changed(**changes)
    check_device(found.device)
    return found


def warn_of_targets(model: Model, targets: Mapping[str, Target]) -> None:
    """Print a warning for each target outside the training data, before anything is drawn."""
    for line in model.prior.outside(targets):
        print(f"warning: {line}", file=sys.stderr, flush=True)


def check_device(device: str) -> None:
    """Check that a device is available.

    Raises:
        MolgenError: if it is not.
    """
    from molgen.utils.threads import check_device

    check_device(device)
