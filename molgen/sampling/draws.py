"""Draws of several tokens after one forward: independent, well-formed or joint.

    product   every token from its marginal                                     no dependence
    grammar   jointly, conditioned on a language of well-formed texts            exact structure
    block     jointly, by a causal block trained for it                         learned dependence

All of them are a distribution over the masked tokens of rows, with marginals that an unmasking
order reads, and draws of any subset of the tokens. A block and a grammar combine: each token of the
block is weighted by the completions in the language (:mod:`molgen.guidance.grammar_walk`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from molgen.guidance.joint_predictor import JointStep
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


def predict(
    predictor: Predictor,
    language: Language | None,
    tokens: Ids,
    place: Mask | None,
    condition: NDArray[np.float32] | None,
    alpha_t: Floats,
    index: Ids,
) -> Draws:
    """Run the network; return the distribution of the masked tokens.

    Args:
        predictor: the network with its guidance; a joint one draws jointly.
        language: of the texts to draw; None for any text.
        tokens: noised ids with shape (rows, longest), padded.
        place: the tokens to draw if they are known, same shape; None for any masked ones.
        condition: property values with shape (rows, properties), NaN where left out.
        alpha_t: fraction kept at the step of each row, shape (rows,).
        index: sample index of each row, shape (rows,).
    """
    masked = tokens == predictor.mask_id
    joint = getattr(predictor, "begin", None)
    if joint is not None:
        wanted = masked if place is None else place
        found: JointStep = joint(tokens, wanted, condition, alpha_t, index, language)
        return found
    wanted = place if place is not None and language is None else masked
    prediction = predictor(tokens, wanted, condition, alpha_t, index)
    if language is None:
        return Product(prediction, wanted)
    p = spread(prediction.p, masked)
    return WellFormed(prediction, masked, language.given(tokens, masked, p))
