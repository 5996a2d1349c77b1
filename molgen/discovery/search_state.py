"""The state of a search, and what a method of search is.

A method draws rows and scores them until a budget ends; the state has the budgets, counts all rows,
and keeps the molecules that may be delivered. See :mod:`molgen.discovery.search`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from molgen.data.tokenizer import padded
from molgen.discovery.counts import SearchCounts
from molgen.discovery.novelty import Novelty, with_inchikey_novelty
from molgen.discovery.objectives import Score
from molgen.discovery.oracle import Oracle
from molgen.discovery.request import Request
from molgen.errors import MolgenError
from molgen.model import Model
from molgen.molecules.fate import Fate, counted
from molgen.molecules.parsing import interpret_all, parse
from molgen.nn.denoiser import noise_of
from molgen.sampling import factory
from molgen.sampling.finished import finished
from molgen.sampling.recipe import Recipe
from molgen.sampling.sampler import OnDone, Samples
from molgen.utils.arrays import Floats, Ids, Mask
from property_models import alongside, compute
from property_models.scorers import STOPPED, active

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class ScoredRows:
    """Rows with their gains.

    Attributes:
        tokens: ids with shape (rows, longest), padded.
        smiles: canonical SMILES of each row, empty if invalid.
        fits: whether each row may be delivered: valid, novel, and scored, shape (rows,).
        gains: with shape (rows, objectives), NaN if not scored.
    """

    tokens: Ids
    smiles: list[str]
    fits: Mask
    gains: Floats


class Method(Protocol):
    """A search method."""

    def run(self, search: Search) -> str:
        """Draw and score until a budget ends; return the reason of the end."""
        ...


@dataclass
class Search:
    """The state of a search: the request, the budgets, and accepted molecules.

    Attributes:
        model: the model.
        request: the request.
        recipe: of the draws.
        oracle: scores molecules.
        score: of several gains.
        novelty: what makes a molecule unique and new.
        on_round: called with the search after each scoring.
        on_forwards: called with the forwards of rows as they end.
        counts: so far.
    """

    model: Model
    request: Request
    recipe: Recipe
    oracle: Oracle
    score: Score
    novelty: Novelty
    on_round: Callable[[Search], None] | None = None
    on_forwards: Callable[[int], None] | None = None
    counts: SearchCounts = field(default_factory=SearchCounts)
    _accepted: dict[str, tuple[Ids, int, int]] = field(default_factory=dict, repr=False)
    _seen: set[str] = field(default_factory=set, repr=False)

    @property
    def n(self) -> int:
        """Molecules to deliver."""
        return self.request.count

    @property
    def seed(self) -> int:
        """The seed of every draw."""
        return self.request.seed

    @property
    def budget(self) -> int:
        """Forwards allowed in all."""
        return self.n * self.request.budget.nfe

    @property
    def left(self) -> int:
        """Forwards left in the budget."""
        return self.budget - self.counts.forwards

    @property
    def mixes(self) -> bool:
        """Whether a step takes two forwards: the conditional and the unconditional prediction."""
        return bool(self.recipe.targets) and self.recipe.settings.gamma != 1.0

    @property
    def max_row_forwards(self) -> int:
        """The highest expected number of forwards for a row."""
        adapt = self.recipe.settings.adapt
        one = self.recipe.max_predictions * (2 if self.mixes else 1)
        return one + (adapt.budget if adapt else 0)

    def ended(self) -> str:
        """Return the reason of the end: no oracle calls left, or a stop; empty if there is none."""
        if active().stopped:
            return STOPPED
        return f"the budget of {self.oracle.budget} oracle calls ended" if self.oracle.spent else ""

    def out_of_forwards(self) -> str:
        """Return the reason of the end if forwards are used up."""
        return f"the budget of {self.budget} forwards ended"

    def check_masks(self) -> None:
        """Check that the model is a masked diffusion model, so that parts of rows can be redrawn.

        Raises:
            MolgenError: if not.
        """
        if noise_of(self.model.denoiser) != "masked":
            raise MolgenError(
                f"model {self.model.name!r} is not a masked diffusion model, so no part of a row "
                "can be redrawn: expected the method best-of-n"
            )

    def draw(self, rows: int, first: int) -> Samples:
        """Draw whole rows from sample index ``first`` on, as in sampling."""
        how = self.recipe, rows, self.seed, first
        samples, ended = finished(lambda keep: factory.draw(*how, on_done=self.counting(keep)))
        if ended is None:
            return samples
        self.score_rows(samples)  # an interrupt: what has ended is kept
        raise KeyboardInterrupt

    def counting(self, on_done: OnDone | None = None) -> OnDone:
        """Return what a sampler is to call with rows as they end, so that they are reported.

        Args:
            on_done: called as well.
        """

        def ended(rows: Ids, samples: Samples) -> None:
            if on_done is not None:
                on_done(rows, samples)
            if self.on_forwards is not None:
                self.on_forwards(int(samples.nfe.sum()))

        return ended

    def score_rows(
        self,
        samples: Samples,
        nfe: Ids | None = None,
        classifier_nfe: Ids | None = None,
        only: set[str] | None = None,
    ) -> ScoredRows:
        """Count rows, score those that may be delivered, and keep them.

        Args:
            samples: rows and their costs.
            nfe: forwards to record for each molecule, if they differ from the row's own.
            classifier_nfe: the same for a noisy classifier.
            only: canonical SMILES of the molecules to score; None for all.
        """
        counts = self.counts
        counts.drawn += len(samples.tokens)
        counts.forwards += int(samples.nfe.sum())
        counts.classifier_forwards += int(samples.classifier_nfe.sum())
        smiles, identities, known, failed = self._read(samples)
        passed = [not (old or name) for old, name in zip(known, failed, strict=True)]
        left_out: set[str] = set()
        if only is not None:
            left_out = {*smiles} - only - {*self._accepted}
            passed = [yes and t not in left_out for t, yes in zip(smiles, passed, strict=True)]
        gains = self.oracle([text if yes else "" for text, yes in zip(smiles, passed, strict=True)])
        fits = np.asarray(~np.isnan(gains).any(1), dtype=bool)
        nfe = samples.nfe if nfe is None else nfe
        classifier_nfe = samples.classifier_nfe if classifier_nfe is None else classifier_nfe
        unscored = active().missing(self.request.goals.targets, smiles)
        for i, text in enumerate(smiles):
            fate = self._fate(text, identities[i], known[i], failed[i])
            if fate == Fate.ACCEPTED and text in left_out:
                fate = Fate.NOT_SELECTED
            elif fate == Fate.ACCEPTED and not fits[i]:
                fate = counted(unscored[i]) or Fate.NOT_SCORED
            counts.fates[fate] += 1
            if fate != Fate.ACCEPTED:
                continue
            self._seen.add(identities[i])
            self._accepted[text] = samples.tokens[i].copy(), int(nfe[i]), int(classifier_nfe[i])
        counts.oracle_calls = self.oracle.calls
        if self.on_round:
            self.on_round(self)
        return ScoredRows(samples.tokens, smiles, fits, gains)

    def candidates(self, samples: Samples) -> list[str]:
        """Return the distinct molecules of rows that may be delivered and are not scored yet."""
        smiles, _, known, failed = self._read(samples)
        rows = zip(smiles, known, failed, strict=True)
        found = dict.fromkeys(text for text, old, name in rows if text and not (old or name))
        return [text for text in found if text not in self._accepted]

    def _read(self, samples: Samples) -> tuple[list[str], list[str], list[str], list[str]]:
        """Return SMILES and identities of rows, why they are known, and the filter they fail."""
        model = self.model
        raw = [model.tokenizer.smiles(text) for text in model.texts(samples.tokens)]
        smiles = [molecule.smiles for molecule in interpret_all(raw)]
        identities = self.novelty.identities(smiles)
        known = self.novelty.rejected(identities)
        failed = [
            "" if old else self._failed(text) for text, old in zip(smiles, known, strict=True)
        ]
        return smiles, identities, known, failed

    def _failed(self, smiles: str) -> str:
        """Return the name of the first filter that a molecule fails; empty if it passes all."""
        mol = parse(smiles) if smiles else None
        failed = None if mol is None else self.request.filters.first_failed(mol)
        return failed[0] if failed else ""

    def _fate(self, smiles: str, identity: str, known: str, failed: str) -> str:
        """Return the fate of a row, as far as it does not depend on the oracle."""
        if not smiles:
            return Fate.INVALID
        if identity in self._seen:
            return Fate.DUPLICATE
        if known:
            return known
        return Fate.FILTERED.of(failed) if failed else Fate.ACCEPTED

    def tokens_of(self, smiles: str) -> Ids:
        """Return the tokens of an accepted molecule as it was drawn, shape (length,)."""
        return self._accepted[smiles][0]

    @property
    def accepted(self) -> list[str]:
        """Canonical SMILES of all accepted molecules, in the order in which they were scored."""
        return list(self._accepted)

    def best(self) -> tuple[list[str], Floats]:
        """Return the best accepted molecules, ``n`` at most, best first.

        Returns:
            Canonical SMILES, and gains with shape (molecules, objectives).
        """
        smiles = list(self._accepted)
        gains = self.oracle(smiles)
        order = np.argsort(-self.score(gains, self.n), kind="stable")[: self.n]
        return [smiles[i] for i in order], gains[order]

    def table(self) -> pd.DataFrame:
        """Return the best accepted molecules; see :func:`search`."""
        smiles, _ = self.best()
        denoiser = self.model.denoiser
        costs, rows = np.zeros((2, len(smiles)), dtype=np.int64), []
        for i, text in enumerate(smiles):
            row, *costs[:, i] = self._accepted[text]
            rows.append(row)
        tokens = padded(rows, denoiser.pad_id, denoiser.max_length)
        names = [objective.name for objective in self.oracle.objectives]
        further = [name for name in self.request.properties if name not in names]
        samples = Samples(tokens, costs[0], None, costs[1])
        table = with_inchikey_novelty(self.model.table(samples, further), self.model.training_index)
        columns = dict(zip(names, self.oracle.values(smiles).T, strict=True))
        columns |= compute([name for name in alongside(names) if name not in columns], smiles)
        return table.assign(**{name: columns[name] for name in alongside(names)})
