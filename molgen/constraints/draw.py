"""Constrained sampling: kept tokens are clamped, the rest is drawn, and every row is verified.

    table = constrained.draw(model, "*c1ccco1", 100, targets={"qed": "max"})

A row is a template with a mask on every token of its open spans, sampled by
:mod:`molgen.constraints.open_rows`. Fixed tokens are never masked; the others are drawn by the
model's own sampler, guided if there are targets, under the rules of
:mod:`molgen.constraints.span_rules`. Each molecule is verified: a row that violates its constraint
is kept, with the reason.

Constraints are prepared once; then any number of rows can be drawn, from any sample index on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from rdkit import Chem

from molgen.constraints.open_rows import OpenRows
from molgen.constraints.parts import parts
from molgen.constraints.scaffolds import Constraint, read
from molgen.constraints.span_rules import JointSpanPredictor, SpanPredictor, SpanRules
from molgen.constraints.verify import OK, Verifier
from molgen.errors import MolgenError
from molgen.guidance.joint_predictor import JointPredictor
from molgen.model import Model
from molgen.sampling import factory
from molgen.sampling.continuous_sampler import ContinuousSampler
from molgen.sampling.event_sampler import Sampler
from molgen.sampling.finished import OnRows, finished
from molgen.sampling.ordered_sampler import OrderedSampler
from molgen.sampling.recipe import Recipe, resolve
from molgen.sampling.sampler import AnySampler
from molgen.sampling.settings import Settings
from molgen.targets import Target, read_targets
from molgen.utils.arrays import Ids

if TYPE_CHECKING:
    import pandas as pd

PRIOR_ROWS = 4096  # lengths and conditions to draw from

Scaffold: TypeAlias = Constraint | str | Chem.Mol


@dataclass(frozen=True, eq=False)
class Source:
    """Rows under constraints by sample index; see :func:`source`.

    Attributes:
        model: the model.
        constraints: of ``k``, row ``i`` is under number ``i mod k``.
        recipe: of the draws.
        properties: names of the columns to compute.
        seed: of the draws.
        rows: samples templates and span lengths.
        verifiers: of the constraints.
        on_rows: called with the number of rows that have ended.
    """

    model: Model
    constraints: tuple[Constraint, ...]
    recipe: Recipe
    properties: tuple[str, ...]
    seed: int
    rows: OpenRows
    verifiers: tuple[Verifier, ...]
    on_rows: OnRows | None = None

    @property
    def parts(self) -> tuple[str, ...]:
        """The columns of what is designed; see :mod:`molgen.constraints.parts`."""
        return tuple(dict.fromkeys(name for each in self.constraints for name in each.parts))

    def __call__(self, n: int, first: int = 0) -> pd.DataFrame:
        """Draw rows ``first`` to ``first + n - 1``; see :meth:`at`."""
        return self.at(first + np.arange(n))

    def at(self, index: Ids) -> pd.DataFrame:
        """Draw rows by their sample indices, shape (rows,).

        Returns:
            A table as of :meth:`molgen.model.Model.sample`, with the columns ``scaffold``, as
            written in the input, ``constraint``: ``ok``, or the reason of the violation, and
            :attr:`parts`, empty where it is violated. Forwards shared by all rows are in
            ``attrs["shared_nfe"]``: one for each length that is new in this call. After an
            interrupt these are the rows that have ended, and ``attrs["interrupted"]`` is set.
        """
        found = self.rows.at(index)
        with factory.sampler(self.recipe) as free:
            sampler = restrained(free, found.rules)
            if self.recipe.settings.adapt is not None:
                sampler = factory.adaptive_sampler(
                    self.recipe,
                    sampler,
                    keeps=lambda row, smiles: self.verifiers[found.which[row]](smiles) == OK,
                )
            job = found.job(self.seed)
            samples, ended = finished(lambda on_done: sampler.run(job, on_done), self.on_rows)
        which = found.which if ended is None else found.which[ended]
        table = self.model.table(samples, self.properties)
        rows = list(zip(which.tolist(), table["smiles"], strict=True))
        faults = [self.verifiers[i](smiles) for i, smiles in rows]
        kept = zip(rows, faults, strict=True)
        found_parts = [parts(self.verifiers[i], text) if ok == OK else {} for (i, text), ok in kept]
        table = table.assign(
            index=index if ended is None else index[ended],
            scaffold=[self.constraints[i].source for i, _ in rows],
            constraint=faults,
            **{name: [each.get(name, "") for each in found_parts] for name in self.parts},
        )
        table.attrs |= {"shared_nfe": found.forwards, "interrupted": ended is not None}
        return table


def source(
    model: Model,
    scaffolds: Scaffold | Sequence[Scaffold],
    targets: Mapping[str, Target | str] | None = None,
    seed: int = 0,
    settings: Settings | None = None,
    properties: Sequence[str] = (),
) -> Source:
    """Prepare constraints, to draw rows in several calls.

    Args:
        model: a masked diffusion model of SMILES.
        scaffolds: one or several, as constraints or as input of
            :func:`molgen.constraints.scaffolds.read`; of ``k``, row ``i`` is under number
            ``i mod k``.
        targets: property names to a value, ``"max"``, ``"min"``, a ``Range`` or ``"LO..HI"``.
        seed: row ``i`` depends on the seed and ``i`` alone, except rows that must be unique under
            ``settings.adapt``: they are unique within a call.
        settings: of the sampler; the model's own by default.
        properties: further properties to compute, beside those of the targets.

    Returns:
        A callable that draws rows, given their number and the index of the first.

    Raises:
        MolgenError: if a scaffold, a target or a setting is invalid; nothing has been drawn.
    """
    settings = settings or model.settings()
    several = [scaffolds] if isinstance(scaffolds, Constraint | str | Chem.Mol) else scaffolds
    constraints = tuple(item if isinstance(item, Constraint) else read(item) for item in several)
    wanted = read_targets(targets or {})
    recipe = resolve(model, settings, wanted)
    rows = OpenRows(recipe, constraints, recipe.draw_prior(PRIOR_ROWS, seed), seed)
    with factory.sampler(recipe) as free:
        _unguided_rate(free)
    names = tuple(dict.fromkeys([*wanted, *properties]))
    verifiers = tuple(Verifier(item) for item in constraints)
    found = Source(model, constraints, recipe, names, seed, rows, verifiers)
    if taken := set(names) & set(found.parts):
        raise MolgenError(
            f"property {min(taken)} has the name of a column of parts, expected another"
        )
    return found


def draw(
    model: Model,
    scaffolds: Scaffold | Sequence[Scaffold],
    n: int,
    targets: Mapping[str, Target | str] | None = None,
    seed: int = 0,
    first: int = 0,
    properties: Sequence[str] = (),
    settings: Settings | None = None,
) -> pd.DataFrame:
    """Draw ``n`` rows under constraints.

    Args:
        model: a masked diffusion model of SMILES.
        scaffolds: as of :func:`source`.
        n: rows in all.
        targets: as of :func:`source`.
        seed: the same seed gives the same rows, and fewer rows are a prefix of more.
        first: index of the first row, to continue an earlier call.
        properties: further properties to compute, beside those of the targets.
        settings: of the sampler; the model's own by default.

    Returns:
        The table of :meth:`Source.__call__`.

    Raises:
        MolgenError: as :func:`source`.
    """
    return source(model, scaffolds, targets, seed, settings, properties)(n, first)


def restrained(sampler: AnySampler, rules: SpanRules) -> AnySampler:
    """Return a sampler restricted by the rules of spans.

    Raises:
        MolgenError: if guidance changes the sampler's reveal rate.
    """
    found = _unguided_rate(sampler)
    joint = isinstance(found.predictor, JointPredictor)
    restrict = JointSpanPredictor if joint else SpanPredictor
    changed = {"predictor": restrict(found.predictor, rules)}
    if isinstance(found, Sampler) and found.plain_predictor is not None:
        changed["plain_predictor"] = SpanPredictor(found.plain_predictor, rules)
    return replace(found, **changed)  # type: ignore[arg-type]


def _unguided_rate(sampler: AnySampler) -> Sampler | ContinuousSampler | OrderedSampler:
    """Return the sampler if its reveal rate is not guided.

    Raises:
        MolgenError: if it is.
    """
    if not isinstance(sampler, Sampler | ContinuousSampler | OrderedSampler):
        raise MolgenError(
            "under a constraint, guidance must keep the reveal rate: expected no mix=posterior, "
            "tilt_mask or guided_remasking"
        )
    return sampler
