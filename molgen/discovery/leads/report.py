"""What became of tries at leads: a row each.

A lead is improved if one of its tries is ``ok``: a molecule other than the lead and all tries
before, that keeps what must stay, is as similar as asked, passes the filters and meets the targets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from molgen.discovery.goals import Goals
from molgen.discovery.leads.counts import LeadCounts, tier
from molgen.discovery.leads.lead import Lead, Refused
from molgen.discovery.oracle import Oracle
from molgen.discovery.request import Request
from molgen.molecules.fate import Fate
from molgen.utils.arrays import Floats, Mask

if TYPE_CHECKING:
    import pandas as pd


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


@dataclass(frozen=True)
class Optimized:
    """What a run comes to.

    Attributes:
        table: a row for each try, in order of leads and tries, and one for each lead that could
            not be worked on, its reason the outcome and its try number 0.
        counts: the counts.
        asked: leads.
        reason: why it stopped: ``complete`` or ``interrupted``.
    """

    table: pd.DataFrame
    counts: LeadCounts
    asked: int
    reason: str

    @property
    def every_lead(self) -> bool:
        """Whether every lead asked for was improved."""
        return self.counts.improved == self.asked


def frame(
    leads: Sequence[tuple[Lead | Refused, Oracle, Sequence[Try]]],
    goals: Goals,
    request: Request,
) -> pd.DataFrame:
    """Return the rows of leads.

    Args:
        leads: with the tries at each, and an oracle that has answered while drawing; what it has
            not been asked is computed now.
        goals: what was asked for, in units of the training data.
        request: what was asked for.
    """
    import pandas as pd

    calls, similarity = request.budget.oracle_calls or 0, request.likeness.similarity
    names = list(goals.targets)
    rows: list[dict[str, Any]] = []
    for lead, oracle, drawn in leads:
        start: dict[str, Any] = {
            "index": lead.index * request.budget.attempts,
            "lead_index": lead.index,
            "lead": lead.source,
        }
        if isinstance(lead, Refused):
            rows.append(_row(start, names, outcome=lead.reason, tier=tier(calls)))
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
            facts |= {"gain": gains[k], "outcome": str(what[k]), "tier": tier(calls)}
            facts["index"] = start["index"] + k
            rows.append(_row(start, names, **facts))
    return pd.DataFrame(rows, columns=list(_row({}, names)))


def outcomes(lead: Lead, drawn: Sequence[Try], met: Mask, similarity: float) -> list[Fate]:
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
            Fate.INVALID: not item.smiles,
            Fate.UNCHANGED: item.smiles == lead.smiles,
            Fate.DUPLICATE: item.smiles in seen,
            Fate.CONSTRAINT_LOST: not item.keeps,
            Fate.DISSIMILAR: not item.similarity >= similarity,
            Fate.FILTERED: not item.passes,
            Fate.NOT_SELECTED: not item.proposed,
            Fate.GOAL_MISSED: not hit,
        }
        found.append(next((name for name, holds in checks.items() if holds), Fate.ACCEPTED))
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
