"""Options and steps shared by commands that sweep methods over strengths, steps and seeds."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from molgen.cli import options, outputs
from molgen.errors import MolgenError

if TYPE_CHECKING:
    from molgen.frontiers.store import Record
    from molgen.sampling.result import Result

MOST_AXIS = 100  # values of one axis


def add_arguments(parser: argparse.ArgumentParser, gammas: str, steps: str) -> None:
    """Add the options of every sweep.

    Args:
        parser: of the command.
        gammas: default strengths, for the help.
        steps: default numbers of steps, likewise.
    """
    options.add_model(parser)
    add = parser.add_argument
    add("--property", metavar="PROP", help="property of the chart")
    add("--out", metavar="DIR", help="folder to write to; made if missing")
    add(
        "--target", metavar="VALUE",
        help="target of the property: max, min, a number, LO..HI, or none for unguided draws; "
        "also as PROP=VALUE (default: the best tenth of the training data)",
    )  # fmt: skip
    add("--gamma", type=numbers, metavar="G,...", help=f"strengths ({gammas})")
    add("--steps", type=counts, metavar="T,...", help=f"of the plans ({steps})")
    add("--seeds", type=wholes, metavar="S,...", help="of the draws (0,1,2)")
    add("--n", type=options.positive, metavar="N", help="rows a run (1024)")
    add(
        "--method", action="append", default=[], metavar="WORDS",
        help="a method of sampling, 'LABEL; remask=...; weights=...; guidance=...; model=...'; may "
        "be repeated; replaces the default methods",
    )  # fmt: skip
    add(
        "--baseline", action="append", default=[], metavar="NAME", type=options.model_name,
        help="a further model as a method, without remasking; may be repeated",
    )  # fmt: skip
    add(
        "--only-charts", action="store_true",
        help="draw no molecules: chart the finished runs of the folder; methods named by --method "
        "come first",
    )  # fmt: skip
    add("--batch-size", type=options.positive, metavar="B", help="rows in a batch; speed only")
    options.add_device(parser)


def numbers(text: str) -> tuple[float, ...]:
    """Read finite numbers with commas between them."""
    return _axis(text, float, "finite numbers", math.isfinite)


def counts(text: str) -> tuple[int, ...]:
    """Read whole numbers of at least 1 with commas between them."""
    within = f"whole numbers from 1 to {options.MOST}"
    return _axis(text, int, within, lambda value: 1 <= value <= options.MOST)


def wholes(text: str) -> tuple[int, ...]:
    """Read whole numbers with commas between them."""
    return _axis(text, int, "whole numbers", lambda value: abs(value) < 2**62)


def _axis(
    text: str, kind: Callable[[str], Any], allowed: str, valid: Callable[[Any], bool]
) -> tuple[Any, ...]:
    try:
        values = tuple(kind(part) for part in text.split(","))
    except ValueError:
        values = ()
    if not values or len(values) > MOST_AXIS or not all(map(valid, values)):
        raise argparse.ArgumentTypeError(
            f"expected {allowed} with commas between them ({MOST_AXIS} at most), got {text[:40]!r}"
        )
    return tuple(dict.fromkeys(values))


def given(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments that the functions of sweeps share, without those that were left out.

    Raises:
        MolgenError: if the property or the folder is missing, or the target is one of another
            property.
    """
    for name in ("property", "out"):
        if getattr(arguments, name) is None and not getattr(arguments, "quick", False):
            more = " (or --quick)" if hasattr(arguments, "quick") else ""
            raise MolgenError(f"{name} is missing, expected --{name}{more}")
    names = ("model", "property", "out", "gamma", "steps", "seeds", "n", "only_charts")
    named = {name: getattr(arguments, name) for name in (*names, "batch_size", "device", "dtype")}
    found = {name: value for name, value in named.items() if value is not None}
    name, equals, value = (arguments.target or "").rpartition("=")
    if equals and name.strip() != found.setdefault("property", name.strip()):
        raise MolgenError(f"target is {arguments.target!r}, expected one of {arguments.property}")
    found |= {"methods": arguments.method, "baselines": arguments.baseline}
    return found | {"target": None if arguments.target is None else value, "progress": Screen()}


def check_interrupted(found: Result[Any]) -> None:
    """Print how many runs of an interrupted sweep are finished.

    Raises:
        KeyboardInterrupt: if it was interrupted.
    """
    name, colon, finished = found.reason.partition(": ")
    if name == "interrupted":
        if colon:
            print(finished, file=sys.stderr)
        raise KeyboardInterrupt


class Screen(outputs.Screen):
    """Shows a bar over the rows of all runs, so that the remaining time is estimated early."""

    def round(self, state: Record) -> None:
        """Show the cost of the last run."""
        nfe = state.figures["nfe"] + state.figures["classifier_nfe"]
        self.bar.note(f"{nfe:.1f} forwards a row")
