"""A sweep on disk: a folder of finished points, to which any number of runs may add.

    points/ID.csv.gz   the molecules of a point, one row a draw
    points/ID.json     what was asked, what determined the draw, what came out; written last

A point is finished when its second file is there, and each file appears whole or not at all, so a
run may end at any moment, by a signal or a power cut, and the next one goes on after the last
finished point. ``ID`` ends in a fingerprint of everything the draw depends on. Points that would
not be comparable are refused instead of mixed: a folder holds one property, one target, one number
of rows, and under one label one way of sampling.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from molgen.frontiers.method import Arm
from molgen.frontiers.task import Task
from molgen.utils.files import replacing
from molgen.utils.json_files import checked, read_json

if TYPE_CHECKING:
    import pandas as pd

FORMAT = 1
POINTS = "points"
SAME_DATA = 0.01  # relative difference of data means from which models are of different data
PLAIN = {f.name: f.default for f in dataclasses.fields(Arm) if f.name not in ("label", "model")}
BOOLEANS = ("unique", "novel", "novel_paper")


@dataclass(frozen=True)
class Point:
    """One cell of a sweep: an arm, a strength, a number of steps, a seed, perhaps a budget."""

    arm: Mapping[str, str]
    """Its words, ``label`` among them; see :class:`molgen.frontiers.method.Arm`."""
    gamma: float
    steps: int
    seed: int
    budget: int | None = None
    """Forwards a row may take, where that is an axis; None for what the arm says."""

    @property
    def label(self) -> str:
        """The arm's name."""
        return self.arm["label"]

    @property
    def cell(self) -> tuple[str | float, ...]:
        """What a folder holds once: label, gamma, steps, seed, and the budget if there is one."""
        cell = self.label, self.gamma, self.steps, self.seed
        return cell if self.budget is None else (*cell, self.budget)

    def __str__(self) -> str:
        budget = "" if self.budget is None else f", budget {self.budget}"
        return f"{self.label}, gamma {self.gamma:g}, {self.steps} steps, seed {self.seed}{budget}"


@dataclass(frozen=True)
class Record:
    """A point with what determined its draw and what came out.

    Attributes:
        task: what it shares with the others.
        point: which cell it is.
        origin: what else the draw depends on: digest of the model's files, temperature, versions.
        figures: counts and means; see :func:`molgen.frontiers.sweep.measure`.
    """

    task: Task
    point: Point
    origin: Mapping[str, Any]
    figures: Mapping[str, Any]

    @property
    def name(self) -> str:
        """A file name for people, made unique by the fingerprint of all but the figures."""
        arm = _own_words(self.point.arm)
        asked = [dataclasses.asdict(self.task), arm, *self.point.cell, dict(self.origin)]
        digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
        label = re.sub(r"[^a-z0-9]+", "-", self.point.label.lower()).strip("-") or "arm"
        p = self.point
        budget = "" if p.budget is None else f"_b{p.budget}"
        return f"{label}_g{p.gamma:g}_T{p.steps}_s{p.seed}{budget}_{digest[:10]}"


class _Counted(Struct):
    """The figures of a point under one convention."""

    valid: float
    unique: float
    novel: int
    property_mean: float | None


class _Figures(Struct):
    """What came out of a point; see :func:`molgen.frontiers.sweep.measure`."""

    nfe: float
    classifier_nfe: float
    seconds_per_molecule: float
    conventions: dict[str, _Counted]


class _Stored(Struct):
    """A point's file."""

    format: int
    task: Task
    point: Point
    origin: dict[str, str | int | float | None]
    figures: _Figures

    def __post_init__(self) -> None:
        """Check that the point's arm has a name.

        Raises:
            ValueError: if not.
        """
        if "label" not in self.point.arm:
            raise ValueError("point.arm lacks the key label")


@dataclass(frozen=True)
class Store:
    """The folder of a sweep."""

    folder: Path

    def records(self) -> list[Record]:
        """Return the finished points, in the order of their names.

        Raises:
            ValueError: if a file of one is damaged.
        """
        paths = sorted((self.folder / POINTS).glob("*.json"))
        return [r for r in map(_read, paths) if self.molecules_path(r).is_file()]

    def molecules_path(self, record: Record) -> Path:
        """Return where a point's molecules are."""
        return self.folder / POINTS / f"{record.name}.csv.gz"

    def save(self, record: Record, table: pd.DataFrame) -> None:
        """Store a finished point, molecules first.

        Raises:
            OSError: if it cannot be written; it counts as not finished then.
        """
        (self.folder / POINTS).mkdir(parents=True, exist_ok=True)
        words = {True: "true", False: "false"}
        text = table.assign(**{name: table[name].map(words) for name in BOOLEANS if name in table})
        with replacing(self.molecules_path(record)) as temporary:
            # without a time stamp the same molecules are the same bytes
            packed = {"method": "gzip", "mtime": 0}
            text.to_csv(temporary, index=False, lineterminator="\n", compression=packed)
        with replacing(self.folder / POINTS / f"{record.name}.json") as temporary:
            content = {"format": FORMAT, **dataclasses.asdict(record)}
            temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

    def molecules(self, record: Record) -> pd.DataFrame:
        """Return the molecules of a point as they were drawn.

        Raises:
            ValueError: if the file is damaged.
            OSError: if it cannot be read.
        """
        import pandas as pd

        from molgen.data.tables import read_table

        path = self.molecules_path(record)
        table = read_table(path)
        if len(table) != record.task.n:
            raise ValueError(f"{path} has {len(table)} rows, expected {record.task.n}")
        name = record.task.property
        return table.assign(**{name: pd.to_numeric(table[name], errors="coerce")})


def check_compatible(records: Sequence[Record], wanted: Sequence[Record]) -> None:
    """Check that points to be drawn may stand beside those that a folder holds.

    Args:
        records: of the folder.
        wanted: to be drawn, without figures.

    Raises:
        ValueError: naming the first difference, and what to do.
    """
    if not records or not wanted:
        return
    have, want = records[0].task, wanted[0].task
    for name in ("property", "target", "n", "sign"):
        _same(f"a sweep with {name}", getattr(have, name), getattr(want, name))
    if not math.isclose(have.data_mean, want.data_mean, rel_tol=SAME_DATA):
        _same(f"a sweep whose data have mean {have.property}", have.data_mean, want.data_mean)
    arms = {record.point.label: record for record in records}
    for new in wanted:
        old = arms.get(new.point.label)
        if old is None:
            continue
        label = new.point.label
        for kind, a, b in (
            ("", PLAIN | _own_words(old.point.arm), PLAIN | _own_words(new.point.arm)),
            ("drawn with ", old.origin, new.origin),
        ):
            for key in sorted({*a, *b}):
                _same(f"arm {label} {kind}{key}", a.get(key), b.get(key))


def _own_words(arm: Mapping[str, str]) -> dict[str, str]:
    """Return the words in which an arm differs from the plainest one.

    So a folder outlives new ways of sampling. The model's name is left out, too: of a model, its
    files' digest counts.
    """
    return {k: word for k, word in arm.items() if k != "model" and word != PLAIN.get(k)}


def _same(what: str, have: object, want: object) -> None:
    if have != want:
        raise ValueError(
            f"the folder holds {what} {have}, not {want}: give the arm another label, or the sweep "
            "another --out"
        )


def _read(path: Path) -> Record:
    try:
        content = read_json(path, dict)
        stored = checked(content, _Stored, path)
        if stored.format != FORMAT:
            raise ValueError(f"{path} has format {stored.format}, expected {FORMAT}")
        return Record(stored.task, stored.point, stored.origin, content["figures"])
    except ValueError as error:
        raise ValueError(f"{error}; remove it to draw its point again") from error
