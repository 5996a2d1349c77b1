"""A finished comparison: its runs, hypervolumes and charts, and the molecules of every run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from molgen.errors import MolgenError
from molgen.frontiers.frontier import over_seeds
from molgen.frontiers.objective import Objective
from molgen.frontiers.samples import Samples
from molgen.frontiers.store import Record, Store
from molgen.utils.files import replacing

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Comparison:
    """A finished comparison of methods.

    Attributes:
        folder: of the runs and the charts.
        records: the runs.
        runs: as a table: a row for each run and convention, as in frontier.csv.
        figure: the chart, a .png file.
        hypervolumes: of each method, as a table; None for a chart over steps.
        ratios: of the hypervolumes, likewise.
        samples: of other generators, beside the runs; None without.
    """

    folder: Path
    records: list[Record]
    runs: pd.DataFrame
    figure: Path
    hypervolumes: pd.DataFrame | None = None
    ratios: pd.DataFrame | None = None
    samples: Samples | None = None

    @property
    def objective(self) -> Objective:
        """The property, its target and the data's mean."""
        return self.records[0].objective

    def means(self) -> pd.DataFrame:
        """Return the means of the runs over seeds."""
        return over_seeds(self.runs)

    def molecules(
        self,
        label: str,
        gamma: float | None = None,
        steps: int | None = None,
        seed: int | None = None,
    ) -> pd.DataFrame:
        """Return all rows of some runs, failures included.

        Args:
            label: of the method, or the name of other samples.
            gamma: of the runs, or the number of the point; None for every one.
            steps: likewise.
            seed: likewise.

        Raises:
            MolgenError: if there is no such run.
        """
        import pandas as pd

        other = self.samples.molecules.items() if self.samples else ()
        if points := [t for (name, at), t in other if name == label and gamma in (None, at)]:
            return pd.concat(points, ignore_index=True)
        wanted = {"label": label, "gamma": gamma, "steps": steps, "seed": seed}
        wanted = {name: value for name, value in wanted.items() if value is not None}
        chosen = [
            record
            for record in self.records
            if all(getattr(record.run, name) == value for name, value in wanted.items())
        ]
        if not chosen:
            raise MolgenError(f"there is no run of {wanted}")
        store = Store(self.folder)
        return pd.concat([store.molecules(record) for record in chosen], ignore_index=True)


def write_figures(table: pd.DataFrame, path: Path) -> None:
    """Write a table of figures, rounded to seven significant digits."""
    marks = [name for name in table if table[name].dtype == bool]
    words = {True: "true", False: "false"}
    text = table.assign(**{name: table[name].map(words) for name in marks})
    with replacing(path) as temporary:
        text.to_csv(temporary, index=False, lineterminator="\n", float_format="%.7g")
