"""Chart inference-time scaling: quality against forwards as the steps grow, for each method.

With --budgets, methods that retry failed rows (adapt=...) are swept over budgets instead, at the
most steps: adaptive compute beside fixed.

Writes scaling.csv (every run, by both conventions) and scaling.png into a folder, and the molecules
of every run. After an interruption the same command continues. Methods, targets and defaults are
those of `molgen frontier`; the strength is one number.

Example:
  molgen scaling qm9 --property ring_count --out out/scaling
  molgen scaling qm9 --property qed --target none --steps 8,32,128 --n 256 --seeds 0 --out out/plain
  molgen scaling qm9 --property ring_count --target max --steps 8,32,128 --budgets 32,64,128 \
      --method MDLM --method 'Restart; adapt=restart' --method 'Remask; adapt=remask' --out out/a
"""

from __future__ import annotations

import argparse

from molgen.cli import sweep_options as sweeping

STEPS = "8,16,32,64,128,256,512,1024"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    sweeping.add_arguments(parser, gammas="2", steps=STEPS)
    parser.add_argument(
        "--budgets",
        type=sweeping.counts,
        default=(),
        metavar="B,...",
        help="of forwards a row, for methods with adapt=...",
    )


def run(arguments: argparse.Namespace) -> int:
    """Sweep and chart; return the exit status."""
    from molgen.api.scaling import scaling
    from molgen.frontiers.frontier import over_seeds
    from molgen.frontiers.scaling import gains

    found = scaling(**sweeping.given(arguments), budgets=arguments.budgets)
    sweeping.check_interrupted(found)
    print(gains(over_seeds(found.table, ("forwards", "product"))).to_string(index=False))
    print(f"{len(found.output.records)} runs: {found.output.figure}")
    return 0
