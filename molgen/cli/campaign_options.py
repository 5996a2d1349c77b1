"""Options of commands that run as a campaign, and its run."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from molgen.cli import options, outputs
from molgen.errors import MolgenError

if TYPE_CHECKING:
    from molgen.api.campaign import Campaign

ENGINES = ("local", "dask")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--campaign`` and the options of its engine."""
    group = parser.add_argument_group(
        "campaign", "many molecules, in a file from which the same command continues"
    )
    group.add_argument(
        "--campaign",
        metavar="FILE",
        help="keep all rows and scores in this file, and continue it; --out is then optional",
    )
    group.add_argument(
        "--block",
        type=options.positive,
        metavar="ROWS",
        help="rows that a worker draws at once (default 64), or leads (default 8)",
    )
    add_engine(group)


def add_engine(parser: Any) -> None:
    """Add the options of a run."""
    parser.add_argument(
        "--engine",
        choices=ENGINES,
        default="local",
        help="local: processes on this machine (default); dask: a Dask cluster",
    )
    parser.add_argument(
        "--workers", type=options.positive, metavar="K", help="processes (default: one a core)"
    )
    parser.add_argument("--address", metavar="A", help="of the scheduler of a running Dask cluster")
    parser.add_argument(
        "--notify",
        metavar="CMD",
        help="a shell command to run at the end, with the state on its standard input",
    )


def run(
    arguments: argparse.Namespace, goals: dict[str, str], words: dict[str, Any], *excluded: str
) -> int:
    """Begin or continue a campaign; return the exit status.

    Args:
        arguments: of the command line.
        goals: words of the targets.
        words: further arguments of the command.
        excluded: options that do not go with a campaign.

    Raises:
        MolgenError: if one of them is given, or the campaign cannot run.
    """
    for name in (*excluded, "resume"):
        if getattr(arguments, name):
            raise MolgenError(f"{name.replace('_', '-')} is given with campaign")
    if arguments.out is not None:
        outputs.check_files(arguments)

    from molgen.api.campaign import Campaign
    from molgen.campaigns.running import check_engine

    check_engine(arguments.engine, arguments.workers, arguments.address)

    screen = outputs.Screen()
    with Campaign(
        arguments.campaign,
        arguments.command,
        arguments.model,
        goals,
        getattr(arguments, "n", 1),  # leads have their own number
        block=arguments.block,
        score_timeout=arguments.score_timeout,
        progress=screen,
        **words,
    ) as campaign:
        return go_on(campaign, arguments)


def go_on(campaign: Campaign, arguments: argparse.Namespace) -> int:
    """Run a campaign, print its state, and return the exit status."""
    from molgen.campaigns.watch import notify
    from molgen.sampling.result import COMPLETE
    from property_models.scorers import STOPPED

    try:
        status = campaign.run(arguments.engine, arguments.workers, arguments.address)
    finally:
        if arguments.notify and (why := notify(arguments.notify, campaign.status())):
            print(why, file=sys.stderr)
    print(status)
    if arguments.out is not None:
        print(f"wrote {campaign.export(arguments.out)} rows to {arguments.out}")
    if status.reason != COMPLETE:
        print(f"{status.done} of {status.n}: {status.reason}", file=sys.stderr)
    return 0 if status.reason == COMPLETE else 2 if status.reason == STOPPED else outputs.FEWER
