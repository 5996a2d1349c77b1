"""What a tune has drawn: points on disk, and only the rows that are missing are drawn.

    rows 0..63 of a rung  +  rows 64..191, drawn now  ->  rows 0..191 of the next one

Row i of a seed is always the same row, so what a rung has drawn is the beginning of what the next
one needs. Each number of rows has a folder, named after it, which is that of a sweep: kept in the
same store (:mod:`molgen.frontiers.store`), drawn and measured by the same function, and charted by
the same commands. A point that is finished is never drawn again, whichever run it was finished by.

Rows that go on until they are unique (:mod:`molgen.sampling.adaptive`) have to know of the rows
before them, so a candidate that adapts is drawn anew at every rung.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from molgen.frontiers.plan import origin
from molgen.frontiers.store import Point, Record, Store
from molgen.frontiers.sweep import draw
from molgen.frontiers.task import Task
from molgen.frontiers.tune_space import Candidate

if TYPE_CHECKING:
    from molgen.model import Model

HALF = 0.5  # of the tokens kept: where a line has its mean


class Draws:
    """Candidates' rows on disk: what is missing is drawn.

    Args:
        model: the candidates'.
        task: what is asked of them; its ``n`` is not looked at.
        folder: with one folder for each number of rows.
        speed: settings that change nothing but speed, and the number format.
        on_rows: called with the number of rows that have just ended.
    """

    def __init__(
        self,
        model: Model,
        task: Task,
        folder: Path,
        speed: Mapping[str, Any],
        on_rows: Callable[[int], None] = lambda count: None,
    ) -> None:
        self.model, self.task, self.folder = model, task, folder
        self.speed, self.on_rows = speed, on_rows
        rungs = [path for path in folder.glob("*") if path.name.isdecimal()]
        found = [record for rung in rungs for record in Store(rung).records()]
        self.finished = {record.name: record for record in found}

    def store(self, rows: int) -> Store:
        """Return where points of so many rows are."""
        return Store(self.folder / str(rows))

    def missing(self, candidate: Candidate, rows: int, seed: int) -> int:
        """Return how many rows of a point are to be drawn."""
        before = self.before(candidate, rows, seed)
        return rows - (before.task.n if before else 0)

    def record(self, candidate: Candidate, rows: int, seed: int) -> Record:
        """Return a point with its figures, drawn as far as it is not there yet."""
        before = self.before(candidate, rows, seed)
        if before is not None and before.task.n == rows:
            return before
        begun = (before, self.store(before.task.n).molecules(before)) if before else None
        settings = candidate.settings(self.model, self.speed)
        asked = self.asked(candidate, rows, seed)
        done, table = draw(asked, self.model, settings, self.on_rows, begun)
        self.store(rows).save(done, table)
        self.finished[done.name] = done
        return done

    def before(self, candidate: Candidate, rows: int, seed: int) -> Record | None:
        """Return the finished point with the most of the rows asked for, or None."""
        alone = candidate.settings(self.model, self.speed).adapt is None
        sizes = {record.task.n for record in self.finished.values()}
        fewer = sorted((size for size in sizes if size < rows and alone), reverse=True)
        for size in (rows, *fewer):
            name = self.asked(candidate, size, seed).name
            if name in self.finished:
                return self.finished[name]
        return None

    def asked(self, candidate: Candidate, rows: int, seed: int) -> Record:
        """Return a point without figures.

        A point holds its strength as a number: of a line the mean, and the line itself is written
        where it says what else the draw depends on.
        """
        from molgen.guidance.kernels import strength

        settings = candidate.settings(self.model, self.speed)
        source = origin(self.model, settings)
        if isinstance(candidate.gamma, str):
            source["gamma"] = candidate.gamma
        mean = float(strength(settings.gamma, HALF))
        point = Point(dataclasses.asdict(candidate.arm), mean, candidate.steps, seed)
        return Record(dataclasses.replace(self.task, n=rows), point, source, {})
