"""Molecules under a constraint: what is kept is clamped, the rest is drawn, and every row checked.

    table = constrained.draw(model, "*c1ccco1", 100, targets={"qed": "max"})

A row is a template with a mask on every token of its open spans, as
:mod:`molgen.constraints.open_rows` chooses them. Fixed tokens are never taken off; the others are
drawn by the model's own sampler, with its guidance where there are targets, within the rules of
:mod:`molgen.constraints.span_rules`. The text is the network's, so the molecule is verified: a row
that lost its constraint stays a row, with the reason.

Rows are those of one endless table: constraints are prepared once, and then rows are drawn from any
place on, as many as are wanted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from rdkit import Chem

from molgen.constraints.open_rows import OpenRows
from molgen.constraints.scaffolds import Constraint, read
from molgen.constraints.span_rules import SpanPredictor, SpanRules
from molgen.constraints.verify import OK, Verifier
from molgen.model import Model
from molgen.sampling import factory
from molgen.sampling.event_sampler import Sampler
from molgen.sampling.ordered_sampler import OrderedSampler
from molgen.sampling.recipe import Recipe, resolve
from molgen.sampling.sampler import AnySampler
from molgen.sampling.settings import Settings
from molgen.targets import Target, read_targets

if TYPE_CHECKING:
    import pandas as pd

PRIOR_ROWS = 4096  # lengths and conditions to choose from

Scaffold: TypeAlias = Constraint | str | Chem.Mol


@dataclass(frozen=True, eq=False)
class Source:
    """One endless table of rows under constraints; see :func:`source`.

    Attributes:
        model: draws them.
        constraints: what stays; of ``k``, row ``i`` is under number ``i mod k``.
        recipe: how they are drawn.
        properties: names of the columns to compute.
        seed: of the table.
        rows: chooses what a sampler is given.
        verifiers: of the constraints.
    """

    model: Model
    constraints: tuple[Constraint, ...]
    recipe: Recipe
    properties: tuple[str, ...]
    seed: int
    rows: OpenRows
    verifiers: tuple[Verifier, ...]

    def __call__(self, n: int, first: int = 0) -> pd.DataFrame:
        """Draw rows ``first`` to ``first + n - 1``.

        Returns:
            A table as of :meth:`molgen.model.Model.sample`, with the columns ``scaffold``, as it
            was written, and ``constraint``: ``ok``, or why the row does not keep it. Forwards that
            belong to no single row are in ``attrs["shared_nfe"]``: one for each length that no
            call before this one has met.
        """
        found = self.rows(n, first)
        with factory.sampler(self.recipe) as free:
            sampler = restrained(free, found.rules)
            if self.recipe.settings.adapt is not None:
                sampler = factory.adaptive_sampler(
                    self.recipe,
                    sampler,
                    keeps=lambda row, smiles: self.verifiers[found.which[row]](smiles) == OK,
                )
            samples = sampler.run(found.job(self.seed))
        table = self.model.table(samples, self.properties, first)
        rows = list(zip(found.which.tolist(), table["smiles"], strict=True))
        table = table.assign(
            scaffold=[self.constraints[i].source for i, _ in rows],
            constraint=[self.verifiers[i](smiles) for i, smiles in rows],
        )
        table.attrs["shared_nfe"] = found.forwards
        return table


def source(
    model: Model,
    scaffolds: Scaffold | Sequence[Scaffold],
    targets: Mapping[str, Target | str] | None = None,
    seed: int = 0,
    settings: Settings | None = None,
    properties: Sequence[str] = (),
) -> Source:
    """Prepare constraints, for rows to be drawn a few at a time.

    Args:
        model: that writes SMILES by taking masks off.
        scaffolds: one or several, read or as :func:`molgen.constraints.scaffolds.read` reads them;
            of ``k``, row ``i`` is under number ``i mod k``.
        targets: property names to a value, ``"max"``, ``"min"``, a ``Range`` or ``"LO..HI"``.
        seed: row ``i`` depends on the seed and ``i`` alone, but for rows that are to be unique
            under ``settings.adapt``: they are so within a call.
        settings: how to draw; the model's own by default.
        properties: further properties to compute, beside those of the targets.

    Returns:
        Called with a number of rows and the index of the first, it draws them.

    Raises:
        ValueError: if a scaffold, a target or a setting is out of line; nothing has been drawn.
    """
    settings = settings or model.settings()
    several = [scaffolds] if isinstance(scaffolds, Constraint | str | Chem.Mol) else scaffolds
    constraints = tuple(item if isinstance(item, Constraint) else read(item) for item in several)
    wanted = read_targets(targets or {})
    recipe = resolve(model, settings, wanted)
    rows = OpenRows(model, constraints, recipe.draw_prior(PRIOR_ROWS, seed), settings, seed)
    with factory.sampler(recipe) as free:
        _steady(free)
    names = tuple(dict.fromkeys([*wanted, *properties]))
    verifiers = tuple(Verifier(item) for item in constraints)
    return Source(model, constraints, recipe, names, seed, rows, verifiers)


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
        model: that writes SMILES by taking masks off.
        scaffolds: as of :func:`source`.
        n: rows in all.
        targets: as of :func:`source`.
        seed: the same seed gives the same rows, and fewer rows are a prefix of more.
        first: index of the first row, to go on from an earlier call.
        properties: further properties to compute, beside those of the targets.
        settings: how to draw; the model's own by default.

    Returns:
        The table of :meth:`Source.__call__`.

    Raises:
        ValueError: as :func:`source`.
    """
    return source(model, scaffolds, targets, seed, settings, properties)(n, first)


def restrained(sampler: AnySampler, rules: SpanRules) -> AnySampler:
    """Return a sampler that keeps to what spans may hold.

    Raises:
        ValueError: if guidance has a say in how fast this sampler goes.
    """
    found = _steady(sampler)
    changed = {"predictor": SpanPredictor(found.predictor, rules)}
    if isinstance(found, Sampler) and found.plain_predictor is not None:
        changed["mender"] = SpanPredictor(found.plain_predictor, rules)
    return replace(found, **changed)  # type: ignore[arg-type]


def _steady(sampler: AnySampler) -> Sampler | OrderedSampler:
    """Return a sampler if its rate of revealing is not guided.

    Raises:
        ValueError: if it is.
    """
    if not isinstance(sampler, Sampler | OrderedSampler):
        raise ValueError(
            "under a constraint, guidance must keep the reveal rate: expected no mix=posterior, "
            "tilt_mask or guided_remasking"
        )
    return sampler
