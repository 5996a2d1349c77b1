"""The ledger of a run: fates of all rows, costs, and counts for each goal and filter.

A row is rejected because of its first failed check, so fates add up to the rows drawn. Goals and
filters are counted separately, over all rows drawn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from molgen.molecules.fate import Fate, Ledger, counted

if TYPE_CHECKING:
    import pandas as pd

ALL = "all of them"


@dataclass
class Met:
    """The number of rows that pass a check.

    Attributes:
        rows: of all rows drawn.
        distinct: molecules among them.
    """

    rows: int = 0
    distinct: int = 0


@dataclass
class ScaffoldCounts:
    """The rows of one of several scaffolds.

    Attributes:
        drawn: rows.
        fates: counts of rows.
    """

    drawn: int = 0
    fates: Counter[str] = field(default_factory=Counter)

    @property
    def accepted(self) -> int:
        """Rows that passed every check."""
        return self.fates[Fate.ACCEPTED]

    def __str__(self) -> str:
        why = {name: n for name, n in self.fates.most_common() if name != Fate.ACCEPTED}
        return ", ".join([f"{self.drawn} drawn", *(f"{n} {name}" for name, n in why.items())])


def scaffold_counts(names: Sequence[str]) -> dict[str, ScaffoldCounts]:
    """Return empty counts of several scaffolds by name, numbered where names repeat."""
    if len(names) < 2:
        return {}
    again = {name for name, times in Counter(names).items() if times > 1}
    shown = [f"{name} ({i})" if name in again else name for i, name in enumerate(names, 1)]
    return {name: ScaffoldCounts() for name in shown}


@dataclass
class DesignCounts(Ledger):
    """The ledger of a design run.

    Attributes:
        distinct: different valid molecules drawn.
        met: the number of rows that meet the constraint, each filter, each goal with bounds, and
            all of these, whatever other check they fail.
        scaffolds: rows of each scaffold, if there are several.
    """

    distinct: int = 0
    met: dict[str, Met] = field(default_factory=dict)
    scaffolds: dict[str, ScaffoldCounts] = field(default_factory=dict)

    def add(self, rows: pd.DataFrame, checks: Mapping[str, NDArray[np.bool_]]) -> None:
        """Count rows.

        Args:
            rows: with the columns ``index, smiles, nfe, lost``, and ``unique`` among all rows
                drawn.
            checks: whether each row passes, by the name of the check, each with shape (rows,).
        """
        valid, first = (rows["smiles"] != "").to_numpy(), rows["unique"].to_numpy()
        self.drawn += len(rows)
        self.forwards += int(rows["nfe"].sum())
        self.classifier_forwards += int(rows["classifier_nfe"].sum())
        self.fates.update(counted(fate) or Fate.ACCEPTED for fate in rows["lost"])
        self.distinct += int(first.sum())
        if self.scaffolds:
            names = list(self.scaffolds)
            for index, fate in zip(rows["index"], rows["lost"], strict=True):
                own = self.scaffolds[names[index % len(names)]]
                own.drawn += 1
                own.fates[counted(fate) or Fate.ACCEPTED] += 1
        for name, passed in checks.items():
            met = self.met.setdefault(name, Met())
            met.rows += int((passed & valid).sum())
            met.distinct += int((passed & first).sum())

    def __str__(self) -> str:
        why, kept = self.because(), self.accepted
        each = f"; {self.forwards / kept:.1f} forwards for each one kept" if kept else ""
        return f"{self.drawn} drawn: {kept} kept" + (f", {why}" if why else "") + each


@dataclass
class SearchCounts(Ledger):
    """The ledger of a search.

    Attributes:
        delivered: molecules, the best of those accepted.
    """

    delivered: int = 0

    def __str__(self) -> str:
        why = f", {self.because()}" if self.because() else ""
        calls = self.oracle_calls
        text = f"{self.drawn} drawn{why}; {calls} oracle calls; {self.delivered} delivered"
        if not self.delivered:
            return text
        each = [f"{self.forwards / self.delivered:.1f} forwards"]
        if self.classifier_forwards:
            each.append(f"{self.classifier_forwards / self.delivered:.1f} of the noisy classifier")
        each.append(f"{calls / self.delivered:.1f} oracle calls")
        return f"{text}, each for {', '.join(each)}"
