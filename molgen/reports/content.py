"""The data of a page's script: columns, histograms, the chart's axes, groups, calls and scores."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from molgen.molecules.parsing import Status
from molgen.reports.data import ReportData
from molgen.reports.record import in_words
from molgen.reports.rows import MOST_GROUPS, PARTS, SCAFFOLD, Column, Rows, analyse, value_columns
from molgen.targets import Range, Target, ends
from molgen.utils.arrays import Floats

BINS = 28
TAIL = 0.002  # part of the training set beyond each end of a histogram
MOST_HISTOGRAMS = 12
LOW_IS_GOOD = re.compile(r"sa|dock\b.*|.*_rmse")  # without a goal
LABELS = {SCAFFOLD: "Scaffolds (Murcko)"}


def content(data: ReportData, workers: int = 1) -> dict[str, Any]:
    """Return the data of the page's script.

    Args:
        data: of the report.
        workers: number of processes.
    """
    rows = analyse(data, workers)
    values = _ordered(value_columns(rows), data)
    return {
        "title": data.title,
        "smiles": rows.strings,
        "molecules": rows.molecules,
        "columns": [_entry(column, data.goals) for column in rows.columns],
        "histograms": [_histogram(column, data) for column in values[:MOST_HISTOGRAMS]],
        "axes": [{"name": c.name, "sign": _sign(c.name, data.goals)} for c in values],
        "groups": _groups(rows),
        "diverse": rows.diverse,
        "history": _history(data),
        "training": data.training.label if data.training is not None else None,
        "trained": data.training is not None and data.training.trained,
        "reference": data.reference[0] if data.reference is not None else None,
        "structures": {
            "smiles": rows.structures.smiles,
            "blocks": rows.structures.blocks(workers, "structures"),
        },
    }


def _ordered(columns: Sequence[Column], data: ReportData) -> list[Column]:
    """Return columns that have two different values or a training set, those of goals first."""
    trained = data.training.values if data.training is not None else {}
    several = [c for c in columns if c.name in trained or len(set(c.values) - {None}) > 1]
    first = {name: i for i, name in enumerate((*data.goals, "score"))}
    return sorted(several, key=lambda c: (first.get(c.name, len(first)), c.name not in trained))


def _entry(column: Column, goals: Mapping[str, Target]) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": column.name, "kind": column.kind, "values": column.values}
    aside = column.bookkeeping if column.name != "status" else set(column.values) == {Status.OK}
    constant = column.kind == "number" and len(column.values) > 1 and len(set(column.values)) == 1
    entry |= {"digits": column.digits, "aside": aside or constant}
    if column.name in goals:
        entry["goal"] = in_words(goals[column.name])
    return entry


def _sign(name: str, goals: Mapping[str, Target]) -> int:
    """Return 1 where high values are good, -1 where low ones are."""
    target = goals.get(name)
    if target is None:
        return -1 if LOW_IS_GOOD.fullmatch(name) else 1
    if isinstance(target, Range):
        return -1 if target.low == -np.inf else 1
    return -1 if target == "min" else 1


def _histogram(column: Column, data: ReportData) -> dict[str, Any]:
    """Return the bins of a histogram, and the part of the training set in each."""
    own = np.array([value for value in column.values if value is not None], dtype=float)
    training = data.training
    found: dict[str, Any] = {"name": column.name, "target": None, "training": None}
    target = data.goals.get(column.name)
    if target is not None and not isinstance(target, str):
        found["target"] = [b if np.isfinite(b) else None for b in map(float, ends(target))]
    if training is None or column.name not in training.values:
        return found | {"edges": _edges(own, column.integer)}
    values = training.values[column.name]
    there = np.isfinite(values)
    values, weights = values[there], training.weights[there]
    order = np.argsort(values)
    share = np.cumsum(weights[order]) / weights.sum()
    low, high = np.searchsorted(share, (TAIL, 1 - TAIL))
    middle = values[order][low : high + 1]
    edges = _edges(np.concatenate([own, middle]), column.integer)
    counts, _ = np.histogram(values, edges, weights=weights)
    found["training"] = [float(f"{n:.4g}") for n in counts / weights.sum()]
    found["mean"] = float(f"{np.average(values, weights=weights):.6g}")
    return found | {"edges": edges}


def _edges(values: Floats, integer: bool) -> list[float]:
    """Return the edges of bins over all values; of whole numbers around them."""
    low, high = (values.min(), values.max()) if len(values) else (0.0, 1.0)
    if integer:
        width = max(1, int(np.ceil((high - low + 1) / BINS)))
        return [float(edge) for edge in np.arange(low - 0.5, high + width, width)]
    margin = 0.0 if high > low else 0.5
    return [float(f"{edge:.6g}") for edge in np.linspace(low - margin, high + margin, BINS + 1)]


def _groups(rows: Rows) -> list[dict[str, Any]]:
    """Return the largest groups of rows with one scaffold, or one part at an attachment point."""
    found = []
    columns = [c for c in rows.columns if c.name == SCAFFOLD or PARTS.fullmatch(c.name)]
    for column in sorted(columns, key=lambda c: c.name == SCAFFOLD):
        counts = Counter(value for value in column.values if value is not None)
        top = [[value, n] for value, n in counts.most_common(MOST_GROUPS)]
        found.append(
            {
                "column": rows.columns.index(column),
                "title": LABELS.get(column.name, f"Parts at {column.name}"),
                "distinct": len(counts),
                "rows": sum(counts.values()),
                "top": top,
            }
        )
    return [group for group in found if group["top"]]


def _history(data: ReportData) -> dict[str, list[float]] | None:
    """Return calls and scores in the order of the calls, None without two of them."""
    history = data.history
    if history is None:
        return None
    kept = history[["calls", "score"]].astype(float).dropna().sort_values("calls", kind="stable")
    if len(kept) < 2:
        return None
    return {name: [float(f"{v:.6g}") for v in kept[name]] for name in ("calls", "score")}
