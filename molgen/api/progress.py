"""Callbacks of a run: every verb takes an object with these methods as ``progress``."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING, Any

from molgen.errors import MolgenError
from molgen.utils.progress import Bar

if TYPE_CHECKING:
    import pandas as pd


class Progress:
    """Callbacks of a run, by default with a bar; a subclass overrides those it needs.

    By default remarks and notes go to the log ``molgen``, and warnings are Python's. A bar is drawn
    on a terminal and in a notebook; elsewhere there is a line every 30 seconds at most.

    Attributes:
        shown: whether there are bars.
        bar: of the run.
    """

    shown = True

    def __init__(self) -> None:
        self.bar = Bar(0, shown=False)  # until the run begins

    def remark(self, line: str) -> None:
        """Receive a remark on the request, before anything is drawn."""
        logging.getLogger("molgen").info(line)

    def note(self, line: str) -> None:
        """Receive a note on the reading of a file."""
        logging.getLogger("molgen").info(line)

    def warn(self, line: str) -> None:
        """Receive a warning."""
        warnings.warn(line, stacklevel=4)

    def begin(self, total: int, unit: str) -> None:
        """Begin; everything that can be checked has been.

        Args:
            total: of what is counted.
            unit: of it: a molecule, a row, a forward or an attempt.
        """
        self.bar = Bar(total, unit, shown=self.shown)

    def stage(self, label: str) -> None:
        """Receive the name of the part that begins."""
        self.bar.label(label)

    def add(self, count: int) -> None:
        """Count what has ended."""
        self.bar.add(count)

    def drawn(self, rows: int) -> None:
        """Receive the number of rows drawn so far, within a round too."""
        self.bar.note(f"{rows:,} rows drawn")

    def found(self, rows: pd.DataFrame) -> None:
        """Receive accepted molecules, or the rows of finished leads."""

    def round(self, state: Any) -> None:
        """Receive the counts after a round, the state of a search, or a finished run."""

    def end(self) -> None:
        """End, also after an error."""
        self.bar.close()


class Quiet(Progress):
    """No progress at all, warnings excepted."""

    shown = False


def progress_of(progress: Progress | bool | None) -> Progress:
    """Return callbacks; False is no progress, and None or True the default.

    Raises:
        MolgenError: for anything else.
    """
    if isinstance(progress, Progress):
        return progress
    if progress is False:
        return Quiet()
    if progress is None or progress is True:
        return Progress()
    raise MolgenError(f"progress is {progress!r}, expected True, False or a Progress")
