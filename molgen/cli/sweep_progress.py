"""Execution of a sweep on the command line, with a progress bar and a table kept up to date."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from molgen.utils.progress import Bar

if TYPE_CHECKING:
    import pandas as pd

    from molgen.frontiers.plan import Sweep
    from molgen.frontiers.store import Record, Run
    from molgen.model import Model


def execute(
    sweep: Sweep,
    models: dict[str, Model],
    folder: Path,
    write_table: Callable[[list[Record]], None],
) -> list[Record]:
    """Draw missing runs, with a progress bar; return all runs of the folder.

    First a line on standard error has the number of rows, and about how long they take.

    Args:
        sweep: the request.
        models: by name.
        folder: of the sweep.
        write_table: writes a table of the finished runs; called after each run.
    """
    from molgen.frontiers import sweep as sweeps
    from molgen.frontiers.duration import duration
    from molgen.frontiers.plan import plan
    from molgen.frontiers.store import Store

    found = duration(sweep, models, folder)
    bar, store = RowBar(sweep.objective.n), Store(folder)

    def start(total: int, finished: int) -> None:  # of a sweep that is not refused
        if found.runs:
            print(found, file=sys.stderr)
        bar.start(total, finished)

    def end(record: Record) -> None:
        bar.end(record)
        write_table(store.records())

    try:
        progress = sweeps.Progress(start, bar.begin, bar.rows, end)
        return sweeps.run(sweep, models, folder, progress)
    except KeyboardInterrupt:
        stored = store.records()
        if bar.total and stored:
            write_table(stored)  # perhaps one more than in the table
            wanted = {record.name for record in plan(sweep, models)}
            count = sum(record.name in wanted for record in stored)
            print(
                f"{count} of {len(wanted)} runs are finished; the same command continues",
                file=sys.stderr,
            )
        raise
    finally:
        bar.close()


class RowBar:
    """A progress bar over the rows of all runs, so that the remaining time is estimated early."""

    def __init__(self, n: int) -> None:
        self.n, self.total, self.finished = n, 0, 0
        self._bar = Bar(0, shown=False)  # until the total is known

    def start(self, total: int, finished: int) -> None:
        """Begin, with the number of runs finished before."""
        self.total, self.finished = total, finished
        self._bar = Bar((total - finished) * self.n, "row")

    def begin(self, run: Run) -> None:
        """Show the run being drawn."""
        self._bar.label(f"{self.finished + 1}/{self.total} {run}")

    def rows(self, count: int) -> None:
        """Count rows that have ended."""
        self._bar.add(count)

    def end(self, record: Record) -> None:
        """Show the cost of the last run."""
        self.finished += 1
        nfe = record.figures["nfe"] + record.figures["classifier_nfe"]
        self._bar.note(f"{nfe:.1f} forwards a row")

    def close(self) -> None:
        """Close the bar at its present count."""
        self._bar.close()


def write(table: pd.DataFrame, path: Path) -> None:
    """Write a table of figures, rounded to seven significant digits."""
    from molgen.utils.files import replacing

    marks = [name for name in table if table[name].dtype == bool]
    words = {True: "true", False: "false"}
    text = table.assign(**{name: table[name].map(words) for name in marks})
    with replacing(path) as temporary:
        text.to_csv(temporary, index=False, lineterminator="\n", float_format="%.7g")
