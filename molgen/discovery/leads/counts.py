"""The counts of lead optimisation: outcomes of attempts and of leads, and costs.

Every share is of all requested leads, rejected ones included.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from molgen.discovery.request import Request
from molgen.molecules.fate import Fate, Ledger, counted
from molgen.utils.arrays import Floats

if TYPE_CHECKING:
    import pandas as pd


NO_ORACLE, WITH_ORACLE = "no oracle", "oracle"


def tier(oracle_calls: int) -> str:
    """Return the name of the tier with a number of allowed calls a lead."""
    return f"{WITH_ORACLE}: {oracle_calls}" if oracle_calls else NO_ORACLE


@dataclass(kw_only=True)
class LeadCounts(Ledger):
    """The ledger of a run; rows are attempts at leads.

    Attributes:
        request: the request, with goals in units of the training data.
        asked: requested leads.
        leads: finished.
        refused: rejected leads.
        improved: leads with an attempt that is ``ok``.
        gains: best gain of each accepted lead, among attempts that keep the constraint and the
            similarity; 0 without any gain. In training standard deviations.
        values: property values behind those gains: of the lead, and of its best such attempt, else
            of the lead again; each with shape (goals,).
    """

    request: Request
    asked: int = 0
    leads: int = 0
    refused: int = 0
    improved: int = 0
    gains: list[float] = field(default_factory=list)
    values: list[tuple[Floats, Floats]] = field(default_factory=list)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the properties with a goal that can be computed."""
        return tuple(self.request.goals.computed.targets)

    @property
    def calls_allowed(self) -> int:
        """Oracle calls allowed for a lead; 0 for the tier without an oracle."""
        return self.request.budget.oracle_calls or 0

    @property
    def tier(self) -> str:
        """The tier of the run."""
        return tier(self.calls_allowed)

    @property
    def every_lead(self) -> bool:
        """Whether every requested lead was improved."""
        return self.improved == self.asked

    @property
    def tries(self) -> int:
        """The number of attempts."""
        return self.drawn

    def add(self, table: pd.DataFrame) -> None:
        """Count the rows of finished leads."""
        for _, rows in table.groupby("lead_index", sort=False):
            self.leads += 1
            if rows["try"].iloc[0] == 0:
                self.refused += 1
                continue
            self.drawn += len(rows)
            self.fates.update(map(counted, rows["outcome"]))
            self.improved += bool((rows["outcome"] == Fate.ACCEPTED).any())
            self.forwards += int(rows["nfe"].sum() + rows["shared_nfe"].sum())
            self.classifier_forwards += int(rows["classifier_nfe"].sum())
            self.oracle_calls += int(rows["oracle_calls"].max())
            near = rows["outcome"].isin([Fate.ACCEPTED, Fate.GOAL_MISSED, Fate.FILTERED])
            able = rows[near & rows["gain"].notna()]
            before = rows[[f"lead_{name}" for name in self.names]].iloc[0].to_numpy(np.float64)
            after, gain = before, 0.0
            if len(able) and able["gain"].max() > 0:
                row = able.loc[able["gain"].idxmax()]
                after, gain = row[list(self.names)].to_numpy(np.float64), float(row["gain"])
            self.gains.append(gain)
            self.values.append((before, after))

    def __str__(self) -> str:
        """Return the report, a few lines."""
        worked = max(1, self.leads - self.refused)
        attempts = max(1, self.tries)
        valid = self.tries - self.fates[Fate.INVALID]
        how = (
            f"at most {self.calls_allowed} calls a lead"
            if self.calls_allowed
            else "nothing computed"
        )
        refused = f", {self.refused} of them rejected" if self.refused else ""
        counts = ", ".join(f"{count} {name}" for name, count in self.fates.most_common())
        lines = [
            f"tier: {self.tier} ({how} while drawing)",
            f"{self.improved} of {self.leads} leads improved "
            f"({100 * self.improved / max(1, self.leads):.1f} %){refused}: similarity at least "
            f"{self.request.likeness.similarity:g} and every target met",
            f"mean best gain at that similarity: {np.mean(self.gains or [0.0]):.3f} training "
            "standard deviations",
            *self._changes(),
            f"{self.tries} attempts: {100 * valid / attempts:.1f} % valid; {counts or 'none'}",
            *self._selections(worked),
            f"each lead: {self.forwards / worked:.1f} forwards, "
            f"{self.oracle_calls / worked:.1f} oracle calls while drawing"
            + (
                f", {self.classifier_forwards / worked:.1f} forwards of the noisy classifier"
                if self.classifier_forwards
                else ""
            ),
        ]
        return "\n".join(lines)

    def _selections(self, worked: int) -> list[str]:
        if self.request.n is None:
            return []
        ok = self.fates[Fate.ACCEPTED]
        selected = ok + self.fates[Fate.GOAL_MISSED]
        return [
            f"{selected / worked:.1f} selected a lead, at most {self.request.n}, by the noisy "
            f"classifier: {100 * ok / max(1, selected):.1f} % of them meet every target"
        ]

    def _changes(self) -> list[str]:
        import pandas as pd

        if not self.values:
            return []
        # NaN values are left out of the mean; it is NaN for a property without any value
        before, after = (pd.DataFrame(side).mean() for side in zip(*self.values, strict=True))
        return [
            f"mean {name}: {low:.3f} of the leads, {high:.3f} of the best at that similarity"
            for name, low, high in zip(self.names, before, after, strict=True)
        ]
