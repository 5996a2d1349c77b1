"""The table of lead optimisation: one row for each attempt, with its outcome.

A lead is improved if an attempt is ``ok``: a molecule that differs from the lead and all earlier
attempts, is not in the training set unless such molecules are allowed, contains the kept atoms, is
similar enough, passes the filters and meets the targets.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from molgen.constraints.parts import parts
from molgen.constraints.scaffolds import OUTSIDE
from molgen.discovery.goals import Goals
from molgen.discovery.leads.counts import tier
from molgen.discovery.leads.lead import Lead, Refused
from molgen.discovery.oracle import Oracle
from molgen.discovery.request import Request
from molgen.model import NOT_COMPUTED
from molgen.molecules.fate import Fate
from molgen.molecules.parsing import parse
from molgen.utils.arrays import Floats, Mask
from property_models import compute, external
from property_models.scorers import active

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Attempt:
    """A completed draw.

    Attributes:
        number: of the attempt at its lead, from 1.
        raw: text drawn by the network.
        smiles: canonical, empty if invalid.
        status: of the raw text; see :class:`molgen.molecules.parsing.Status`.
        part: SMILES of the masked region.
        similarity: to the lead, NaN if invalid.
        keeps: whether the kept atoms are present.
        passes: whether the hard filters are passed.
        known: why it is not new, such as ``in training set``; empty for a new molecule.
        nfe: forwards of the network.
        shared_nfe: forwards for the region scores of a round, counted at its first attempt.
        classifier_nfe: forwards of the noisy classifier, region scores and the score of the
            molecule included.
        calls: molecules scored by the oracle for the lead up to the end of the attempt's round.
        selected: whether the molecule's properties are computed.
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
    known: str = ""
    calls: int = 0
    selected: bool = True


def frame(
    leads: Sequence[tuple[Lead | Refused, Oracle, Sequence[Attempt]]],
    request: Request,
) -> pd.DataFrame:
    """Return the rows of leads.

    Args:
        leads: with the oracle of each, and its attempts; values that the oracle has not computed
            while drawing are computed now.
        request: the request, with goals in units of the training data. If it says which atoms are
            kept, there is a column ``outside``: what is beside them.
    """
    import pandas as pd

    calls, similarity = request.budget.oracle_calls or 0, request.likeness.similarity
    goals, names = request.goals.computed, list(request.goals.targets)
    learned = dict.fromkeys(request.goals.learned, NOT_COMPUTED)
    learned |= {f"lead_{name}": NOT_COMPUTED for name in learned}
    rows: list[dict[str, Any]] = []
    outside: list[str] = []
    for lead, oracle, drawn in leads:
        start: dict[str, Any] = {
            "index": lead.index * request.budget.attempts,
            "lead_index": lead.index,
            "lead": lead.source,
            **learned,
        }
        if isinstance(lead, Refused):
            rows.append(_row(start, names, outcome=lead.reason, tier=tier(calls)))
            outside.append("")
            continue
        # with an oracle a call is a call: nothing further is computed for the table
        oracle.budget = oracle.calls if calls else None
        own = oracle.values([lead.smiles])
        values = oracle.values([item.smiles if item.selected else "" for item in drawn])
        gains = _total(goals, values) - _total(goals, own)
        met = goals.reached(values, own[0])
        unscored = {item.smiles for item in drawn}.difference(oracle.scored)
        results = outcomes(lead, drawn, met, similarity, names, unscored)
        for k, item in enumerate(drawn):
            facts = vars(item) | {"try": item.number, "oracle_calls": item.calls}
            facts |= dict(zip(goals.targets, values[k], strict=True))
            facts |= {f"lead_{n}": value for n, value in zip(goals.targets, own[0], strict=True)}
            facts |= {"gain": gains[k], "outcome": results[k], "tier": tier(calls)}
            facts["index"] = start["index"] + item.number - 1
            rows.append(_row(start, names, **facts))
            cut = parts(lead.verifier, item.smiles) if lead.verifier and item.keeps else {}
            outside.append(cut.get(OUTSIDE, ""))
    table = pd.DataFrame(rows, columns=list(_row({}, names)))
    further = [name for name in request.properties if name not in names]
    columns = compute(further, table["smiles"].tolist())
    scored = {beside: name for name in names if (beside := external.beside_name(name))}
    if scored:  # from the values there are: molecules that were not selected are not scored
        atoms = external.heavy_atoms([parse(text) for text in table["smiles"]])
        columns |= {
            beside: table[name].to_numpy(dtype=np.float64) / atoms
            for beside, name in scored.items()
        }
    table = table.assign(**columns)
    limited = request.likeness.keep is not None or request.likeness.change is not None
    return table.assign(**{OUTSIDE: outside}) if limited else table


def outcomes(
    lead: Lead,
    drawn: Sequence[Attempt],
    met: Mask,
    similarity: float,
    names: Sequence[str] = (),
    unscored: Collection[str] = (),
) -> list[str]:
    """Return the outcome of each attempt.

    Args:
        lead: the lead.
        drawn: the attempts at it, in order.
        met: whether each meets every target, shape (attempts,).
        similarity: least similarity to the lead.
        names: of the properties that were computed.
        unscored: molecules for which they were not.
    """
    seen: set[str] = set()
    found = []
    missing = active().missing(names, [item.smiles for item in drawn])
    for item, hit, failed in zip(drawn, met, missing, strict=True):
        checks: dict[str, bool] = {
            Fate.INVALID: not item.smiles,
            Fate.UNCHANGED: item.smiles == lead.smiles,
            Fate.DUPLICATE: item.smiles in seen,
            item.known: bool(item.known),
            Fate.CONSTRAINT_LOST: not item.keeps,
            Fate.DISSIMILAR: not item.similarity >= similarity,
            Fate.FILTERED: not item.passes,
            Fate.NOT_SELECTED: not item.selected,
            failed: bool(failed),
            Fate.NOT_SCORED: item.smiles in unscored,
            Fate.GOAL_MISSED: not hit,
        }
        found.append(str(next((name for name, holds in checks.items() if holds), Fate.ACCEPTED)))
        seen.add(item.smiles)
    return found


def _total(goals: Goals, values: Floats) -> Floats:
    """Return the aggregate of the gains, shape (molecules,).

    It is NaN where a value is missing, and without goals.
    """
    if not goals:
        return np.full(len(values), np.nan)
    scores = goals.scores(values)
    return np.where(np.isneginf(scores), np.nan, scores)


def _row(start: dict[str, Any], names: Sequence[str], **facts: Any) -> dict[str, Any]:
    """Return a row with every column, empty where no value is given."""
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
    given = start | facts
    return {name: given.get(name, value) for name, value in empty.items()}
