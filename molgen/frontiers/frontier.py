"""The frontier between novelty and property: tables of runs, hypervolumes and ratios.

    a run:        x = novel rows / N,   y = gain of the property's mean over exactly those rows
    hypervolume = area dominated by a method's runs above (0, 0), that is (0 novel, data mean)

Both coordinates are under one convention, strict or paper; see
:mod:`molgen.molecules.conventions`. A gain counts from the mean of the training data in the
property's own unit, so a hypervolume is in that unit times a fraction of rows: novel molecules for
each draw, each weighted by its distance above the data. It is taken over the strengths (gamma) of
one method, number of steps and seed; a spread is the standard deviation over seeds. "Seeds apart":
the lowest of one method is above the highest of the other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from molgen.errors import MolgenError
from molgen.frontiers.objective import Objective
from molgen.frontiers.store import Record
from molgen.utils.pareto import hypervolume, nondominated
from property_models import alongside

if TYPE_CHECKING:
    import pandas as pd

RATIOS = [
    *("arm", "over", "steps", "convention", "ratio", "lowest", "highest"),
    *("seeds", "apart", "same_gammas"),
]
CURVE = ["arm", "steps", "seed", "convention"]
OURS, PUBLISHED, SAMPLES = "molgen", "published (figures read off)", "samples"
PUBLISHED_COLUMNS = {
    "task": "property", "method": "arm", "steps": "steps", "gamma": "gamma",
    "novel_of_1024": "novel", "property_mean": "property_mean", "novelty_convention": "convention",
}  # fmt: skip
PUBLISHED_ROWS = 1024


def run_table(records: Sequence[Record], order: Sequence[str] = ()) -> pd.DataFrame:
    """Return every run under every convention, one row each.

    Args:
        records: finished runs of one folder.
        order: labels of methods that come first; the others follow in alphabetical order.

    Returns:
        Columns: the method's words (``arm`` is its label), property and target, ``gamma``,
        ``steps``, ``budget`` (NaN where that is no axis), ``seed``, ``convention``, ``n``;
        ``valid``, ``unique`` and ``novel_fraction`` of the n rows, ``novel`` as a count,
        ``property_mean`` over the novel rows and its ``gain``; for ``ring_count`` also
        ``rings_cyclomatic_mean``, NaN for runs of earlier releases; ``nfe``, ``classifier_nfe`` and
        ``seconds_per_molecule``; ``on_front`` within the method at these steps and this seed,
        ``on_overall_front`` among all methods there; ``molecules``, a file's name.
    """
    import pandas as pd

    table = pd.DataFrame([row for record in records for row in _rows(record)])
    if table.empty:
        return table
    rank = {method: i for i, method in enumerate([*order, *sorted(table["arm"])][::-1])}
    keys = ["rank", "steps", "gamma", "budget", "seed", "convention"]
    table = table.assign(rank=-table["arm"].map(rank)).sort_values(keys, ignore_index=True)
    table = table.drop(columns="rank")
    table["on_front"] = _marks(table, CURVE)
    table["on_overall_front"] = _marks(table, CURVE[1:])
    table["molecules"] = table.pop("molecules")
    return table


def hypervolumes(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the hypervolume of every method, number of steps and convention over its seeds.

    Args:
        runs: of :func:`run_table`, or published ones of :func:`published_table`.

    Returns:
        Columns ``source, arm, steps, convention, seeds, gammas, hypervolume`` (mean over seeds),
        ``sd`` (NaN for one seed), ``lowest, highest``. Only seeds that have the same strengths are
        averaged: after an interruption, those with the most.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    keys = ["source", "arm", "steps", "convention"]
    for group, curve in runs.groupby(keys, sort=False, dropna=False):
        volumes: dict[tuple[float, ...], list[float]] = {}
        for _, one in curve.groupby("seed", dropna=False):
            volume = hypervolume(one[["novel_fraction", "gain"]].to_numpy(float), (0.0, 0.0))
            volumes.setdefault(tuple(sorted(one["gamma"])), []).append(volume)
        gammas, found = max(volumes.items(), key=lambda item: (len(item[0]), len(item[1])))
        row = dict(zip(keys, group, strict=True))
        row |= {"gammas": " ".join(f"{gamma:g}" for gamma in gammas)}
        rows.append({**row, **_over_curves(found)})
    return pd.DataFrame(rows)


def point_volumes(curves: Sequence[pd.DataFrame]) -> dict[str, float]:
    """Return the hypervolume of a method over curves of points, one curve a seed."""
    points = [curve[["novel_fraction", "gain"]].to_numpy(float) for curve in curves]
    return _over_curves([hypervolume(each, (0.0, 0.0)) for each in points])


def _over_curves(volumes: Sequence[float]) -> dict[str, float]:
    return {
        "seeds": len(volumes), "hypervolume": float(np.mean(volumes)), "sd": spread(volumes),
        "lowest": min(volumes), "highest": max(volumes),
    }  # fmt: skip


def ratios(volumes: pd.DataFrame) -> pd.DataFrame:
    """Return the ratio of every two methods' hypervolumes at equal steps and convention.

    Args:
        volumes: of :func:`hypervolumes`.

    Returns:
        Columns ``arm, over, steps, convention, ratio`` (of the means), ``lowest`` and ``highest``
        (over all pairs of seeds), ``seeds`` (the fewer), ``apart`` (two seeds at least, and all of
        one method above all of the other), ``same_gammas``. NaN over zero.
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


def over_seeds(runs: pd.DataFrame, further: Sequence[str] = ()) -> pd.DataFrame:
    """Return means of runs over seeds, with standard deviations in columns that end in ``_sd``.

    Args:
        runs: of :func:`run_table`.
        further: columns to average beside the usual figures.

    Returns:
        One row for each method, number of steps, gamma, budget and convention, and a column
        ``seeds``. A seed without novel molecules has no property mean and is left out of that mean
        alone.
    """
    keys = ["arm", "steps", "gamma", "budget", "convention"]
    figures = [
        *("valid", "unique", "novel", "novel_fraction", "property_mean", "gain"),
        *("nfe", "classifier_nfe", "seconds_per_molecule", *further),
    ]
    groups = runs.groupby(keys, sort=False, dropna=False)
    table = groups[figures].mean()
    table = table.join(groups[figures].std().add_suffix("_sd"))
    return table.join(groups["seed"].count().rename("seeds")).reset_index()


def published_table(path: str | Path, objective: Objective) -> pd.DataFrame:
    """Return published points of a property, in the columns of :func:`run_table`.

    Args:
        path: a table with the columns of :data:`PUBLISHED_COLUMNS`; ``steps`` may be empty. Counts
            are of 1,024 rows.
        objective: property and data mean.

    Raises:
        MolgenError: if a column is missing, or a cell is not a number where one is expected.
        OSError: if it cannot be read.
    """
    import pandas as pd

    from molgen.data.tables import read_table

    table = read_table(path)
    missing = [name for name in PUBLISHED_COLUMNS if name not in table]
    if missing:
        raise MolgenError(f"{path} has no column {missing[0]!r}, expected for published points")
    table = table.rename(columns=PUBLISHED_COLUMNS)[list(PUBLISHED_COLUMNS.values())]
    table = table[table["property"] == objective.property].reset_index(drop=True)
    for name in ("steps", "gamma", "novel", "property_mean"):
        numbers = pd.to_numeric(table[name], errors="coerce")
        bad = ~np.isfinite(numbers)
        if name == "steps":  # not in every paper
            bad &= table[name].notna() & (table[name].astype(str).str.strip() != "")
        if bad.any():
            shown = table.loc[bad, name].iloc[0]
            raise MolgenError(
                f"{path}: {name} is {str(shown)!r} in a row of {objective.property}, expected a "
                "number"
            )
        table[name] = numbers
    table["novel_fraction"] = table["novel"] / PUBLISHED_ROWS
    table["gain"] = [objective.gain(value) for value in table["property_mean"]]
    return table.assign(source=PUBLISHED, seed=0)


def spread(values: Sequence[float]) -> float:
    """Return the standard deviation, NaN for fewer than two values."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else math.nan


def _over(a: float, b: float) -> float:
    return a / b if b > 0 else math.nan


def _rows(record: Record) -> list[dict[str, Any]]:
    """Return the rows of a run, one for each convention."""
    objective, run, figures = record.objective, record.run, record.figures
    words = {key: value for key, value in run.method.items() if key != "label"}
    shared = {
        "source": OURS, "arm": run.label, **words,
        "property": objective.property, "target": objective.target or "none",
        "gamma": run.gamma, "steps": run.steps,
        "budget": math.nan if run.budget is None else run.budget, "seed": run.seed,
    }  # fmt: skip
    molecules = f"points/{record.name}.csv.gz"
    return convention_rows(shared, figures, objective, objective.n, molecules)


def convention_rows(
    shared: Mapping[str, Any],
    figures: Mapping[str, Any],
    objective: Objective,
    n: int,
    molecules: str,
) -> list[dict[str, Any]]:
    """Return the rows of a point, one for each convention.

    Args:
        shared: columns that are the same in all of them.
        figures: of :func:`molgen.frontiers.sweep.measure`.
        objective: property and data mean.
        n: rows of the point.
        molecules: name of the file of its molecules.
    """
    cost = {key: figures[key] for key in ("nfe", "classifier_nfe", "seconds_per_molecule")}
    rows = []
    for convention, found in figures["conventions"].items():
        mean = found["property_mean"]
        row = {**shared, "convention": convention, "n": n}
        row |= {key: found[key] for key in ("valid", "unique", "novel")}
        row["novel_fraction"] = found["novel"] / n
        row |= {"property_mean": math.nan if mean is None else mean, "gain": objective.gain(mean)}
        for name in alongside([objective.property])[1:]:
            mean = found.get("beside", {}).get(name)
            row[f"{name}_mean"] = math.nan if mean is None else mean
        rows.append({**row, **cost, "molecules": molecules})
    return rows


def _marks(table: pd.DataFrame, keys: list[str]) -> pd.Series:
    """Mark the runs on the front among those with equal keys."""
    import pandas as pd

    marks = pd.Series(False, index=table.index)
    for _, group in table.groupby(keys):
        marks[group.index] = nondominated(group[["novel_fraction", "gain"]].to_numpy(float))
    return marks
