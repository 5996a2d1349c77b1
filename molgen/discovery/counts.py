"""The counts of a run: what every draw was lost to, what it cost, and how many met what.

A row is lost to the first thing that is wrong with it, so losses and what was kept add up to the
rows drawn. Goals and filters are counted apart from that, over everything drawn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

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
class Tally:
    """What became of every draw.

    Attributes:
        drawn: rows drawn.
        forwards: network forwards they took.
        lost: how many were lost to each reason, in the order the reasons are checked: ``invalid``,
            ``duplicate``, ``known``, ``constraint``, ``filter: NAME``, ``misses PROP``.
        kept: how many met everything.
        distinct: different valid molecules drawn.
        met: for the constraint, each filter, each goal that some molecules miss, and all of them,
            how many of everything drawn met it, whatever else was wrong with them.
    """

    drawn: int = 0
    forwards: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    kept: int = 0
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
        self.lost.update(reason for reason in rows["lost"] if reason)
        self.kept += int((rows["lost"] == "").sum())
        self.distinct += int(first.sum())
        for name, passed in checks.items():
            met = self.met.setdefault(name, Met())
            met.rows += int((passed & valid).sum())
            met.distinct += int((passed & first).sum())

    def __str__(self) -> str:
        lost = ", ".join(f"{count} {reason}" for reason, count in self.lost.items() if count)
        each = f"; {self.forwards / self.kept:.1f} forwards for each one kept" if self.kept else ""
        return f"{self.drawn} drawn: {self.kept} kept" + (f", {lost}" if lost else "") + each


@dataclass(frozen=True)
class Designs:
    """What a design run delivers.

    Attributes:
        table: the molecules in order of index, columns as in :meth:`molgen.model.Model.sample` and
            ``score``, the weighted sum of :meth:`molgen.discovery.goals.Goals.score`. Of a survey,
            all rows, with the column ``lost``: why a design run would not deliver it, empty if it
            would.
        tally: of everything drawn up to the last molecule delivered.
        asked: how many were asked for.
        reason: why it stopped.
    """

    table: pd.DataFrame
    tally: Tally
    asked: int
    reason: str


@dataclass
class SearchTally:
    """What a search has cost, and what became of everything drawn.

    Attributes:
        drawn: rows drawn, whole or in part.
        forwards: of the network.
        classifier_forwards: of a guide.
        calls: distinct molecules that the oracle scored.
        lost: rows by reason: ``invalid``, ``known``, ``duplicate`` (met before), ``not scored``.
        delivered: molecules.
    """

    drawn: int = 0
    forwards: int = 0
    classifier_forwards: int = 0
    calls: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    delivered: int = 0

    def __str__(self) -> str:
        lost = "".join(f", {count} {reason}" for reason, count in self.lost.items() if count)
        text = f"{self.drawn} drawn{lost}; {self.calls} oracle calls; {self.delivered} delivered"
        if not self.delivered:
            return text
        each = [f"{self.forwards / self.delivered:.1f} forwards"]
        if self.classifier_forwards:
            each.append(f"{self.classifier_forwards / self.delivered:.1f} of the guide")
        each.append(f"{self.calls / self.delivered:.1f} oracle calls")
        return f"{text}, each for {', '.join(each)}"
