"""Chart inference-time scaling: quality against forwards as the steps grow, for each sampler.

With --budgets, arms that go on with failed rows (adapt=...) take those instead, at the most steps:
adaptive compute beside fixed.

Writes scaling.csv (every point, by both conventions) and scaling.png into a folder, and the
molecules of every point. A run that was interrupted goes on when the same command is given again.
Arms, targets and defaults are those of `molgen frontier`; the strength is one number.

Example:
  molgen scaling qm9 --property ring_count --out out/scaling
  molgen scaling qm9 --property qed --target none --steps 8,32,128 --n 256 --seeds 0 --out out/plain
  molgen scaling qm9 --property ring_count --target max --steps 8,32,128 --budgets 32,64,128 \
      --arm MDLM --arm 'Restart; adapt=restart' --arm 'Remask; adapt=remask' --out out/adaptive
"""

from __future__ import annotations

import argparse

from molgen.cli import sweep_options as sweeping
from molgen.cli import sweep_progress

STEPS = "8,16,32,64,128,256,512,1024"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    sweeping.add_arguments(parser, gammas="2", steps=STEPS)
    parser.add_argument(
        "--budgets",
        type=sweeping.counts,
        default=(),
        metavar="B,...",
        help="of forwards a row, for arms with adapt=...",
    )


def run(arguments: argparse.Namespace) -> int:
    """Sweep and chart; return the exit status."""
    from molgen.frontiers.frontier import over_seeds
    from molgen.frontiers.plot import figure_class
    from molgen.frontiers.scaling import gains, scaling_png, scaling_table
    from molgen.frontiers.store import Store

    if len(arguments.gamma) > 1:
        given = ",".join(f"{gamma:g}" for gamma in arguments.gamma)
        raise ValueError(f"gamma is {given}, expected one number: the chart is over steps")
    folder = sweeping.out_folder(arguments.out)
    figure_class()  # what the chart needs is looked for before hours are spent
    order = sweeping.labels(arguments)
    if arguments.only_charts:
        records = sweeping.finished(Store(folder), arguments)
    else:
        sweep, models = sweeping.prepare(arguments)
        order = tuple(arm.label for arm in sweep.arms)
        records = sweep_progress.carry_out(
            sweep, models, folder,
            lambda done: sweep_progress.write(scaling_table(done, order), folder / "scaling.csv"),
        )  # fmt: skip
    strengths = {record.point.gamma for record in records}
    if len(strengths) > 1:
        raise ValueError(
            f"{arguments.out!r} holds points of gamma {', '.join(f'{g:g}' for g in strengths)}, "
            "expected one: give the sweep another --out"
        )
    table = scaling_table(records, order)
    sweep_progress.write(table, folder / "scaling.csv")
    scaling_png(table, records[0].task, folder / "scaling.png")
    print(gains(over_seeds(table, ("forwards", "product"))).to_string(index=False))
    print(f"{len(records)} points: {folder / 'scaling.png'}")
    return 0
