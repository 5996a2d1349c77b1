r"""Improve leads: redraw the region with the worst attribution, and stay similar to the lead.

LEADS is a SMILES or a file of them. An attempt masks a region of a lead, keeps the rest and redraws
the region under guidance; every attempt is a row, with its similarity to the lead (Tanimoto, Morgan
radius 2, 2,048 bits), its gain over the lead in training standard deviations, and its outcome:
invalid, unchanged, duplicate, in training set, constraint lost, similarity below, filter failed,
not selected, not scored, goal missed, or ok. A range or a number is met or missed; max and min are
met by an improvement over the lead.

There are two tiers, given in the column `tier` and in the report. By default the properties are not
computed while drawing: the model's noisy classifier scores the regions, and attempts continue from
the molecules with the highest target probability; without a classifier the network scores the
regions, and all attempts start from the lead. With --top-k P the classifier selects P molecules a
lead at the end; the others are `not selected`, and their properties are not computed. With
--oracle-calls M, up to M distinct molecules a lead are scored while drawing, the most promising
ones by a model of those scored before, and attempts continue from improved molecules; the others
are `not scored`. --stop-after E ends the attempts at a lead after E molecules that meet every goal,
by the oracle or, with --top-k, more likely than not by the classifier.
A lead without progress for 60 attempts gets larger regions and a higher temperature.

--donors FILE names known molecules. Good ones near a lead are starts, and their fragments are put
in place of parts of it.

The exit status is 0 if every lead was improved and 3 if not. Finished rows are written every 64
leads. Rejected leads are rows with the reason.

Example:
  molgen optimize zinc250k 'CCc1ccc(NC(C)=O)cc1' --target qed=max --similarity 0.4 --out better.csv
  molgen optimize qm9 leads.smi --target qed=0.5.. --allow-training-molecules --out better.csv
  molgen optimize zinc250k leads.smi --target qed=0.9.. --attempts 120 --top-k 20 --out better.csv
  molgen optimize zinc250k leads.smi --target qed=0.9.. --attempts 200 --oracle-calls 100 \
      --stop-after 1 --donors good.csv --out better.csv
  molgen optimize qm9 'OCC1CCCO1' --target logp=0.5..1.5 --keep 'C1CCCO1' --out better.csv
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from molgen.cli import campaign_options, options, outputs
from molgen.cli.outputs import FEWER, SHOWN

if TYPE_CHECKING:
    import pandas as pd

    from molgen.discovery.leads.counts import LeadCounts
    from molgen.sampling.result import Result

WIDEST = 36  # characters of a molecule in the short table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    options.add_model(parser)
    parser.add_argument("leads", metavar="LEADS", help="a SMILES, or a .smi or .csv file of them")
    options.add_goals(parser)
    parser.add_argument(
        "--similarity", type=float, default=0.4, metavar="S", help="least similarity (default 0.4)"
    )
    parser.add_argument(
        "--attempts",
        type=options.positive,
        default=20,
        metavar="K",
        help="attempts a lead (default 20)",
    )
    parser.add_argument(
        "--oracle-calls",
        type=options.whole,
        default=0,
        metavar="M",
        help="distinct molecules a lead, itself included, that may be scored while drawing "
        "(default 0: none)",
    )
    parser.add_argument(
        "--stop-after",
        type=options.positive,
        metavar="E",
        help="molecules that meet every goal, after which a lead gets no more attempts; needs "
        "--oracle-calls or --top-k (default: all attempts)",
    )
    parser.add_argument(
        "--top-k",
        type=options.positive,
        metavar="P",
        help="molecules a lead that the model's noisy classifier selects from all attempts; "
        "without --oracle-calls (default: every attempt)",
    )
    parser.add_argument(
        "--donors",
        metavar="FILE",
        help="file of good molecules whose fragments are tried, and which attempts may start from; "
        "columns named as the targets' properties have their values",
    )
    outputs.add_out(parser)
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--keep", metavar="ATOMS", help="kept atoms: SMARTS, or for one lead 0,3,5-8"
    )
    which.add_argument(
        "--change", metavar="ATOMS", help="atoms that may change, in the same notation"
    )
    parser.add_argument("--column", metavar="C", help="column of the file with the leads")
    outputs.add_weights(parser, "the guidance and the gain")
    options.add_aggregate(parser)
    outputs.add_filters(parser)
    outputs.add_allowed(parser, novelty=False)
    outputs.add_tolerance(parser)
    options.add_sampling(parser)
    options.add_scorers(parser)
    campaign_options.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Improve and write; return the exit status."""
    targets, _ = options.goals(arguments, needed=True)
    words = {
        "similarity": arguments.similarity,
        "attempts": arguments.attempts,
        "oracle_calls": arguments.oracle_calls,
        "stop_after": arguments.stop_after,
        "top_k": arguments.top_k,
        "donors": None if arguments.donors is None else Path(arguments.donors),
        "keep": arguments.keep,
        "change": arguments.change,
        "column": arguments.column,
        "filters": arguments.filter,
        "tolerance": arguments.tolerance,
        "allow_training_molecules": arguments.allow_training_molecules,
        "allow_radicals": arguments.allow_radicals,
        "seed": arguments.seed,
        "goal_weights": outputs.read_weights(arguments.weight),
        "aggregate": arguments.aggregate,
        **options.given(arguments),
    }
    if arguments.campaign:
        return campaign_options.run(arguments, targets, {"leads": arguments.leads, **words})
    outputs.check_files(arguments)

    from molgen.api.optimize import optimize
    from property_models.scorers import STOPPED

    screen = Screen(None if options.is_piped(arguments) else arguments.out)
    found = optimize(arguments.model, arguments.leads, targets, progress=screen, **words)
    interrupted = found.reason == "interrupted"
    if interrupted and not len(found):
        raise KeyboardInterrupt
    outputs.deliver(found, arguments)
    print(report(found))
    print(f"wrote {outputs.place(arguments.out)}")
    complete = found.counts.every_lead
    if not complete and found.reason != STOPPED:
        why = f": {found.reason}" if interrupted else ""
        improved = f"{found.counts.improved} of {found.asked} leads improved"
        print(f"{improved}{why}", file=sys.stderr)
    return 130 if interrupted else 0 if complete else FEWER


class Screen(outputs.Screen):
    """Shows a bar of attempts, and writes finished rows."""

    def __init__(self, out: str | None) -> None:
        super().__init__()
        self.out = out
        self.tables: list[pd.DataFrame] = []

    def found(self, rows: pd.DataFrame) -> None:
        """Write the rows of all finished leads."""
        import pandas as pd

        from molgen.data.tables import write_table

        self.tables.append(rows)
        if self.out is not None:  # else it is written once, at the end
            write_table(pd.concat(self.tables, ignore_index=True), self.out)


def report(found: Result[LeadCounts]) -> str:
    """Return the short table and the counts."""
    from molgen.molecules.fate import Fate

    names = list(found.request.goals.computed.targets)
    ok = found.table[found.table["outcome"] == Fate.ACCEPTED]
    ok = ok.sort_values(["gain", "similarity"], ascending=False, kind="stable")
    if found.asked > 1:
        ok = ok.drop_duplicates("lead_index").sort_values("lead_index")
    lines = [f"{'lead':<{WIDEST}} {'better':<{WIDEST}} {'similarity':>10}"]
    lines[0] += "".join(f"{name:>18}" for name in names)
    for _, row in ok.head(SHOWN).iterrows():
        values = "".join(f"{row[f'lead_{name}']:8.3f} ->{row[name]:7.3f}" for name in names)
        text = f"{_short(row['lead'])} {_short(row['smiles'])} {row['similarity']:10.3f}"
        lines.append(text + values)
    if len(ok) > SHOWN:
        lines.append(f"... and {len(ok) - SHOWN} more")
    refused = found.table[found.table["try"] == 0]
    lines += [
        f"{_short(row['lead'])} {row['outcome']}" for _, row in refused.head(SHOWN).iterrows()
    ]
    return "\n".join([*lines, str(found.counts)])


def _short(text: str) -> str:
    return f"{text if len(text) <= WIDEST else text[: WIDEST - 3] + '...':<{WIDEST}}"
