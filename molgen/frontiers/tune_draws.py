"""The draws of a tune: runs on disk, of which only the missing rows are drawn.

    rows 0..63 of a rung  +  rows 64..191, drawn now  ->  rows 0..191 of the next one

Row i of a seed is always the same row, so the rows of one rung are the first rows of the next. Each
number of rows has a folder of that name, which is the folder of a sweep: the same store
(:mod:`molgen.frontiers.store`), drawn and measured by the same function, and charted by the same
commands. A finished run is never drawn again.

Rows that are retried until they are unique (:mod:`molgen.sampling.adaptive`) depend on the rows
before them, so adaptive candidates are drawn from the first row at every rung.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from molgen.frontiers.objective import Objective
from molgen.frontiers.plan import origin
from molgen.frontiers.store import Record, Run, Store
from molgen.frontiers.sweep import draw
from molgen.frontiers.tune_space import Candidate

if TYPE_CHECKING:
    from molgen.model import Model

HALF = 0.5  # of the tokens kept: a linear strength has its mean there


class Draws:
    """Candidates' rows on disk; missing ones are drawn.

    Args:
        model: of the candidates.
        objective: of the tune; its ``n`` is ignored.
        folder: with one folder for each number of rows.
        speed: settings that change nothing but speed, and the number format.
        on_rows: called with the number of rows that have just ended.
    """

    def __init__(
        self,
        model: Model,
        objective: Objective,
        folder: Path,
        speed: Mapping[str, Any],
        on_rows: Callable[[int], None] = lambda count: None,
    ) -> None:
        self.model, self.objective, self.folder = model, objective, folder
        self.speed, self.on_rows = speed, on_rows
        rungs = [path for path in folder.glob("*") if path.name.isdecimal()]
        found = [record for rung in rungs for record in Store(rung).records()]
        self.finished = {record.name: record for record in found}

    def store(self, rows: int) -> Store:
        """Return the store of runs of this many rows."""
        return Store(self.folder / str(rows))

    def missing(self, candidate: Candidate, rows: int, seed: int) -> int:
        """Return the number of rows of a run that are not drawn yet."""
        prefix = self.prefix(candidate, rows, seed)
        return rows - (prefix.objective.n if prefix else 0)

    def record(self, candidate: Candidate, rows: int, seed: int) -> Record:
        """Return a run with its figures; missing rows are drawn."""
        prefix = self.prefix(candidate, rows, seed)
        if prefix is not None and prefix.objective.n == rows:
            return prefix
        first = (prefix, self.store(prefix.objective.n).molecules(prefix)) if prefix else None
        settings = candidate.settings(self.model, self.speed)
        planned = self.planned(candidate, rows, seed)
        done, table = draw(planned, self.model, settings, self.on_rows, first)
        self.store(rows).save(done, table)
        self.finished[done.name] = done
        return done

    def prefix(self, candidate: Candidate, rows: int, seed: int) -> Record | None:
        """Return the finished run with the most of the first ``rows`` rows, or None."""
        independent = candidate.settings(self.model, self.speed).adapt is None
        sizes = {record.objective.n for record in self.finished.values()}
        fewer = sorted((size for size in sizes if size < rows and independent), reverse=True)
        for size in (rows, *fewer):
            name = self.planned(candidate, size, seed).name
            if name in self.finished:
                return self.finished[name]
        return None

    def planned(self, candidate: Candidate, rows: int, seed: int) -> Record:
        """Return a run without figures.

        The strength of a run is a number. For a linear strength it is the mean, and the line itself
        is a part of the origin.
        """
        from molgen.guidance.kernels import strength

        settings = candidate.settings(self.model, self.speed)
        source = origin(self.model, settings)
        if isinstance(candidate.gamma, str):
            source["gamma"] = candidate.gamma
        mean = float(strength(settings.gamma, HALF))
        run = Run(dataclasses.asdict(candidate.method), mean, candidate.steps, seed)
        return Record(dataclasses.replace(self.objective, n=rows), run, source, {})
