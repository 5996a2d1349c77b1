"""Options shared by several commands, and their readers."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from molgen.errors import MolgenError
from molgen.sampling.settings import DTYPES, OPTIONS
from molgen.sampling.settings import MOST as MOST
from molgen.utils.options import COUNT, NUMBER, Option

if TYPE_CHECKING:
    from molgen.model import Model
    from molgen.sampling.settings import Settings
    from molgen.targets import Target


STDOUT = "-"  # as an output
FILE = "csv, tsv, smi, sdf, parquet or xlsx, text also gzipped; - for standard input"
TRAINING = [dtype for dtype in DTYPES if dtype != "fp64"]  # training does not support fp64


def is_piped(arguments: argparse.Namespace) -> bool:
    """Return whether the output is no file: it is written once, at the end, without a record."""
    from molgen.utils.files import is_stream

    out = arguments.out  # None for a campaign without a table
    return out is not None and (out == STDOUT or is_stream(out))


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


def add_goals(parser: argparse.ArgumentParser) -> None:
    """Add ``--target`` and ``--score``."""
    parser.add_argument(
        "--target",
        action="append",
        default=[],
        metavar="PROP=VALUE",
        help="target of a property: VALUE is max, min, a number, LO..HI, LO.. or ..HI, or a "
        "desirability, sigmoid(A,B), gaussian(M,S), ... (docs/how-to/scorers.md); may be repeated",
    )
    parser.add_argument(
        "--score",
        action="append",
        default=[],
        metavar="X[=VALUE]",
        help="a property, a function of your own as file.py:function, command:PROGRAM, "
        "http://HOST/PATH or dock:RECEPTOR: a column, or with VALUE a target; may be repeated",
    )


def add_aggregate(parser: argparse.ArgumentParser, pareto: bool = False) -> None:
    """Add ``--aggregate``.

    Args:
        parser: of the command.
        pareto: whether rank by dominance is one.
    """
    parser.add_argument(
        "--aggregate",
        choices=("sum", "product", "weighted-mean", *(("pareto",) if pareto else ())),
        default="sum",
        help="of several targets: the weighted sum (default), product (weighted geometric mean) or "
        "the weighted mean of desirabilities" + (", or rank by dominance" if pareto else ""),
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


def add_diversity(parser: argparse.ArgumentParser) -> None:
    """Add ``--diversity``."""
    parser.add_argument(
        "--diversity",
        metavar="X",
        help="draw at the model's stop nearest to a diversity (mean Tanimoto distance) such as "
        "0.85, or at the stop of a name, such as high: its settings and, without --target, its "
        "targets, which guide and filter nothing",
    )


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


def goals(arguments: argparse.Namespace, needed: bool = False) -> tuple[dict[str, str], list[str]]:
    """Return the words of the given targets, and further properties to compute.

    Args:
        arguments: of the command line.
        needed: whether there must be a target, and every score needs a direction.

    Raises:
        MolgenError: if one is not PROP=VALUE, or a property is given twice.
    """
    from molgen.targets import split_targets

    scored = [text for text in arguments.score if _has_value(text)]
    found = split_targets([*arguments.target, *scored])
    columns = [text for text in arguments.score if text not in scored]
    if needed and columns:
        text = columns[0]
        raise MolgenError(f"score is {text!r}, expected a direction: {text}=max or {text}=min")
    if needed and not found:
        raise MolgenError("a target is missing, expected --target PROP=VALUE or --score X=max")
    return found, columns


def _has_value(text: str) -> bool:
    """Return whether a score ends in a target; a SMILES in its name may contain ``=``."""
    from molgen.targets import parse_target, split_targets
    from molgen.utils.desirability import read_desirability

    try:
        (value,) = split_targets([text]).values()
        if read_desirability(value) is None:
            parse_target(value)
    except ValueError:
        return False
    return True


def settings(
    arguments: argparse.Namespace,
    model: Model,
    purpose: str = "sampling",
    targets: Mapping[str, Target] | None = None,
) -> Settings:
    """Return the model's recommended settings with the changes of the command line.

    Args:
        arguments: of the command line.
        model: source of the recommended settings.
        purpose: see :meth:`molgen.model.Model.preset`.
        targets: see :meth:`molgen.model.Model.preset`.

    Raises:
        MolgenError: if an option is out of range.
    """
    return model.settings_of(given(arguments), purpose, targets)


def given(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the settings that the command line gives, by name."""
    words = {option.name: getattr(arguments, key) for key, option in OPTIONS.items()}
    words |= {"preset": arguments.preset, "eta": arguments.eta}
    return {name: value for name, value in words.items() if value is not None}
