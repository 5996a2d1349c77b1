"""Sweeps: every arm at every strength, number of steps and seed, each point drawn and measured.

    N rows -> counts by every convention, means over exactly the novel rows, forwards, seconds

Rows are draws: nothing is filtered or drawn again. What was finished before is not drawn again
either: see :mod:`molgen.frontiers.store`; what is drawn in which order:
:mod:`molgen.frontiers.plan`.
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

from molgen.frontiers.method import Arm
from molgen.frontiers.plan import Sweep, guided_targets, plan, settings_at
from molgen.frontiers.store import Point, Record, Store, check_compatible
from molgen.frontiers.task import Task
from molgen.molecules.conventions import PAPER, STRICT, Count, count, frontier_point
from molgen.molecules.parsing import interpret_all

if TYPE_CHECKING:
    import pandas as pd

    from molgen.model import Model
    from molgen.sampling.settings import Settings

COLUMNS = (
    *("index", "raw", "smiles", "status", "unique", "novel", "novel_paper"),
    *("nfe", "classifier_nfe"),
)


@dataclass(frozen=True)
class Progress:
    """What a run tells while it works; every part may be left out."""

    total: Callable[[int, int], None] = lambda points, finished: None
    """Called once with the number of points, and how many were finished before."""
    begin: Callable[[Point], None] = lambda point: None
    rows: Callable[[int], None] = lambda count: None
    """Called with the number of rows that have just ended."""
    end: Callable[[Record], None] = lambda record: None


def run(
    sweep: Sweep,
    models: Mapping[str, Model],
    folder: str | Path,
    progress: Progress | None = None,
) -> list[Record]:
    """Draw what is not finished yet; return every point the folder then holds.

    Args:
        sweep: what is asked.
        models: by the names that the arms give.
        folder: of the sweep; made if it is missing.
        progress: told as the work goes on.

    Raises:
        ValueError: if something asked is out of line, or does not go with what the folder holds;
            nothing has been drawn then.
        OSError: if a point cannot be stored.
    """
    progress = progress or Progress()
    store = Store(Path(folder))
    wanted = plan(sweep, models)
    held = store.records()
    check_compatible(held, wanted)
    finished = {record.name for record in held}
    progress.total(len(wanted), sum(record.name in finished for record in wanted))
    for record in wanted:
        if record.name in finished:
            continue
        progress.begin(record.point)
        model = models[record.point.arm["model"]]
        settings = settings_at(model, Arm(**record.point.arm), record.point, **sweep.speed)
        done, table = draw(record, model, settings, progress.rows)
        store.save(done, table)
        held.append(done)
        progress.end(done)
    return held


def draw(
    record: Record,
    model: Model,
    settings: Settings,
    rows: Callable[[int], None],
    begun: tuple[Record, pd.DataFrame] | None = None,
) -> tuple[Record, pd.DataFrame]:
    """Draw one point; return it with its figures, and its molecules.

    Args:
        record: the point, without figures.
        model: to draw with.
        settings: of the point.
        rows: called with the number of rows that have just ended.
        begun: the same point with fewer rows, finished, and its molecules: they are the first ones
            of this point, since row i of a seed is always the same row, and are not drawn again.
    """
    import pandas as pd

    task, point = record.task, record.point
    first = begun[0].task.n if begun else 0
    start = time.perf_counter()
    samples = model.draw(
        task.n - first,
        guided_targets(task, Arm(**point.arm)),
        point.seed,
        first,
        settings,
        on_done=lambda index, *_: rows(len(index)),
    )
    seconds = time.perf_counter() - start
    table = model.table(samples, [task.property], first)
    if begun:
        seconds += begun[0].figures["seconds_per_molecule"] * first
        table = pd.concat([begun[1], table], ignore_index=True)
    counts = [count(interpret_all(table["raw"]), c, model.training_index) for c in (STRICT, PAPER)]
    table["unique"], table["novel"] = counts[0].unique, counts[0].novel
    table["novel_paper"] = counts[1].novel
    figures = measure(table, task, counts, seconds)
    return dataclasses.replace(record, figures=figures), table[[*COLUMNS, task.property]]


def measure(
    table: pd.DataFrame, task: Task, counts: Sequence[Count], seconds: float
) -> dict[str, Any]:
    """Return the figures of a point.

    Args:
        table: its molecules, with the columns ``nfe``, ``classifier_nfe`` and the property.
        task: what was asked.
        counts: of the same rows, one for each convention.
        seconds: that the draw took.

    Returns:
        ``nfe`` and ``classifier_nfe`` (means over rows), ``seconds_per_molecule``, and under
        ``conventions`` for each of them ``valid`` and ``unique`` (fractions of rows), ``novel``
        (a count) and ``property_mean`` (over exactly the novel rows; None where there are none).
    """
    values = table[task.property].to_numpy(np.float64)
    conventions = {}
    for counted in counts:
        found = frontier_point(counted, values)
        conventions[counted.convention.name] = {
            "valid": float(counted.valid.mean()),
            "unique": float(counted.unique.mean()),
            "novel": found.novel,
            "property_mean": None if math.isnan(found.mean) else found.mean,
        }
    return {
        "nfe": float(table["nfe"].mean()),
        "classifier_nfe": float(table["classifier_nfe"].mean()),
        "seconds_per_molecule": seconds / task.n,
        "conventions": conventions,
    }
