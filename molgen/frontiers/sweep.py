"""Sweeps: every method at every strength, number of steps and seed, each run drawn and measured.

    N rows -> counts by every convention, means over exactly the novel rows, forwards, seconds

Rows are draws: no row is filtered or replaced. Finished runs are kept on disk
(:mod:`molgen.frontiers.store`); the order of runs is that of :mod:`molgen.frontiers.plan`.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from molgen.frontiers.method import Method
from molgen.frontiers.objective import Objective
from molgen.frontiers.plan import Sweep, guided_targets, plan, settings_at
from molgen.frontiers.store import Record, Run, Store, check_compatible
from molgen.molecules.conventions import PAPER, STRICT, Count, FrontierPoint, count, frontier_point
from molgen.molecules.parsing import interpret_all
from molgen.utils.locks import locked
from property_models import alongside, compute

if TYPE_CHECKING:
    import pandas as pd

    from molgen.model import Model
    from molgen.molecules.parsing import Molecule
    from molgen.molecules.training_index import TrainingIndex
    from molgen.sampling.settings import Settings

COLUMNS = (
    *("index", "raw", "smiles", "status", "unique", "novel", "novel_paper"),
    *("nfe", "classifier_nfe"),
)


@dataclass(frozen=True)
class Progress:
    """Callbacks during a sweep; each is optional."""

    total: Callable[[int, int], None] = lambda runs, finished: None
    """Called once with the number of runs, and how many were finished before."""
    begin: Callable[[Run], None] = lambda run: None
    rows: Callable[[int], None] = lambda count: None
    """Called with the number of rows that have just ended."""
    end: Callable[[Record], None] = lambda record: None


def run(
    sweep: Sweep,
    models: Mapping[str, Model],
    folder: str | Path,
    progress: Progress | None = None,
) -> list[Record]:
    """Draw the runs that are not finished yet; return all runs of the folder.

    Args:
        sweep: the request.
        models: by the names in the methods.
        folder: of the sweep; made if it is missing.
        progress: callbacks.

    Raises:
        MolgenError: if the request is out of range, or not comparable with the folder's runs;
            nothing has been drawn then. Also if another run writes to the folder.
        OSError: if a run cannot be stored.
    """
    progress = progress or Progress()
    store = Store(Path(folder))
    wanted = plan(sweep, models)
    with locked(folder):
        stored = store.records()
        check_compatible(stored, wanted)
        finished = {record.name for record in stored}
        progress.total(len(wanted), sum(record.name in finished for record in wanted))
        for record in wanted:
            if record.name in finished:
                continue
            progress.begin(record.run)
            model = models[record.run.method["model"]]
            settings = settings_at(model, Method(**record.run.method), record.run, **sweep.speed)
            done, table = draw(record, model, settings, progress.rows)
            store.save(done, table)
            stored.append(done)
            progress.end(done)
        return stored


def draw(
    record: Record,
    model: Model,
    settings: Settings,
    rows: Callable[[int], None],
    prefix: tuple[Record, pd.DataFrame] | None = None,
) -> tuple[Record, pd.DataFrame]:
    """Draw one run; return it with its figures, and its molecules.

    Args:
        record: the run, without figures.
        model: to draw with.
        settings: of the run.
        rows: called with the number of rows that have just ended.
        prefix: the same run with fewer rows, finished, and its molecules: since row i of a seed is
            always the same row, they are the first rows of this run and are not drawn again.
    """
    import pandas as pd

    objective, run = record.objective, record.run
    first = prefix[0].objective.n if prefix else 0
    start = time.perf_counter()
    samples = model.draw(
        objective.n - first,
        guided_targets(objective, Method(**run.method)),
        run.seed,
        first,
        settings,
        on_done=lambda index, *_: rows(len(index)),
    )
    seconds = time.perf_counter() - start
    table = model.table(samples, [objective.property], first)
    if prefix:
        seconds += prefix[0].figures["seconds_per_molecule"] * first
        table = pd.concat([prefix[1], table], ignore_index=True)
        table = table.assign(**compute(alongside([objective.property])[1:], table["smiles"]))
    counts = counted(table, interpret_all(table["raw"]), model.training_index)
    figures = measure(table, objective, counts, seconds)
    return dataclasses.replace(record, figures=figures), table[
        [*COLUMNS, *alongside([objective.property])]
    ]


def counted(
    table: pd.DataFrame, molecules: Sequence[Molecule], index: TrainingIndex | None
) -> list[Count]:
    """Count the rows of a table by both conventions, and mark them in its columns."""
    counts = [count(molecules, convention, index) for convention in (STRICT, PAPER)]
    table["unique"], table["novel"] = counts[0].unique, counts[0].novel
    table["novel_paper"] = counts[1].novel
    return counts


def measure(
    table: pd.DataFrame, objective: Objective, counts: Sequence[Count], seconds: float
) -> dict[str, Any]:
    """Return the figures of a run.

    Args:
        table: its molecules, with the columns ``nfe``, ``classifier_nfe`` and the property.
        objective: of the run.
        counts: of the same rows, one for each convention.
        seconds: duration of the draw.

    Returns:
        ``nfe`` and ``classifier_nfe`` (means over rows), ``seconds_per_molecule``, and under
        ``conventions`` for each of them ``valid`` and ``unique`` (fractions of rows), ``novel``
        (a count) and ``property_mean`` (over exactly the novel rows; None where there are none),
        and in ``beside`` the same mean of the property that stands beside it, if there is one.
    """
    beside = alongside([objective.property])[1:]
    values = table[objective.property].to_numpy(np.float64)
    conventions: dict[str, Any] = {}
    for counted in counts:
        found = frontier_point(counted, values)
        conventions[counted.convention.name] = {
            "valid": float(counted.valid.mean()),
            "unique": float(counted.unique.mean()),
            "novel": found.novel,
            "property_mean": _mean(found),
        }
        if beside:
            points = {name: frontier_point(counted, table[name].to_numpy()) for name in beside}
            conventions[counted.convention.name]["beside"] = {
                name: _mean(point) for name, point in points.items()
            }
    return {
        "nfe": float(table["nfe"].mean()),
        "classifier_nfe": float(table["classifier_nfe"].mean()),
        "seconds_per_molecule": seconds / objective.n,
        "conventions": conventions,
    }


def _mean(point: FrontierPoint) -> float | None:
    return None if math.isnan(point.mean) else point.mean
