"""Molecules of any generator beside a sweep: files of SMILES, counted as molgen's own rows are.

    NAME=FILE           all rows of the file are one point
    NAME=FILE:COLUMN    the rows with one value of a column are a point each, and NAME a curve

Every row of a file is a row, invalid and empty ones included, and is counted by both conventions
(:mod:`molgen.molecules.conventions`). A point with another number of rows than the runs of the
sweep is compared by its fraction of novel rows. Forwards, steps and seconds are unknown.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from molgen.data.headings import find
from molgen.data.reading import read_table
from molgen.data.tables import read_table as read_columns
from molgen.errors import MolgenError
from molgen.frontiers.frontier import SAMPLES, convention_rows, point_volumes
from molgen.frontiers.method import LONGEST_LABEL
from molgen.frontiers.objective import Objective
from molgen.frontiers.sweep import counted, measure
from molgen.molecules.parsing import interpret_all
from molgen.molecules.training_index import TrainingIndex
from molgen.utils.pareto import nondominated
from property_models import alongside, compute

if TYPE_CHECKING:
    import pandas as pd

MOST_POINTS = 100  # of a file, as of an axis of a sweep


@dataclass(frozen=True)
class SampleFile:
    """A file of molecules, unread.

    Attributes:
        name: of the generator, in tables and charts.
        path: of the file.
        column: whose values are points; empty for one point.
        raw: the rows as SMILES where they are in no file; None for a file.
    """

    name: str
    path: Path = Path()
    column: str = ""
    raw: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if not 0 < len(self.name) <= LONGEST_LABEL:
            raise MolgenError(
                f"samples has the name {self.name!r} of {len(self.name)} characters, expected at "
                f"most {LONGEST_LABEL}"
            )

    @classmethod
    def parse(cls, text: str) -> SampleFile:
        """Read ``NAME=FILE`` or ``NAME=FILE:COLUMN``.

        Raises:
            MolgenError: if it is of another form, or there is no such file.
        """
        name, equals, rest = (part.strip() for part in text.partition("="))
        if not equals or not name or not rest or not name.isprintable():
            raise MolgenError(f"samples is {text!r}, expected NAME=FILE or NAME=FILE:COLUMN")
        path, colon, column = rest.rpartition(":")
        if os.path.isfile(rest) or not colon:
            path, column = rest, ""
        if not os.path.isfile(path):
            raise MolgenError(f"samples {name}: there is no file {path!r}")
        return cls(name, Path(path), column.strip())

    def __str__(self) -> str:
        if self.raw is not None:
            return "given molecules"
        column = f", a point for each {self.column}" if self.column else ""
        return f"{self.path.name}{column}"


@dataclass(frozen=True, eq=False)
class Samples:
    """The points of files of molecules.

    Attributes:
        files: where they were read.
        runs: one row for each point and convention, with the columns of
            :func:`molgen.frontiers.frontier.run_table` and ``value``, that of the file's column;
            ``gamma`` numbers the points of a file, ``steps`` is NaN.
        volumes: hypervolumes, as of :func:`molgen.frontiers.frontier.hypervolumes`.
        molecules: the rows of each point, by name and ``gamma``.
        notes: what was read, in lines.
    """

    files: tuple[SampleFile, ...]
    runs: pd.DataFrame
    volumes: pd.DataFrame
    molecules: dict[tuple[str, float], pd.DataFrame]
    notes: tuple[str, ...]


def read_samples(
    files: Sequence[SampleFile], objective: Objective, index: TrainingIndex, processes: int = 1
) -> Samples:
    """Read files of molecules and count their rows.

    Args:
        files: at least one, of distinct names.
        objective: of the sweep.
        index: of its training set.
        processes: number of processes.

    Raises:
        MolgenError: if a name is there twice, a file cannot be read or has no such column, or the
            column has too many values.
        OSError: if a file cannot be opened.
    """
    import pandas as pd

    names = [file.name for file in files]
    if twice := {name for name in names if names.count(name) > 1}:
        raise MolgenError(f"samples has the name {twice.pop()!r} twice, expected distinct names")
    rows: list[dict[str, Any]] = []
    molecules: dict[tuple[str, float], pd.DataFrame] = {}
    notes: list[str] = []
    for file in files:
        table, values, notes_of = _read(file)
        notes += notes_of
        parsed = interpret_all(table["raw"], processes, file.name)
        smiles = [molecule.smiles for molecule in parsed]
        found = compute(alongside([objective.property]), smiles, processes, file.name)
        table = table.assign(smiles=smiles, status=[str(m.status) for m in parsed])
        table = table.assign(nfe=math.nan, classifier_nfe=math.nan, **found)
        for place, value in enumerate(dict.fromkeys(values)):
            chosen = np.flatnonzero([other == value for other in values])
            point = table.iloc[chosen].reset_index(drop=True)
            counts = counted(point, [parsed[i] for i in chosen], index)
            figures = measure(point, objective, counts, math.nan)
            shared = {
                "source": SAMPLES, "arm": file.name, "property": objective.property,
                "target": "", "gamma": float(place), "steps": math.nan, "budget": math.nan,
                "seed": 0, "value": value,
            }  # fmt: skip
            rows += convention_rows(shared, figures, objective, len(point), file.path.name)
            molecules[file.name, float(place)] = point
    runs = pd.DataFrame(rows)
    return Samples(tuple(files), runs, _volumes(runs), molecules, tuple(notes))


def _read(file: SampleFile) -> tuple[pd.DataFrame, list[str], list[str]]:
    """Return the rows of a file in column ``raw``, each one's value, and what was read.

    Values that are all numbers are in ascending order, others in that of the file.
    """
    import pandas as pd

    if file.raw is not None:
        return pd.DataFrame({"raw": list(file.raw)}), [""] * len(file.raw), []
    read = read_table(file.path, drawn=True, option="")
    raw = pd.DataFrame({"raw": list(read.raw)})
    if not file.column:
        return raw, [""] * len(raw), read.notes()
    columns = read_columns(file.path)
    place = find(file.path, [str(name) for name in columns.columns], file.column)
    if len(columns) != len(raw):
        raise MolgenError(f"{file.path}: {len(columns)} rows, expected the {len(raw)} of SMILES")
    column = columns.iloc[:, place]
    if column.isna().any() or (column.astype(str).str.strip() == "").any():
        raise MolgenError(f"{file.path}: column {file.column!r} has empty cells")
    found = sorted(column.unique()) if column.dtype.kind in "if" else column.unique().tolist()
    if len(found) > MOST_POINTS:
        raise MolgenError(
            f"{file.path}: column {file.column!r} has {len(found):,} values, expected at most "
            f"{MOST_POINTS}: a point each"
        )
    rank = {value: i for i, value in enumerate(found)}
    order = np.argsort(column.map(rank).to_numpy(), kind="stable")
    values = [
        f"{v:g}" if isinstance(v, float | np.floating) else str(v) for v in column.iloc[order]
    ]
    return raw.iloc[order].reset_index(drop=True), values, read.notes()


def _volumes(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the hypervolume of every file by each convention, over its points."""
    import pandas as pd

    rows = []
    for (name, convention), points in runs.groupby(["arm", "convention"], sort=False):
        shared = {"source": SAMPLES, "arm": name, "steps": math.nan, "convention": convention}
        rows.append({**shared, "gammas": " ".join(points["value"]), **point_volumes([points])})
    return pd.DataFrame(rows)


def beside(runs: pd.DataFrame, samples: Samples) -> pd.DataFrame:
    """Return the table of a sweep and of files: the sweep's rows, then those of the files.

    ``on_overall_front`` of a file's point is against all runs of the sweep; that of a run stays
    among the sweep's own.
    """
    import pandas as pd

    own = samples.runs.assign(on_front=False, on_overall_front=False)
    for (_, convention), points in own.groupby(["arm", "convention"]):
        best = nondominated(points[["novel_fraction", "gain"]].to_numpy(float))
        own.loc[points.index, "on_front"] = best
        others = runs[runs["convention"] == convention]
        both = pd.concat([points, others])[["novel_fraction", "gain"]].to_numpy(float)
        own.loc[points.index, "on_overall_front"] = nondominated(both)[: len(points)]
    table = pd.concat([runs.assign(value=""), own.assign(gamma=math.nan)], ignore_index=True)
    return table[[*(name for name in table if name != "molecules"), "molecules"]]
