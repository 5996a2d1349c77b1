"""Walkers: the rows that a Metropolis search moves, what each is now, and what it has cost.

A walker is to become a molecule that may be delivered and that no other walker holds; until it is
one, it takes any move that is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from molgen.molecules.parsing import mark_unique
from molgen.sampling.sampler import Samples
from molgen.search import Judged, Search
from molgen.utils.arrays import Floats, Ids, Mask


@dataclass
class Walkers:
    """Rows that move.

    Attributes:
        tokens: ids with shape (rows, longest), padded.
        smiles: canonical SMILES, empty for no molecule.
        fits: whether a row may be delivered: new, and held by no row before it.
        gains: shape (rows, objectives).
        nfe: forwards of each row so far, its refused moves included.
        classifier_nfe: forwards of a guide, likewise.
    """

    tokens: Ids
    smiles: list[str]
    fits: Mask
    gains: Floats
    nfe: Ids
    classifier_nfe: Ids

    @classmethod
    def start(cls, search: Search, samples: Samples) -> Walkers:
        """Return rows as they were first drawn."""
        judged = search.judge(samples)
        longest = max(samples.tokens.shape[1], int(search.model.prior.lengths.max()))
        room = longest - samples.tokens.shape[1]
        pad_id = search.model.denoiser.pad_id
        tokens = np.pad(samples.tokens, ((0, 0), (0, room)), constant_values=pad_id)
        fits = judged.fits & mark_unique(judged.smiles)
        costs = samples.nfe.copy(), samples.classifier_nfe.copy()
        return cls(tokens, judged.smiles, fits, judged.gains, *costs)

    def decide(self, proposals: Judged, takes: Mask) -> None:
        """Take moves, in order of the rows.

        Args:
            proposals: one for each of the first rows.
            takes: whether each would take its move, shape (rows,).
        """
        held = {text for text, fits in zip(self.smiles, self.fits, strict=True) if fits}
        for i, text in enumerate(proposals.smiles):
            if not proposals.fits[i] or text in held or (self.fits[i] and not takes[i]):
                continue
            if self.fits[i]:
                held.discard(self.smiles[i])
            held.add(text)
            self.tokens[i], self.smiles[i] = proposals.tokens[i], text
            self.fits[i], self.gains[i] = True, proposals.gains[i]

    def exchange(self, search: Search, proposals: Judged) -> None:
        """Let the best of rows and moves go on; what a move has cost is its row's forwards so far.

        Args:
            search: says what is best.
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
    """Return whether moves are taken: with probability ``min(1, exp((then - now) / beta))``.

    Args:
        now: scores, shape (rows,); anything is better than minus infinity.
        then: scores of the moves, same shape.
        beta: temperature; at 0 nothing worse is taken.
        u: uniforms in [0, 1), same shape.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        gain = np.where(then >= now, 0.0, then - now)
        return u < np.exp(gain / beta) if beta else gain == 0.0
