"""The plan of a campaign: what a worker process needs for its tasks, and nothing else.

A plan is made by the client from a resolved request, and sent to workers as it is
(:mod:`cloudpickle`); it is never read from a file. Its tasks are pure functions of the plan: they
may run anywhere, twice or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from molgen.checkpoints.hub import HUB, bundled_names
from molgen.discovery.goals import Goals
from molgen.discovery.request import Request
from molgen.errors import MolgenError
from molgen.model import Model
from molgen.molecules.fate import Fate
from molgen.sampling.settings import Settings
from property_models import callables
from property_models.property import Property
from property_models.registry import is_function

if TYPE_CHECKING:
    import pandas as pd

UNIQUE, VALID = "unique", "valid"
DESIGN, LEADS, SEARCH = "design", "optimize", "search"
PROBE = 32  # rows that every worker draws again before its first task

Carry = Callable[["pd.DataFrame"], "pd.DataFrame"]
"""Adds the other columns of a file to the rows drawn from it."""


@dataclass(frozen=True)
class Draw:
    """Draw a block of rows.

    Attributes:
        number: of the block.
        first: sample index of its first row.
        rows: in the block.
    """

    number: int
    first: int
    rows: int


@dataclass(frozen=True)
class Improve:
    """Improve some leads.

    Attributes:
        number: of the block.
        first: index of the first lead among all.
        leads: SMILES.
    """

    number: int
    first: int
    leads: tuple[str, ...]


@dataclass(frozen=True)
class Scoring:
    """Score molecules.

    Attributes:
        name: of the property.
        smiles: canonical.
    """

    name: str
    smiles: tuple[str, ...]


Task = Draw | Improve | Scoring


@dataclass(frozen=True, eq=False)
class Plan:
    """What workers do for a campaign.

    Attributes:
        kind: ``design``, ``optimize`` or ``search``; workers of a search score, and do not draw.
        model: its name, or its absolute folder.
        digest: of its files.
        request: resolved: with settings and the targets that guide the draws.
        goals: of the request, in units of the training data.
        paid: properties whose values are stored for each molecule and never computed twice: goals
            in the order in which they are computed, then columns.
        functions: properties that were given as Python functions, by name.
        timeout: seconds that a call of a user's function may take.
        carry: adds columns to drawn rows; None for none.
        folder: of what scorers keep beside their values, such as poses; None for nothing.
    """

    kind: str
    model: str
    digest: str
    request: Request
    goals: Goals
    paid: tuple[str, ...]
    functions: Mapping[str, Property] = field(default_factory=dict)
    timeout: float = 60.0
    carry: Carry | None = None
    folder: str | None = None

    @classmethod
    def of(
        cls,
        kind: str,
        model: Model,
        request: Request,
        timeout: float,
        carry: Carry | None = None,
        folder: str | None = None,
    ) -> Plan:
        """Return the plan of a request.

        Args:
            kind: see :class:`Plan`.
            model: that draws.
            request: with settings and the targets that guide the draws.
            timeout: see :class:`Plan`.
            carry: see :class:`Plan`.
            folder: see :class:`Plan`.

        Raises:
            MolgenError: if the model was made in memory, or a goal is invalid.
        """
        named = {name: callables.given(name) for name in request.names}
        paid = tuple(name for name in request.names if is_function(name))
        return cls(
            kind,
            place_of(model),
            model.digest(),
            request,
            request.goals.measured(model.prior),
            paid,
            {name: found for name, found in named.items() if found is not None},
            timeout,
            carry,
            folder,
        )

    @property
    def computed(self) -> Goals:
        """The goals whose properties are computed with a block of rows."""
        return replace(self.goals, goals=tuple(g for g in self.goals if g.name not in self.paid))

    def decide(self, name: str, outcome: float | str) -> tuple[str, float]:
        """Return why a molecule with this outcome is rejected, empty for not, and its gain."""
        goal = next((goal for goal in self.goals if goal.name == name), None)
        if goal is None:
            return "", 0.0
        if isinstance(outcome, str):
            return Fate.failed(name, outcome), 0.0
        import numpy as np

        value = np.array([outcome])
        missed = "" if goal.met(value)[0] else Fate.GOAL_MISSED.of(name)
        return missed, 0.0 if missed else goal.weight * float(goal.gain(value)[0])


def place_of(model: Model) -> str:
    """Return the name by which other processes load a model: its own, or its absolute folder.

    Raises:
        MolgenError: if it was made in memory.
    """
    if model.folder is None:
        raise MolgenError(f"model {model.name!r} is in memory, expected a folder or a name")
    if model.name in bundled_names() or model.name.startswith(HUB):
        return str(model.name)
    return str(model.folder.resolve())


def of_one_row(settings: Settings) -> Settings:
    """Return settings under which every row depends on itself alone.

    Retries until rows are *unique* depend on other rows, so this requirement is dropped; duplicates
    are rejected in the order of rows.
    """
    adapt = settings.adapt
    if adapt is None or UNIQUE not in adapt.until:
        return settings
    until: Sequence[str] = [name for name in adapt.until if name != UNIQUE]
    return settings.changed(adapt=replace(adapt, until=tuple(until) or (VALID,)))
