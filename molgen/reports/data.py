"""What a report is made of, whatever it is about: a table, the result of a run, or a campaign.

    table + record of its run -> ReportData -> page

Everything but the table is optional, and a page leaves out what it has no data for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from molgen.targets import Target
from molgen.utils.arrays import Floats

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Funnel:
    """How many rows were drawn, and why those that are not delivered were rejected.

    Attributes:
        total: rows at the top.
        unit: of the rows at the top.
        rejected: counts by reason, in the order in which rows are checked.
        accepted: rows that passed every check.
        kept: what the rows that passed are called.
        checks: of separate checks, how many of how many passed, by name.
    """

    total: int
    unit: str
    rejected: Mapping[str, int]
    accepted: int
    kept: str = "accepted"
    checks: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def steps(self) -> list[tuple[str, int, int]]:
        """Reason, rejected rows and rows left behind it, of the reasons that rejected any."""
        left, found = self.total, []
        for reason, count in self.rejected.items():
            if count:
                left -= count
                found.append((reason, count, left))
        return found


@dataclass(frozen=True, eq=False)
class Distribution:
    """Property values of a training set, with weights.

    Attributes:
        label: of the set.
        values: of each property by name, with shape (molecules,), NaN where unknown.
        weights: molecules that each value stands for, with shape (molecules,).
        trained: whether it is the training set of a model, rather than another reference.
    """

    label: str
    values: Mapping[str, Floats]
    weights: Floats
    trained: bool = True


@dataclass(frozen=True, eq=False)
class ReportData:
    """The content of a report.

    Attributes:
        table: one row a molecule, in order of preference, with the column ``smiles`` (empty for
            what is no molecule) and any others. Columns ``R1``, ``part_1``, ``linker`` hold what
            was put at an attachment point, as SMILES.
        title: of the page.
        outcome: the result in one or two sentences.
        request: what was requested: words by label.
        goals: targets of properties, which set the default axes and their directions.
        commands: that repeat the run and the page, by label.
        funnel: from drawn to accepted; None for none.
        history: scored molecules in the order of the calls: columns ``calls`` and ``score``.
        training: distributions of properties in the training set.
        reference: label and SMILES of the molecules among which the nearest is looked up.
        notes: remarks of one line each.
    """

    table: pd.DataFrame
    title: str
    outcome: str = ""
    request: Mapping[str, str] = field(default_factory=dict)
    goals: Mapping[str, Target] = field(default_factory=dict)
    commands: Mapping[str, str] = field(default_factory=dict)
    funnel: Funnel | None = None
    history: pd.DataFrame | None = None
    training: Distribution | None = None
    reference: tuple[str, Sequence[str]] | None = None
    notes: Sequence[str] = ()
