r"""Tune the settings for a target, and write them as a preset.

Candidates (remasking strategies, weights, correctors, strengths, also linear in time, steps,
temperatures) are compared by successive halving: all on few rows, the best third on three times as
many, until about three are left for N rows of every seed. The model's present settings take part in
every comparison, so the preset is at least as good on the rows it was selected by.

The score is novel x gain x min(1, budget / NFE): the fraction of rows that are novel, times the
distance of their mean above the data's mean, which is the hypervolume of a frontier of one point,
per forward beyond the budget (NFE: mean forwards a row, those of classifiers included). Selection
biases the score of a preset upwards; fresh seeds measure by how much.

Writes the preset, a table of all candidates beside it (FILE.csv), and the draws (FILE-rungs): after
an interruption the same command continues.

Example:
  molgen tune qm9 --target qed=max --out qed.json
  molgen tune qm9 --target qed=max --adapt --budget 64 --out qed-adapt.json
  molgen tune qm9 --target ring_count=5 --budget 64 --candidates 48 --convention paper \
      --seeds 0,1,2,3,4 --out rings.json
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from molgen.cli import options
from molgen.cli import sweep_options as sweeping

if TYPE_CHECKING:
    from molgen.frontiers.tune import Standing, Tune

SHOWN = 5  # candidates of the last rung on the screen


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    options.add_model(parser)
    add = parser.add_argument
    add(
        "--target", required=True, metavar="PROP=VALUE",
        help="the objective: VALUE is max, min, a number, or LO..HI",
    )  # fmt: skip
    add("--out", required=True, metavar="FILE", help="the preset to write, a .json file")
    add(
        "--candidates", type=options.positive, default=24, metavar="K",
        help="number of candidates, with the model's present settings (24)",
    )  # fmt: skip
    add(
        "--start", type=options.positive, default=64, metavar="N",
        help="rows of each in the first rung (64)",
    )  # fmt: skip
    add(
        "--n", type=options.positive, default=1024, metavar="N",
        help="rows of each in the last rung (1024)",
    )  # fmt: skip
    add(
        "--seeds", type=sweeping.wholes, default="0,1,2", metavar="S,...",
        help="of the last rung; earlier rungs use the first of them (0,1,2)",
    )  # fmt: skip
    add(
        "--budget", type=float, default=128.0, metavar="NFE",
        help="forwards a row without a penalty; more reduce a candidate's score (128)",
    )  # fmt: skip
    add(
        "--adapt", action="store_true",
        help="candidates that retry rows without a new molecule, up to once or twice the budget, "
        "instead of one draw a row",
    )  # fmt: skip
    add(
        "--convention", choices=["strict", "paper"], default="strict",
        help="of novelty (strict)",
    )  # fmt: skip
    add(
        "--search-seed", type=options.whole, default=0, metavar="S",
        help="seed of the choice of candidates (0)",
    )  # fmt: skip
    add("--batch-size", type=options.positive, metavar="B", help="rows in a batch; speed only")
    options.add_device(parser)


def run(arguments: argparse.Namespace) -> int:
    """Tune and write; return the exit status."""
    from molgen.api.tune import tune

    names = (
        *("model", "target", "out", "candidates", "start", "n", "seeds", "budget", "adapt"),
        *("convention", "search_seed", "batch_size", "device", "dtype"),
    )
    found = tune(**{name: getattr(arguments, name) for name in names}, progress=sweeping.Screen())
    sweeping.check_interrupted(found)
    print(summary(found.request, found.counts))
    out = Path(arguments.out)
    print(f"{len(found.counts)} candidates: {out}, {out.with_suffix('.csv')}")
    return 0


def summary(request: Tune, standings: Sequence[Standing]) -> str:
    """Return the last rung as text, and the comparison of the best with the model's own."""
    best = standings[0]
    own = next(s for s in standings if s.candidate == request.candidates[0])
    shown = [s for s in standings[:SHOWN] if s.rung.final]
    shown += [] if own in shown else [own]
    seeds = ", ".join(map(str, best.seeds))
    lines = [
        f"{request.objective.property}={request.objective.target}, {best.rung.rows} rows of seed "
        f"{seeds}, {request.convention}, {request.budget:g} forwards free:",
        f"{'score':>15}  {'valid':>6}  {'novel':>6}  {'mean':>7}  {'NFE':>6}  settings",
    ]
    for standing in shown:
        valid, novel = (f"{100 * standing.mean(name):.1f} %" for name in ("valid", "novel"))
        lines.append(
            f"{score_text(standing):>15}  {valid:>6}  {novel:>6}  {standing.mean('mean'):7.3f}  "
            f"{standing.mean('nfe'):6.1f}  {standing.candidate}"
            + (" (the model's own)" if standing == own else "")
        )
    return "\n".join([*lines, comparison(best, own)])


def score_text(standing: Standing) -> str:
    """Return a score with its spread over seeds."""
    from molgen.frontiers.frontier import spread

    sd = spread(standing.scores)
    return f"{standing.score:.4f}" + (f" ± {sd:.4f}" if sd == sd else "")


def comparison(best: Standing, own: Standing) -> str:
    """Return the comparison of the best with the model's present recommendation."""
    if best == own:
        return "best: the model's own settings"
    text = f"best: {best.candidate}"
    if own.score > 0:
        text += f", {best.score / own.score:.2f} of the model's own score"
    if len(best.seeds) > 1:
        apart = min(best.scores) > max(own.scores)
        text += ", seeds apart" if apart else ", seeds not apart"
    return text
