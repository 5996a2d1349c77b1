"""Chart inference-time scaling: quality against forwards as the steps grow, for each method.

With --budgets, methods that retry failed rows (adapt=...) are swept over budgets instead, at the
most steps: adaptive compute beside fixed.

With --plane, heat maps (plane.png) over tokens of a block x steps: token by token, block by block,
all at once, each with any number of refinement steps; see `molgen sample --blocks`.

Writes scaling.csv (every run, by both conventions) and scaling.png into a folder, and the molecules
of every run. After an interruption the same command continues. Methods, targets and defaults are
those of `molgen frontier`; the strength is one number.

Example:
  molgen scaling qm9 --property ring_count --out out/scaling
  molgen scaling qm9 --property qed --target none --steps 8,32,128 --n 256 --seeds 0 --out out/plain
  molgen scaling qm9 --property ring_count --target max --steps 8,32,128 --budgets 32,64,128 \
      --method MDLM --method 'Restart; adapt=restart' --method 'Remask; adapt=remask' --out out/a
  molgen scaling qm9 --property ring_count --target 7 --gamma 1 --plane --n 256 --out out/plane
"""

from __future__ import annotations

import argparse

from molgen.cli import sweep_options as sweeping

ALL = "all"  # tokens of a block
STEPS = "8,16,32,64,128,256,512,1024"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    sweeping.add_arguments(parser, gammas="2", steps=f"{STEPS}; with --plane 1,2,4,8,16,32")
    parser.add_argument(
        "--budgets",
        type=sweeping.counts,
        default=(),
        metavar="B,...",
        help="of forwards a row, for methods with adapt=...",
    )

    parser.add_argument(
        "--plane", action="store_true", help="chart tokens of a block x steps, as heat maps"
    )
    parser.add_argument(
        "--blocks",
        type=_sizes,
        metavar="B,...",
        help="tokens of a block, all for all of a row; for --plane (1,2,4,8,all)",
    )


def _sizes(text: str) -> list[int | str]:
    """Read whole numbers, or all, with commas between them."""
    parts = text.split(",")
    numbers = [part for part in parts if part != ALL]
    found = sweeping.counts(",".join(numbers)) if numbers else ()
    return [*found, *[ALL] * (len(numbers) < len(parts))]


def run(arguments: argparse.Namespace) -> int:
    """Sweep and chart; return the exit status."""
    from molgen.api.scaling import scaling
    from molgen.frontiers.frontier import over_seeds
    from molgen.frontiers.plane import plane_text
    from molgen.frontiers.scaling import gains

    given = sweeping.given(arguments) | {"budgets": arguments.budgets, "plane": arguments.plane}
    if arguments.blocks is not None:
        given["blocks"] = arguments.blocks
    found = scaling(**given)
    sweeping.check_interrupted(found)
    if arguments.plane:
        print(plane_text(found.table))
    else:
        print(gains(over_seeds(found.table, ("forwards", "product"))).to_string(index=False))
    print(f"{len(found.output.records)} runs: {found.output.figure}")
    return 0
