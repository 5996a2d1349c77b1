"""Search with an oracle: draw, score, and draw again from the best.

Properties are computed while drawing, and the calls are counted: each distinct molecule once. The
result is the N best molecules that are valid, unique and not in the training set. Targets may be
any property that can be computed; those that the model is conditioned on also guide the draws, at
gamma 1 unless another is given, or guidance is none. Two budgets end a search: --nfe and
--oracle-calls. The exit status is 0 with N molecules and 3 with fewer.

Example:
  molgen search qm9 --target qed=max --n 100 --out best.csv --grid best.png
  molgen search qm9 --target ring_count=max --n 50 --method smc:twist=2 --out rings.csv
  molgen search qm9 --target qed=max --target logp=1 --pareto --n 50 --oracle-calls 2000 --out p.csv
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from molgen.cli import options, outputs, resume
from molgen.errors import MolgenError
from molgen.utils.progress import Bar

if TYPE_CHECKING:
    from molgen.discovery.search import Found, Method, Search

METHODS = ("metropolis", "best-of-n", "smc")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    options.add_model(parser)
    options.add_targets(parser, required=True)
    outputs.add_arguments(parser)
    parser.add_argument(
        "--method",
        default="metropolis",
        metavar="METHOD",
        help="metropolis (default), best-of-n, or smc; parameters as metropolis:beta=.1,high=.5; "
        "metropolis:fragments=.5 replaces whole fragments in half of the moves",
    )
    parser.add_argument(
        "--oracle-calls",
        type=options.positive,
        metavar="M",
        help="budget: distinct molecules to score (default: no limit)",
    )
    parser.add_argument(
        "--nfe",
        type=options.positive,
        default=400,
        metavar="F",
        help="budget: forwards of the network for each of the N molecules (default 400)",
    )
    outputs.add_filters(parser)
    outputs.add_weights(parser, "the sum of several")
    parser.add_argument(
        "--pareto", action="store_true", help="rank by dominance instead of a weighted sum"
    )
    outputs.add_allowed(parser)
    options.add_sampling(parser)
    options.add_scorers(parser)


def run(arguments: argparse.Namespace) -> int:
    """Search and write; return the exit status."""
    outputs.check_files(arguments)
    goals = outputs.read_goals(arguments)
    targets = goals.targets
    if arguments.pareto and (arguments.weight or len(targets) < 2):
        raise MolgenError("pareto is given, expected at least two targets and no weights")

    from molgen.molecules.filters import Filters

    filters = Filters.read(arguments.filter)

    from molgen.discovery.request import Budget, Request
    from molgen.discovery.search import GAMMA, search

    chosen = method(arguments.method)
    model = resume.load_model(arguments.model)
    settings = options.settings(arguments, model, "design")
    if arguments.gamma is None and arguments.preset is None:
        settings = replace(settings, gamma=GAMMA)
    request = Request(
        goals,
        arguments.n,
        filters,
        budget=Budget(nfe=arguments.nfe, oracle_calls=arguments.oracle_calls),
        seed=arguments.seed,
        settings=settings,
        guided_by={} if arguments.guidance == "none" else None,
        allow_training_molecules=arguments.allow_training_molecules,
        allow_radicals=arguments.allow_radicals,
        novelty=arguments.novelty,
    )
    options.warn_of_targets(model, targets)
    screen = Screen(arguments.n * arguments.nfe, "forward")
    try:
        found = search(model, request, chosen, arguments.pareto, screen.round)
    finally:
        screen.close()
    if found.reason == "interrupted" and not len(found.table):
        raise KeyboardInterrupt
    outputs.deliver(found.table, arguments, model, settings, found.counts, found.reason)
    print(report(found, list(targets)))
    print(f"wrote {outputs.place(arguments.out)}")
    if arguments.grid and len(found.table):
        names = ", ".join(targets)
        title = f"{arguments.model}: {names}\nfound with an oracle; valid, unique and new"
        outputs.draw_grid(found.table, list(targets), arguments.grid, title)
    return outputs.end(model, len(found.table), arguments.n, found.reason)


def method(text: str) -> Method:
    """Read ``metropolis``, ``best-of-n`` or ``smc``, or ``NAME:key=value,...``.

    Raises:
        MolgenError: naming the value and the allowed ones.
    """
    import dataclasses

    from molgen.discovery.best_of import BestOf
    from molgen.discovery.metropolis import Metropolis
    from molgen.discovery.smc import SequentialMonteCarlo

    name, _, rest = text.partition(":")
    kinds: dict[str, Any] = dict(
        zip(METHODS, (Metropolis, BestOf, SequentialMonteCarlo), strict=True)
    )
    if name not in kinds:
        raise MolgenError(f"method is {name!r}, expected one of {', '.join(METHODS)}")
    allowed = {f.name: f.default for f in dataclasses.fields(kinds[name])}
    values: dict[str, Any] = {}
    for pair in filter(None, rest.split(",")):
        key, equals, value = (part.strip() for part in pair.partition("="))
        if not equals or key not in allowed:
            raise MolgenError(
                f"{name} has no parameter {pair!r}, expected {', '.join(allowed) or 'none'}"
                " as key=value"
            )
        values[key] = _number(f"{name}'s {key}", value, type(allowed[key]))
    return kinds[name](**values)


def _number(name: str, text: str, kind: type) -> Any:
    """Read a number of a kind: a switch is 0 or 1."""
    try:
        value = float(text)
        if kind is float:
            return value
        if value.is_integer() and (kind is int or value in (0, 1)):
            return kind(value)
    except ValueError:
        pass
    kinds = {float: "a number", int: "a whole number", bool: "0 or 1"}
    raise MolgenError(f"{name} is {text!r}, expected {kinds[kind]}")


class Screen(Bar):
    """Shows a bar of forwards."""

    def round(self, search: Search) -> None:
        """Show the forwards and oracle calls so far."""
        self.to(search.counts.forwards)
        self.note(f"{search.counts.oracle_calls} oracle calls")


def report(found: Found, names: list[str]) -> str:
    """Return the short table and the counts."""
    from molgen.discovery.novelty import tautomers
    from property_models import alongside

    lines = outputs.short_table(found.table, alongside(names))
    lines += [str(found.counts), tautomers(found.table), f"ended: {found.reason}"]
    return "\n".join(filter(None, lines))
