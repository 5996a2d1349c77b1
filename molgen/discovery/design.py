"""Design: draw until ``n`` valid, unique, novel molecules meet every goal and pass every filter.

A range is a filter, a number is met within a tolerance (whole-number properties exactly), ``max``
and ``min`` guide without filtering. Goals on properties that the model is conditioned on guide the
draws; goals on other properties only filter. Rows are drawn in growing rounds; since row ``i`` of a
seed does not depend on the round, the result is the first ``n`` accepted rows by sample index, and
all rows up to there are counted. A :func:`survey` delivers and counts the first ``n`` rows without
filtering.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, cast

import numpy as np

from molgen.constraints import draw as constrained
from molgen.discovery.checks import UNSCORED, check_rows
from molgen.discovery.counts import ALL, DesignCounts, scaffold_counts
from molgen.discovery.goals import Goals, guided_targets
from molgen.discovery.novelty import Novelty, with_inchikey_novelty
from molgen.discovery.quotas import Quotas
from molgen.discovery.request import Request, Resolved, Source
from molgen.model import Model
from molgen.molecules.fate import Fate
from molgen.molecules.filters import RADICALS
from molgen.sampling.finished import OnRows
from molgen.sampling.result import COMPLETE, INTERRUPTED, Result
from molgen.utils import journal
from molgen.utils.arguments import checked
from molgen.utils.arrays import Ids, Mask
from property_models.scorers import STOPPED, active, joined

if TYPE_CHECKING:
    import pandas as pd

SURVEY_ROUND = 256  # rows between two reports on progress
DRAWS_PER_MOLECULE = 100  # default budget, for targets met by at least 1 % of the draws


@joined()
@checked
def design(
    model: Model,
    request: Request,
    on_found: Callable[[pd.DataFrame], None] | None = None,
    on_round: Callable[[DesignCounts], None] | None = None,
    source: Source | None = None,
    on_rows: OnRows | None = None,
) -> Result[DesignCounts]:
    """Draw until ``request.n`` molecules are accepted, or the budget ends.

    Args:
        model: a loaded model.
        request: the request; settings are by default those recommended for design.
        on_found: called with each round's accepted molecules.
        on_round: called with the counts after each round.
        source: of the rows, in place of the model's own draws; seed and settings are then those of
            the source.
        on_rows: called with the number of rows that have ended, within a round.

    Returns:
        The accepted molecules by index, fewer than ``n`` if the budget ended: columns as in
        :meth:`molgen.model.Model.sample` and ``score``, the weighted sum of
        :meth:`molgen.discovery.goals.Goals.score`; and the counts of all rows up to the last one.
        An interrupt (Ctrl-C) ends the run with the molecules accepted so far.

    Raises:
        MolgenError: if a goal is invalid, no goal affects the result, or novelty is required
            without a training-set index.
    """
    run, n = _Run.of(model, request, "design", source, on_rows), request.count
    budget = request.budget.draws or n * DRAWS_PER_MOLECULE
    quotas = Quotas(n, budget, len(request.scaffolds) if request.per_scaffold else 1)
    n *= quotas.count
    found: list[pd.DataFrame] = []
    reason = f"the budget of {budget} draws{' a scaffold' * request.per_scaffold} ended"
    try:
        while len(quotas.open) and not active().stopped and reason != INTERRUPTED:
            drawn = run.rows(quotas.next_rows())
            if drawn.attrs.get("interrupted"):
                reason = INTERRUPTED
            rows = run.checked(drawn, quotas)
            fitting = rows[rows["lost"] == ""].drop(columns="lost")
            found.append(fitting)
            if on_found and len(fitting):
                on_found(fitting)
            if on_round:
                on_round(run.counts)
    except KeyboardInterrupt:
        journal.keep()
        reason = INTERRUPTED
    if active().stopped:
        reason = STOPPED
    if run.counts.accepted >= n:
        reason = COMPLETE
    return Result(run.table(found), run.counts, n, reason, request)


@joined()
@checked
def survey(
    model: Model,
    request: Request,
    on_round: Callable[[DesignCounts], None] | None = None,
    source: Source | None = None,
    on_rows: OnRows | None = None,
) -> Result[DesignCounts]:
    """Draw ``request.n`` rows, deliver all of them, and count the rows that meet each goal.

    No row is filtered or retried (except as the settings require): the rows are those of
    :meth:`molgen.model.Model.sample`. Arguments as of :func:`design`; the settings are by default
    those recommended for sampling, and without a training-set index no row is rejected for novelty.
    The table has the column ``lost``: the reason of a rejection, empty if accepted.

    Raises:
        MolgenError: if a goal is invalid, or no goal affects the result.
    """
    if model.training_index is None:
        request = replace(request, allow_training_molecules=True)
    run, n = _Run.of(model, request, "sampling", source, on_rows), request.count
    n *= len(request.scaffolds) if request.per_scaffold else 1
    found: list[pd.DataFrame] = []
    reason = COMPLETE
    try:
        while run.counts.drawn < n and not active().stopped and reason != INTERRUPTED:
            drawn = run.source(min(run.most or n, n - run.counts.drawn), run.counts.drawn)
            if drawn.attrs.get("interrupted"):
                reason = INTERRUPTED
            found.append(run.checked(drawn))
            if on_round:
                on_round(run.counts)
    except KeyboardInterrupt:
        journal.keep()
        reason = INTERRUPTED
    if run.counts.drawn < n and active().stopped:
        reason = STOPPED
    return Result(run.table(found), run.counts, n, reason, request)


def resolve(model: Model, request: Request, purpose: str = "design") -> Resolved:
    """Resolve a request for a model.

    Args:
        model: a loaded model.
        request: the request.
        purpose: of the recommended settings; see :meth:`molgen.model.Model.preset`.

    Raises:
        MolgenError: if a goal is invalid, or no goal affects the result.
    """
    whole = None if request.constraint else request.goals.targets  # of presets
    settings = request.settings or model.settings(purpose, whole)
    return Resolved.of(request, model, settings, guided_targets)


@dataclass
class _Run:
    """The rounds of a design run: checks rows and counts them.

    Attributes:
        model: the model.
        request: the request.
        goals: in units of the training data.
        novelty: what makes a molecule unique and new.
        source: of the rows.
        most: rows of a round; None for all in one call, as rows retried until they are unique
            depend on all rows of their call.
        counts: so far.
        seen: identities of the molecules drawn so far.
    """

    model: Model
    request: Request
    goals: Goals
    novelty: Novelty
    source: Source
    most: int | None
    counts: DesignCounts = field(default_factory=DesignCounts)
    seen: set[str] = field(default_factory=set)

    @classmethod
    def of(
        cls,
        model: Model,
        request: Request,
        purpose: str,
        source: Source | None,
        on_rows: OnRows | None,
    ) -> _Run:
        """Prepare a run; arguments as of :func:`design`."""
        novelty = request.novelty_for(model)
        found = resolve(model, request, purpose)
        most = SURVEY_ROUND if found.settings.adapt is None else None
        rows = source or found.source(model, request, on_rows)
        run = cls(model, request, found.goals, novelty, rows, most)
        run.counts.scaffolds = scaffold_counts([each.source for each in request.scaffolds])
        return run

    def rows(self, index: Ids) -> pd.DataFrame:
        """Draw rows by their sample indices."""
        if index[-1] - index[0] == len(index) - 1:
            return self.source(len(index), int(index[0]))
        return cast(constrained.Source, self.source).at(index)

    def checked(self, rows: pd.DataFrame, quotas: Quotas | None = None) -> pd.DataFrame:
        """Return rows with reasons of rejection; count these rows.

        ``unique`` (by the convention of novelty) and ``novel`` (strict) are set over all rows drawn
        so far. Rows beyond the last molecule of a quota are left out.
        """
        found = check_rows(rows, self.request, self.goals, self.novelty)
        # fixes their order in the report
        for reason in (Fate.INVALID, Fate.DUPLICATE, *self.novelty.reasons, *found.passed):
            self.counts.fates.setdefault(reason, 0)
        index = rows["index"].to_numpy()
        at: list[int] = []
        lost: list[str] = []
        unique: list[bool] = []
        for i, (identity, fate) in enumerate(zip(found.identities, found.fates, strict=True)):
            if quotas is not None and quotas.filled(index[i]):
                continue
            at.append(i)
            unique.append(bool(identity) and identity not in self.seen)
            lost.append(fate if unique[-1] or not identity else str(Fate.DUPLICATE))
            if quotas is not None:
                quotas.add(index[i], not lost[-1])
            self.seen.add(identity)
        self.counts.forwards += rows.attrs.get("shared_nfe", 0)
        first = np.array(unique, dtype=bool)
        rows = rows.iloc[at]
        rows = rows.assign(unique=first, novel=first & rows["novel"].to_numpy(bool), lost=lost)
        self.counts.add(
            rows, self._named({name: passed[at] for name, passed in found.passed.items()})
        )
        return rows

    def _named(self, checks: dict[str, Mask]) -> dict[str, Mask]:
        """Return checks by their names in the table of counts, and all of them together."""
        shown = {
            Fate.GOAL_MISSED.of(goal.name): str(goal) if goal.bounds else "" for goal in self.goals
        }
        shown |= {
            Fate.PART_MISSED.of(each.name): f"part {each}" for each in self.request.part_targets
        }
        shown |= {Fate.CONSTRAINT_LOST: "constraint", UNSCORED: ""}
        shown |= {
            Fate.FILTERED.of(name): "" if name == RADICALS else f"filter: {name}"
            for name in self.request.filters.names
        }
        named = {shown.get(name, name): passed for name, passed in checks.items()}
        every = np.logical_and.reduce(list(checks.values()))
        return {name: passed for name, passed in named.items() if name} | {ALL: every}

    def table(self, parts: list[pd.DataFrame]) -> pd.DataFrame:
        """Return the delivered rows with their scores."""
        import pandas as pd

        table = self.model.table(self.model.draw(0), self.request.names)
        if parts:
            table = pd.concat(parts, ignore_index=True)
        if self.request.per_scaffold:  # those of a scaffold together
            order = table["index"].to_numpy()
            count = len(self.request.scaffolds)
            table = table.iloc[np.lexsort((order, order % count))].reset_index(drop=True)
        scores = self.goals.score(table)
        table = with_inchikey_novelty(table, self.model.training_index)
        return table.assign(score=np.where(np.isneginf(scores), np.nan, scores))
