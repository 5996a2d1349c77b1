"""What became of tries at leads: a row each, and the counts.

A lead is improved if one of its tries is ``ok``: a molecule other than the lead and all tries
before, that keeps what must stay, is as similar as asked, passes the filters and meets the targets.
Every share is of all leads asked for, those that could not be worked on included.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from molgen.goals import Goals
from molgen.lead import Lead, Outcome, Refused
from molgen.oracle import Oracle
from molgen.utils.arrays import Floats, Mask

if TYPE_CHECKING:
    import pandas as pd

NO_ORACLE, WITH_ORACLE = "no oracle", "oracle"


@dataclass(frozen=True)
class Try:
    """A completed draw.

    Attributes:
        number: of the try at its lead, from 1.
        raw: what the network wrote.
        smiles: canonical, empty for no molecule.
        status: of the raw text; see :class:`molgen.molecules.parsing.Status`.
        part: SMILES of what was opened.
        similarity: to the lead, NaN for no molecule.
        keeps: whether what must stay is there.
        passes: whether the hard filters are passed.
        nfe: forwards of the network.
        shared_nfe: forwards that choosing the parts of a round took, with its first try.
        classifier_nfe: forwards of a guide, those that chose the parts included and the one that
            scored the molecule.
        calls: molecules that the oracle had scored for the lead when the try's round was over.
        proposed: whether anything is to be computed of its molecule.
    """

    number: int
    raw: str
    smiles: str
    status: str
    part: str
    similarity: float
    keeps: bool
    passes: bool
    nfe: int
    shared_nfe: int
    classifier_nfe: int
    calls: int = 0
    proposed: bool = True


@dataclass
class Tally:
    """The counts of a run.

    Attributes:
        similarity: the least that was asked for.
        oracle_calls: the most that a lead was allowed; 0 for the tier without an oracle.
        names: of the properties asked for.
        propose: the most molecules of a lead that were to be proposed; None for every try.
        leads: finished.
        refused: leads that could not be worked on.
        improved: leads with a try that is ``ok``.
        outcomes: of all tries.
        forwards: of the network, in all.
        classifier_forwards: of a guide.
        calls: of the oracle, while drawing.
        gains: best gain of each lead that was worked on, among tries that keep what must stay and
            the similarity; 0 where none gains anything. In training standard deviations.
        values: the values behind those gains: of the lead, and of its best such try, else of
            the lead again; each with shape (goals,).
    """

    similarity: float
    oracle_calls: int
    names: tuple[str, ...]
    propose: int | None = None
    leads: int = 0
    refused: int = 0
    improved: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    forwards: int = 0
    classifier_forwards: int = 0
    calls: int = 0
    gains: list[float] = field(default_factory=list)
    values: list[tuple[Floats, Floats]] = field(default_factory=list)

    @property
    def tier(self) -> str:
        """Which tier the run belongs to."""
        return tier(self.oracle_calls)

    @property
    def tries(self) -> int:
        """How many there were."""
        return sum(self.outcomes.values())

    def add(self, table: pd.DataFrame) -> None:
        """Count the rows of finished leads."""
        for _, rows in table.groupby("lead_index", sort=False):
            self.leads += 1
            if rows["try"].iloc[0] == 0:
                self.refused += 1
                continue
            self.outcomes.update(rows["outcome"])
            self.improved += bool((rows["outcome"] == Outcome.OK).any())
            self.forwards += int(rows["nfe"].sum() + rows["shared_nfe"].sum())
            self.classifier_forwards += int(rows["classifier_nfe"].sum())
            self.calls += int(rows["oracle_calls"].max())
            near = rows["outcome"].isin([Outcome.OK, Outcome.TARGET, Outcome.FILTER])
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
        tries = max(1, self.tries)
        valid = self.tries - self.outcomes[Outcome.INVALID]
        how = (
            f"at most {self.oracle_calls} calls a lead" if self.oracle_calls else "nothing computed"
        )
        refused = f", {self.refused} of them not worked on" if self.refused else ""
        counts = ", ".join(f"{count} {name}" for name, count in self.outcomes.most_common())
        lines = [
            f"tier: {self.tier} ({how} while drawing)",
            f"{self.improved} of {self.leads} leads improved "
            f"({100 * self.improved / max(1, self.leads):.1f} %){refused}: similarity at least "
            f"{self.similarity:g} and every target met",
            f"mean best gain at that similarity: {np.mean(self.gains or [0.0]):.3f} training "
            "standard deviations",
            *self._changes(),
            f"{self.tries} tries: {100 * valid / tries:.1f} % valid; {counts or 'none'}",
            *self._proposals(worked),
            f"each lead: {self.forwards / worked:.1f} forwards, {self.calls / worked:.1f} oracle "
            "calls while drawing"
            + (
                f", {self.classifier_forwards / worked:.1f} forwards of the guide"
                if self.classifier_forwards
                else ""
            ),
        ]
        return "\n".join(lines)

    def _proposals(self, worked: int) -> list[str]:
        if self.propose is None:
            return []
        ok = self.outcomes[Outcome.OK]
        proposed = ok + self.outcomes[Outcome.TARGET]
        return [
            f"{proposed / worked:.1f} proposals a lead, at most {self.propose}, chosen by the "
            f"guide: {100 * ok / max(1, proposed):.1f} % of them meet every target"
        ]

    def _changes(self) -> list[str]:
        import pandas as pd

        if not self.values:
            return []
        # a mean over what there is; of a property that is nowhere defined, NaN
        before, after = (pd.DataFrame(side).mean() for side in zip(*self.values, strict=True))
        return [
            f"mean {name}: {low:.3f} of the leads, {high:.3f} of the best at that similarity"
            for name, low, high in zip(self.names, before, after, strict=True)
        ]


@dataclass(frozen=True)
class Optimized:
    """What a run comes to.

    Attributes:
        table: a row for each try, in order of leads and tries, and one for each lead that could
            not be worked on, its reason the outcome and its try number 0.
        tally: the counts.
        asked: leads.
        reason: why it stopped: ``complete`` or ``interrupted``.
    """

    table: pd.DataFrame
    tally: Tally
    asked: int
    reason: str

    @property
    def every_lead(self) -> bool:
        """Whether every lead asked for was improved."""
        return self.tally.improved == self.asked


def tier(oracle_calls: int) -> str:
    """Return the name of the tier that allows so many calls a lead."""
    return f"{WITH_ORACLE}: {oracle_calls}" if oracle_calls else NO_ORACLE


def frame(
    leads: Sequence[tuple[Lead | Refused, Oracle, Sequence[Try]]],
    goals: Goals,
    similarity: float,
    tries: int,
    oracle_calls: int,
) -> pd.DataFrame:
    """Return the rows of leads.

    Args:
        leads: with the tries at each, and an oracle that has answered while drawing; what it has
            not been asked is computed now.
        goals: what was asked for.
        similarity: likewise.
        tries: likewise, a lead.
        oracle_calls: likewise.
    """
    import pandas as pd

    names = list(goals.targets)
    rows: list[dict[str, Any]] = []
    for lead, oracle, drawn in leads:
        start: dict[str, Any] = {
            "index": lead.index * tries,
            "lead_index": lead.index,
            "lead": lead.source,
        }
        if isinstance(lead, Refused):
            rows.append(_row(start, names, outcome=lead.reason, tier=tier(oracle_calls)))
            continue
        oracle.budget = None  # the drawing is over
        own = oracle.values([lead.smiles])
        values = oracle.values([item.smiles if item.proposed else "" for item in drawn])
        gains = _total(goals, values) - _total(goals, own)
        what = outcomes(lead, drawn, goals.reached(values, own[0]), similarity)
        for k, item in enumerate(drawn):
            facts = vars(item) | {"try": item.number, "oracle_calls": item.calls}
            facts |= dict(zip(names, values[k], strict=True))
            facts |= {f"lead_{name}": value for name, value in zip(names, own[0], strict=True)}
            facts |= {"gain": gains[k], "outcome": str(what[k]), "tier": tier(oracle_calls)}
            facts["index"] = start["index"] + k
            rows.append(_row(start, names, **facts))
    return pd.DataFrame(rows, columns=list(_row({}, names)))


def outcomes(lead: Lead, drawn: Sequence[Try], met: Mask, similarity: float) -> list[Outcome]:
    """Return what became of each try.

    Args:
        lead: the lead.
        drawn: the tries at it, in order.
        met: whether each meets every target, shape (tries,).
        similarity: the least that is asked for.
    """
    seen: set[str] = set()
    found = []
    for item, hit in zip(drawn, met, strict=True):
        checks = {
            Outcome.INVALID: not item.smiles,
            Outcome.UNCHANGED: item.smiles == lead.smiles,
            Outcome.DUPLICATE: item.smiles in seen,
            Outcome.CONSTRAINT: not item.keeps,
            Outcome.SIMILARITY: not item.similarity >= similarity,
            Outcome.FILTER: not item.passes,
            Outcome.PASSED: not item.proposed,
            Outcome.TARGET: not hit,
        }
        found.append(next((name for name, holds in checks.items() if holds), Outcome.OK))
        seen.add(item.smiles)
    return found


def _total(goals: Goals, values: Floats) -> Floats:
    """Return the weighted sum of the gains; NaN where a value is missing; shape (molecules,)."""
    parts = [goal.weight * goal.gain(values[:, j]) for j, goal in enumerate(goals)]
    return np.asarray(np.sum(parts, axis=0))


def _row(start: dict[str, Any], names: Sequence[str], **facts: Any) -> dict[str, Any]:
    """Return a row with every column, empty where nothing is known."""
    empty: dict[str, Any] = {
        "index": 0,
        "lead_index": 0,
        "lead": "",
        "try": 0,
        "raw": "",
        "smiles": "",
        "status": "",
        "part": "",
        "similarity": np.nan,
        **dict.fromkeys(names, np.nan),
        "gain": np.nan,
        "outcome": "",
        "nfe": 0,
        "shared_nfe": 0,
        "classifier_nfe": 0,
        "oracle_calls": 0,
        "tier": "",
        **{f"lead_{name}": np.nan for name in names},
    }
    known = start | facts
    return {name: known.get(name, value) for name, value in empty.items()}
