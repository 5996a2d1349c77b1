"""Search with a surrogate: for oracles that are expensive, such as docking or an assay.

    draw a pool -> predict its scores -> score the most promising -> fit the prediction again

Every few calls of the oracle a Gaussian process is fitted to all molecules scored so far. Of a pool
of candidates, some drawn anew and the others by redrawing parts of the best molecules, those with
the highest upper confidence bound are scored,

    mean + kappa * deviation,

but no two of a batch that are much alike, since one of them would tell most about the other. Goals
on properties that are descriptors are computed for every candidate: they cost no call, and a
molecule that misses one is not docked for it. If all goals are descriptors, all are predicted.

Candidates cost forwards and no calls, so the budget of forwards is divided among the batches. The
first batch, for which nothing is known, is drawn at random from those that meet the other goals.

References: Srinivas et al., "Gaussian process optimization in the bandit setting" (2010), for the
bound; Tripp et al., "A fresh look at de novo molecular design benchmarks" (2021), for Gaussian
processes on fingerprints with candidates of a genetic search.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from molgen.discovery.metropolis import Chains, Metropolis
from molgen.discovery.search_state import Search
from molgen.errors import MolgenError
from molgen.molecules.fingerprints import fingerprints, nearest_similarity
from molgen.sampling.sampler import AnySampler, Samples
from molgen.targets import Range
from molgen.utils.arguments import check_fields
from molgen.utils.arrays import Floats
from property_models import compute
from property_models.learned.features import Features
from property_models.learned.small_process import fitted
from property_models.registry import is_function

LEAST = 8  # scored molecules from which a process is fitted
ALIKE = 0.7  # similarity above which two molecules are not in one batch
PARENTS = 32  # best molecules of which parts are redrawn


@dataclass(frozen=True)
class Surrogate:
    """Bayesian optimisation over the draws of the network, until a budget ends.

    Attributes:
        first: share of the calls that is spent before the first fit.
        batch: calls between two fits.
        pool: most candidates of a batch.
        moves: share of them that redraws parts of the best molecules.
        fragments: probability that such a move redraws whole fragments; for SMILES models.
        kappa: weight of the deviation.
    """

    first: float = 0.2
    batch: int = 10
    pool: int = 256
    moves: float = 0.7
    fragments: float = 0.5
    kappa: float = 0.5

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            MolgenError: naming the number that is out of range.
        """
        check_fields(self)
        for name in ("first", "moves", "fragments"):
            if not 0 <= getattr(self, name) <= 1:
                raise MolgenError(f"{name} is {getattr(self, name)}, expected a number in [0, 1]")
        for name in ("batch", "pool"):
            if getattr(self, name) < 1:
                raise MolgenError(f"{name} is {getattr(self, name)}, expected at least 1")
        if not (self.kappa >= 0 and math.isfinite(self.kappa)):
            raise MolgenError(f"kappa is {self.kappa}, expected at least 0 and finite")

    def run(self, search: Search) -> str:
        """Draw, predict and score until a budget ends; return the reason of the end.

        Raises:
            MolgenError: if there is no budget of oracle calls, the model is not a masked diffusion
                model, or fragments are to be redrawn and its representation is not SMILES.
        """
        search.check_masks()
        calls = search.oracle.budget
        if calls is None:
            raise MolgenError("method is surrogate without oracle-calls, expected a number")
        written = search.model.tokenizer.representation
        fragments = self.fragments if written == "smiles" else 0.0
        moving = Metropolis(exchange=True, fragments=fragments)
        run = _Rounds(self, search, moving, max(1, round(self.first * calls)))
        with search.model.sampler(moving.settings(search), search.recipe.targets) as sampler:
            while not (reason := search.ended()):
                if not run.next(sampler):
                    return search.out_of_forwards()
        return reason


@dataclass
class _Rounds:
    """The rounds of a search.

    Attributes:
        method: its numbers.
        search: the state of the search.
        moving: redraws parts of molecules.
        wanted: calls of the present round.
        round: its number.
        drawn: rows drawn anew so far.
    """

    method: Surrogate
    search: Search
    moving: Metropolis
    wanted: int
    round: int = 0
    drawn: int = 0
    _row_forwards: float = field(init=False)

    def __post_init__(self) -> None:
        self._row_forwards = float(self.search.max_row_forwards)

    def next(self, sampler: AnySampler) -> bool:
        """Draw a pool and score a batch of it; return whether forwards sufficed."""
        search, method = self.search, self.method
        left = (search.oracle.budget or 0) - search.oracle.calls
        rounds = math.ceil(left / method.batch)
        share = int(search.left / rounds / self._row_forwards)
        rows = min(method.pool, max(share, 2 * self.wanted))
        if rows * self._row_forwards > search.left:
            rows = int(search.left / self._row_forwards)
        if rows < 1:
            return False
        parents = search.best()[0][:PARENTS] if self.round else []
        moved = min(int(method.moves * rows), 4 * len(parents))
        new = search.draw(rows - moved, self.drawn)
        self.drawn += rows - moved
        if len(new.nfe):
            self._row_forwards = max(1.0, float(new.nfe.mean()))
        parts = [new, *self._moved(sampler, parents, moved)]
        before = search.oracle.calls
        self._score(parts)
        self.round += 1
        if search.oracle.calls - before >= min(self.wanted, left):
            self.wanted = method.batch
        elif self.round == 1:  # too few that may be scored: go on with the first batch
            self.wanted -= search.oracle.calls - before
        return True

    def _moved(self, sampler: AnySampler, parents: list[str], rows: int) -> list[Samples]:
        """Return samples that redraw parts of the best molecules, all of them in turn."""
        found: list[Samples] = []
        pad_id = self.search.model.denoiser.pad_id
        longest = int(self.search.model.prior.lengths.max())
        while rows > 0:
            some = parents[: min(rows, len(parents))]
            tokens = np.full((len(some), longest), pad_id, dtype=np.int64)
            for i, text in enumerate(some):
                own = self.search.tokens_of(text)[:longest]
                tokens[i, : len(own)] = own
            none, ok = np.zeros(len(some), dtype=np.int64), np.ones(len(some), dtype=bool)
            chains = Chains(tokens, some, ok, np.zeros((len(some), 1)), none, none)
            number = 1 + len(found) + 64 * self.round  # of this redraw: its random numbers
            found.append(self.moving.redrawn(self.search, chains, sampler, len(some), number))
            rows -= len(some)
        return found

    def _score(self, parts: list[Samples]) -> None:
        """Score the most promising molecules of a pool, and count all rows of it."""
        # the batch is chosen from all parts of the pool together
        candidates = dict.fromkeys(t for part in parts for t in self.search.candidates(part))
        chosen = self._batch(list(candidates))
        for part in parts:
            self.search.score_rows(part, only=chosen)

    def _batch(self, candidates: list[str]) -> set[str]:
        """Return the candidates to score next."""
        if not candidates:
            return set()
        bound = self._bounds(candidates)
        order = np.argsort(-bound, kind="stable")
        bits = fingerprints(candidates)
        found: list[int] = []
        for alike in (ALIKE, 1.1):  # then fill up with what is left
            for i in order.tolist():
                if len(found) == self.wanted:
                    break
                if i in found or not np.isfinite(bound[i]):
                    continue
                if not found or nearest_similarity(bits[[i]], bits[found])[0] < alike:
                    found.append(i)
        return {candidates[i] for i in found}

    def _bounds(self, candidates: list[str]) -> Floats:
        """Return the upper confidence bound of the score of each candidate."""
        objectives = self.search.oracle.objectives
        paid = [is_function(objective.name) for objective in objectives]
        predicted = paid if any(paid) else [True] * len(paid)
        free = [o.name for o, yes in zip(objectives, predicted, strict=True) if not yes]
        values = compute(free, candidates) if free else {}
        known = self.search.accepted
        gains = self.search.oracle(known) if known else np.empty((0, len(objectives)))
        columns, features = [], None
        missed = np.zeros(len(candidates), dtype=bool)
        for j, objective in enumerate(objectives):
            if not predicted[j]:
                columns.append(objective.gain(values[objective.name]))
                if isinstance(objective.target, Range):
                    missed |= ~(columns[-1] >= 0)  # outside, or undefined
            elif len(known) < LEAST:
                columns.append(np.zeros(len(candidates)))
            else:
                if features is None:
                    features = Features.of_smiles(known), Features.of_smiles(candidates)
                mean, deviation = fitted(features[0], gains[:, j]).predict(features[1])
                columns.append(mean + self.method.kappa * deviation)
        return np.where(missed, -np.inf, self.search.score(np.array(columns).T))
