"""A request: what design, search and optimize are asked for, in one form.

    Request(read_goals(["qed=.6..", "sa=..3"]), n=50, filters=Screens.read(["pains"]), seed=1)

The command line, notebooks and files of runs speak of the same thing; what one verb alone asks for
(a method of search, the leads) is an argument of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

from molgen.constraints import draw as constrained
from molgen.constraints.likeness import Likeness
from molgen.constraints.scaffolds import Constraint
from molgen.discovery.goals import Goals
from molgen.model import Model
from molgen.molecules.filters import Filters
from molgen.sampling import factory
from molgen.sampling.recipe import resolve
from molgen.sampling.settings import Settings
from molgen.targets import Target

if TYPE_CHECKING:
    import pandas as pd

Source = Callable[[int, int], "pd.DataFrame"]
"""From a number of rows and the sample index of the first to these rows, with the columns of
:meth:`molgen.model.Model.table`; where there are constraints, also ``constraint``, which is ``ok``
in rows that keep theirs."""


@dataclass(frozen=True)
class Budget:
    """What a run may cost.

    Attributes:
        draws: design: rows in all; None for a hundred for each molecule.
        nfe: search: forwards of the network for each molecule asked for.
        oracle_calls: distinct molecules that are scored while drawing. Search: in all, None for any
            number. Optimize: for each lead, itself included, None or 0 for none.
        attempts: optimize: rows for each lead.
        stop_after: optimize: molecules that meet everything, after which a lead gets no more
            attempts; needs an oracle, which tells. None for all attempts.
    """

    draws: int | None = None
    nfe: int = 400
    oracle_calls: int | None = None
    attempts: int = 20
    stop_after: int | None = None

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            ValueError: naming the one that is too small.
        """
        for each in fields(self):
            value, least = getattr(self, each.name), int(each.name != "oracle_calls")
            if value is not None and value < least:
                raise ValueError(f"{each.name} is {value}, expected at least {least}")


@dataclass(frozen=True, eq=False)
class Request:
    """What is asked for.

    Attributes:
        goals: what molecules are to be; possibly nothing, for design.
        n: molecules to deliver. Optimize: at most that many for each lead, which the noisy
            classifier chooses of all that were drawn; None for every attempt.
        filters: hard filters.
        constraint: design: what every molecule contains; of ``k``, row ``i`` is under number
            ``i mod k``. Optimize: what of a lead stays, and how similar molecules are to be.
        budget: what the run may cost.
        seed: the same seed delivers the same molecules.
        settings: how to draw; None for what the model recommends.
        guided_by: the targets that guide the draws; None for those of the goals that the model, or
            its noisy classifier, knows.
        allow_training_molecules: whether molecules of the training set are delivered, too.
    """

    goals: Goals = field(default_factory=Goals)
    n: int | None = None
    filters: Filters = field(default_factory=Filters)
    constraint: tuple[Constraint, ...] | Likeness = ()
    budget: Budget = field(default_factory=Budget)
    seed: int = 0
    settings: Settings | None = None
    guided_by: Mapping[str, Target] | None = None
    allow_training_molecules: bool = False

    def __post_init__(self) -> None:
        """Check the number of molecules.

        Raises:
            ValueError: if it is below 1.
        """
        if self.n is not None and self.n < 1:
            raise ValueError(f"n is {self.n}, expected at least 1")

    @property
    def count(self) -> int:
        """How many molecules are asked for.

        Raises:
            ValueError: if that is not said.
        """
        if self.n is None:
            raise ValueError("n is None, expected how many molecules to deliver")
        return self.n

    @property
    def likeness(self) -> Likeness:
        """What of a lead stays.

        Raises:
            ValueError: if the constraint is one of scaffolds.
        """
        if isinstance(self.constraint, Likeness):
            return self.constraint
        if self.constraint:
            raise ValueError("constraint holds scaffolds, expected what of the leads stays")
        return Likeness()

    def check_novelty(self, model: Model) -> None:
        """Check that molecules of the training set can be told from others, if need be.

        Raises:
            ValueError: if not.
        """
        if model.training_index is None and not self.allow_training_molecules:
            raise ValueError(
                "the model has no index of known molecules, so novelty is unknown; allow known ones"
            )


@dataclass(frozen=True, eq=False)
class Resolved:
    """What a request means for a model.

    Attributes:
        goals: in units of the model's training data.
        settings: how to draw, goals weighed.
        guided_by: the targets that guide the draws; none for unguided draws.
    """

    goals: Goals
    settings: Settings
    guided_by: Mapping[str, Target]

    def source(self, model: Model, request: Request) -> Source:
        """Return what draws rows: under the constraint that is asked for, or without."""
        names = list(self.goals.targets)
        if isinstance(request.constraint, tuple) and request.constraint:
            how = self.guided_by, request.seed, self.settings, names
            return constrained.source(model, request.constraint, *how)

        recipe = resolve(model, self.settings, self.guided_by)

        def draw(rows: int, first: int) -> pd.DataFrame:
            samples = factory.draw(recipe, rows, request.seed, first)
            return model.table(samples, names, first)

        return draw
