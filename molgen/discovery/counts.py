"""The ledger of a run: what became of every draw, what it cost, and how many met what.

A row is rejected because of the first thing that is wrong with it, so fates add up to the rows
drawn. Goals and filters are counted apart from that, over everything drawn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from molgen.molecules.fate import Fate

if TYPE_CHECKING:
    import pandas as pd

ALL = "all of them"


@dataclass
class Met:
    """How many met something.

    Attributes:
        rows: of all rows drawn.
        distinct: molecules among them.
    """

    rows: int = 0
    distinct: int = 0


@dataclass
class Ledger:
    """What a run has cost, and what became of everything drawn.

    Attributes:
        drawn: rows, whole or in part.
        forwards: of the network.
        classifier_forwards: of a noisy classifier.
        oracle_calls: distinct molecules that were scored while drawing.
        fates: rows by what became of them, of :class:`molgen.molecules.fate.Fate`, with the name of
            the filter or the property that a row failed.
    """

    drawn: int = 0
    forwards: int = 0
    classifier_forwards: int = 0
    oracle_calls: int = 0
    fates: Counter[str] = field(default_factory=Counter)

    @property
    def accepted(self) -> int:
        """Rows that met everything."""
        return self.fates[Fate.ACCEPTED]

    @property
    def rejected(self) -> dict[str, int]:
        """Rows by why they were not accepted, in the order the reasons were met."""
        return {fate: count for fate, count in self.fates.items() if fate != Fate.ACCEPTED}

    def because(self) -> str:
        """Return why rows were rejected, in words."""
        return ", ".join(f"{count} {fate}" for fate, count in self.rejected.items() if count)


@dataclass
class DesignCounts(Ledger):
    """The ledger of a design run.

    Attributes:
        distinct: different valid molecules drawn.
        met: for the constraint, each filter, each goal that some molecules miss, and all of them,
            how many of everything drawn met it, whatever else was wrong with them.
    """

    distinct: int = 0
    met: dict[str, Met] = field(default_factory=dict)

    def add(self, rows: pd.DataFrame, checks: Mapping[str, NDArray[np.bool_]]) -> None:
        """Count rows.

        Args:
            rows: with the columns ``smiles, nfe, lost``, and ``unique`` among everything drawn.
            checks: which of them met what, by its name, each with shape (rows,).
        """
        valid, first = (rows["smiles"] != "").to_numpy(), rows["unique"].to_numpy()
        self.drawn += len(rows)
        self.forwards += int(rows["nfe"].sum())
        self.classifier_forwards += int(rows["classifier_nfe"].sum())
        self.fates.update(fate or Fate.ACCEPTED for fate in rows["lost"])
        self.distinct += int(first.sum())
        for name, passed in checks.items():
            met = self.met.setdefault(name, Met())
            met.rows += int((passed & valid).sum())
            met.distinct += int((passed & first).sum())

    def __str__(self) -> str:
        why, kept = self.because(), self.accepted
        each = f"; {self.forwards / kept:.1f} forwards for each one kept" if kept else ""
        return f"{self.drawn} drawn: {kept} kept" + (f", {why}" if why else "") + each


@dataclass(frozen=True)
class Designs:
    """What a design run delivers.

    Attributes:
        table: the molecules in order of index, columns as in :meth:`molgen.model.Model.sample` and
            ``score``, the weighted sum of :meth:`molgen.discovery.goals.Goals.score`. Of a survey,
            all rows, with the column ``lost``: why a design run would not deliver it, empty if it
            would.
        counts: of everything drawn up to the last molecule delivered.
        asked: how many were asked for.
        reason: why it stopped.
    """

    table: pd.DataFrame
    counts: DesignCounts
    asked: int
    reason: str


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
            each.append(f"{self.classifier_forwards / self.delivered:.1f} of the guide")
        each.append(f"{calls / self.delivered:.1f} oracle calls")
        return f"{text}, each for {', '.join(each)}"
