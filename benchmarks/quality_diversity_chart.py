"""The chart of ``quality_diversity.py``: molgen's two lines beside published points."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from molgen.utils.figures import save_figure

INK, GREY = "#222222", "#888888"
KINDS = {"delivered": ("#0b6e4f", "o"), "one draw": ("#5fad8c", "s")}
MARKERS = "v^D<>Pp*h"
TRAINING = 0.873  # of ZINC250k's own molecules of quality, 3,000 at random
WIDTH, HEIGHT = 7.2, 4.8  # inches


def chart(table: pd.DataFrame, published: pd.DataFrame | None, path: Path) -> None:
    """Write the chart.

    Args:
        table: rows with the columns ``kind``, ``diversity`` and ``quality`` with their ``sd``.
        published: with ``task``, ``quantity``, ``method``, ``value`` (percent), ``diversity``;
            None for none.
        path: of the PNG file.
    """
    from matplotlib.figure import Figure

    figure = Figure((WIDTH, HEIGHT), layout="constrained")
    panel = figure.subplots()
    if published is not None:
        rows = published[(published["task"] == "de_novo") & (published["quantity"] == "quality")]
        for marker, (method, points) in zip(
            MARKERS, rows.groupby("method", sort=False), strict=False
        ):
            panel.plot(
                points["diversity"], points["value"], marker, ls="none", mec=GREY, mfc="none", ms=7,
                label=f"{method} (published)",
            )  # fmt: skip
    for kind, rows in table.groupby("kind", sort=False):
        _line(panel, str(kind), rows.sort_values("diversity"))
    panel.axvline(TRAINING, color=GREY, lw=0.8, ls=":")
    panel.annotate(
        "ZINC250k's own\nmolecules of quality", (TRAINING, 1), (3, -3), va="top",
        xycoords=("data", "axes fraction"), textcoords="offset points", fontsize=7.5, color=GREY,
    )  # fmt: skip
    panel.set_xlabel("diversity: mean Tanimoto distance (Morgan 2, 2,048 bits)", color=INK)
    panel.set_ylabel("quality, %: QED >= 0.6 and SA <= 4", color=INK)
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(color="#dddddd", lw=0.6)
    panel.legend(frameon=False, fontsize=8, loc="lower left")
    path.parent.mkdir(parents=True, exist_ok=True)
    save_figure(figure, path)


def _line(panel: Any, kind: str, rows: pd.DataFrame) -> None:
    """Draw a kind's stops, with bars of one standard deviation over seeds."""
    colour, marker = KINDS[kind]
    low, high = rows["N"].min(), rows["N"].max()
    counted = f"N = {low}" if low == high else f"N = {low} to {high}"
    panel.errorbar(
        rows["diversity"], 100 * rows["quality"], 100 * rows["quality sd"].fillna(0),
        rows["diversity sd"].fillna(0), color=colour, marker=marker, ms=7, lw=1.5, capsize=0,
        label=f"zinc250k, {kind} ({counted})", zorder=3,
    )  # fmt: skip
    for row in rows.to_dict("records"):
        panel.annotate(
            row["stop"], (row["diversity"], 100 * row["quality"]), (5, 5), color=colour,
            textcoords="offset points", fontsize=8,
        )  # fmt: skip
