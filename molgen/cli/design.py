"""Draw until N valid, unique, novel molecules meet the targets.

A range is a filter; a number is met within --tolerance (whole-number properties exactly); max and
min steer only. Everything drawn on the way is counted. The exit status is 0 with N molecules and 3
with fewer.

Example:
  molgen design qm9 --target qed=max --n 100 --out designs.csv --grid designs.png
  molgen design qm9 --target ring_count=3 --target logp=0..1 --n 50 --out rings.csv
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING

from molgen.cli import options

if TYPE_CHECKING:
    import pandas as pd

    from molgen.design import Designs, Tally
    from molgen.targets import Target

SHOWN = 10  # molecules of the short table
DRAWN = 20  # structures of the picture
FEWER = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    options.add_model(parser)
    options.add_targets(parser, required=True)
    parser.add_argument(
        "--n", type=options.positive, required=True, metavar="N", help="molecules to deliver"
    )
    parser.add_argument(
        "--out", required=True, metavar="FILE", help="a .csv, .parquet, .smi or .sdf file to write"
    )
    parser.add_argument("--grid", metavar="PNG", help=f"also draw the best {DRAWN} structures")
    parser.add_argument(
        "--max-draws",
        type=options.positive,
        metavar="M",
        help="budget (default: 100 draws a molecule)",
    )
    parser.add_argument(
        "--tolerance",
        type=float,
        default=0.05,
        metavar="X",
        help="how near a number must be, in training standard deviations (default 0.05)",
    )
    parser.add_argument(
        "--allow-known", action="store_true", help="deliver molecules of the training set too"
    )
    options.add_sampling(parser)


def run(arguments: argparse.Namespace) -> int:
    """Design and write; return the exit status."""
    started = time.monotonic()
    from molgen.files import check_writable
    from molgen.tables import check_extension, write_table

    check_extension(arguments.out)
    for path in filter(None, (arguments.out, arguments.grid)):
        check_writable(path)
    if arguments.grid and not arguments.grid.lower().endswith(".png"):
        raise ValueError(f"grid is {arguments.grid!r}, expected a .png file")
    if not 0 <= arguments.tolerance < float("inf"):
        raise ValueError(f"tolerance is {arguments.tolerance}, expected at least 0")
    if arguments.guidance == "none":
        raise ValueError("guidance none cannot meet a target: use `molgen sample`")
    targets = options.targets(arguments)

    from molgen import checkpoint
    from molgen.design import design

    model = checkpoint.load(arguments.model)
    settings = options.settings(arguments, model, "design")
    screen = Screen(list(targets), arguments.n, started)
    designs = design(
        model,
        targets,
        arguments.n,
        arguments.seed,
        settings,
        arguments.max_draws,
        arguments.tolerance,
        arguments.allow_known,
        screen.found,
        screen.round,
    )
    screen.close()
    if designs.reason == "interrupted" and not len(designs.table):
        raise KeyboardInterrupt
    ranked = rank(designs.table, targets)
    write_table(designs.table, arguments.out)
    print(report(designs, ranked, list(targets)))
    print(f"wrote {arguments.out}")
    if arguments.grid and len(ranked):
        _grid(ranked.head(DRAWN), list(targets), arguments.grid, arguments.model)
        print(f"wrote {arguments.grid}")
    warning = model.known.check() if model.known is not None else None
    if warning:
        print(f"warning: {warning}", file=sys.stderr)
    if len(designs.table) < arguments.n:
        print(f"{len(designs.table)} of {arguments.n} molecules: {designs.reason}", file=sys.stderr)
        return 130 if designs.reason == "interrupted" else FEWER
    return 0


class Screen:
    """Shows the first molecule at once and then a bar."""

    def __init__(self, names: list[str], n: int, started: float) -> None:
        from tqdm import tqdm

        self.names, self.started, self.first = names, started, True
        self.bar = tqdm(total=n, unit="molecule", disable=None)

    def found(self, rows: pd.DataFrame) -> None:
        """Print the very first molecule, count them all."""
        if self.first:
            row = rows.iloc[0]
            values = ", ".join(f"{name} {row[name]:.3g}" for name in self.names)
            seconds = time.monotonic() - self.started
            options.say(f"first molecule after {seconds:.1f} s: {row['smiles']} ({values})")
            self.first = False
        self.bar.update(len(rows))

    def round(self, tally: Tally) -> None:
        """Show the running tally."""
        self.bar.set_postfix_str(f"{tally.drawn} drawn")

    def close(self) -> None:
        """Take the bar away."""
        self.bar.close()


def rank(table: pd.DataFrame, targets: dict[str, Target]) -> pd.DataFrame:
    """Return the molecules by the first property that is to be extreme, best first."""
    for name, target in targets.items():
        if isinstance(target, str):
            return table.sort_values(name, ascending=target == "min", kind="stable")
    return table


def report(designs: Designs, ranked: pd.DataFrame, names: list[str]) -> str:
    """Return the short table and the honest counts."""
    lines = [f"{'':>4} {'SMILES':<28}" + "".join(f"{name:>12}" for name in names)]
    for place, (_, row) in enumerate(ranked.head(SHOWN).iterrows(), 1):
        values = "".join(f"{row[name]:12.3f}" for name in names)
        lines.append(f"{place:4d} {row['smiles']:<28}{values}")
    if len(ranked) > SHOWN:
        lines.append(f"{'':>4} ... and {len(ranked) - SHOWN} more")
    for name in names:
        if len(ranked):
            lines.append(f"mean {name} of the {len(ranked)}: {ranked[name].mean():.3f}")
    lines.append(str(designs.tally))
    return "\n".join(lines)


def _grid(ranked: pd.DataFrame, names: list[str], path: str, model: str) -> None:
    """Draw the best molecules with their values."""
    from molgen.plot import grid_png

    captions = [
        "  ".join(f"{name.replace('_', ' ')} {row[name]:.3g}" for name in names)
        for _, row in ranked.iterrows()
    ]
    title = f"{model}: {', '.join(names)}\nvalid, unique and new to the training set"
    grid_png(ranked["smiles"].tolist(), captions, path, title)
