"""Search: draw, ask an oracle, and draw again where it pays. Apart from sampling, and labelled so.

    found = search(model, Request(read_goals({"qed": "max"}), 100), Metropolis())

Sampling and design compute no property while they draw; here an oracle does, and how often it was
asked is told beside the forwards. Whatever the method, everything it meets on its way is looked at:
a molecule that is valid, new to the training data and not met before is scored and kept, and the
``n`` best of those are delivered. Two budgets end a search: forwards a molecule asked for, and
oracle calls. Rows compete with each other, so other than in sampling fewer are no prefix of more;
the same seed delivers the same.

The methods are :class:`molgen.discovery.best_of.BestOf`,
:class:`molgen.discovery.metropolis.Metropolis` and
:class:`molgen.discovery.smc.SequentialMonteCarlo`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from molgen.data.tokenizer import padded
from molgen.discovery.counts import SearchCounts
from molgen.discovery.objectives import Score, WeightedSum, read_objectives
from molgen.discovery.oracle import Oracle
from molgen.discovery.request import Request
from molgen.guidance.spec import ClassifierFree
from molgen.model import Model
from molgen.molecules.fate import Fate
from molgen.molecules.parsing import interpret_all
from molgen.nn.denoiser import noise_of
from molgen.sampling import factory
from molgen.sampling.recipe import Recipe, resolve
from molgen.sampling.sampler import Samples
from molgen.sampling.settings import Settings
from molgen.utils.arrays import Floats, Ids, Mask
from molgen.utils.pareto import ParetoRank

if TYPE_CHECKING:
    import pandas as pd

GAMMA = 1.0
"""Default strength of the guidance: a forward a step, not two, and what is drawn is less of what is
known already. The oracle does the rest (``docs/experiments.md``)."""


@dataclass(frozen=True)
class Found:
    """What a search delivers.

    Attributes:
        table: the molecules, best first: the columns of :meth:`molgen.model.Model.sample`, one for
            each objective, and ``nfe``, the forwards of the draw, chain or particle that wrote the
            molecule, up to where it did.
        counts: of the whole search; its forwards are many times the sum of the table's.
        asked: how many were asked for.
        reason: why it stopped.
    """

    table: pd.DataFrame
    counts: SearchCounts
    asked: int
    reason: str


@dataclass(frozen=True)
class ScoredRows:
    """Rows, and what they came to.

    Attributes:
        tokens: ids with shape (rows, longest), padded.
        smiles: canonical SMILES of each row, empty where it is no molecule.
        fits: whether each row may be delivered: valid, new, and scored, shape (rows,).
        gains: with shape (rows, objectives), NaN where not scored.
    """

    tokens: Ids
    smiles: list[str]
    fits: Mask
    gains: Floats


class Method(Protocol):
    """A way to search."""

    def run(self, search: Search) -> str:
        """Draw and judge until a budget ends; return why it stopped."""
        ...


@dataclass
class Search:
    """A search under way: what is asked, what it may cost, and what was met.

    Attributes:
        model: what draws.
        request: what is asked for.
        recipe: how they are drawn.
        oracle: scores molecules.
        score: makes one number of several gains.
        on_round: told of the search whenever rows have been judged.
        counts: so far.
    """

    model: Model
    request: Request
    recipe: Recipe
    oracle: Oracle
    score: Score
    on_round: Callable[[Search], None] | None = None
    counts: SearchCounts = field(default_factory=SearchCounts)
    _met: dict[str, tuple[Ids, int, int]] = field(default_factory=dict, repr=False)

    @property
    def n(self) -> int:
        """Molecules to deliver."""
        return self.request.count

    @property
    def seed(self) -> int:
        """Of every draw."""
        return self.request.seed

    @property
    def budget(self) -> int:
        """Forwards that may be spent in all."""
        return self.n * self.request.budget.nfe

    @property
    def left(self) -> int:
        """How many forwards may still be spent."""
        return self.budget - self.counts.forwards

    @property
    def mixes(self) -> bool:
        """Whether a step takes two forwards: the conditional and the unconditional prediction."""
        return bool(self.recipe.targets) and self.recipe.settings.gamma != 1.0

    @property
    def dearest(self) -> int:
        """The most forwards that a row is expected to take; what was met may be more."""
        settings, longest = self.recipe.settings, self.model.denoiser.max_length
        one = (settings.steps if self.recipe.plan.sigma.any() else longest) * (
            2 if self.mixes else 1
        )
        return one + (settings.adapt.budget if settings.adapt else 0)

    def ended(self) -> str:
        """Return that the budget of oracle calls has ended, in words; empty if it has not."""
        return f"the budget of {self.oracle.budget} oracle calls ended" if self.oracle.spent else ""

    def out_of_forwards(self) -> str:
        """Return that the budget of forwards has ended, in words."""
        return f"the budget of {self.budget} forwards ended"

    def check_masks(self) -> None:
        """Check that the model fills masks in any order, so that rows can be written in parts.

        Raises:
            ValueError: if its noise is another.
        """
        if noise_of(self.model.denoiser) != "masked":
            raise ValueError(
                f"model {self.model.name!r} fills no masks, so no part of a row can be redrawn: "
                "expected the method best-of-n"
            )

    def draw(self, rows: int, first: int) -> Samples:
        """Draw whole rows of the endless table, as in sampling."""
        return factory.draw(self.recipe, rows, self.seed, first)

    def score_rows(
        self, samples: Samples, nfe: Ids | None = None, classifier_nfe: Ids | None = None
    ) -> ScoredRows:
        """Count rows, have the oracle score what may be delivered, and keep it.

        Args:
            samples: what was drawn, and what it cost.
            nfe: forwards to note beside each molecule, where they are more than the row's own.
            classifier_nfe: likewise of a guide.
        """
        model, counts = self.model, self.counts
        counts.drawn += len(samples.tokens)
        counts.forwards += int(samples.nfe.sum())
        counts.classifier_forwards += int(samples.classifier_nfe.sum())
        raw = [model.tokenizer.smiles(text) for text in model.texts(samples.tokens)]
        smiles = [molecule.smiles for molecule in interpret_all(raw)]
        known = np.zeros(len(smiles), dtype=bool)
        if not self.request.allow_training_molecules and model.training_index is not None:
            known = model.training_index.contains(smiles)
        asked = [text if text and not old else "" for text, old in zip(smiles, known, strict=True)]
        gains = self.oracle(asked)
        fits = np.asarray(~np.isnan(gains).any(1), dtype=bool)
        noted = samples.nfe if nfe is None else nfe
        of_guide = samples.classifier_nfe if classifier_nfe is None else classifier_nfe
        for i, text in enumerate(smiles):
            fate = self._fate(text, bool(known[i]), bool(fits[i]))
            counts.fates[fate] += 1
            if fate is not Fate.ACCEPTED:
                continue
            self._met[text] = samples.tokens[i].copy(), int(noted[i]), int(of_guide[i])
        counts.oracle_calls = self.oracle.calls
        if self.on_round:
            self.on_round(self)
        return ScoredRows(samples.tokens, smiles, fits, gains)

    def _fate(self, smiles: str, known: bool, fits: bool) -> Fate:
        """Return what becomes of a row."""
        if not smiles:
            return Fate.INVALID
        if smiles in self._met:
            return Fate.DUPLICATE
        if known:
            return Fate.IN_TRAINING_SET
        return Fate.ACCEPTED if fits else Fate.NOT_SCORED

    def best(self) -> tuple[list[str], Floats]:
        """Return the best molecules met, ``n`` at most, best first.

        Returns:
            Canonical SMILES, and gains with shape (molecules, objectives).
        """
        smiles = list(self._met)
        gains = self.oracle(smiles)
        order = np.argsort(-self.score(gains, self.n), kind="stable")[: self.n]
        return [smiles[i] for i in order], gains[order]

    def table(self) -> pd.DataFrame:
        """Return the best molecules met; see :class:`Found`."""
        smiles, _ = self.best()
        denoiser = self.model.denoiser
        costs, rows = np.zeros((2, len(smiles)), dtype=np.int64), []
        for i, text in enumerate(smiles):
            row, *costs[:, i] = self._met[text]
            rows.append(row)
        tokens = padded(rows, denoiser.pad_id, denoiser.max_length)
        table = self.model.table(Samples(tokens, costs[0], None, costs[1]))
        names = [objective.name for objective in self.oracle.objectives]
        return table.assign(**dict(zip(names, self.oracle.values(smiles).T, strict=True)))


def search(
    model: Model,
    request: Request,
    method: Method,
    pareto: bool = False,
    on_round: Callable[[Search], None] | None = None,
) -> Found:
    """Search for molecules by asking an oracle.

    Args:
        model: a loaded model.
        request: what is asked for. Goals are any property that can be computed, and weigh in the
            sum of the gains; those that the model is conditioned on guide the draws, too, unless
            the request says otherwise. Settings are by default the model's recommendation for
            design, at :data:`GAMMA`.
        method: how to search.
        pareto: go by non-dominated rank instead of a weighted sum.
        on_round: told of the search whenever rows have been judged.

    Returns:
        The ``n`` best molecules met, or as many as there were. An interrupt (Ctrl-C) ends the
        search with what there is.

    Raises:
        ValueError: if a target or budget is out of line, novelty cannot be decided, or the method
            does not go with the model.
    """
    calls, n = request.budget.oracle_calls, request.count
    if calls is not None and calls < 1:
        raise ValueError(f"oracle_calls is {calls}, expected at least 1")
    request.check_novelty(model)
    objectives = read_objectives(request.goals.targets, model.prior, request.goals.weights)
    settings = request.settings or model.settings("design", gamma=GAMMA)
    guided_by = request.guided_by
    if guided_by is None:
        guided_by = {o.name: o.target for o in objectives if _guides(model, o.name, settings)}
    recipe = resolve(model, settings, guided_by)
    score = ParetoRank() if pareto else WeightedSum(tuple(o.weight for o in objectives))
    going = Search(model, request, recipe, Oracle(objectives, calls), score, on_round)
    try:
        reason = method.run(going)
    except KeyboardInterrupt:
        reason = "interrupted"
    table = going.table()
    going.counts.delivered = len(table)
    return Found(table, going.counts, n, reason)


def _guides(model: Model, name: str, settings: Settings) -> bool:
    """Return whether a property can steer the draws; one that cannot serves the oracle alone."""
    return name in model.properties or not isinstance(settings.guidance, ClassifierFree)
