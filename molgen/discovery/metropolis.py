"""Metropolis moves on clean molecules: mask a part, redraw it, accept or reject.

    x -> x_t (a random part masked) -> x' ~ p(x_0 | x_t, y),
    accepted with probability min(1, exp((r(x') - r(x)) / beta))

There are as many chains as molecules to deliver, initialised as in sampling. A move costs a part of
a whole draw, so a few hundred forwards a molecule allow tens of moves. A redraw in random order
leaves the network's own distribution ``p`` invariant, so a chain samples ``p(x) exp(r(x) / beta)``;
at ``beta = 0`` its score never decreases. Two deviations, both with a measured benefit: moves may
change the length, and chains may be replaced by better ones. Since distinct novel molecules are
delivered, a chain never moves to a molecule that is not novel or is the state of another chain, and
a chain without a valid state accepts any valid proposal.

Reference: Gruver et al., "Protein design with guided discrete diffusion" (2023), for editing in
rounds; the Metropolis step on clean states follows "Clean-sample Markov chains" (CSMC).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from molgen.constraints.draw import restrained
from molgen.diffusion.plan import Ancestral
from molgen.discovery.moves import masked, masked_fragments, resized
from molgen.discovery.search_state import ScoredRows, Search
from molgen.errors import MolgenError
from molgen.molecules.parsing import mark_unique
from molgen.sampling.sampler import AnySampler, Given, Job, Samples
from molgen.sampling.settings import Settings
from molgen.utils.arguments import check_fields
from molgen.utils.arrays import Floats, Ids, Mask
from molgen.utils.randomness import SEGMENT, Use, used


@dataclass
class Chains:
    """The states of the chains, one a row.

    Attributes:
        tokens: ids with shape (rows, longest), padded.
        smiles: canonical SMILES, empty if invalid.
        fits: whether a row may be delivered: novel, and distinct from all rows before it.
        gains: shape (rows, objectives).
        nfe: forwards of each row so far, rejected moves included.
        classifier_nfe: forwards of a noisy classifier, in the same way.
    """

    tokens: Ids
    smiles: list[str]
    fits: Mask
    gains: Floats
    nfe: Ids
    classifier_nfe: Ids

    @classmethod
    def start(cls, search: Search, samples: Samples) -> Chains:
        """Return chains that start from samples."""
        scored = search.score_rows(samples)
        longest = max(samples.tokens.shape[1], int(search.model.prior.lengths.max()))
        room = longest - samples.tokens.shape[1]
        pad_id = search.model.denoiser.pad_id
        tokens = np.pad(samples.tokens, ((0, 0), (0, room)), constant_values=pad_id)
        fits = scored.fits & mark_unique(scored.smiles)
        costs = samples.nfe.copy(), samples.classifier_nfe.copy()
        return cls(tokens, scored.smiles, fits, scored.gains, *costs)

    def decide(self, proposals: ScoredRows, takes: Mask) -> None:
        """Accept or reject proposals, in order of the rows.

        Args:
            proposals: one for each of the first rows.
            takes: result of the acceptance test, shape (rows,).
        """
        states = {text for text, fits in zip(self.smiles, self.fits, strict=True) if fits}
        for i, text in enumerate(proposals.smiles):
            if not proposals.fits[i] or text in states or (self.fits[i] and not takes[i]):
                continue
            if self.fits[i]:
                states.discard(self.smiles[i])
            states.add(text)
            self.tokens[i], self.smiles[i] = proposals.tokens[i], text
            self.fits[i], self.gains[i] = True, proposals.gains[i]

    def exchange(self, search: Search, proposals: ScoredRows) -> None:
        """Continue with the best of rows and proposals; a proposal has the costs of its row.

        Args:
            search: with the score.
            proposals: one for each of the first rows.
        """
        own = slice(len(proposals.smiles))
        smiles = self.smiles + proposals.smiles
        fits = np.concatenate([self.fits, proposals.fits])
        fits &= mark_unique([text if ok else "" for text, ok in zip(smiles, fits, strict=True)])
        gains = np.concatenate([self.gains, proposals.gains])
        scores = np.where(fits, search.score(gains), -np.inf)
        best = np.argsort(-scores, kind="stable")[: len(self.smiles)]
        self.smiles = [smiles[i] for i in best]
        self.fits, self.gains = fits[best], gains[best]
        self.tokens = np.concatenate([self.tokens, proposals.tokens])[best]
        self.nfe = np.concatenate([self.nfe, self.nfe[own]])[best]
        self.classifier_nfe = np.concatenate([self.classifier_nfe, self.classifier_nfe[own]])[best]


def accepted(now: Floats, then: Floats, beta: float, u: Floats) -> Mask:
    """Return whether moves are accepted: with probability ``min(1, exp((then - now) / beta))``.

    Args:
        now: current scores, shape (rows,); minus infinity for invalid rows.
        then: scores of the proposals, same shape.
        beta: temperature; at 0 no lower score is accepted.
        u: uniforms in [0, 1), same shape.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        gain = np.where(then >= now, 0.0, then - now)
        return u < np.exp(gain / beta) if beta else gain == 0.0


@dataclass(frozen=True)
class Metropolis:
    """Metropolis chains until a budget ends.

    Attributes:
        beta: temperature of the acceptance, in units of the score: training standard deviations,
            or ranks; at 0 no lower score is accepted.
        low: smallest share of a row that a move masks.
        high: largest share.
        resize: probability that a move makes a row one token longer or shorter.
        steps: of the plan of a redraw; more cost more and reduce the dependence between tokens.
        exchange: whether each round continues with the best of rows and proposals together;
            ``beta`` is then unused.
        fragments: probability that a move of a molecule masks whole fragments, with the same
            share, instead of tokens (:mod:`molgen.discovery.moves`); for SMILES models.
    """

    beta: float = 0.0
    low: float = 0.1
    high: float = 0.5
    resize: float = 0.5
    steps: int = 4
    exchange: bool = False
    fragments: float = 0.0

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            MolgenError: naming the number that is out of range.
        """
        check_fields(self)
        if not (self.beta >= 0 and math.isfinite(self.beta)):
            raise MolgenError(f"beta is {self.beta}, expected at least 0 and finite")
        if not 0 < self.low <= self.high <= 1:
            raise MolgenError(
                f"low and high are {self.low} and {self.high}, expected 0 < low <= high <= 1"
            )
        for name in ("resize", "fragments"):
            if not 0 <= getattr(self, name) <= 1:
                raise MolgenError(f"{name} is {getattr(self, name)}, expected a number in [0, 1]")
        if not isinstance(self.steps, int) or self.steps < 1:
            raise MolgenError(f"steps is {self.steps!r}, expected a whole number of at least 1")

    def run(self, search: Search) -> str:
        """Draw and score until a budget ends; return the reason of the end.

        Raises:
            MolgenError: if the model is not a masked diffusion model, or fragments are to be
                redrawn and its representation is not SMILES.
        """
        search.check_masks()
        written = search.model.tokenizer.representation
        if self.fragments and written != "smiles":
            raise MolgenError(
                f"fragments is {self.fragments} with representation {written}, expected 0"
            )
        rows = min(search.n, search.left // search.max_row_forwards)
        if rows < 1:
            return search.out_of_forwards()
        chains = Chains.start(search, search.draw(rows, 0))
        move_forwards = self.steps * (2 if search.mixes else 1)
        round = 0
        with search.model.sampler(self.settings(search), search.recipe.targets) as sampler:
            while not (reason := search.ended()):
                round += 1
                rows = min(len(chains.smiles), search.left // move_forwards)
                if rows < 1:
                    return search.out_of_forwards()
                self._move(search, chains, sampler, rows, round)
        return reason

    def settings(self, search: Search) -> Settings:
        """Return the settings of a redraw: those of the search, with a plan of few steps."""
        return replace(
            search.recipe.settings,
            remask=Ancestral(),
            steps=self.steps,
            remask_weights=None,
            corrector=None,
            order=None,
            adapt=None,
        )

    def _move(
        self, search: Search, chains: Chains, sampler: AnySampler, rows: int, round: int
    ) -> None:
        """Propose a move for each of the first rows, and accept or reject it."""
        samples = self.redrawn(search, chains, sampler, rows, round)
        chains.nfe[:rows] += samples.nfe
        chains.classifier_nfe[:rows] += samples.classifier_nfe
        proposals = search.score_rows(samples, chains.nfe[:rows], chains.classifier_nfe[:rows])
        if self.exchange:
            chains.exchange(search, proposals)
            return
        scores = search.score(np.concatenate([chains.gains[:rows], proposals.gains]))
        u = used(search.seed, Use.ACCEPT, round, np.arange(rows))
        takes = accepted(scores[:rows], scores[rows:], self.beta, u)
        chains.decide(proposals, takes)

    def redrawn(
        self, search: Search, chains: Chains, sampler: AnySampler, rows: int, round: int
    ) -> Samples:
        """Return the first rows with a part of each redrawn."""
        tokens, numbers = chains.tokens[:rows], round * SEGMENT + np.arange(rows)
        pad_id = search.model.denoiser.pad_id

        def uniform(use: Use, *position: Ids) -> Floats:
            row = np.arange(rows)[:, None] if position else np.arange(rows)
            return used(search.seed, use, round, row, *position)

        part = self.low + (self.high - self.low) * uniform(Use.MOVE_PART)
        prior_draw = search.recipe.draw_prior(rows, search.seed, round * SEGMENT)
        given = self._masked(search, tokens, part, uniform)

        def by_tokens(which: Ids) -> Samples:
            condition = None if prior_draw.condition is None else prior_draw.condition[which]
            lengths, part = (given[which] != pad_id).sum(1), Given(given[which])
            job = Job(lengths, condition, search.seed, rows=numbers[which], given=part)
            return sampler.run(job, search.counting())

        if not self.fragments:
            return by_tokens(np.arange(rows))
        whole = uniform(Use.MOVE_KIND) < self.fragments
        texts = [text if cut else "" for text, cut in zip(chains.smiles, whole, strict=False)]
        longest = tokens.shape[1]
        index, ready = masked_fragments(
            search.model, prior_draw, texts, part, search.seed, numbers, longest
        )
        rest = np.setdiff1d(np.arange(rows), index)
        if not len(index):
            return by_tokens(rest)
        by_fragments = restrained(sampler, ready.rules).run(
            ready.job(search.seed), search.counting()
        )
        return _merged([(rest, by_tokens(rest)), (index, by_fragments)], (rows, longest), pad_id)

    def _masked(
        self, search: Search, tokens: Ids, part: Floats, uniform: Callable[..., Floats]
    ) -> Ids:
        """Return rows with a random part of each masked."""
        denoiser, longest = search.model.denoiser, tokens.shape[1]
        ids = denoiser.mask_id, denoiser.pad_id
        given = masked(tokens, part, uniform(Use.MOVE_POSITION, np.arange(longest)), *ids)
        u = uniform(Use.MOVE_LENGTH)
        change = np.where(u < self.resize, np.where(u < self.resize / 2, -1, 1), 0)
        return resized(given, change, uniform(Use.MOVE_PLACE), longest, *ids)


def _merged(parts: Sequence[tuple[Ids, Samples]], shape: tuple[int, int], pad_id: int) -> Samples:
    """Return samples of subsets of the rows as samples of all rows, shape (rows, longest)."""
    tokens = np.full(shape, pad_id, dtype=np.int64)
    costs = np.zeros((2, shape[0]), dtype=np.int64)
    for index, found in parts:
        tokens[index, : found.tokens.shape[1]] = found.tokens
        costs[:, index] = found.nfe, found.classifier_nfe
    return Samples(tokens, costs[0], None, costs[1])
