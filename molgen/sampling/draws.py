"""Draws of several tokens after one forward: independent, well-formed or joint.

    product   every token from its marginal                                     no dependence
    grammar   jointly, conditioned on a language of well-formed texts            exact structure
    block     jointly, by a causal block trained for it                         learned dependence

All of them are a distribution over the masked tokens of rows, with marginals that an unmasking
order reads, and draws of any subset of the tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from molgen.errors import MolgenError
from molgen.guidance.joint_predictor import JointPredictor, JointStep
from molgen.guidance.predictor import Prediction, Predictor
from molgen.guidance.smiles_grammar import Completions, Language, spread
from molgen.utils.arrays import Floats, Ids, Mask
from molgen.utils.randomness import inverse_cdf


class Draws(Protocol):
    """The distribution of the masked tokens of rows after a forward."""

    @property
    def quality(self) -> Floats | None:
        """Output of the quality head; see :class:`molgen.guidance.predictor.Prediction`."""
        ...

    @property
    def delta(self) -> Floats | None:
        """Attribution; likewise."""
        ...

    @property
    def classifier_forwards(self) -> Ids:
        """Classifier forwards of each row, shape (rows,)."""
        ...

    def marginals(self) -> Floats:
        """Return the distribution of each token, shape (rows, longest, vocab)."""
        ...

    def draw(self, place: Mask, quantile: Floats) -> tuple[Ids, Floats]:
        """Draw some of the tokens.

        Args:
            place: the tokens to draw, shape (rows, longest).
            quantile: of each token in its distribution, in [0, 1), same shape.

        Returns:
            Tokens and their probabilities, both with the shape of ``place``; 0 elsewhere.
        """
        ...


@dataclass(frozen=True)
class _Predicted:
    """A distribution that is computed from a prediction.

    Attributes:
        found: the prediction at the wanted positions.
        wanted: those positions, shape (rows, longest).
    """

    found: Prediction
    wanted: Mask

    @property
    def quality(self) -> Floats | None:
        return self.found.quality

    @property
    def delta(self) -> Floats | None:
        return self.found.delta

    @property
    def classifier_forwards(self) -> Ids:
        return self.found.classifier_forwards

    def _p(self) -> Floats:
        return spread(self.found.p, self.wanted)


@dataclass(frozen=True)
class Product(_Predicted):
    """Independent tokens."""

    def marginals(self) -> Floats:
        """See :class:`Draws`."""
        return self._p()

    def draw(self, place: Mask, quantile: Floats) -> tuple[Ids, Floats]:
        """See :class:`Draws`."""
        token, psi = np.zeros(place.shape, dtype=np.int64), np.zeros(place.shape)
        p = self.found.p[place[self.wanted]]
        drawn = inverse_cdf(p, quantile[place])
        token[place], psi[place] = drawn, p[np.arange(len(drawn)), drawn]
        return token, psi


@dataclass(frozen=True)
class WellFormed(_Predicted):
    """Tokens of well-formed texts.

    Attributes:
        completions: the prediction conditioned on a language.
    """

    completions: Completions

    def marginals(self) -> Floats:
        """See :class:`Draws`."""
        return self.completions.marginals()

    def draw(self, place: Mask, quantile: Floats) -> tuple[Ids, Floats]:
        """See :class:`Draws`."""
        return self.completions.draw(place, quantile)
