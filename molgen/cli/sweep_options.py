"""Options and steps shared by commands that sweep methods over strengths, steps and seeds."""

from __future__ import annotations

import argparse
import math
<<<<<<< HEAD
import re
=======
import sys
>>>>>>> w-d
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from molgen.cli import options, outputs
from molgen.errors import MolgenError

if TYPE_CHECKING:
    from molgen.frontiers.store import Record
    from molgen.sampling.result import Result

MOST_AXIS = 100  # values of one axis
USUAL: dict[str, Any] = {"seeds": (0, 1, 2), "n": 1024}
QUICK: dict[str, Any] = {"gamma": (1.0, 3.0, 5.0), "steps": (32,), "seeds": (0, 1), "n": 256}
"""Axes of a small frontier: two minutes on two cores for the bundled QM9 model."""
QUICK_PROPERTY = "ring_count"  # or a model's first property


def add_arguments(parser: argparse.ArgumentParser, gammas: str, steps: str) -> None:
    """Add the options of every sweep.

    Args:
        parser: of the command.
        gammas: default strengths.
        steps: default numbers of steps.
    """
    options.add_model(parser)
    parser.set_defaults(usual={**USUAL, "gamma": numbers(gammas), "steps": counts(steps)})
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
    add("--n", type=options.positive, metavar="N", help=f"rows a run ({USUAL['n']})")
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


<<<<<<< HEAD
def complete(arguments: argparse.Namespace) -> None:
    """Fill in the options that were left out: axes, and for a quick sweep property and folder.

    Raises:
        MolgenError: if the property or the folder is missing.
    """
    quick = getattr(arguments, "quick", False)
    for name, value in {**arguments.usual, **(QUICK if quick else {})}.items():
        if getattr(arguments, name) is None:
            setattr(arguments, name, value)
    if quick:
        from molgen.checkpoints.hub import locate, resolve

        name = resolve(arguments.model)
        arguments.property = arguments.property or _quick_property(locate(name))
        folder = f"frontier-{Path(name).name}-{arguments.property}-quick"
        arguments.out = arguments.out or re.sub(r"[^\w.-]+", "-", folder)
    for name in ("property", "out"):
        if getattr(arguments, name) is None:
            more = " (or --quick)" if hasattr(arguments, "quick") else ""
            raise MolgenError(f"{name} is missing, expected --{name}{more}")


def _quick_property(folder: Path) -> str:
    """Return the property of a quick sweep of a model."""
    from molgen.checkpoints.info import read_info

    properties = read_info(folder).get("properties") or [QUICK_PROPERTY]
    return QUICK_PROPERTY if QUICK_PROPERTY in properties else str(properties[0])


def prepare(arguments: argparse.Namespace) -> tuple[Sweep, dict[str, Model]]:
    """Return the requested sweep and its models, loaded once each.

    Raises:
        MolgenError: if an argument is out of range.
    """
    from molgen import load
    from molgen.checkpoints.hub import resolve
    from molgen.frontiers.method import Method
    from molgen.frontiers.plan import Sweep, objective_for

    arguments.model = resolve(arguments.model)
    given = [Method.parse(text, arguments.model) for text in arguments.method]
    models = {arguments.model: load(arguments.model)}
    base = models[arguments.model]
    objective = objective_for(base, arguments.property, _target(arguments), arguments.n)
    methods = given or default_methods.of(base)
    names = [resolve(name) for name in arguments.baseline]
    if not given:
        names = default_methods.baselines(arguments.model, names)
    for name in [*(method.model for method in given), *names]:
        models[name] = models.get(name) or load(name)
    further = (default_methods.of_baseline(models[name]) for name in names)
    methods = [*methods, *itertools.chain.from_iterable(further)]
    if getattr(arguments, "quick", False) and not given:
        methods = default_methods.few(methods, names)
    named = {name: getattr(arguments, name) for name in ("batch_size", "device", "dtype")}
    speed = {name: value for name, value in named.items() if value is not None}
    if arguments.device:
        options.check_device(arguments.device)
    axes = arguments.gamma, arguments.steps, arguments.seeds
    sweep = Sweep(objective, tuple(methods), *axes, getattr(arguments, "budgets", ()), speed)
    return sweep, models


def labels(arguments: argparse.Namespace) -> tuple[str, ...]:
    """Return the labels of the methods in the order given, which is that of the charts.

    Raises:
        MolgenError: if a method cannot be read.
    """
    from molgen.frontiers.method import Method

    return tuple(Method.parse(text, arguments.model).label for text in arguments.method)
=======
def given(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments that the functions of sweeps share.

    Raises:
        MolgenError: if the target is one of another property.
    """
    names = ("model", "property", "out", "gamma", "steps", "seeds", "n", "only_charts")
    found = {name: getattr(arguments, name) for name in (*names, "batch_size", "device", "dtype")}
    found |= {"methods": arguments.method, "baselines": arguments.baseline}
    return found | {"target": _target(arguments), "progress": Screen()}
>>>>>>> w-d


def _target(arguments: argparse.Namespace) -> str | None:
    """Return the target's words; the property of ``PROP=VALUE`` must be that of the sweep."""
    text = arguments.target
    if text is None or "=" not in text:
        return text
    name, _, value = text.rpartition("=")
    if name.strip() != arguments.property:
        raise MolgenError(f"target is {text!r}, expected one of {arguments.property}")
    return str(value)


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

    unit = "row"

    def stage(self, label: str) -> None:
        """Show the run being drawn."""
        self.bar.label(label)

    def round(self, state: Record) -> None:
        """Show the cost of the last run."""
        nfe = state.figures["nfe"] + state.figures["classifier_nfe"]
        self.bar.note(f"{nfe:.1f} forwards a row")
