"""Odds: how probable a row is to meet what is asked for, as a guide of noised rows tells it.

A guide has learned ``p(y | x_t)`` from data. Asked of a finished row it is an estimate of the
properties that takes a forward and computes none of them; asked of a row with masks it says what
may still become of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch

from molgen.guidance.classifier import PropertyClassifier, classifier_of
from molgen.nn.denoiser import noise_of
from molgen.nn.shards import shards
from molgen.targets import Target
from molgen.utils.arrays import Floats, Ids

if TYPE_CHECKING:
    from molgen.model import Model
    from molgen.settings import Settings


class Odds:
    """Says how probable rows are to meet what is asked for; a forward of the guide for each."""

    def __init__(self, guide: PropertyClassifier, pad_id: int, mask_id: int) -> None:
        self._guide, self._pad_id, self._mask_id = guide, pad_id, mask_id

    @torch.inference_mode()
    def __call__(self, tokens: Ids) -> Floats:
        """Return ``log p(y | x_t)`` of each row, shape (rows,).

        Args:
            tokens: ids with shape (rows, longest), padded; masks where something is open.
        """
        lengths = (tokens != self._pad_id).sum(1)
        ids = torch.from_numpy(tokens)
        alpha = torch.from_numpy(1 - (tokens == self._mask_id).sum(1) / lengths)
        found = np.zeros(len(tokens))
        for rows in shards(lengths, self._guide.device):
            found[rows] = self._guide(ids[rows, : lengths[rows[0]]], alpha[rows]).numpy()
        return found


def odds(
    model: Model,
    settings: Settings,
    targets: Mapping[str, Target],
    weights: Mapping[str, float] | None = None,
) -> Odds:
    """Return what a model's guide says of rows.

    Args:
        model: with its guide.
        settings: where the guide runs, and which it is where guidance is done by one.
        targets: what is asked for.
        weights: of the targets' log-probabilities; all alike if left out.

    Raises:
        ValueError: if there is no guide, it does not tell what is asked for, or it reads prefixes.
    """
    if noise_of(model.denoiser) == "none":
        raise ValueError(
            f"the guide of model {model.name!r} reads prefixes, expected one of noised rows: what "
            "it says of a row supposes that it goes on"
        )
    classifier = classifier_of(model, settings, targets, weights or {})
    return Odds(classifier, model.denoiser.pad_id, model.denoiser.mask_id)
