r"""Find the settings that give most for a target, and write them as a preset.

Candidates (strategies, weights, correctors, strengths, also as lines over time, steps,
temperatures) are compared by successive halving: all on few rows, the best third on three times as
many, until about three are left for N rows of every seed. The model's present settings take part in
every comparison, so the preset is at least as good on the rows it was chosen by.

What counts is the score, novel x gain x min(1, budget / NFE): the fraction of rows that are novel,
times how far their mean is above the data's mean, which is the hypervolume of a frontier of one
point; and that for each forward beyond the budget (NFE: mean forwards a row, those of classifiers
included). The rows a preset was chosen by flatter it a little; fresh seeds tell by how much.

Writes the preset, a table of all candidates beside it (FILE.csv), and what was drawn (FILE-rungs):
a run that was interrupted goes on when the same command is given again.

Example:
  molgen tune qm9 --target qed=max --out qed.json
  molgen tune qm9 --target qed=max --adapt --budget 64 --out qed-adapt.json
  molgen tune qm9 --target ring_count=5 --budget 64 --candidates 48 --convention paper \
      --seeds 0,1,2,3,4 --out rings.json
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from molgen.cli import options, sweep_progress
from molgen.cli import sweep_options as sweeping
from molgen.utils.progress import Bar

if TYPE_CHECKING:
    from molgen.frontiers.halving import Rung
    from molgen.frontiers.tune import Standing, Tune
    from molgen.model import Model

SHOWN = 5  # candidates of the last rung on the screen


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    options.add_model(parser)
    add = parser.add_argument
    add(
        "--target", required=True, metavar="PROP=VALUE",
        help="what to tune for: VALUE is max, min, a number, or LO..HI",
    )  # fmt: skip
    add("--out", required=True, metavar="FILE", help="the preset to write, a .json file")
    add(
        "--candidates", type=options.positive, default=24, metavar="K",
        help="how many to try, the model's present settings among them (24)",
    )  # fmt: skip
    add(
        "--start", type=options.positive, default=64, metavar="N", help="rows of each at first (64)"
    )
    add("--n", type=options.positive, default=1024, metavar="N", help="rows of each at last (1024)")
    add(
        "--seeds", type=sweeping.wholes, default="0,1,2", metavar="S,...",
        help="of the rows at last; before, the first of them (0,1,2)",
    )  # fmt: skip
    add(
        "--budget", type=float, default=128.0, metavar="NFE",
        help="forwards a row that cost nothing; more are counted against a candidate (128)",
    )  # fmt: skip
    add(
        "--adapt", action="store_true",
        help="candidates in which rows that are no new molecule go on, up to once or twice the "
        "budget, instead of one draw a row",
    )  # fmt: skip
    add(
        "--convention", choices=["strict", "paper"], default="strict",
        help="what counts as novel (strict)",
    )  # fmt: skip
    add(
        "--search-seed", type=options.whole, default=0, metavar="S",
        help="another seed tries other candidates (0)",
    )  # fmt: skip
    add("--batch-size", type=options.positive, metavar="B", help="rows in flight; speed only")
    options.add_device(parser)


def run(arguments: argparse.Namespace) -> int:
    """Tune and write; return the exit status."""
    from molgen.frontiers.tune import Progress, leaderboard, preset, tune
    from molgen.sampling.preset_file import write_preset
    from molgen.utils.files import check_writable

    out = Path(arguments.out)
    if out.suffix.lower() != ".json":
        raise ValueError(f"out is {arguments.out!r}, expected a file ending in .json")
    table, folder = out.with_suffix(".csv"), out.with_name(f"{out.stem}-rungs")
    for path in (out, table):
        check_writable(path)
    sweeping.out_folder(str(folder))
    asked, model = prepare(arguments)
    bar = Rows(len(asked.rungs))

    def keep(standings: Sequence[Standing]) -> None:
        sweep_progress.write(leaderboard(asked, standings), table)

    try:
        standings = tune(asked, model, folder, Progress(bar.begin, bar.rows, keep))
    except KeyboardInterrupt:
        if bar.rung:
            print(
                f"{bar.rung - 1} of {bar.rungs} rungs are finished; the same command goes on",
                file=sys.stderr,
            )
        raise
    finally:
        bar.close()
    keep(standings)
    write_preset(out, preset(asked, model, standings))
    print(summary(asked, standings))
    print(f"{len(standings)} candidates: {out}, {table}")
    if not standings[0].score > 0:
        print(
            "warning: no candidate has novel molecules that are better than the data, so the "
            "preset is what the model recommends",
            file=sys.stderr,
        )
    return 0


def prepare(arguments: argparse.Namespace) -> tuple[Tune, Model]:
    """Return what was asked for and the model.

    Raises:
        ValueError: if something asked is out of line.
    """
    from property_models import get

    ((name, _),) = options.targets(argparse.Namespace(target=[arguments.target])).items()
    get(name)

    from molgen import load
    from molgen.frontiers.plan import task_for
    from molgen.frontiers.tune import Tune
    from molgen.frontiers.tune_space import Candidate, adapts, candidates

    model = load(arguments.model)
    value = arguments.target.rpartition("=")[2]
    task = task_for(model, name, value, arguments.n)
    present = Candidate.from_words(model.name, model.preset(targets={name: value}))
    ways = adapts(arguments.budget) if arguments.adapt else ()
    tried = candidates(model, present, arguments.candidates, arguments.search_seed, ways)
    named = {name: getattr(arguments, name) for name in ("batch_size", "device", "dtype")}
    speed: dict[str, Any] = {name: given for name, given in named.items() if given is not None}
    if arguments.device:
        options.check_device(arguments.device)
    asked = Tune(
        task, tuple(tried), arguments.start, arguments.seeds, arguments.budget,
        arguments.convention, speed,
    )  # fmt: skip
    return asked, model


class Rows:
    """A bar over the rows of one rung after another."""

    def __init__(self, rungs: int) -> None:
        self.rungs, self.rung = rungs, 0
        self._bar = Bar(0, shown=False)  # until the first rung

    def begin(self, rung: Rung, candidates: int, rows: int) -> None:
        """Begin a rung."""
        self.close()
        self.rung = rung.number
        text = f"{rung.number}/{self.rungs}: {candidates} candidates, {rung.rows} rows"
        self._bar = Bar(rows, "row", text)

    def rows(self, count: int) -> None:
        """Count rows that have ended."""
        self._bar.add(count)

    def close(self) -> None:
        """Leave the bar as it stands."""
        self._bar.close()


def summary(asked: Tune, standings: Sequence[Standing]) -> str:
    """Return the last rung for reading, and how the best compares with the model's own."""
    best = standings[0]
    own = next(s for s in standings if s.candidate == asked.candidates[0])
    shown = [s for s in standings[:SHOWN] if s.rung.final]
    shown += [] if own in shown else [own]
    seeds = ", ".join(map(str, best.seeds))
    lines = [
        f"{asked.task.property}={asked.task.target}, {best.rung.rows} rows of seed {seeds}, "
        f"{asked.convention}, {asked.budget:g} forwards free:",
        f"{'score':>15}  {'valid':>6}  {'novel':>6}  {'mean':>7}  {'NFE':>6}  how",
    ]
    for standing in shown:
        valid, novel = (f"{100 * standing.mean(name):.1f} %" for name in ("valid", "novel"))
        lines.append(
            f"{score_text(standing):>15}  {valid:>6}  {novel:>6}  {standing.mean('mean'):7.3f}  "
            f"{standing.mean('nfe'):6.1f}  {standing.candidate}"
            + (" (the model's own)" if standing == own else "")
        )
    return "\n".join([*lines, verdict(best, own)])


def score_text(standing: Standing) -> str:
    """Return a score with its spread over seeds."""
    from molgen.frontiers.frontier import spread

    sd = spread(standing.scores)
    return f"{standing.score:.4f}" + (f" ± {sd:.4f}" if sd == sd else "")


def verdict(best: Standing, own: Standing) -> str:
    """Return how the best compares with what the model recommends now."""
    if best == own:
        return "best: what the model recommends now"
    text = f"best: {best.candidate}"
    if own.score > 0:
        text += f", {best.score / own.score:.2f} of the model's own score"
    if len(best.seeds) > 1:
        apart = min(best.scores) > max(own.scores)
        text += ", seeds apart" if apart else ", seeds not apart"
    return text
