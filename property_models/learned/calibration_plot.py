"""The calibration plot of a property predictor: predicted against measured values, and coverage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from molgen.errors import MolgenError
from molgen.utils.arrays import Floats
from molgen.utils.figures import save_figure
from molgen.utils.imports import install
from property_models.learned.calibration import coverage_curve
from property_models.learned.fit import Assessment

COVERAGE = 0.9  # of the plotted intervals
LEVELS = tuple(np.arange(0.05, 0.99, 0.05).round(2).tolist())
BLUE, ORANGE, GREY = "#2b6cb0", "#c05621", "#8a94a0"
MISSING = f"a calibration plot needs matplotlib: {install('plots')}"


def calibration_figure(tested: Assessment, values: Floats, title: str, unit: str = "") -> Any:
    """Return a matplotlib figure of two panels for the test part.

    Args:
        tested: the predictions.
        values: measured, of every molecule, shape (molecules,).
        title: the property's name.
        unit: of the values.

    Raises:
        MolgenError: if matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure  # without pyplot: no window, nothing global
    except ImportError as error:
        raise MolgenError(MISSING) from error
    at = tested.split.test
    y, mean, spread = values[at], tested.mean[at], tested.spread[at]
    figure = Figure(figsize=(9.6, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    _predictions(left, tested, y, mean, spread)
    suffix = f" ({unit})" if unit else ""
    left.set(title=title, xlabel=f"measured{suffix}", ylabel=f"predicted{suffix}")
    found = coverage_curve(tested.conformal, y, mean, spread, LEVELS)
    _coverage(right, found, len(y), len(tested.split.calibration))
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
    return figure


def calibration_plot(
    tested: Assessment, values: Floats, title: str, path: str | Path, unit: str = ""
) -> None:
    """Write :func:`calibration_figure` to a file; its extension is the format (png, pdf, svg).

    Raises:
        MolgenError: if matplotlib is missing.
        OSError: if the file cannot be written.
    """
    figure = calibration_figure(tested, values, title, unit)
    save_figure(figure, path)


def _predictions(axes: Any, tested: Assessment, y: Floats, mean: Floats, spread: Floats) -> None:
    low, high = tested.conformal.interval(mean, spread, COVERAGE)
    ends = [float(f(np.concatenate([y, mean]))) for f in (np.min, np.max)]
    axes.plot(ends, ends, color=GREY, lw=1, ls="--")
    if np.isfinite(high).all():
        inside = (low <= y) & (y <= high)
        for marks, colour in ((inside, BLUE), (~inside, ORANGE)):
            reach = np.stack([mean - low, high - mean])[:, marks]
            axes.errorbar(
                y[marks], mean[marks], reach, fmt="none", ecolor=colour, alpha=0.3, elinewidth=0.9
            )
            share = f"{marks.sum()} of {len(y)}"
            label = f"{share} in their {COVERAGE:.0%} interval" if colour == BLUE else "outside"
            axes.plot(y[marks], mean[marks], "o", color=colour, ms=3.5, label=label)
    else:  # too few calibration molecules for such an interval
        axes.plot(y, mean, "o", color=BLUE, ms=3.5, label=f"{len(y)} test molecules")
    report = tested.report
    text = f"RMSE {report['rmse']:.3g}\nMAE {report['mae']:.3g}\nR² {report['r2']:.3f}"
    axes.text(0.97, 0.03, text, transform=axes.transAxes, ha="right", va="bottom", fontsize=9)
    axes.legend(frameon=False, fontsize=8, loc="upper left")


def _coverage(axes: Any, found: dict[str, float], count: int, calibrated_on: int) -> None:
    nominal = np.array([float(level) for level in found])
    # of the test molecules, and of the calibration molecules that define the widths
    noise = 1.96 * np.sqrt(nominal * (1 - nominal) * (1 / count + 1 / (calibrated_on + 2)))
    axes.plot([0, 1], [0, 1], color=GREY, lw=1, ls="--", label="nominal")
    band = {"color": GREY, "alpha": 0.18, "lw": 0, "label": f"chance, {count} molecules (95 %)"}
    axes.fill_between(nominal, (nominal - noise).clip(0), (nominal + noise).clip(max=1), **band)
    axes.plot(nominal, list(found.values()), "o-", color=BLUE, ms=4, label="test molecules")
    axes.set(title="Coverage", xlabel="nominal", ylabel="measured", xlim=(0, 1), ylim=(0, 1.02))
    axes.legend(frameon=False, fontsize=8, loc="upper left")
