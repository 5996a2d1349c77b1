"""Target probability: the probability, by a noisy classifier, that a row meets the targets.

A noisy classifier has learned ``p(y | x_t)`` from data. On a finished row it estimates whether the
properties meet the targets, with one forward and without computing them; on a row with masks it
predicts the same for the completed row.
"""

from __future__ import annotations

import numpy as np
import torch

from molgen.guidance.classifier import PropertyClassifier
from molgen.nn.micro_batches import micro_batches
from molgen.utils.arrays import Floats, Ids


class TargetProbability:
    """The probability that rows meet the targets; one forward of the classifier for each."""

    def __init__(self, classifier: PropertyClassifier, pad_id: int, mask_id: int) -> None:
        self._classifier, self._pad_id, self._mask_id = classifier, pad_id, mask_id

    @torch.inference_mode()
    def __call__(self, tokens: Ids) -> Floats:
        """Return ``log p(y | x_t)`` of each row, shape (rows,).

        Args:
            tokens: ids with shape (rows, longest), padded, possibly with masks.
        """
        lengths = (tokens != self._pad_id).sum(1)
        ids = torch.from_numpy(tokens)
        alpha = torch.from_numpy(1 - (tokens == self._mask_id).sum(1) / lengths)
        found = np.zeros(len(tokens))
        for rows in micro_batches(lengths, self._classifier.device):
            found[rows] = self._classifier(ids[rows, : lengths[rows[0]]], alpha[rows]).numpy()
        return found
