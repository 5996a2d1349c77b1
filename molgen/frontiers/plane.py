"""The plane of inference: tokens of a block x refinement steps, as heat maps.

    rows     tokens of a block: 1 is token by token, all is the whole row at once
    columns  steps T of the plan of each block
    colour   a figure: valid, forwards a row, novelty x gain (or novelty, without a target)

Every cell is a run of one sampler (:mod:`molgen.sampling.blocks`). An autoregressive network is on
the same plane: its tokens are placed one by one, each in one step.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from molgen.frontiers.frontier import over_seeds
from molgen.frontiers.method import METHOD, Method
from molgen.frontiers.objective import Objective
from molgen.frontiers.plan import Sweep
from molgen.frontiers.plot import INK, PALE, figure_class, title
from molgen.nn.denoiser import noise_of
from molgen.utils.figures import save_figure

if TYPE_CHECKING:
    import pandas as pd

    from molgen.model import Model

PANEL = (4.3, 2.9)  # inches
ALL = "all"  # in place of tokens of a block
SEPARATOR = ", blocks "
COLOURS = "viridis"
DARK = 0.55  # of the colour scale, below which text is white


def plane_sweeps(
    sweep: Sweep, models: Mapping[str, Model], blocks: Sequence[int | None]
) -> list[Sweep]:
    """Return the sweeps of a plane.

    Args:
        sweep: methods and steps.
        models: by the names in the methods.
        blocks: tokens of a block, None for all of a row.

    Returns:
        Methods of autoregressive networks, which have no steps, once; the others at every number
        of steps and size of a block, with uniform weights if one step is among them.
    """
    single = [m for m in sweep.methods if noise_of(models[m.model].denoiser) == "none"]
    wide = [m for m in sweep.methods if m not in single]
    if 1 in sweep.steps:  # one step does not remask, and would refuse weights
        wide = [dataclasses.replace(m, **{"weights": METHOD["weights"]}) for m in wide]
    once = dataclasses.replace(sweep, methods=tuple(single), steps=(1,)) if single else None
    cells = in_blocks(wide, blocks)
    plane = dataclasses.replace(sweep, methods=tuple(cells)) if cells else None
    return [each for each in (once, plane) if each is not None]


def in_blocks(methods: Sequence[Method], blocks: Sequence[int | None]) -> list[Method]:
    """Return every method at every size of a block, None for all of a row."""
    found = []
    for method in methods:
        for size in blocks:
            words = {"blocks": "none" if size is None else str(size)}
            words["label"] = f"{method.label}{SEPARATOR}{ALL if size is None else size}"
            found.append(dataclasses.replace(method, **words))
    return found


def plane_means(table: pd.DataFrame) -> pd.DataFrame:
    """Return the figures of the plane: means over seeds, by the strict convention.

    Args:
        table: of :func:`molgen.frontiers.scaling.scaling_table`.

    Returns:
        Columns ``method``, ``blocks`` (a number of tokens, ``all``, or ``""`` for a network that
        places tokens one by one), ``steps``, and the figures with their standard deviations.
    """
    means = over_seeds(table[table["convention"] == "strict"], ("forwards", "product"))
    parts = means["arm"].str.rpartition(SEPARATOR)
    alone = parts[0] == ""
    means = means.assign(method=parts[0].where(~alone, parts[2]), blocks=parts[2].where(~alone, ""))
    return means.drop(columns="arm")


def plane_text(table: pd.DataFrame) -> str:
    """Return a line for each cell of the plane, of the table of :func:`plane_means`."""
    shown = ["method", "blocks", "steps", "forwards", "valid", "valid_sd", "novel_fraction"]
    means = plane_means(table)[[*shown, "product", "product_sd"]]
    return str(means.to_string(index=False, float_format=lambda value: f"{value:.3f}"))


def plane_png(table: pd.DataFrame, objective: Objective, path: str | Path) -> None:
    """Draw heat maps: a row of panels for each method, a panel for each figure.

    Args:
        table: of :func:`molgen.frontiers.scaling.scaling_table`.
        objective: of the sweep.
        path: of the picture; its extension gives the format (png, pdf, svg).

    Raises:
        MolgenError: if matplotlib is missing.
        OSError: if the file cannot be written.
    """
    means = plane_means(table)
    alone = means[means["blocks"] == ""]
    methods = list(dict.fromkeys(means.loc[means["blocks"] != "", "method"]))
    gain = f"novelty × gain of {objective.property} (strict)"
    figures = {"valid": "valid", "forwards": "forwards a row"}
    figures |= {"product": gain} if objective.target else {"novel_fraction": "novel (strict)"}
    size = (PANEL[0] * len(figures), PANEL[1] * max(1, len(methods)) + 0.6)
    figure = figure_class()(figsize=size, layout="constrained", facecolor="white")
    axes = figure.subplots(max(1, len(methods)), len(figures), squeeze=False)
    for name, column in zip(figures, axes.T, strict=True):
        limits = means[name].min(), means[name].max()
        for method, panel in zip(methods, column, strict=False):
            _heat_map(panel, means[means["method"] == method], alone, name, limits)
            panel.set_title(f"{method}: {figures[name]}", fontsize=10.5, color=INK)
    figure.suptitle(title(objective, table), fontsize=12.5, color=INK, x=0.01, ha="left")
    save_figure(figure, path, 170)


def _heat_map(
    panel: Any,
    cells: pd.DataFrame,
    alone: pd.DataFrame,
    name: str,
    limits: tuple[float, float],
) -> None:
    """Draw a figure over the plane, with its values; networks without blocks are at the top."""
    steps = sorted(cells["steps"].unique())
    sizes = sorted(
        cells["blocks"].unique(), key=lambda size: (size == ALL, int(size == ALL or size))
    )
    others = alone.drop_duplicates("method")
    values = np.full((len(others) + len(sizes), len(steps)), np.nan)
    values[: len(others), 0] = others[name]
    for _, cell in cells.iterrows():
        values[len(others) + sizes.index(cell["blocks"]), steps.index(cell["steps"])] = cell[name]
    low, high = limits
    panel.imshow(values, cmap=COLOURS, vmin=low, vmax=high, aspect="auto")
    bright = (values - low) / max(high - low, 1e-12) > DARK
    for (y, x), value in np.ndenumerate(values):
        if not np.isnan(value):
            colour = INK if bright[y, x] else "white"
            text = f"{value:.1f}" if name == "forwards" else f"{value:.2f}"
            panel.text(x, y, text, ha="center", va="center", fontsize=8, color=colour)
    panel.set_xticks(range(len(steps)), [f"{step:g}" for step in steps], fontsize=8)
    panel.set_yticks(range(len(values)), [*others["method"], *sizes], fontsize=8)
    panel.set_xlabel("steps T of a block", fontsize=9)
    panel.set_ylabel("tokens of a block", fontsize=9)
    for side in panel.spines.values():
        side.set_visible(False)
    panel.tick_params(length=0)
    if len(others):
        panel.axhline(len(others) - 0.5, color="white", lw=3)
    panel.set_facecolor(PALE)
