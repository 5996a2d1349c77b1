"""The frontier between novelty and property: tables of points, hypervolumes and ratios.

    a point:      x = novel rows / N,   y = gain of the property's mean over exactly those rows
    hypervolume = area dominated by an arm's points above (0, 0), that is (0 novel, data mean)

Both numbers of a point are under one convention, strict or paper; see
:mod:`molgen.molecules.conventions`. A gain counts from the mean of the training data in the
property's own unit, so a hypervolume is in that unit times a fraction of rows: novel molecules for
each draw, each weighted by how far above the data it lies. It is taken over the strengths (gamma)
of one arm, number of steps and seed; a spread is the standard deviation over seeds. "Seeds apart":
the lowest of one arm is above the highest of the other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from molgen.frontiers.store import Record
from molgen.frontiers.task import Task
from molgen.utils.pareto import hypervolume, nondominated

if TYPE_CHECKING:
    import pandas as pd

RATIOS = [
    *("arm", "over", "steps", "convention", "ratio", "lowest", "highest"),
    *("seeds", "apart", "same_gammas"),
]
CURVE = ["arm", "steps", "seed", "convention"]
OURS, PUBLISHED = "molgen", "published (figures read off)"
PUBLISHED_COLUMNS = {
    "task": "property", "method": "arm", "steps": "steps", "gamma": "gamma",
    "novel_of_1024": "novel", "property_mean": "property_mean", "novelty_convention": "convention",
}  # fmt: skip
PUBLISHED_ROWS = 1024


def point_table(records: Sequence[Record], order: Sequence[str] = ()) -> pd.DataFrame:
    """Return every point under every convention, one row each.

    Args:
        records: finished points of one folder.
        order: labels of arms that come first; the others follow by the alphabet.

    Returns:
        Columns: the arm's words (``arm`` is its label), what was asked, ``gamma``, ``steps``,
        ``budget`` (NaN where that is no axis), ``seed``, ``convention``, ``n``; ``valid``,
        ``unique`` and ``novel_fraction`` of the n rows, ``novel`` as a count, ``property_mean``
        over the novel rows and its ``gain``; ``nfe``, ``classifier_nfe`` and
        ``seconds_per_molecule``; ``on_front`` within the arm at these steps and this seed,
        ``on_overall_front`` among all arms there; ``molecules``, a file's name.
    """
    import pandas as pd

    table = pd.DataFrame([row for record in records for row in _rows(record)])
    if table.empty:
        return table
    rank = {arm: i for i, arm in enumerate([*order, *sorted(table["arm"])][::-1])}
    keys = ["rank", "steps", "gamma", "budget", "seed", "convention"]
    table = table.assign(rank=-table["arm"].map(rank)).sort_values(keys, ignore_index=True)
    table = table.drop(columns="rank")
    table["on_front"] = _marks(table, CURVE)
    table["on_overall_front"] = _marks(table, CURVE[1:])
    table["molecules"] = table.pop("molecules")
    return table


def hypervolumes(points: pd.DataFrame) -> pd.DataFrame:
    """Return the hypervolume of every arm, number of steps and convention over its seeds.

    Args:
        points: of :func:`point_table`, or published ones of :func:`published_table`.

    Returns:
        Columns ``source, arm, steps, convention, seeds, gammas, hypervolume`` (mean over seeds),
        ``sd`` (NaN for one seed), ``lowest, highest``. Only seeds that have the same strengths are
        averaged: where a run was interrupted, those with the most.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    keys = ["source", "arm", "steps", "convention"]
    for group, curve in points.groupby(keys, sort=False, dropna=False):
        volumes: dict[tuple[float, ...], list[float]] = {}
        for _, one in curve.groupby("seed", dropna=False):
            volume = hypervolume(one[["novel_fraction", "gain"]].to_numpy(float), (0.0, 0.0))
            volumes.setdefault(tuple(sorted(one["gamma"])), []).append(volume)
        gammas, found = max(volumes.items(), key=lambda item: (len(item[0]), len(item[1])))
        row = dict(zip(keys, group, strict=True))
        row |= {"seeds": len(found), "gammas": " ".join(f"{gamma:g}" for gamma in gammas)}
        row |= {"hypervolume": float(np.mean(found)), "sd": spread(found)}
        rows.append({**row, "lowest": min(found), "highest": max(found)})
    return pd.DataFrame(rows)


def ratios(volumes: pd.DataFrame) -> pd.DataFrame:
    """Return the ratio of every two arms' hypervolumes at equal steps and convention.

    Args:
        volumes: of :func:`hypervolumes`.

    Returns:
        Columns ``arm, over, steps, convention, ratio`` (of the means), ``lowest`` and ``highest``
        (over all pairs of seeds), ``seeds`` (the fewer), ``apart`` (two seeds at least, and all of
        one arm above all of the other), ``same_gammas``. NaN over zero.
    """
    import pandas as pd

    ours = volumes[volumes["source"] == OURS]
    rows = []
    for (steps, convention), group in ours.groupby(["steps", "convention"], sort=False):
        entries = group.to_dict("records")
        for a in entries:
            for b in entries:
                if a["arm"] == b["arm"]:
                    continue
                seeds = min(a["seeds"], b["seeds"])
                clear = a["lowest"] > b["highest"] or a["highest"] < b["lowest"]
                rows.append(
                    {
                        "arm": a["arm"],
                        "over": b["arm"],
                        "steps": steps,
                        "convention": convention,
                        "ratio": _over(a["hypervolume"], b["hypervolume"]),
                        "lowest": _over(a["lowest"], b["highest"]),
                        "highest": _over(a["highest"], b["lowest"]),
                        "seeds": seeds,
                        "apart": bool(clear and seeds > 1),
                        "same_gammas": a["gammas"] == b["gammas"],
                    }
                )
    return pd.DataFrame(rows, columns=RATIOS)


def over_seeds(points: pd.DataFrame, further: Sequence[str] = ()) -> pd.DataFrame:
    """Return means of points over seeds, with standard deviations in columns that end in ``_sd``.

    Args:
        points: of :func:`point_table`.
        further: columns to average beside the usual figures.

    Returns:
        One row for each arm, number of steps, gamma, budget and convention, and a column ``seeds``.
        A seed without novel molecules has no property mean and is left out of that mean alone.
    """
    keys = ["arm", "steps", "gamma", "budget", "convention"]
    figures = [
        *("valid", "unique", "novel", "novel_fraction", "property_mean", "gain"),
        *("nfe", "classifier_nfe", "seconds_per_molecule", *further),
    ]
    groups = points.groupby(keys, sort=False, dropna=False)
    table = groups[figures].mean()
    table = table.join(groups[figures].std().add_suffix("_sd"))
    return table.join(groups["seed"].count().rename("seeds")).reset_index()


def published_table(path: str | Path, task: Task) -> pd.DataFrame:
    """Return published points of a property, in the columns of :func:`point_table`.

    Args:
        path: a table with the columns of :data:`PUBLISHED_COLUMNS`; ``steps`` may be empty. Counts
            are of 1,024 rows.
        task: whose property, and data mean, count.

    Raises:
        ValueError: if a column is missing, or a row has no number where one belongs.
        OSError: if it cannot be read.
    """
    import pandas as pd

    from molgen.data.tables import read_table

    table = read_table(path)
    missing = [name for name in PUBLISHED_COLUMNS if name not in table]
    if missing:
        raise ValueError(f"{path} has no column {missing[0]!r}, as published points need it")
    table = table.rename(columns=PUBLISHED_COLUMNS)[list(PUBLISHED_COLUMNS.values())]
    table = table[table["property"] == task.property].reset_index(drop=True)
    for name in ("steps", "gamma", "novel", "property_mean"):
        numbers = pd.to_numeric(table[name], errors="coerce")
        bad = ~np.isfinite(numbers)
        if name == "steps":  # some papers do not say
            bad &= table[name].notna() & (table[name].astype(str).str.strip() != "")
        if bad.any():
            shown = table.loc[bad, name].iloc[0]
            raise ValueError(
                f"{path}: {name} is {str(shown)!r} in a row of {task.property}, expected a number"
            )
        table[name] = numbers
    table["novel_fraction"] = table["novel"] / PUBLISHED_ROWS
    table["gain"] = [task.gain(value) for value in table["property_mean"]]
    return table.assign(source=PUBLISHED, seed=0)


def spread(values: Sequence[float]) -> float:
    """Return the standard deviation, NaN for fewer than two values."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else math.nan


def _over(a: float, b: float) -> float:
    return a / b if b > 0 else math.nan


def _rows(record: Record) -> list[dict[str, Any]]:
    """Return a point's rows, one for each convention."""
    task, point, figures = record.task, record.point, record.figures
    words = {key: value for key, value in point.arm.items() if key != "label"}
    shared = {
        "source": OURS, "arm": point.label, **words,
        "property": task.property, "target": task.target or "none",
        "gamma": point.gamma, "steps": point.steps,
        "budget": math.nan if point.budget is None else point.budget, "seed": point.seed,
    }  # fmt: skip
    cost = {key: figures[key] for key in ("nfe", "classifier_nfe", "seconds_per_molecule")}
    rows = []
    for convention, found in figures["conventions"].items():
        mean = found["property_mean"]
        row = {**shared, "convention": convention, "n": task.n}
        row |= {key: found[key] for key in ("valid", "unique", "novel")}
        row["novel_fraction"] = found["novel"] / task.n
        row |= {"property_mean": math.nan if mean is None else mean, "gain": task.gain(mean)}
        rows.append({**row, **cost, "molecules": f"points/{record.name}.csv.gz"})
    return rows


def _marks(table: pd.DataFrame, keys: list[str]) -> pd.Series:
    """Mark the points on the front among those that agree in the keys."""
    import pandas as pd

    marks = pd.Series(False, index=table.index)
    for _, group in table.groupby(keys):
        marks[group.index] = nondominated(group[["novel_fraction", "gain"]].to_numpy(float))
    return marks
