"""Carrying out a sweep on the command line: with a bar, and a table that grows with it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from molgen.utils.progress import Bar

if TYPE_CHECKING:
    import pandas as pd

    from molgen.frontiers.plan import Sweep
    from molgen.frontiers.store import Point, Record
    from molgen.model import Model


def carry_out(
    sweep: Sweep,
    models: dict[str, Model],
    folder: Path,
    keep: Callable[[list[Record]], None],
) -> list[Record]:
    """Draw what is missing, with a bar; return all points of the folder.

    Args:
        sweep: what is asked.
        models: by name.
        folder: of the sweep.
        keep: writes a table of the finished points; called whenever there is one more.
    """
    from molgen.frontiers import sweep as sweeps
    from molgen.frontiers.plan import plan
    from molgen.frontiers.store import Store

    bar, store = Rows(sweep.task.n), Store(folder)

    def end(record: Record) -> None:
        bar.end(record)
        keep(store.records())

    try:
        progress = sweeps.Progress(bar.start, bar.begin, bar.rows, end)
        return sweeps.run(sweep, models, folder, progress)
    except KeyboardInterrupt:
        stored = store.records()
        if bar.total and stored:
            keep(stored)  # one more, perhaps, than the table tells of
            wanted = {record.name for record in plan(sweep, models)}
            count = sum(record.name in wanted for record in stored)
            print(
                f"{count} of {len(wanted)} points are finished; the same command goes on",
                file=sys.stderr,
            )
        raise
    finally:
        bar.close()


class Rows:
    """A bar over the rows of all points, so that the time left is known early."""

    def __init__(self, n: int) -> None:
        self.n, self.total, self.finished = n, 0, 0
        self._bar = Bar(0, shown=False)  # until it is known how many there are

    def start(self, total: int, finished: int) -> None:
        """Begin, with what was finished before."""
        self.total, self.finished = total, finished
        self._bar = Bar((total - finished) * self.n, "row")

    def begin(self, point: Point) -> None:
        """Say which point is being drawn."""
        self._bar.label(f"{self.finished + 1}/{self.total} {point}")

    def rows(self, count: int) -> None:
        """Count rows that have ended."""
        self._bar.add(count)

    def end(self, record: Record) -> None:
        """Say what the last point cost."""
        self.finished += 1
        nfe = record.figures["nfe"] + record.figures["classifier_nfe"]
        self._bar.note(f"{nfe:.1f} forwards a row")

    def close(self) -> None:
        """Leave the bar as it stands."""
        self._bar.close()


def write(table: pd.DataFrame, path: Path) -> None:
    """Write a table of figures, rounded to what seven digits can tell."""
    from molgen.utils.files import replacing

    marks = [name for name in table if table[name].dtype == bool]
    words = {True: "true", False: "false"}
    text = table.assign(**{name: table[name].map(words) for name in marks})
    with replacing(path) as temporary:
        text.to_csv(temporary, index=False, lineterminator="\n", float_format="%.7g")
