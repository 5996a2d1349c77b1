"""Write one HTML page on a table of molecules, which needs no network.

FILE is a campaign, or any table or list of molecules that molgen reads. If the record of a run
(FILE.json) is beside it, the page has its request in words, the funnel from drawn to accepted, and
the command that repeats it, and compares properties with the training set of its model.

The page has histograms, a chart of any two properties with its frontier, a diverse subset, groups
by scaffold and by what was put at attachment points (columns R1, R2, part_1, linker), and a table
to sort, filter and search, with downloads (CSV, SMILES, SDF) of what is shown or selected. It can
be mailed: everything is in one file.

Example:
  molgen report designs.csv --out designs.html
  molgen report designs.csv --out designs.html --reference zinc250k.csv.gz
  molgen report night.campaign --out night.html
  molgen report series.sdf --out series.html --model zinc250k --title 'Series 7'
"""

from __future__ import annotations

import argparse
from pathlib import Path

from molgen.cli import options, outputs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("file", metavar="FILE", help=options.FILE)
    parser.add_argument("--out", required=True, metavar="PAGE", help="an .html file to write")
    parser.add_argument("--column", metavar="C", help="the column to read")
    parser.add_argument(
        "--model",
        metavar="MODEL",
        type=options.model_name,
        help="compare properties with its training set (default: that of the record)",
    )
    parser.add_argument(
        "--reference",
        metavar="FILE",
        help="molecules among which the nearest is looked up, such as the training file; without "
        "--model properties are compared with theirs",
    )
    parser.add_argument("--reference-column", metavar="C", help="the column to read of that file")
    parser.add_argument(
        "--property",
        action="append",
        default=[],
        metavar="PROP",
        help="compute this property too; may be repeated",
    )
    parser.add_argument("--title", default="", metavar="T", help="of the page (default: FILE)")
    parser.add_argument(
        "--rows",
        type=options.positive,
        default=10_000,
        metavar="N",
        help="of the page at most, the first ones (default 10,000); the funnel counts all",
    )
    parser.add_argument(
        "--workers", type=options.positive, metavar="N", help="processes (default: one a core)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the page; return the exit status."""
    from molgen.api.report import report

    names = ("column", "model", "reference_column", "title", "rows", "workers")
    made = report(
        Path(arguments.file),
        arguments.out,
        reference=Path(arguments.reference) if arguments.reference else None,
        properties=arguments.property,
        progress=outputs.Screen(),
        **{name: getattr(arguments, name) for name in names},
    )
    counts = made.counts
    print(f"{counts['rows']:,} rows, {counts['molecules']:,} molecules")
    print(f"wrote {arguments.out} ({counts['bytes'] / 1e6:.1f} MB)")
    return 0
