"""Donors of lead optimisation: molecules in any form, with the values that stand beside them."""

from __future__ import annotations

import numpy as np

from molgen.api.molecules import MoleculesLike, parents, read_molecules
from molgen.discovery.donors import Donors
from molgen.discovery.goals import Goals
from molgen.errors import MolgenError
from molgen.utils.arrays import Floats
from molgen.utils.parallel import cores


def donors_of(donors: MoleculesLike | None, goals: Goals) -> tuple[Donors | None, list[str]]:
    """Return donors, and lines on how they were read.

    Args:
        donors: in any form; columns named as the goals' properties have their values.
        goals: of the request.

    Raises:
        MolgenError: if there is no molecule among them, a value is no number, or there is no column
            for a property that is costly to compute.
        OSError: if the file cannot be opened.
    """
    if donors is None:
        return None, []
    read = read_molecules(donors, "donors", others=True)
    found = parents(read.raw, cores(), "donors")
    first: dict[str, int] = {}
    for i, molecule in enumerate(found):
        if molecule.ok:
            first.setdefault(molecule.smiles, i)
    source = read.facts.get("file", "donors")
    if not first:
        raise MolgenError(f"{source}: no molecule among its {len(found):,} rows")
    rows = np.array(list(first.values()))
    values = {
        goal.name: _numbers(goal.name, read.others[goal.name], str(source))[rows]
        for goal in goals.computed
        if goal.name in read.others
    }
    result = Donors(tuple(first), values)
    result.check(goals)
    known = f", with values of {', '.join(values)}" if values else ""
    return result, [*read.notes, f"{source}: {len(first):,} donors{known}"]


def _numbers(name: str, cells: object, source: str) -> Floats:
    """Return the values of a column; NaN for an empty cell."""
    import pandas as pd

    column = pd.Series(cells).replace("", np.nan)
    try:
        return pd.to_numeric(column).to_numpy(dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise MolgenError(f"{source}: column {name}: {error}, expected numbers") from error
