"""Targets of parts: limits on what is put at attachment points, between fragments, or outside.

    mw=..150        every part weighs at most 150
    R1:mw=..150     the part at the point R1 does

A part (:mod:`molgen.constraints.parts`) is computed as a molecule, with hydrogen in place of its
bonds to the scaffold. Parts do not guide the draws: a row with a part that misses is rejected.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from molgen.constraints.parts import capped
from molgen.constraints.scaffolds import LINKER, OUTSIDE
from molgen.constraints.verify import OK
from molgen.discovery.goals import Goal, read_goals
from molgen.errors import MolgenError
from molgen.targets import Range, Target
from property_models import compute, get

if TYPE_CHECKING:
    import pandas as pd


_PART = re.compile(rf"(R|AP|part_)\d+|{LINKER}|{OUTSIDE}")


@dataclass(frozen=True)
class PartTarget:
    """A target of parts.

    Attributes:
        goal: a range, or a whole number.
        parts: the columns of the parts.
        name: of the property, behind the part if there is only one.
    """

    goal: Goal
    parts: tuple[str, ...]
    name: str

    def __str__(self) -> str:
        """Return the target in the notation of the command line."""
        return f"{self.name}={str(self.goal).removeprefix(f'{self.goal.name}=')}"

    def met(self, rows: pd.DataFrame) -> NDArray[np.bool_]:
        """Return which rows keep their constraint, and have no part that misses, shape (rows,).

        Args:
            rows: with the columns of the parts, empty for none.
        """
        texts = [
            [part for name in self.parts for part in rows[name].iloc[i].split(".") if part]
            for i in range(len(rows))
        ]
        distinct = list(dict.fromkeys(part for several in texts for part in several))
        values = compute([self.goal.name], [capped(part) for part in distinct])[self.goal.name]
        met = dict(zip(distinct, self.goal.met(values), strict=True))
        kept = rows["constraint"].eq(OK).to_numpy(dtype=bool)
        return kept & np.array([all(met[part] for part in several) for several in texts], bool)


def read_part_targets(
    words: Mapping[str, Target | str], columns: Sequence[str]
) -> tuple[PartTarget, ...]:
    """Read targets of parts.

    Args:
        words: ``PROPERTY`` or ``PART:PROPERTY`` to targets.
        columns: the parts that there are.

    Raises:
        MolgenError: if there are no parts, a property is unknown, or a target is no range
            and no whole number.
    """
    found = []
    for name, target in words.items():
        part, colon, rest = name.partition(":")
        own = colon and part in columns
        if colon and not own and _PART.fullmatch(part):
            raise MolgenError(
                f"part-target is {name}={target}, expected one of the parts {', '.join(columns)}"
            )
        (goal,) = read_goals({rest if own else name: target})
        whole = get(goal.name).integer and not isinstance(goal.target, str)
        if not (isinstance(goal.target, Range) or whole):
            raise MolgenError(f"part-target is {name}={target}, expected a range such as ..150")
        found.append(PartTarget(goal, (part,) if own else tuple(columns), name))
    return tuple(found)
