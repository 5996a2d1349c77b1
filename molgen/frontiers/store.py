"""A sweep on disk: a folder of finished runs, to which later sweeps may add.

    points/ID.csv.gz   the molecules of a run, one row a draw
    points/ID.json     objective, method, all that determines the draw, figures; written last

A run is finished when its second file exists. Files are written atomically, so a sweep may be
interrupted at any moment, by a signal or a power cut, and the next one continues after the last
finished run. ``ID`` ends in a digest of everything the draw depends on. Runs that are not
comparable are refused: a folder has one property, one target, one number of rows, and under one
label one method.

The keys of the files are of an earlier vocabulary, so that all stores can be read: ``task`` is the
objective, ``point`` the run and ``arm`` its method.
"""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct, to_builtins

from molgen.errors import MolgenError
from molgen.frontiers.method import Method
from molgen.frontiers.objective import Objective
from molgen.utils.files import replacing
from molgen.utils.json_files import checked, read_json

if TYPE_CHECKING:
    import pandas as pd

FORMAT = 1
POINTS = "points"
SAME_DATA = 0.01  # largest relative difference of data means between models of the same data
PLAIN = {f.name: f.default for f in dataclasses.fields(Method) if f.name not in ("label", "model")}
BOOLEANS = ("unique", "novel", "novel_paper")


class Run(Struct, frozen=True, rename={"method": "arm"}):
    """One cell of a sweep: a method, a strength, a number of steps, a seed, perhaps a budget."""

    method: Mapping[str, str]
    """Its words, ``label`` among them; see :class:`molgen.frontiers.method.Method`."""
    gamma: float
    steps: int
    seed: int
    budget: int | None = None
    """Forwards a row may take, where that is an axis; None for the method's own."""

    @property
    def label(self) -> str:
        """The method's name."""
        return self.method["label"]

    @property
    def cell(self) -> tuple[str | float, ...]:
        """Unique in a folder: label, gamma, steps, seed, and the budget if there is one."""
        cell = self.label, self.gamma, self.steps, self.seed
        return cell if self.budget is None else (*cell, self.budget)

    def __str__(self) -> str:
        budget = "" if self.budget is None else f", budget {self.budget}"
        return f"{self.label}, gamma {self.gamma:g}, {self.steps} steps, seed {self.seed}{budget}"


@dataclass(frozen=True)
class Record:
    """A run with all that determines its draw, and its figures.

    Attributes:
        objective: shared by all runs of the folder.
        run: its cell.
        origin: what else the draw depends on: digest of the model's files, temperature, versions.
        figures: counts and means; see :func:`molgen.frontiers.sweep.measure`.
    """

    objective: Objective
    run: Run
    origin: Mapping[str, Any]
    figures: Mapping[str, Any]

    @property
    def name(self) -> str:
        """A readable file name, made unique by a digest of all but the figures."""
        method = _own_words(self.run.method)
        hashed = [dataclasses.asdict(self.objective), method, *self.run.cell, dict(self.origin)]
        digest = hashlib.sha256(json.dumps(hashed, sort_keys=True).encode()).hexdigest()
        label = re.sub(r"[^a-z0-9]+", "-", self.run.label.lower()).strip("-") or "arm"
        p = self.run
        budget = "" if p.budget is None else f"_b{p.budget}"
        return f"{label}_g{p.gamma:g}_T{p.steps}_s{p.seed}{budget}_{digest[:10]}"


class _Counted(Struct):
    """The figures of a run under one convention."""

    valid: float
    unique: float
    novel: int
    property_mean: float | None
    beside: dict[str, float | None] = {}  # missing in earlier stores


class _Figures(Struct):
    """The figures of a run; see :func:`molgen.frontiers.sweep.measure`."""

    nfe: float
    classifier_nfe: float
    seconds_per_molecule: float
    conventions: dict[str, _Counted]


class _Stored(Struct, rename={"objective": "task", "run": "point"}):
    """The file of a run."""

    format: int
    objective: Objective
    run: Run
    origin: dict[str, str | int | float | None]
    figures: _Figures

    def __post_init__(self) -> None:
        """Check that the method has a label.

        Raises:
            MolgenError: if not.
        """
        if "label" not in self.run.method:
            raise MolgenError("point.arm lacks the key label")


@dataclass(frozen=True)
class Store:
    """The folder of a sweep."""

    folder: Path

    def records(self) -> list[Record]:
        """Return the finished runs, in the order of their names.

        Raises:
            MolgenError: if a file of one is damaged.
        """
        paths = sorted((self.folder / POINTS).glob("*.json"))
        return [r for r in map(_read, paths) if self.molecules_path(r).is_file()]

    def molecules_path(self, record: Record) -> Path:
        """Return the file of a run's molecules."""
        return self.folder / POINTS / f"{record.name}.csv.gz"

    def save(self, record: Record, table: pd.DataFrame) -> None:
        """Store a finished run, molecules first.

        Raises:
            OSError: if it cannot be written; the run is then not finished.
        """
        (self.folder / POINTS).mkdir(parents=True, exist_ok=True)
        words = {True: "true", False: "false"}
        text = table.assign(**{name: table[name].map(words) for name in BOOLEANS if name in table})
        with replacing(self.molecules_path(record)) as temporary:
            # without a name and a time in it the same molecules give the same bytes
            rows = text.to_csv(index=False, lineterminator="\n").encode()
            temporary.write_bytes(gzip.compress(rows, mtime=0))
        with replacing(self.folder / POINTS / f"{record.name}.json") as temporary:
            content = {
                "format": FORMAT, "task": dataclasses.asdict(record.objective),
                "point": to_builtins(record.run), "origin": record.origin,
                "figures": record.figures,
            }  # fmt: skip
            temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

    def molecules(self, record: Record) -> pd.DataFrame:
        """Return the molecules of a run as they were drawn.

        Raises:
            MolgenError: if the file is damaged.
            OSError: if it cannot be read.
        """
        import pandas as pd

        from molgen.data.tables import read_table

        path = self.molecules_path(record)
        table = read_table(path)
        if len(table) != record.objective.n:
            raise MolgenError(f"{path} has {len(table)} rows, expected {record.objective.n}")
        name = record.objective.property
        return table.assign(**{name: pd.to_numeric(table[name], errors="coerce")})


def check_compatible(records: Sequence[Record], wanted: Sequence[Record]) -> None:
    """Check that runs to be drawn are comparable with those of a folder.

    Args:
        records: of the folder.
        wanted: to be drawn, without figures.

    Raises:
        MolgenError: naming the first difference, and the remedy.
    """
    if not records or not wanted:
        return
    have, want = records[0].objective, wanted[0].objective
    for name in ("property", "target", "n", "sign"):
        _same(f"a sweep with {name}", getattr(have, name), getattr(want, name))
    if not math.isclose(have.data_mean, want.data_mean, rel_tol=SAME_DATA):
        _same(f"a sweep whose data have mean {have.property}", have.data_mean, want.data_mean)
    methods = {record.run.label: record for record in records}
    for new in wanted:
        old = methods.get(new.run.label)
        if old is None:
            continue
        label = new.run.label
        for kind, a, b in (
            ("", PLAIN | _own_words(old.run.method), PLAIN | _own_words(new.run.method)),
            ("drawn with ", old.origin, new.origin),
        ):
            for key in sorted({*a, *b}):
                _same(f"method {label} {kind}{key}", a.get(key), b.get(key))


def _own_words(method: Mapping[str, str]) -> dict[str, str]:
    """Return the words in which a method differs from the default one.

    So digests stay the same when further options are added. The model's name is left out, too: a
    model is identified by the digest of its files.
    """
    return {k: word for k, word in method.items() if k != "model" and word != PLAIN.get(k)}


def _same(name: str, have: object, want: object) -> None:
    if have != want:
        raise MolgenError(
            f"the folder has {name} {have}, not {want}: give the method another label, or the "
            "sweep another --out"
        )


def _read(path: Path) -> Record:
    try:
        content = read_json(path, dict)
        stored = checked(content, _Stored, path)
        if stored.format != FORMAT:
            raise MolgenError(f"{path} has format {stored.format}, expected {FORMAT}")
        return Record(stored.objective, stored.run, stored.origin, content["figures"])
    except ValueError as error:
        raise MolgenError(f"{error}; remove it to draw its run again") from error
