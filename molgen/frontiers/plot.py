"""The frontier as a picture: novelty to the right, property upwards, one curve a method.

Panels are conventions (rows) by numbers of steps (columns); the last column has each method's
hypervolume. A point is the mean over seeds and its bars are standard deviations; the number in it
is gamma, and a dark rim marks the non-dominated points of a panel among our own. Published points
are hollow and grey, and labelled as read off figures. Points of files of molecules are squares, in
every panel, with the value of their column. Needs matplotlib (extra ``plots``).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from molgen.errors import MolgenError
from molgen.frontiers.frontier import OURS, PUBLISHED, SAMPLES, over_seeds
from molgen.frontiers.objective import Objective
from molgen.utils.figures import save_figure
from molgen.utils.imports import install
from molgen.utils.pareto import nondominated

if TYPE_CHECKING:
    import pandas as pd

PALETTE = (
    "#2b6cb0", "#d0551b", "#2f855a", "#7b4bb7", "#0891a5", "#b83280", "#a8780d", "#8b5e3c",
    "#4a5568", "#c53030",
)  # fmt: skip
INK, GREY, PALE = "#16202a", "#8a94a0", "#dbe1e8"
MARKERS = "osD^vph8<>"  # of published methods, which share one colour; a number fits into each
HOLLOW: dict[str, Any] = {
    "ls": (0, (4, 3)), "lw": 0.9, "ms": 8.5, "color": GREY, "mfc": "white", "mec": GREY,
}  # fmt: skip
LEAST_GAMMAS = 3  # of a published method whose hypervolume is shown: fewer bound it poorly
LONGEST_NUMBER = 3  # characters that fit into a marker
PANEL, SIDE = (4.6, 3.7), 3.1  # inches


def figure_class() -> Any:
    """Return matplotlib's ``Figure``: without pyplot, so without windows and global state.

    Raises:
        MolgenError: if matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MolgenError(f"a chart needs matplotlib: {install('plots')}") from error
    return Figure


def frontier_png(
    runs: pd.DataFrame,
    volumes: pd.DataFrame,
    objective: Objective,
    path: str | Path,
    published: pd.DataFrame | None = None,
    conventions: Sequence[str] = ("paper", "strict"),
    samples: pd.DataFrame | None = None,
) -> None:
    """Draw the frontier.

    Args:
        runs: of :func:`molgen.frontiers.frontier.run_table`.
        volumes: of :func:`molgen.frontiers.frontier.hypervolumes`; published ones may be among
            them.
        objective: of the sweep.
        path: of the picture; its extension gives the format (png, pdf, svg).
        published: of :func:`molgen.frontiers.frontier.published_table`.
        conventions: one row of panels each.
        samples: runs of files, of :func:`molgen.frontiers.samples.read_samples`.

    Raises:
        MolgenError: if matplotlib is missing.
        OSError: if the file cannot be written.
    """
    means = over_seeds(runs)
    steps = sorted(runs["steps"].unique())
    colours = method_colours(list(dict.fromkeys([*runs["arm"], *_names(samples)])))
    size = (PANEL[0] * len(steps) + SIDE + 0.4, PANEL[1] * len(conventions) + 1.6)
    figure = figure_class()(figsize=size, layout="constrained", facecolor="white")
    widths = [*[PANEL[0]] * len(steps), SIDE]
    axes = figure.subplots(len(conventions), len(widths), squeeze=False, width_ratios=widths)
    for row, convention in zip(axes, conventions, strict=True):
        for panel in row[1:-1]:
            panel.sharex(row[0])
            panel.sharey(row[0])
        for panel, count in zip(row, steps, strict=False):
            chosen = means[(means["steps"] == count) & (means["convention"] == convention)]
            beside = published_at(published, count, convention)
            points = _points(chosen, samples, convention)
            _panel(panel, points, beside, colours, objective)
            panel.set_title(f"{convention} novelty, T = {count}", fontsize=11, color=INK)
            panel.set_xlabel(f"novel of {objective.n:,} rows ({convention})")
        if objective.sign < 0:  # better is up
            row[0].invert_yaxis()
        row[0].set_ylabel(f"mean {objective.property} of exactly those molecules")
        shown = volumes[volumes["convention"] == convention]
        _volumes(row[-1], shown, [int(count) for count in steps], colours, objective)
    _legends(figure, colours, [int(count) for count in steps], published, samples)
    figure.suptitle(title(objective, runs), fontsize=12.5, color=INK, x=0.01, ha="left")
    save_figure(figure, path, 170)


def title(objective: Objective, runs: pd.DataFrame) -> str:
    """Return the title of a chart, one line."""
    name, target = objective.property, objective.target
    guided = f"target {name} = {target}" if target else "unguided"
    seeds = runs["seed"].nunique()
    return f"{name}: {guided}; {objective.n:,} rows a run, {seeds} seed{'s' * (seeds > 1)}"


def method_colours(methods: Sequence[str]) -> dict[str, str]:
    """Return a colour for every method; beyond ten methods they repeat."""
    return {method: PALETTE[i % len(PALETTE)] for i, method in enumerate(methods)}


def published_at(
    published: pd.DataFrame | None, steps: int, convention: str
) -> list[tuple[str, pd.DataFrame]]:
    """Return each method's marker and points in a panel; those without a T are in every panel."""
    if published is None:
        return []
    here = (published["steps"] == steps) | published["steps"].isna()
    chosen = published[here & (published["convention"] == convention)].sort_values("gamma")
    groups = {name: group for name, group in chosen.groupby("arm", sort=False)}
    return [(m, groups[name]) for name, m in method_markers(published).items() if name in groups]


def method_markers(published: pd.DataFrame) -> dict[str, str]:
    """Return a marker for every published method, the same in all panels."""
    methods = dict.fromkeys(published["arm"])
    return {name: MARKERS[i % len(MARKERS)] for i, name in enumerate(methods)}


def _number(panel: Any, text: str, at: Any, colour: str, size: float) -> None:
    """Write a strength into its marker."""
    panel.annotate(
        text, at, ha="center", va="center_baseline", color=colour, zorder=4, fontweight="bold",
        fontsize=size if len(text) == 1 else 0.72 * size,
    )  # fmt: skip


def _names(samples: pd.DataFrame | None) -> list[str]:
    """Return the names of files of molecules."""
    return [] if samples is None else list(dict.fromkeys(samples["arm"]))


def _points(means: pd.DataFrame, samples: pd.DataFrame | None, convention: str) -> pd.DataFrame:
    """Return the points of a panel: means of runs, then those of files, which are in every one."""
    import pandas as pd

    points = means.assign(text=[f"{gamma:g}" for gamma in means["gamma"]], marker="o")
    if samples is None:
        return points
    chosen = samples[samples["convention"] == convention]
    read = over_seeds(chosen).assign(text=chosen["value"].tolist(), marker="s")
    return pd.concat([points, read], ignore_index=True)


def _panel(
    panel: Any,
    points: pd.DataFrame,
    published: list[tuple[str, pd.DataFrame]],
    colours: dict[str, str],
    objective: Objective,
) -> None:
    """Draw one convention at one number of steps."""
    for marker, group in published:
        x, y = group["novel_fraction"] * objective.n, group["property_mean"]
        panel.plot(x, y, marker=marker, zorder=2.4, **HOLLOW)
        for gamma, novel, mean in zip(group["gamma"], x, y, strict=True):
            _number(panel, f"{gamma:g}", (novel, mean), GREY, 5.5)
    best = nondominated(points[["novel_fraction", "gain"]].to_numpy(float))
    points = points.assign(best=best, x=points["novel_fraction"] * objective.n)
    for method, curve in points.groupby("arm", sort=False):
        curve = curve.dropna(subset=["property_mean"]).sort_values("gamma")
        colour = colours[str(method)]
        x, y = curve["x"], curve["property_mean"]
        panel.plot(x, y, color=colour, lw=1.5, alpha=0.75, zorder=2)
        bars = {"xerr": curve["novel_fraction_sd"] * objective.n, "yerr": curve["property_mean_sd"]}
        panel.errorbar(x, y, **bars, fmt="none", ecolor=colour, elinewidth=1, alpha=0.55, zorder=2)
        for point in curve.itertuples():
            rim = INK if point.best else "white"
            at = (point.x, point.property_mean)
            panel.plot(*at, point.marker, ms=11.5, color=colour, mec=rim, mew=1.1, zorder=3)
            if len(point.text) <= LONGEST_NUMBER:
                _number(panel, point.text, at, "white", 7.5)
            else:
                panel.annotate(
                    point.text, at, (8, 0), textcoords="offset points", va="center",
                    color=colour, fontsize=7, zorder=4,
                )  # fmt: skip
    panel.margins(0.09)
    tidy(panel)


def _volumes(
    panel: Any,
    volumes: pd.DataFrame,
    steps: Sequence[int],
    colours: dict[str, str],
    objective: Objective,
) -> None:
    """Draw hypervolumes: a dot for each number of steps, with the range over seeds."""
    shown = volumes[volumes["steps"].isin(steps) | (volumes["source"] == SAMPLES)]
    rank = shown["source"].map({OURS: 0, SAMPLES: 1, PUBLISHED: 2})
    shown = shown.assign(order=rank).sort_values("order", kind="stable")
    enough = shown["gammas"].str.split().str.len() >= LEAST_GAMMAS
    shown = shown[(shown["source"] != PUBLISHED) | enough]
    rows = list(dict.fromkeys(zip(shown["source"], shown["arm"], strict=True)))
    gap = 0.5 / max(len(steps), 1)
    for row in shown.itertuples():
        y = float(rows.index((row.source, row.arm)))
        if row.source == SAMPLES:  # of no number of steps
            panel.plot(row.hypervolume, y, "s", color=colours[row.arm], ms=6)
            continue
        place = steps.index(int(row.steps))
        y += gap * (place - (len(steps) - 1) / 2)
        colour = colours[row.arm] if row.source == OURS else GREY
        panel.plot([row.lowest, row.highest], [y, y], color=colour, lw=1.6, alpha=0.6)
        panel.plot(row.hypervolume, y, "o", mec=colour, mfc=faded(colour, place, len(steps)), ms=6)
    panel.set_yticks(range(len(rows)), [name for _, name in rows], fontsize=8.5)
    for label, (source, _) in zip(panel.get_yticklabels(), rows, strict=True):
        label.set_color(GREY if source == PUBLISHED else INK)
    panel.set_ylim(len(rows) - 0.4, -0.6)
    panel.margins(x=0.15)
    panel.set_title("hypervolume", fontsize=11, color=INK)
    mean = objective.data_mean
    panel.set_xlabel(f"from (0, data mean {mean:.3g}):\nfraction novel × gain of mean")
    tidy(panel)
    panel.grid(axis="y", visible=False)


def tidy(panel: Any) -> None:
    """Remove the top and right border, and soften ticks and grid."""
    panel.spines[["top", "right"]].set_visible(False)
    panel.spines[["left", "bottom"]].set_color(PALE)
    panel.tick_params(colors=INK, labelsize=8.5, length=0)
    panel.grid(color=PALE, lw=0.6, alpha=0.7)
    panel.set_axisbelow(True)


def faded(colour: str, place: int, count: int) -> Any:
    """Return a colour between white, for the fewest steps of several, and itself for the most."""
    from matplotlib.colors import to_rgb

    share = 1.0 if count == 1 else place / (count - 1)
    return tuple(1 - share * (1 - part) for part in to_rgb(colour))


def _legends(
    figure: Any,
    colours: dict[str, str],
    steps: Sequence[int],
    published: pd.DataFrame | None,
    samples: pd.DataFrame | None = None,
) -> None:
    """Write the legends below the panels: our methods to the left, published ones to the right."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=colour, marker="o", ms=9, lw=1.5, label=method)
        for method, colour in colours.items()
        if method not in _names(samples)
    ]
    handles += [
        Line2D([], [], color=colours[name], marker="s", ms=8, lw=1.5, label=f"{name} (file)")
        for name in _names(samples)
    ]
    handles += [
        Line2D([], [], ls="none", marker="o", mec=INK, mfc=faded(INK, i, len(steps)), label=label)
        for i, label in enumerate(f"T = {count}" for count in steps)
    ]
    shared = {"frameon": False, "fontsize": 8.5, "title_fontsize": 9, "alignment": "left"}
    parts = "drawn by molgen", "number: gamma; dark rim: not dominated", "bars: ± sd over seeds"
    own = ("; " if published is None else "\n").join(parts)  # beside another legend: narrow
    columns = 2 if published is not None else 6
    figure.legend(handles=handles, loc="outside lower left", ncols=columns, title=own, **shared)
    if published is None:
        return
    hollow = [
        Line2D([], [], marker=marker, label=method, **HOLLOW)
        for method, marker in method_markers(published).items()
    ]
    figure.legend(handles=hollow, loc="outside lower right", ncols=2, title=PUBLISHED, **shared)
