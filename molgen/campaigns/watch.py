"""Watching a campaign: a bar in a terminal, and in a pipe a line from time to time."""

from __future__ import annotations

import math
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from molgen.campaigns.status import Status, read_status, status_path, write_status
from molgen.errors import MolgenError
from molgen.utils.progress import Bar

LINE_SECONDS = 30.0  # between two lines in a pipe, at least
STATUS_SECONDS = 2.0  # between two statuses beside the file, at least
STALE_SECONDS = 60.0  # after which the process that wrote a status has ended
NOTIFY_SECONDS = 60.0  # that the command at the end may take


class Watch:
    """Shows the status of a campaign on stderr; a context manager.

    Args:
        total: molecules to accept.
        done: accepted before.
        shown: whether anything is shown.
    """

    def __init__(self, total: int, done: int, shown: bool = True) -> None:
        self._bar = Bar(total, "molecule", done=done, shown=shown)
        self._lines = shown and not self._bar.visible
        self._next = time.monotonic() + LINE_SECONDS

    def show(self, status: Status) -> None:
        """Show a status: at once in a terminal, and as a line if the last one is long ago."""
        if self._bar.visible:
            self._bar.to(status.done)
            _, _, rest = status.line().partition("; ")
            self._bar.note(rest)
        elif self._lines and time.monotonic() >= self._next:
            self._next = time.monotonic() + LINE_SECONDS
            print(status.line(), file=sys.stderr, flush=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()


class Published:
    """Writes the status of a running campaign beside its file, and shows it; a context manager.

    Args:
        path: of the campaign's file.
        status: returns the status.
        shown: whether it is shown, too.
    """

    def __init__(self, path: Path, status: Callable[[], Status], shown: bool) -> None:
        self.path, self.status = path, status
        first = status()
        self._watch = Watch(first.n, first.done, shown)
        self._next = 0.0

    def __call__(self) -> None:
        """Write and show the status, unless it was written a moment ago."""
        if time.monotonic() < self._next:
            return
        found = self.status()
        write_status(found, self.path)
        self._watch.show(found)
        self._next = time.monotonic() + STATUS_SECONDS

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        status_path(self.path).unlink(missing_ok=True)
        self._watch.show(self.status())
        self._watch.__exit__()


def follow(path: Path, read: Callable[[], Status]) -> Status:
    """Show the status of a campaign that another process runs, until that run ends.

    Args:
        path: of the campaign's file.
        read: returns the status, of the file or of the run.
    """
    first = read()
    with Watch(first.n, first.done) as watch:
        while _age(path) < STALE_SECONDS and (status := read_status(path)) is not None:
            watch.show(status)
            time.sleep(STATUS_SECONDS)
    return read()


def _age(path: Path) -> float:
    """Return the seconds since the status beside a file was written; of a killed run it stays."""
    try:
        return time.time() - status_path(path).stat().st_mtime
    except FileNotFoundError:
        return math.inf


def notify(command: str, status: Status) -> str:
    """Run a command of the user's shell at the end, with the status as its input.

    Returns:
        Why it failed; empty if it did not.

    Raises:
        MolgenError: if it is empty.
    """
    if not command.strip():
        raise MolgenError("notify is empty, expected a command")
    try:
        ran = subprocess.run(
            command, shell=True, input=f"{status}\n", text=True, timeout=NOTIFY_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"notify: {error}"
    return f"notify: {command!r} ended with exit status {ran.returncode}" * bool(ran.returncode)
