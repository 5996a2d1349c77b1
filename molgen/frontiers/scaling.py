"""Inference-time scaling: figures against forwards, for each method.

    x = forwards a row, those of classifiers included;   y = a figure;   one curve a method

Along a curve the steps T grow, or the budget of a method that retries failed rows.

A step without a change costs no forward, so T alone does not determine the cost: plain masked
diffusion takes at most one forward for each token (two under classifier-free guidance) for any
number of steps, while under remasking further steps are further forwards. *Novelty x gain* is the
fraction of rows that are novel times the gain of their mean property over the data: the area
dominated by a single run, so the hypervolume of a frontier of one point.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from molgen.frontiers.frontier import over_seeds, run_table
from molgen.frontiers.objective import Objective
from molgen.frontiers.plot import INK, figure_class, method_colours, tidy, title
from molgen.frontiers.store import Record
from molgen.utils.figures import save_figure

if TYPE_CHECKING:
    import pandas as pd

PANEL = (3.9, 3.2)  # inches
FIRST = ("valid", "unique")  # figures of the leftmost column, by the strict convention
FIGURES = ("novel_fraction", "property_mean", "product")  # of the others, by either
AXES = ["steps", "budget"]


def scaling_table(records: Sequence[Record], order: Sequence[str] = ()) -> pd.DataFrame:
    """Return every run with its total cost and its product.

    Args:
        records: finished runs of one folder.
        order: labels of methods that come first.

    Returns:
        The columns of :func:`molgen.frontiers.frontier.run_table` without those of fronts, and
        ``forwards`` (a row, classifiers included) and ``product`` (novelty x gain, 0 where the
        mean is below the data's or nothing is novel).
    """
    table = run_table(records, order).drop(columns=["on_front", "on_overall_front"])
    table["forwards"] = table["nfe"] + table["classifier_nfe"]
    table["product"] = table["novel_fraction"] * table["gain"].fillna(0.0).clip(lower=0.0)
    return table


def scaling_png(
    table: pd.DataFrame,
    objective: Objective,
    path: str | Path,
    conventions: Sequence[str] = ("paper", "strict"),
) -> None:
    """Draw quality against forwards: one panel a figure, one curve a method.

    Args:
        table: of :func:`scaling_table`.
        objective: of the sweep.
        path: of the picture; its extension gives the format (png, pdf, svg).
        conventions: one row of panels each.

    Raises:
        MolgenError: if matplotlib is missing.
        OSError: if the file cannot be written.
    """
    means = over_seeds(table, ("forwards", "product"))
    colours = method_colours(list(dict.fromkeys(table["arm"])))
    size = (PANEL[0] * 4, PANEL[1] * 2 + 1.0)
    figure = figure_class()(figsize=size, layout="constrained", facecolor="white")
    axes = figure.subplots(2, 4, sharex=True, squeeze=False)
    strict = means[means["convention"] == "strict"]
    for panel, name in zip(axes[:, 0], FIRST, strict=True):
        _panel(panel, strict, name, colours)
        panel.set_title(name if name == "valid" else f"{name} (strict)", fontsize=10.5, color=INK)
        panel.set_ylabel("fraction of rows")
    labels = {"novel_fraction": "fraction of rows", "property_mean": objective.property}
    for row, convention in zip(axes, conventions, strict=False):
        chosen = means[means["convention"] == convention]
        for panel, name in zip(row[1:], FIGURES, strict=True):
            _panel(panel, chosen, name, colours)
            mean = f"mean {objective.property} of novel"
            text = {"novel_fraction": "novel", "property_mean": mean}.get(name, "novelty × gain")
            panel.set_title(f"{text} ({convention})", fontsize=10.5, color=INK)
            panel.set_ylabel(labels.get(name, f"fraction × {objective.property}"))
    for panel in axes[len(conventions) :, 1:].flat:
        panel.set_axis_off()
    for panel in axes[-1]:
        panel.set_xlabel("forwards a row")
    _legend(figure, colours)
    figure.suptitle(title(objective, table), fontsize=12.5, color=INK, x=0.01, ha="left")
    save_figure(figure, path, 170)


def axis_value(point: pd.Series) -> float:
    """Return a point's place along its curve: its budget where that is an axis, else its steps."""
    return float(point["steps"] if np.isnan(point["budget"]) else point["budget"])


def _panel(panel: Any, means: pd.DataFrame, name: str, colours: dict[str, str]) -> None:
    """Draw one figure; the first and last point of a curve are labelled."""
    for method, curve in means.groupby("arm", sort=False):
        curve = curve.dropna(subset=[name]).sort_values(AXES)
        if curve.empty:
            continue
        colour, x, y = colours[str(method)], curve["forwards"], curve[name]
        spread = curve[f"{name}_sd"].fillna(0.0)
        panel.fill_between(x, y - spread, y + spread, color=colour, alpha=0.15, lw=0)
        panel.plot(x, y, "o-", color=colour, lw=1.5, ms=4.5, mec="white", mew=0.7)
        for at in {0, len(curve) - 1}:
            point = curve.iloc[at]
            panel.annotate(
                f"{axis_value(point):.0f}", (point["forwards"], point[name]), fontsize=6.5,
                xytext=(0, 5), textcoords="offset points", ha="center", color=colour,
            )  # fmt: skip
    panel.set_xscale("log", base=2)
    panel.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    panel.margins(y=0.12)
    tidy(panel)
    panel.tick_params(labelbottom=True)


def _legend(figure: Any, colours: dict[str, str]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=colour, marker="o", ms=5, lw=1.5, label=method)
        for method, colour in colours.items()
    ]
    figure.legend(
        handles=handles, loc="outside lower left", ncols=min(8, len(handles)), frameon=False,
        fontsize=8.5, title="number: steps T, or budget; band: ± sd over seeds", title_fontsize=8.5,
        alignment="left",
    )  # fmt: skip


def gains(means: pd.DataFrame, convention: str = "strict") -> pd.DataFrame:
    """Return figures at the fewest and the most steps (or budgets) of each method.

    Args:
        means: of :func:`molgen.frontiers.frontier.over_seeds`, with ``forwards`` and ``product``.
        convention: of the counts.

    Returns:
        Columns ``arm, knob, forwards, valid, novel, product``, each but the first a text
        ``fewest -> most``.
    """
    import pandas as pd

    rows = []
    for method, curve in means[means["convention"] == convention].groupby("arm", sort=False):
        ends = curve.sort_values(AXES).iloc[[0, -1]]
        ends = ends.assign(knob=[axis_value(point) for _, point in ends.iterrows()])
        row = {"arm": method}
        for name, digits in (
            ("knob", 0), ("forwards", 1), ("valid", 3), ("novel", 0), ("product", 3),
        ):  # fmt: skip
            first, last = ends[name].to_numpy(np.float64)
            row[name] = f"{first:.{digits}f} -> {last:.{digits}f}"
        rows.append(row)
    return pd.DataFrame(rows)
