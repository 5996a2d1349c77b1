r"""Draw until N valid, unique, novel molecules meet every target and pass every filter.

A range is a filter; a number is met within --tolerance (whole-number properties exactly); max and
min only guide. Targets may be any property that can be computed: those that the model is
conditioned on guide the draws, the others filter them. A label that the model learned from a column
of its training file guides, and cannot filter. Weights apply to the guidance and to the
column `score`: weighted distances from the targets, in training standard deviations. All rows drawn
are counted, with the number that meet each target and pass each filter. Without a target, every new
molecule is accepted. The exit status is 0 with N molecules and 3 with fewer.

With --no-filter, the first N rows are delivered without filtering, and counted in the same way.

With --campaign, all rows and scores are kept in a file from which the same command goes on after an
interruption; see `molgen campaign --help`.

Example:
  molgen design qm9 --target qed=max --n 100 --out designs.csv --grid designs.png
  molgen design qm9 --target ring_count=3 --target logp=0..1 --n 50 --out rings.csv
  molgen design qm9 --target qed=0.5.. --target logp=0..1 --target tpsa=40..70 --target sa=..4 \
      --target hbd=1 --filter brenk --filter 'smarts:[N+](=O)[O-]' --n 50 --out several.csv
  molgen design qm9 --target qed=max --target sa=min --weight qed=2 --n 50 --out ranked.csv
  molgen design qm9 --target qed=0.5.. --target logp=0..1 --no-filter --n 1000 --out rows.csv
  molgen design zinc250k --diversity 0.85 --n 100 --out diverse.csv
  molgen design zinc250k --target qed=0.9.. --n 10000 --campaign night.campaign --workers 8
  molgen design zinc250k --scaffold-file cores.smi --part-target mw=..150 \
      --per-scaffold 10 --out parts.csv
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

from molgen.cli import campaign_options, options, outputs, scaffold_options

if TYPE_CHECKING:
    import pandas as pd

    from molgen.discovery.counts import DesignCounts
    from molgen.discovery.goals import Goals
    from molgen.sampling.result import Result

WIDEST = 40  # characters of a name in the table of counts
WIDEST_SMILES = 60  # of a molecule in the short table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    options.add_model(parser)
    options.add_goals(parser)
    outputs.add_weights(parser, "the guidance and the score")
    outputs.add_filters(parser)
    scaffold_options.add_arguments(parser)
    outputs.add_arguments(parser, scaffolds=True)
    parser.add_argument(
        "--max-draws",
        type=options.positive,
        metavar="M",
        help="budget (default: 100 draws a molecule)",
    )
    outputs.add_tolerance(parser)
    outputs.add_allowed(parser)
    parser.add_argument(
        "--no-filter",
        action="store_true",
        help="deliver the first N rows without filtering, with the reason of a rejection in the "
        "column `lost`",
    )
    options.add_diversity(parser)
    options.add_sampling(parser)
    options.add_scorers(parser)
    campaign_options.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Design and write; return the exit status."""
    started = time.monotonic()
    goals, columns = options.goals(arguments)
    words = {
        "filters": arguments.filter,
        **scaffold_options.given(arguments),
        "part_targets": arguments.part_target,
        "per_scaffold": arguments.per_scaffold,
        "properties": columns,
        "tolerance": arguments.tolerance,
        "max_draws": arguments.max_draws,
        "allow_training_molecules": arguments.allow_training_molecules,
        "allow_radicals": arguments.allow_radicals,
        "novelty": arguments.novelty,
        "seed": arguments.seed,
        "diversity": arguments.diversity,
        "goal_weights": outputs.read_weights(arguments.weight),
        **options.given(arguments),
    }
    if arguments.campaign:
        return campaign_options.run(arguments, goals, words, "no_filter", "grid")
    outputs.check_files(arguments)

    from molgen.api.design import design

    screen = Screen(list(goals), started)
    designs = design(
        arguments.model,
        goals,
        arguments.n or 1,
        no_filter=arguments.no_filter,
        progress=screen,
        **words,
    )
    if designs.reason == "interrupted" and not len(designs):
        raise KeyboardInterrupt
    names = list(designs.request.names)
    ranked = rank(designs.table)
    outputs.deliver(designs, arguments)
    print(report(designs, ranked))
    print(f"wrote {outputs.place(arguments.out)}")
    if arguments.grid and len(ranked):
        asked = ", ".join(goals)
        title = f"{arguments.model}: {asked}\nvalid, unique and new to the training set"
        outputs.draw_grid(ranked, names, arguments.grid, title)
    return outputs.end(designs, "rows" if arguments.no_filter else "molecules")


class Screen(outputs.Screen):
    """Prints the first molecule, then shows a bar."""

    def __init__(self, names: list[str], started: float) -> None:
        super().__init__()
        self.names, self.started, self.first = names, started, True

    def found(self, rows: pd.DataFrame) -> None:
        """Print the first molecule of the run."""
        if self.first:
            row = rows.iloc[0]
            computed = [name for name in self.names if not isinstance(row[name], str)]
            values = ", ".join(f"{name} {row[name]:.3g}" for name in computed)
            seconds = time.monotonic() - self.started
            shown = f"{row['smiles']} ({values})" if values else row["smiles"]
            options.say(f"first molecule after {seconds:.1f} s: {shown}")
            self.first = False


def rank(table: pd.DataFrame) -> pd.DataFrame:
    """Return the accepted molecules by score, best first."""
    if "lost" in table:
        table = table[table["lost"] == ""]
    return table.sort_values("score", ascending=False, kind="stable")


def report(designs: Result[DesignCounts], ranked: pd.DataFrame) -> str:
    """Return the short table and the counts."""
    from molgen.discovery.novelty import tautomers
    from property_models import alongside

    goals = designs.request.goals
    lines = outputs.short_table(ranked, alongside(designs.request.names), WIDEST_SMILES)
    lines += [*counts_table(designs.counts, goals), str(designs.counts), tautomers(ranked)]
    if designs.request.per_scaffold:
        several = designs.counts.scaffolds.items()
        lines += [f"{one.accepted} for {name}: {one}" for name, one in several if one.accepted]
    return "\n".join(filter(None, lines))


def counts_table(counts: DesignCounts, goals: Goals) -> list[str]:
    """Return the number that meet each goal, each filter, and all of them, as a table.

    Rows are a share of all rows drawn, duplicates and invalid ones included; molecules are distinct
    ones, a share of the distinct valid ones.
    """
    if len(counts.met) < 2:  # only "all of them": no goal or filter
        return []
    weights = {str(goal): f"{goal.weight:g}" for goal in goals}
    shown = {
        name: f"{name[: WIDEST - 3]}..." if len(name) > WIDEST else name for name in counts.met
    }
    width = max(map(len, shown.values()))
    of_rows, of_distinct = f"of {counts.drawn} rows", f"of {counts.distinct} molecules"
    lines = [f"{'met':<{width}}  weight  {of_rows:>18}  {of_distinct:>18}"]
    for name, met in counts.met.items():
        rows = f"{met.rows} {percent(met.rows, counts.drawn)}"
        distinct = f"{met.distinct} {percent(met.distinct, counts.distinct)}"
        weight = weights.get(name, "")
        lines.append(f"{shown[name]:<{width}}  {weight:>6}  {rows:>18}  {distinct:>18}")
    return lines


def percent(count: int, total: int) -> str:
    """Return a percentage, with a fixed width."""
    return f"{100 * count / total if total else 0.0:5.1f} %"
