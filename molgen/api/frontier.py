"""Comparisons: methods by strengths, steps and seeds -> runs, charts and their molecules."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from molgen.api.load import ModelLike
from molgen.api.progress import Progress, progress_of
from molgen.api.sweeps import (
    MethodsLike,
    axis,
    execute,
    finished,
    guidable,
    methods_of,
    out_folder,
    prepare,
    speed_of,
)
from molgen.errors import MolgenError
from molgen.frontiers.comparison import Comparison, write_figures
from molgen.frontiers.frontier import hypervolumes, published_table, ratios, run_table
from molgen.frontiers.page import frontier_html, plotly_script
from molgen.frontiers.plan import Sweep
from molgen.frontiers.plot import figure_class, frontier_png
from molgen.frontiers.scaling import scaling_png, scaling_table
from molgen.frontiers.store import Record, Store
from molgen.sampling.result import COMPLETE, Result
from molgen.targets import Target
from property_models.registry import PropertyLike

CONVENTIONS = ("paper", "strict")
GAMMAS, STEPS, SEEDS, ROWS = (1, 2, 3, 4, 5), (32, 128), (0, 1, 2), 1024
SCALING_GAMMA, SCALING_STEPS = 2.0, (8, 16, 32, 64, 128, 256, 512, 1024)


def frontier(
    model: ModelLike,
    property: PropertyLike,
    out: str | Path,
    *,
    target: Target | str | None = None,
    gamma: float | Sequence[float] = GAMMAS,
    steps: int | Sequence[int] = STEPS,
    seeds: int | Sequence[int] = SEEDS,
    n: int = ROWS,
    methods: MethodsLike = (),
    baselines: Sequence[str] = (),
    published: str | Path | None = None,
    conventions: Sequence[str] | str = CONVENTIONS,
    only_charts: bool = False,
    batch_size: int | None = None,
    device: str | None = None,
    dtype: str | None = None,
    progress: Progress | bool | None = None,
) -> Result[dict[str, int]]:
    """Chart novelty against a property: methods by strengths, steps and seeds.

    Writes frontier.csv (every run, by both conventions), hypervolume.csv, ratios.csv, frontier.png
    and frontier.html into a folder, and the molecules of every run. After an interruption the same
    call continues; other methods, strengths, steps or seeds add to the folder.

        molgen.frontier("qm9", "ring_count", "out/rings", gamma=[1, 3], steps=32, seeds=0, n=256)

    Args:
        model: a loaded model, or its name.
        property: of the chart.
        out: folder to write to; made if missing.
        target: of the property: ``"max"``, ``"min"``, a number, a range, or ``"none"`` for unguided
            draws; by default the best tenth of the training data.
        gamma: strengths of the guidance.
        steps: of the plans.
        seeds: of the draws.
        n: rows a run.
        methods: of sampling: ``"LABEL; remask=...; weights=..."``, or labels with settings,
            ``{"ReMDM": {"remask": "rescale:eta=.1"}}``; by default several.
        baselines: further models as methods, without remasking.
        published: a .csv of points from the literature, to overlay.
        conventions: rows of the chart: ``paper``, ``strict``.
        only_charts: draw no molecules, and chart the finished runs of the folder.
        batch_size: rows in the active batch; speed only.
        device: where the network runs.
        dtype: of the matrix products.
        progress: False for none, or callbacks.

    Returns:
        The runs as a table; ``output`` has the hypervolumes, the charts, and the molecules.

    Raises:
        MolgenError: if an argument is invalid, before anything is drawn.
    """
    progress = progress_of(progress)
    shown, folder, name = _conventions(conventions), out_folder(out), guidable(property)
    axes = axis("gamma", gamma, True), axis("steps", steps), axis("seeds", seeds, least=0)
    figure_class()  # missing libraries are reported before hours of sampling
    plotly_script()
    sweep, reason = None, ""
    if only_charts:
        records, order = finished(folder, name), _labels(methods)
    else:
        speed = speed_of(batch_size, device, dtype)
        sweep, models = prepare(
            model, name, target, n, methods, baselines, axes, (), speed, progress
        )
        if published is not None:
            published_table(published, sweep.objective)
        order = tuple(method.label for method in sweep.methods)
        records, reason = execute(
            sweep, models, folder,
            lambda done: write_figures(run_table(done, order), folder / "frontier.csv"),
            progress,
        )  # fmt: skip
    runs = run_table(records, order)
    if reason:
        return _unfinished(runs, records, sweep, reason)
    objective = records[0].objective
    volumes, points = hypervolumes(runs), None
    if published is not None:
        points = published_table(published, objective)
        if points.empty:
            progress.note(f"{published} has no points of {objective.property}")
            points = None
        else:
            volumes = pd.concat([volumes, hypervolumes(points)], ignore_index=True)
    against, figure = ratios(volumes), folder / "frontier.png"
    for table, file in ((runs, "frontier"), (volumes, "hypervolume"), (against, "ratios")):
        write_figures(table, folder / f"{file}.csv")
    frontier_png(runs, volumes, objective, figure, points, shown)
    page = folder / "frontier.html"
    frontier_html(Store(folder), records, runs, volumes, page, points, shown)
    made = Comparison(folder, records, runs, figure, volumes, against)
    return _result(made, sweep)


def scaling(
    model: ModelLike,
    property: PropertyLike,
    out: str | Path,
    *,
    target: Target | str | None = None,
    gamma: float = SCALING_GAMMA,
    steps: int | Sequence[int] = SCALING_STEPS,
    budgets: int | Sequence[int] = (),
    seeds: int | Sequence[int] = SEEDS,
    n: int = ROWS,
    methods: MethodsLike = (),
    baselines: Sequence[str] = (),
    only_charts: bool = False,
    batch_size: int | None = None,
    device: str | None = None,
    dtype: str | None = None,
    progress: Progress | bool | None = None,
) -> Result[dict[str, int]]:
    """Chart inference-time scaling: quality against forwards as the steps grow, for each method.

    Writes scaling.csv (every run, by both conventions) and scaling.png into a folder, and the
    molecules of every run. After an interruption the same call continues.

    Args:
        model: a loaded model, or its name.
        property: of the chart.
        out: folder to write to; made if missing.
        target: see :func:`frontier`.
        gamma: strength of the guidance, one number.
        steps: of the plans.
        budgets: of forwards a row, for methods with ``adapt``, which are then swept over budgets
            at the most steps.
        seeds: of the draws.
        n: rows a run.
        methods: see :func:`frontier`.
        baselines: further models as methods, without remasking.
        only_charts: draw no molecules, and chart the finished runs of the folder.
        batch_size: rows in the active batch; speed only.
        device: where the network runs.
        dtype: of the matrix products.
        progress: False for none, or callbacks.

    Returns:
        The runs as a table; ``output`` has the chart and the molecules.

    Raises:
        MolgenError: if an argument is invalid, before anything is drawn.
    """
    progress = progress_of(progress)
    strengths = axis("gamma", gamma, True)
    if len(strengths) > 1:
        given = ",".join(f"{value:g}" for value in strengths)
        raise MolgenError(f"gamma is {given}, expected one number: the chart is over steps")
    folder, name = out_folder(out), guidable(property)
    axes = strengths, axis("steps", steps), axis("seeds", seeds, least=0)
    several = axis("budgets", budgets) if not isinstance(budgets, Sequence) or budgets else ()
    figure_class()  # a missing library is reported before hours of sampling
    sweep, reason = None, ""
    if only_charts:
        records, order = finished(folder, name), _labels(methods)
    else:
        speed = speed_of(batch_size, device, dtype)
        sweep, models = prepare(
            model, name, target, n, methods, baselines, axes, several, speed, progress
        )
        order = tuple(method.label for method in sweep.methods)
        records, reason = execute(
            sweep, models, folder,
            lambda done: write_figures(scaling_table(done, order), folder / "scaling.csv"),
            progress,
        )  # fmt: skip
    found = {record.run.gamma for record in records}
    if len(found) > 1:
        raise MolgenError(
            f"{str(out)!r} has runs of gamma {', '.join(f'{g:g}' for g in found)}, "
            "expected one: give the sweep another --out"
        )
    table = scaling_table(records, order)
    if reason:
        return _unfinished(table, records, sweep, reason)
    write_figures(table, folder / "scaling.csv")
    figure = folder / "scaling.png"
    scaling_png(table, records[0].objective, figure)
    return _result(Comparison(folder, records, table, figure), sweep)


def _labels(methods: MethodsLike) -> tuple[str, ...]:
    """Return the labels of given methods, which is the order of the charts."""
    return tuple(method.label for method in methods_of(methods, "model"))


def _conventions(given: Sequence[str] | str) -> tuple[str, ...]:
    """Read the conventions to chart.

    Raises:
        MolgenError: if one is unknown, or none is given.
    """
    words = given.split(",") if isinstance(given, str) else given
    found = tuple(dict.fromkeys(word.strip() for word in words))
    for name in found or ("",):
        if name not in CONVENTIONS:
            raise MolgenError(f"conventions has {name!r}, expected {' or '.join(CONVENTIONS)}")
    return found


def _counts(records: Sequence[Record]) -> dict[str, int]:
    return {"runs": len(records), "rows": sum(record.objective.n for record in records)}


def _result(made: Comparison, sweep: Sweep | None) -> Result[dict[str, int]]:
    counts = _counts(made.records)
    return Result(made.runs, counts, counts["runs"], COMPLETE, sweep, made)


def _unfinished(
    table: Any, records: Sequence[Record], sweep: Sweep | None, reason: str
) -> Result[dict[str, int]]:
    planned = len(sweep.cells()) if sweep else len(records)
    return Result(table, _counts(records), planned, reason, sweep)
