"""The log of a training run: ``training_log.csv``, a progress bar or lines, and a loss curve.

The log has one line for each held-out estimate. After an interruption at any time, resuming drops
lines written after the checkpoint and a partial line. The curve needs matplotlib (extra ``plots``).
"""

from __future__ import annotations

import csv
import io
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from molgen.errors import MolgenError
from molgen.utils.figures import save_figure
from molgen.utils.files import naming, replacing
from molgen.utils.imports import install
from molgen.utils.progress import Bar

if TYPE_CHECKING:
    import pandas as pd

FILE = "training_log.csv"
COLUMNS = ["step", "epoch", "loss", "learning_rate", "molecules_per_second", "held_out_nats"]
RECENT = 50  # steps over which the loss on the bar is averaged


class TrainingLog:
    """The log file and the progress of a run."""

    def __init__(self, folder: Path, step: int, total: int, shown: bool = True) -> None:
        """Open the log.

        Args:
            folder: of the log.
            step: steps already taken; later lines are dropped.
            total: steps of the whole run.
            shown: show a bar on standard error, or, if that is not a terminal, a line for each
                held-out estimate.
        """
        self.path, self.total, self.shown = folder / FILE, total, shown
        rows = [COLUMNS, *(row for row in read_rows(self.path) if int(row[0]) <= step)]
        with replacing(self.path) as part, part.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(rows if step else [COLUMNS])
        self.bar = Bar(total, "step", done=step, shown=shown)
        self.last = ""
        self._start()

    def _start(self) -> None:
        self.losses: list[float] = []
        self.molecules, self.since = 0, time.monotonic()

    @property
    def speed(self) -> float:
        """Molecules per second since the last line."""
        return self.molecules / max(time.monotonic() - self.since, 1e-9)

    def note(self, loss: float, molecules: int) -> None:
        """Add a step's loss and update the bar.

        Raises:
            FloatingPointError: if it is not a number.
        """
        if not math.isfinite(loss):
            raise FloatingPointError(f"the loss became {loss}")
        self.losses.append(loss)
        self.molecules += molecules
        if self.bar.visible:
            recent = float(np.mean(self.losses[-RECENT:]))
            text = f"loss {recent:.2f}{self.last}, {self.speed:.0f} molecules/s"
            self.bar.note(text, refresh=False)
        self.bar.add()

    def write(self, step: int, epoch: float, rate: float, held_out: float) -> None:
        """Append a line.

        Args:
            step: steps taken.
            epoch: passes over the training part.
            rate: learning rate of the next step.
            held_out: bound in nats per molecule; NaN leaves the cell empty.
        """
        loss, speed = float(np.mean(self.losses)), self.speed
        numbers = [
            "" if math.isnan(v) else f"{v:.6g}" for v in (epoch, loss, rate, speed, held_out)
        ]
        with naming(self.path), self.path.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow([step, *numbers])
        self.last = "" if math.isnan(held_out) else f", held out {held_out:.2f}"
        if self.shown and not self.bar.visible:
            text = f"step {step}/{self.total}, epoch {epoch:.2f}: loss {loss:.3f}{self.last}"
            print(f"{text}, {speed:.0f} molecules/s", file=sys.stderr, flush=True)
        self._start()

    def close(self) -> None:
        """Remove the bar."""
        self.bar.close()


def read_log(folder: Path) -> pd.DataFrame:
    """Return the log of a run's folder as a table, without rows if there is none."""
    import pandas as pd

    path = folder / FILE
    return pd.read_csv(path) if path.is_file() else pd.DataFrame(columns=COLUMNS)


def read_rows(path: Path) -> list[Sequence[str]]:
    """Return the complete lines of a log below its header; none if there is no log."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]  # an interrupted run may have left a partial line
    rows = list(csv.reader(io.StringIO(whole)))[1:]
    return [row for row in rows if len(row) == len(COLUMNS) and row[0].isdecimal()]


def loss_curve(log_csv: str | Path, path: str | Path) -> None:
    """Draw loss against step from a training log, with held-out estimates if there are any.

    Args:
        log_csv: with the columns ``step``, ``loss`` and, if measured, ``held_out_nats``; both in
            nats per molecule.
        path: of the image; its extension is the format (png, pdf, svg).

    Raises:
        MolgenError: if matplotlib is missing, or the log lacks a column or has no rows.
        OSError: if a file cannot be read or written.
    """
    loss = _points(log_csv, "loss")
    held_out = _points(log_csv, "held_out_nats")
    if not loss:
        raise MolgenError(f"{log_csv}: no row with step and loss")
    try:
        from matplotlib.figure import Figure  # without pyplot: no window, nothing global
    except ImportError as error:
        raise MolgenError(f"a curve needs matplotlib: {install('plots')}") from error
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(*zip(*loss, strict=True), color="#2b6cb0", lw=1.4, label="training")
    if held_out:
        axes.plot(
            *zip(*held_out, strict=True), "o-", color="#c05621", lw=1.4, ms=4, label="held out"
        )
        best = min(value for _, value in held_out)
        axes.axhline(best, color="#c05621", lw=0.8, ls=":", label=f"lowest held out: {best:.2f}")
    axes.set(xlabel="step", ylabel="loss (nats per molecule)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    save_figure(figure, path)


def _points(log_csv: str | Path, column: str) -> list[tuple[float, float]]:
    """Return (step, value) of every row with a value."""
    with Path(log_csv).open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if "step" not in (reader.fieldnames or ()) or "loss" not in (reader.fieldnames or ()):
            raise MolgenError(f"{log_csv} has columns {reader.fieldnames}, expected step and loss")
        pairs = [(float(row["step"]), float(row.get(column) or "nan")) for row in reader]
    return [pair for pair in pairs if math.isfinite(pair[1])]
