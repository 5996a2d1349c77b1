"""A request: the common arguments of design, search and optimize.

    Request(read_goals(["qed=.6..", "sa=..3"]), n=50, filters=Filters.read(["pains"]), seed=1)

The command line, notebooks and files of runs use the same request; arguments of one function alone
(the method of a search, the leads) are separate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING

from molgen.constraints import draw as constrained
from molgen.constraints.likeness import Likeness
from molgen.constraints.scaffolds import Constraint
from molgen.discovery.donors import Donors
from molgen.discovery.goals import Goals, weighed
from molgen.discovery.novelty import CONVENTIONS, Novelty
from molgen.discovery.part_targets import PartTarget
from molgen.errors import MolgenError
from molgen.model import Model
from molgen.molecules.conventions import STRICT
from molgen.molecules.filters import Filters
from molgen.sampling import factory
from molgen.sampling.finished import OnRows, finished
from molgen.sampling.recipe import resolve
from molgen.sampling.settings import Settings
from molgen.targets import Target
from molgen.utils.arguments import check_fields
from molgen.utils.hints import one_of
from molgen.utils.numbers import whole

if TYPE_CHECKING:
    import pandas as pd

Source = Callable[[int, int], "pd.DataFrame"]
"""From a number of rows and the sample index of the first to these rows, with the columns of
:meth:`molgen.model.Model.table`; under constraints also ``constraint``, which is ``ok`` for rows
that satisfy theirs. After an interrupt the table has fewer rows, and ``attrs["interrupted"]``."""


@dataclass(frozen=True)
class Budget:
    """The budgets of a run.

    Attributes:
        draws: design: rows in all, or for each scaffold; None for 100 for each molecule.
        nfe: search: forwards of the network for each requested molecule.
        oracle_calls: distinct molecules scored while drawing. Search: in all, None for no limit.
            Optimize: for each lead, itself included, None or 0 for none.
        attempts: optimize: rows for each lead.
        stop_after: optimize: number of molecules that meet every goal, after which a lead gets no
            more attempts: by an oracle, or in a top-k selection by the noisy classifier, as likely
            as not. None for all attempts.
    """

    draws: int | None = None
    nfe: int = 400
    oracle_calls: int | None = None
    attempts: int = 20
    stop_after: int | None = None

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            MolgenError: naming the one that is too small.
        """
        check_fields(self)
        for each in fields(self):
            value, least = getattr(self, each.name), int(each.name != "oracle_calls")
            if value is not None:
                object.__setattr__(self, each.name, whole(each.name, value, least))


@dataclass(frozen=True, eq=False)
class Request:
    """A request for molecules.

    Attributes:
        goals: of the molecules; possibly none, for design.
        n: molecules to deliver. Optimize: the top k for each lead, selected by the noisy
            classifier from all attempts; None for every attempt.
        filters: hard filters; that of radicals is one of them unless they are allowed.
        constraint: design: constraints on every molecule; of ``k``, row ``i`` is under number
            ``i mod k``. Optimize: the required likeness to the lead.
        part_targets: design: of the parts of a molecule beside its scaffold.
        per_scaffold: design: whether ``n`` is the number of molecules for each scaffold.
        donors: optimize: molecules whose fragments are used; None for none.
        budget: of the run.
        seed: the same seed delivers the same molecules.
        settings: of the sampler; None for the model's recommendation.
        guided_by: the targets that guide the draws; None for those of the goals that the model, or
            its noisy classifier, is trained on.
        properties: further properties to compute for the molecules of the table.
        allow_radicals: whether molecules with unpaired electrons are delivered, too.
        allow_training_molecules: whether molecules of the training set are delivered too.
        novelty: the convention by which molecules are unique and new, ``strict`` or
            ``inchikey``; see :mod:`molgen.discovery.novelty`.
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
    allow_radicals: bool = False
    novelty: str = STRICT.name
    properties: tuple[str, ...] = ()
    part_targets: tuple[PartTarget, ...] = ()
    per_scaffold: bool = False
    donors: Donors | None = None

    def __post_init__(self) -> None:
        """Check the number of molecules, the seed and the convention.

        Raises:
            MolgenError: if a number is no whole number, n is below 1 or the seed below 0, or there
                is no such convention of novelty.
        """
        if self.n is not None:
            object.__setattr__(self, "n", whole("n", self.n))
        object.__setattr__(self, "seed", whole("seed", self.seed, 0))
        check_fields(self)
        if self.novelty not in CONVENTIONS:
            raise MolgenError(f"novelty is {self.novelty!r}, {one_of(self.novelty, CONVENTIONS)}")
        if not self.allow_radicals:
            object.__setattr__(self, "filters", self.filters.without_radicals())

    @property
    def count(self) -> int:
        """The requested number of molecules.

        Raises:
            MolgenError: if it is None.
        """
        if self.n is None:
            raise MolgenError("n is None, expected the number of molecules to deliver")
        return self.n

    @property
    def scaffolds(self) -> tuple[Constraint, ...]:
        """The constraints on molecules; none for a likeness."""
        return self.constraint if isinstance(self.constraint, tuple) else ()

    @property
    def names(self) -> tuple[str, ...]:
        """The columns of properties: those of the goals first."""
        return tuple(dict.fromkeys([*self.goals.targets, *self.properties]))

    @property
    def likeness(self) -> Likeness:
        """The required likeness to a lead.

        Raises:
            MolgenError: if the constraint is one of scaffolds.
        """
        if isinstance(self.constraint, Likeness):
            return self.constraint
        if self.constraint:
            raise MolgenError("constraint is one of scaffolds, expected a Likeness")
        return Likeness()

    def novelty_for(self, model: Model) -> Novelty:
        """Return what makes a molecule unique and new.

        Raises:
            MolgenError: if novelty is required, and the model's training-set index lacks it.
        """
        return Novelty.of(self.novelty, model.training_index, self.allow_training_molecules)


Guide = Callable[[Model, Goals, Settings], Mapping[str, Target]]
"""From a model, goals and settings to the targets that guide the draws."""


@dataclass(frozen=True, eq=False)
class Resolved:
    """A request resolved for a model.

    Attributes:
        goals: in units of the model's training data.
        settings: of the sampler, with goal weights.
        guided_by: the targets that guide the draws; none for unguided draws.
    """

    goals: Goals
    settings: Settings
    guided_by: Mapping[str, Target]

    @classmethod
    def of(cls, request: Request, model: Model, settings: Settings, guide: Guide) -> Resolved:
        """Resolve a request for a model.

        Args:
            request: the request.
            model: a loaded model.
            settings: of the sampler: those of the request, or recommended ones.
            guide: the targets that guide the draws, if the request has none.

        Raises:
            MolgenError: if a goal is invalid, or no goal affects the result.
        """
        model.own_labels(list(request.goals.targets))  # raises for an unknown name
        goals = request.goals.measured(model.prior)
        settings = weighed(settings, goals)
        guided_by = request.guided_by
        if guided_by is None:
            guided_by = guide(model, goals, settings)
        return cls(goals, settings, guided_by)

    def source(self, model: Model, request: Request, on_rows: OnRows | None = None) -> Source:
        """Return the source of rows, with or without constraints.

        Args:
            model: a loaded model.
            request: the request.
            on_rows: called with the number of rows that have ended, as they do.
        """
        names = request.names
        if isinstance(request.constraint, tuple) and request.constraint:
            how = self.guided_by, request.seed, self.settings, names
            return replace(constrained.source(model, request.constraint, *how), on_rows=on_rows)

        recipe = resolve(model, self.settings, self.guided_by)

        def draw(rows: int, first: int) -> pd.DataFrame:
            samples, ended = finished(
                lambda on_done: factory.draw(recipe, rows, request.seed, first, on_done=on_done),
                on_rows,
            )
            table = model.table(samples, names, first)
            if ended is not None:
                table["index"] = first + ended
            table.attrs["interrupted"] = ended is not None
            return table

        return draw
