"""Inference-time scaling: methods by steps or budgets -> runs, a chart and their molecules."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from molgen.api.load import ModelLike
from molgen.api.progress import Progress, progress_of
from molgen.api.sweeps import (
    MethodsLike,
    axis,
    execute,
    finished,
    guidable,
    labels,
    prepare,
    result,
    speed_of,
)
from molgen.errors import MolgenError
from molgen.frontiers.comparison import Comparison, write_figures
from molgen.frontiers.plane import ALL, plane_png, plane_sweeps
from molgen.frontiers.plot import figure_class
from molgen.frontiers.scaling import scaling_png, scaling_table
from molgen.frontiers.store import Record
from molgen.sampling.result import Result
from molgen.targets import Target
from molgen.utils.files import check_folder
from property_models.registry import PropertyLike

PLANE_STEPS, BLOCKS = (1, 2, 4, 8, 16, 32), (1, 2, 4, 8, ALL)
GAMMA, STEPS, SEEDS, ROWS = 2.0, (8, 16, 32, 64, 128, 256, 512, 1024), (0, 1, 2), 1024


def scaling(
    model: ModelLike,
    property: PropertyLike,
    out: str | Path,
    *,
    target: Target | str | None = None,
    gamma: float = GAMMA,
    steps: int | Sequence[int] | None = None,
    budgets: int | Sequence[int] = (),
    seeds: int | Sequence[int] = SEEDS,
    n: int = ROWS,
    methods: MethodsLike = (),
    baselines: Sequence[str] = (),
    plane: bool = False,
    blocks: Sequence[int | str] = BLOCKS,
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
        target: see :func:`molgen.frontier`.
        gamma: strength of the guidance, one number.
        steps: of the plans; by default 8 to 1,024, or 1 to 32 for a plane.
        budgets: of forwards a row, for methods with ``adapt``, which are then swept over budgets
            at the most steps.
        seeds: of the draws.
        n: rows a run.
        methods: see :func:`molgen.frontier`.
        baselines: further models as methods, without remasking.
        plane: whether to chart tokens of a block x steps, as heat maps (plane.png), in place of
            curves over steps; by default of plain sampling and of the recommended remasking.
        blocks: tokens of a block, ``"all"`` for all of a row; for a plane.
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
    folder, name = check_folder(out), guidable(property)
    steps = (PLANE_STEPS if plane else STEPS) if steps is None else steps
    axes = strengths, axis("steps", steps), axis("seeds", seeds, least=0)
    sizes = _sizes(blocks)
    several = axis("budgets", budgets) if not isinstance(budgets, Sequence) or budgets else ()
    figure_class()  # a missing library is reported before hours of sampling
    sweep, reason = None, ""
    records: list[Record] = []
    if only_charts:
        records, order = finished(folder, name), labels(methods)
    else:
        speed = speed_of(batch_size, device, dtype)
        sweep, models = prepare(
            model, name, target, n, methods, baselines, axes, several, speed, progress, plane
        )
        sweeps = plane_sweeps(sweep, models, sizes) if plane else [sweep]
        order = tuple(method.label for each in sweeps for method in each.methods)
        for sweep in sweeps:
            if not reason:
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
        return result(table, records, sweep, reason)
    write_figures(table, folder / "scaling.csv")
    figure = folder / ("plane.png" if plane else "scaling.png")
    (plane_png if plane else scaling_png)(table, records[0].objective, figure)
    made = Comparison(folder, records, table, figure)
    return result(table, records, sweep, made=made)


def _sizes(blocks: Sequence[int | str]) -> list[int | None]:
    """Return sizes of blocks, None for all of a row."""
    numbers = [size for size in blocks if size != ALL]
    sizes: list[int | None] = list(axis("blocks", numbers)) if numbers else []
    return sizes + [None] * (len(numbers) < len(blocks))
