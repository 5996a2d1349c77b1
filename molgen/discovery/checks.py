"""The checks of a row of design that depend on the row alone: all but that for duplicates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from molgen.discovery.goals import Goals
from molgen.discovery.novelty import Novelty
from molgen.discovery.request import Request
from molgen.molecules.fate import Fate
from molgen.utils.arrays import Mask
from property_models.scorers import active

if TYPE_CHECKING:
    import pandas as pd

UNSCORED = str(Fate.SCORER_FAILED)


@dataclass(frozen=True)
class CheckedRows:
    """Rows with their checks.

    Attributes:
        identities: what two rows of one molecule have in common; empty for no molecule.
        passed: whether each row passes, by the reason of a rejection, each with shape (rows,).
        fates: the reason why each row is rejected unless it is a duplicate; empty for none.
    """

    identities: list[str]
    passed: dict[str, Mask]
    fates: list[str]


def check_rows(rows: pd.DataFrame, request: Request, goals: Goals, novelty: Novelty) -> CheckedRows:
    """Check rows.

    Args:
        rows: with the columns ``smiles``, ``novel`` (strict) and one for each goal; under
            constraints also ``constraint`` and those of parts.
        request: its filters and targets of parts are checked.
        goals: that they meet, in units of the training data.
        novelty: what makes a molecule unique and new.
    """
    smiles = rows["smiles"].tolist()
    unscored = active().missing(goals.targets, smiles)
    passed: dict[str, Mask] = {}
    if "constraint" in rows:
        passed[str(Fate.CONSTRAINT_LOST)] = rows["constraint"].eq("ok").to_numpy(dtype=bool)
    for part in request.part_targets:
        passed[Fate.PART_MISSED.of(part.name)] = part.met(rows)
    kept, met = request.filters.met(smiles), goals.met(rows)
    passed |= {Fate.FILTERED.of(name): kept[name].to_numpy() for name in kept}
    if any(unscored):
        passed[UNSCORED] = np.array([not reason for reason in unscored], dtype=bool)
    passed |= {Fate.GOAL_MISSED.of(name): met[name].to_numpy() for name in met}
    identities = novelty.identities(smiles)
    known = novelty.rejected(identities, rows["novel"].to_numpy(bool))
    fates = []
    for i, text in enumerate(smiles):
        failed = next((name for name, each in passed.items() if not each[i]), "")
        own = known[i] or (unscored[i] if failed == UNSCORED else failed)
        fates.append(own if text else str(Fate.INVALID))
    named = [identity or text for identity, text in zip(identities, smiles, strict=True)]
    return CheckedRows(named, passed, fates)
