"""Options and steps shared by commands that sweep methods over strengths, steps and seeds."""

from __future__ import annotations

import argparse
import itertools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from molgen.cli import default_methods, options
from molgen.errors import MolgenError

if TYPE_CHECKING:
    from molgen.frontiers.plan import Sweep
    from molgen.frontiers.store import Record, Store
    from molgen.model import Model

MOST_AXIS = 100  # values of one axis


def add_arguments(parser: argparse.ArgumentParser, gammas: str, steps: str) -> None:
    """Add the options of every sweep.

    Args:
        parser: of the command.
        gammas: default strengths.
        steps: default numbers of steps.
    """
    options.add_model(parser)
    add = parser.add_argument
    add("--property", required=True, metavar="PROP", help="property of the chart")
    add("--out", required=True, metavar="DIR", help="folder to write to; made if missing")
    add(
        "--target", metavar="VALUE",
        help="target of the property: max, min, a number, LO..HI, or none for unguided draws; "
        "also as PROP=VALUE (default: the best tenth of the training data)",
    )  # fmt: skip
    add(
        "--gamma", type=numbers, default=gammas, metavar="G,...", help=f"strengths ({gammas})"
    )  # fmt: skip
    add("--steps", type=counts, default=steps, metavar="T,...", help=f"of the plans ({steps})")
    add("--seeds", type=wholes, default="0,1,2", metavar="S,...", help="of the draws (0,1,2)")
    add("--n", type=options.positive, default=1024, metavar="N", help="rows a run (1024)")
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


def _target(arguments: argparse.Namespace) -> str | None:
    """Return the target's words; the property of ``PROP=VALUE`` must be that of the sweep."""
    text = arguments.target
    if text is None or "=" not in text:
        return text
    name, _, value = text.rpartition("=")
    if name.strip() != arguments.property:
        raise MolgenError(f"target is {text!r}, expected one of {arguments.property}")
    return str(value)


def finished(store: Store, arguments: argparse.Namespace) -> list[Record]:
    """Return the finished runs of a folder, for charts without a sweep.

    Raises:
        MolgenError: if there are none, or they are of another property.
    """
    records = store.records()
    if not records:
        raise MolgenError(f"{str(store.folder)!r} has no finished runs to chart")
    if records[0].objective.property != arguments.property:
        raise MolgenError(
            f"property is {arguments.property}, expected {records[0].objective.property}, that of "
            f"the runs in {str(store.folder)!r}"
        )
    return records
