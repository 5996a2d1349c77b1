"""State, extension, export and continuation of campaigns.

A campaign is a file of `molgen design ... --campaign FILE`. It has the request, all rows with the
reason why each was rejected, and every score of the user's functions. Its molecules are the first N
accepted rows; they do not depend on the number of workers or on interruptions.

run continues it; functions that the file names are run only with --allow-functions. status and
watch may be used while it runs.

Example:
  molgen campaign watch night.campaign
  molgen campaign extend night.campaign --n 20000
  molgen campaign run night.campaign --workers 8
  molgen campaign export night.campaign --out night.csv
  molgen campaign simulate night.campaign --workers 10,100,1000 --molecules 1000000
"""

from __future__ import annotations

import argparse
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from molgen.cli import campaign_options, options, outputs
from molgen.errors import MolgenError

if TYPE_CHECKING:
    from molgen.campaigns.status import Status


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions and their arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def action(name: str, help: str) -> argparse.ArgumentParser:
        own = actions.add_parser(name, help=help, description=help.capitalize() + ".")
        own.add_argument("file", metavar="FILE", help="of the campaign")
        return own

    action("status", "print its state")
    action("watch", "show its state until the run ends")
    extended = action("extend", "raise the number of molecules")
    extended.add_argument(
        "--n", type=options.positive, required=True, metavar="N", help="molecules in all"
    )
    extended.add_argument(
        "--max-draws",
        type=options.positive,
        metavar="M",
        help="budget of rows in all (default: 100 a molecule)",
    )
    exported = action("export", "write its molecules")
    _add_out(exported, True)
    exported.add_argument(
        "--all",
        dest="every",
        action="store_true",
        help="all rows up to the last accepted one, with the reason of a rejection in the column "
        "`lost`",
    )
    going = action("run", "continue it")
    _add_out(going, False)
    going.add_argument(
        "--allow-functions",
        action="store_true",
        help="run the Python functions that the file names",
    )
    campaign_options.add_engine(going)
    simulated = action("simulate", "compute how long it would take with more workers")
    simulated.add_argument(
        "--workers",
        type=_counts,
        default=[1, 10, 100, 1000],
        metavar="K,K",
        help="numbers of workers (default 1,10,100,1000)",
    )
    simulated.add_argument(
        "--molecules",
        type=options.positive,
        metavar="N",
        help="to accept (default: those of the campaign)",
    )
    simulated.add_argument(
        "--lost-per-hour",
        type=float,
        default=0.0,
        metavar="R",
        help="workers lost in an hour, of all (default 0)",
    )


def _counts(text: str) -> list[int]:
    return [options.positive(part) for part in text.split(",")]


def _add_out(parser: argparse.ArgumentParser, required: bool) -> None:
    parser.add_argument(
        "--out",
        required=required,
        dest="other",
        metavar="FILE",
        help="a .csv, .tsv, .smi, .sdf, .parquet or .xlsx file to write, text also with .gz",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run an action; return the exit status."""
    path = Path(arguments.file)
    if not path.is_file():
        raise MolgenError(f"file is {arguments.file!r}, expected a campaign")
    if arguments.action in ("status", "watch"):
        from molgen.campaigns.watch import follow

        read = _Reader(path)
        print(follow(path, read) if arguments.action == "watch" else read())
        return 0
    if getattr(arguments, "other", None):
        from molgen.data.formats import check_extension
        from molgen.utils.files import check_writable

        check_extension(arguments.other)
        check_writable(arguments.other, path)

    from molgen.api.campaign import Campaign
    from property_models.callables import refused

    with Campaign(path, progress=outputs.Screen()) as campaign:
        if arguments.action == "extend":
            campaign.extend(arguments.n, arguments.max_draws)
            print(campaign.status())
        elif arguments.action == "simulate":
            found = campaign.simulate(
                arguments.workers, arguments.molecules, arguments.lost_per_hour
            )
            print(found.to_string(index=False, float_format=lambda x: f"{x:.4g}"))
        elif arguments.action == "export":
            count = campaign.export(arguments.other, arguments.every)
            print(f"wrote {count} rows to {arguments.other}")
        else:
            arguments.out = arguments.other
            with nullcontext() if arguments.allow_functions else refused(f"{path}"):
                return campaign_options.go_on(campaign, arguments)
    return 0


class _Reader:
    """Reads the state of a campaign, from the process that runs it or from the file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self) -> Status:
        """Return the state."""
        from molgen.api.campaign import Campaign
        from molgen.campaigns.status import read_status
        from molgen.utils.database import InUse

        try:
            with Campaign(self.path, progress=False) as campaign:
                return campaign.status()
        except InUse:
            if (found := read_status(self.path)) is None:
                raise
            return found
