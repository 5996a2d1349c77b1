"""The journal of a command, ``OUT.journal``, from which ``--resume`` continues an unfinished run.

A journal belongs to one request: the words of the command line, the content of the files that they
name, the model's files, and the versions of the libraries. Words without an effect on the result
may differ.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from molgen.cli import options
from molgen.errors import MolgenError

if TYPE_CHECKING:
    from molgen.utils.journal import Journal

END = ".journal"
IDLE = {
    *("run", "version", "out", "grid", "resume", "score_workers", "batch_size", "no_record"),
    *("words", "stdout", "campaign", "block", "engine", "workers", "address", "notify"),
}
"""Arguments without an effect on the result."""
PLACED = ("command", "model", "leads")  # arguments that are no options


def add_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``--resume``."""
    parser.add_argument(
        "--resume",
        action="store_true",
        help="continue an unfinished run from its journal, the file of --out with the ending "
        f"{END}; without a journal, a run begins",
    )


@contextmanager
def journaled(arguments: argparse.Namespace) -> Iterator[Journal | None]:
    """Keep a journal in the block, for commands with ``--resume``; None for others.

    Raises:
        MolgenError: if the output cannot be written, or there is a journal that is not to be, or
            cannot be, resumed.
    """
    if not hasattr(arguments, "resume") or getattr(arguments, "campaign", None):
        yield None
        return
    if options.is_piped(arguments):
        if arguments.resume:
            raise MolgenError(f"resume is given with out {arguments.out!r}, expected a file")
        yield None
        return
    from molgen.data.tables import check_extension
    from molgen.utils.files import check_writable
    from molgen.utils.journal import journal

    check_extension(arguments.out)
    check_writable(arguments.out)
    own, closed = None, None
    try:
        with journal(arguments.out + END, _request(arguments), arguments.resume) as own:
            try:
                yield own
            except BrokenPipeError as error:  # of the report, which follows the output
                closed = error
    finally:
        if own is not None and own.path.exists():
            options.say(f"kept {own.path}: the same command with --resume continues")
    if closed is not None:
        raise closed


def _request(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what the result of a command depends on, but for the model and the libraries."""
    from molgen.discovery.request_files import NAMED, contents

    words = {key: value for key, value in vars(arguments).items() if key not in IDLE}
    named = {
        key if key in PLACED else "--" + key.replace("_", "-"): value
        for key, value in words.items()
    }
    targets, columns = options.goals(arguments)
    names = [*targets, *columns, *getattr(arguments, "property", ())]
    paths = [str(getattr(arguments, key, None) or "") for key in NAMED]
    return named | contents(paths, arguments.guidance or "", names)
