"""Search with an oracle: draw, score, and draw again from the best.

Properties are computed while drawing, and the calls are counted: each distinct molecule once. The
result is the N best molecules that are valid, unique and not in the training set. Targets may be
any property that can be computed; those that the model is conditioned on also guide the draws, at
gamma 1 unless another is given, or guidance is none. Two budgets end a search: --nfe and
--oracle-calls. The exit status is 0 with N molecules and 3 with fewer.

Example:
  molgen search qm9 --target qed=max --n 100 --out best.csv --grid best.png
  molgen search qm9 --target ring_count=max --n 50 --method smc:twist=2 --out rings.csv
  molgen search qm9 --target qed=max --target logp=1 --aggregate pareto --n 50 --out front.csv
  molgen search zinc250k --score 'dock:DRD2=sigmoid(-8,-11)' --target 'qed=sigmoid(.4,.7)' \
    --aggregate product --n 50 --oracle-calls 1000 --out ligands.csv
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from molgen.cli import campaign_options, options, outputs

if TYPE_CHECKING:
    from molgen.discovery.counts import SearchCounts
    from molgen.discovery.search_state import Search
    from molgen.sampling.result import Result


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    options.add_model(parser)
    options.add_goals(parser)
    outputs.add_arguments(parser)
    parser.add_argument(
        "--method",
        default="metropolis",
        metavar="METHOD",
        help="metropolis (default), best-of-n, smc, or for expensive scorers surrogate; parameters "
        "as metropolis:beta=.1,high=.5; metropolis:fragments=.5 replaces whole fragments in half "
        "of the moves",
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
    outputs.add_weights(parser, "the aggregate of several")
    options.add_aggregate(parser, pareto=True)
    outputs.add_allowed(parser)
    options.add_sampling(parser)
    options.add_scorers(parser)
    campaign_options.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Search and write; return the exit status."""
    targets, _ = options.goals(arguments, needed=True)
    words = {
        "method": arguments.method,
        "oracle_calls": arguments.oracle_calls,
        "nfe": arguments.nfe,
        "aggregate": arguments.aggregate,
        "filters": arguments.filter,
        "allow_training_molecules": arguments.allow_training_molecules,
        "allow_radicals": arguments.allow_radicals,
        "novelty": arguments.novelty,
        "seed": arguments.seed,
        "goal_weights": outputs.read_weights(arguments.weight),
        **options.given(arguments),
    }
    if arguments.campaign:
        return campaign_options.run(arguments, targets, words, "grid")
    outputs.check_files(arguments)

    from molgen.api.search import search

    found = search(arguments.model, targets, arguments.n, progress=Screen(), **words)
    if found.reason == "interrupted" and not len(found):
        raise KeyboardInterrupt
    outputs.deliver(found, arguments)
    print(report(found, list(targets)))
    print(f"wrote {outputs.place(arguments.out)}")
    if arguments.grid and len(found):
        names = ", ".join(targets)
        title = f"{arguments.model}: {names}\nfound with an oracle; valid, unique and new"
        outputs.draw_grid(found.table, list(targets), arguments.grid, title)
    return outputs.end(found)


class Screen(outputs.Screen):
    """Shows a bar of forwards, and the oracle calls."""

    def round(self, state: Search) -> None:
        """Show the oracle calls so far."""
        self.bar.note(f"{state.counts.oracle_calls} oracle calls")


def report(found: Result[SearchCounts], names: list[str]) -> str:
    """Return the short table and the counts."""
    from molgen.discovery.novelty import tautomers
    from property_models import alongside

    lines = outputs.short_table(found.table, alongside(names))
    lines += [str(found.counts), tautomers(found.table), f"ended: {found.reason}"]
    return "\n".join(filter(None, lines))
