"""Correction during sampling: every few steps the network corrects the completed molecule.

    y <- x_t, its masks filled with the likeliest tokens
    y <- argmax p(x_0 | y) at every position, for a number of rounds
    x_t <- y where a token is placed; masks stay masks

The network must be trained to correct its own draws (:mod:`molgen.training.self_correction`): the
predictions of other networks for placed tokens are meaningless. The correction uses the condition
without further guidance. A row that has not changed since its last correction is skipped, since the
result would be the same. Taking the likeliest token instead of drawing one is not a step of the
posterior: marginals shift towards the modes.

Reference: Schiff et al., "Learn from your mistakes: self-correcting masked diffusion models"
(2026).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from molgen.errors import MolgenError
from molgen.guidance.predictor import Predictor
from molgen.utils.arrays import Floats, Ids, Mask


@dataclass(frozen=True)
class Corrector:
    """Frequency and length of the corrections.

    Attributes:
        every: steps of the plan between corrections.
        rounds: forwards over the filled molecule in each correction.
    """

    every: int = 8
    rounds: int = 1

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            MolgenError: if one is not a whole number of at least 1.
        """
        for name in ("every", "rounds"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise MolgenError(f"{name} is {value}, expected a whole number of at least 1")

    def due(self, steps: Ids) -> Mask:
        """Return the steps of a plan before which a correction is due, with the same shape."""
        return (steps > 0) & (steps % self.every == 0)


@dataclass(frozen=True)
class Corrected:
    """The result of a correction.

    Attributes:
        tokens: ids with shape (rows, longest); masked where they were masked.
        p: probability of each placed token given the others, same shape; 1 elsewhere.
        quality: output of the quality head for the filled rows, same shape, or None.
        forwards: of the network, shape (rows,).
        classifier_forwards: likewise.
    """

    tokens: Ids
    p: Floats
    quality: Floats | None
    forwards: Ids
    classifier_forwards: Ids


def correct(
    guided: Predictor,
    plain: Predictor,
    rounds: int,
    tokens: Ids,
    fixed: Mask,
    condition: NDArray[np.float32] | None,
    alpha_t: Floats,
    rows: Ids,
) -> Corrected:
    """Correct noised rows.

    Args:
        guided: fills the masks.
        plain: corrects the filled rows.
        rounds: number of forwards over the filled rows.
        tokens: ids with shape (rows, longest), padded.
        fixed: tokens that must not change, same shape.
        condition: property values with shape (rows, properties), NaN where left out, or None.
        alpha_t: fraction kept at the step of each row, shape (rows,).
        rows: sample index of each row, shape (rows,).
    """
    masked, real = tokens == guided.mask_id, tokens != guided.pad_id
    filled = tokens.copy()
    forwards, classifier_forwards = np.zeros((2, len(tokens)), dtype=np.int64)
    open_rows = np.flatnonzero(masked.any(1))
    if len(open_rows):
        part = None if condition is None else condition[open_rows]
        alpha = alpha_t[open_rows]
        found = guided(tokens[open_rows], masked[open_rows], part, alpha, rows[open_rows])
        filled[masked] = found.p.argmax(1)
        forwards[open_rows] = guided.forwards
        classifier_forwards[open_rows] = found.classifier_forwards
    free = real & ~fixed
    p, quality = np.ones(tokens.shape), None
    whole = np.ones(len(tokens))
    for _ in range(rounds):
        found = plain(filled, real, condition, whole, rows)
        likeliest = np.full(tokens.shape, guided.pad_id)
        likeliest[real] = found.p.argmax(1)
        filled = np.where(free, likeliest, filled)
        p[real] = found.p[np.arange(len(found.p)), filled[real]]
        quality = found.quality
        forwards += plain.forwards
    p[masked | ~real] = 1.0
    return Corrected(np.where(masked, tokens, filled), p, quality, forwards, classifier_forwards)


CORRECTORS: dict[str, type[Corrector] | None] = {"none": None, "likeliest": Corrector}
