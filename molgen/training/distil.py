"""Distilling a property predictor into a noisy classifier: its training molecules and labels.

    drawn from the model, unguided -> the predicted value   (without the predictor's test molecules)
    measured, training and calibration parts -> the measured value

The predictor's test molecules are excluded, and with a scaffold split every drawn molecule with one
of their ring systems, so that the test remains independent of the classifier. Molecules that the
network cannot represent are excluded and counted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from molgen.checkpoints.folder import save_network
from molgen.data.dataset import TokenDataset
from molgen.diffusion.plan import Ancestral
from molgen.errors import MolgenError
from molgen.model import Model
from molgen.nn.denoiser import noise_of
from molgen.training.classifier import default_config, train_classifier
from molgen.training.state import remove
from property_models.classifiers.network import NoisyClassifier
from property_models.learned.calibration import errors
from property_models.learned.measured import Measured
from property_models.learned.splits import Kind, Split, scaffold
from property_models.registry import compute

ROUND = 512  # molecules drawn at a time, between updates of a progress bar


@dataclass(frozen=True)
class Labelled:
    """Labelled molecules for a classifier.

    Attributes:
        data: their tokens and values.
        counts: ``drawn``, of those ``distinct`` valid molecules, ``withheld`` (too similar to the
            predictor's test molecules), ``measured`` (from the user's table), ``unspelled`` (not in
            the network's vocabulary or too long), and ``molecules``, the remaining ones.
    """

    data: TokenDataset
    counts: dict[str, int]


def label(
    model: Model,
    predictor: str,
    measured: Measured,
    split: Split,
    kind: Kind,
    drawn: list[str],
    seed: int = 0,
) -> Labelled:
    """Label molecules for a classifier.

    Args:
        model: from which the molecules were drawn; the classifier has its tokens.
        predictor: name of the property for :func:`property_models.get` and the classifier.
        measured: the molecules that the predictor was fitted on.
        split: their training, calibration and test parts.
        kind: of that split.
        drawn: canonical SMILES, one a draw, empty if invalid.
        seed: of the held-out part.

    Raises:
        MolgenError: if no molecule is left.
    """
    distinct = list(dict.fromkeys(text for text in drawn if text))
    fitted = (*split.train, *split.calibration)
    labelled = {measured.smiles[i]: float(measured.values[i]) for i in fitted}
    new = [text for text in distinct if text not in labelled]
    allowed = _without_test(new, {measured.smiles[i] for i in split.test}, kind)
    values = dict(zip(allowed, compute([predictor], allowed)[predictor].tolist(), strict=True))
    encoded, column = [], []
    for text, value in {**labelled, **values}.items():
        ids = _encode(model, text)
        if ids is not None and math.isfinite(value):
            encoded.append(ids)
            column.append(value)
    counts = {
        "drawn": len(drawn),
        "distinct": len(distinct),
        "withheld": len(new) - len(allowed),
        "measured": len(labelled),
        "unspelled": len(labelled) + len(values) - len(encoded),
        "molecules": len(encoded),
    }
    if not encoded:
        raise MolgenError(f"no molecule is left to train a classifier on ({counts})")
    tokenizer = model.tokenizer
    data = TokenDataset.build(
        encoded, {predictor: np.array(column)}, tokenizer.vocab, tokenizer.representation, seed
    )
    return Labelled(data, counts)


def draw(
    model: Model, n: int, seed: int, on_drawn: Callable[[int], None] = lambda n: None
) -> list[str]:
    """Draw molecules unguided; return canonical SMILES, empty for an invalid row.

    There is no remasking, which takes a quarter of the forwards: a classifier needs many molecules
    rather than good ones.
    """
    options: dict[str, Any] = {"seed": seed, "remask": Ancestral(), "remask_weights": None}
    found: list[str] = []
    while len(found) < n:
        size = min(ROUND, n - len(found))
        found += model.sample(size, first=len(found), **options)["smiles"].tolist()
        on_drawn(size)
    return found


def train(
    labelled: Labelled,
    model: Model,
    folder: str | Path,
    epochs: float,
    sizes: Mapping[str, int] | None = None,
    progress: bool = True,
) -> NoisyClassifier:
    """Train a classifier for the model's noise and save it in a folder.

    Args:
        labelled: its training data.
        model: to be guided.
        folder: for the classifier.
        epochs: passes over the molecules.
        sizes: of the network; by default those of :mod:`property_models.classifiers.network`.
        progress: show progress.
    """
    kind, folder = noise_of(model.denoiser), Path(folder)
    classifier = train_classifier(
        labelled.data, folder, kind, default_config(epochs), progress, False, sizes
    )
    save_network(classifier, folder)
    remove(folder)
    return classifier


def agreement(classifier: NoisyClassifier, data: TokenDataset) -> dict[str, float]:
    """Return the accuracy of a classifier on clean held-out molecules.

    Returns:
        ``molecules`` held out, and the ``spearman`` correlation of the expected value (bins'
        centres weighted by probability) with the labels.
    """
    import torch

    rows = np.flatnonzero(data.held_out)
    if not len(rows):
        return {"molecules": 0}
    edges = classifier.bins[0].edges
    centres = torch.from_numpy((edges[:-1] + edges[1:]) / 2)
    ids = torch.from_numpy(data.tokens[rows].astype(np.int64))
    if classifier.noise == "none":
        ids = torch.cat([torch.full((len(ids), 1), data.mask_id), ids], dim=1)
    expected: list[NDArray[np.float64]] = []
    with torch.no_grad():
        for part in ids.split(ROUND):
            alpha = torch.ones(len(part)) if classifier.time_input else None
            p = classifier.log_prob(part, alpha)[:, 0, : len(centres)].double().exp()
            expected.append((p @ centres).numpy())
    found = errors(data.values[rows, 0].astype(np.float64), np.concatenate(expected))
    return {"molecules": len(rows), "spearman": found["spearman"]}


def _without_test(smiles: list[str], test: set[str], kind: Kind) -> list[str]:
    """Return the molecules that are independent of the predictor's test molecules."""
    rings = {scaffold(text) for text in test} if kind == "scaffold" else set()
    left = [text for text in smiles if text not in test]
    return [text for text in left if scaffold(text) not in rings] if rings else left


def _encode(model: Model, smiles: str) -> list[int] | None:
    """Return the ids of a molecule, or None if the network cannot represent it."""
    try:
        ids = model.tokenizer.encode(model.tokenizer.text(smiles))
    except ValueError:  # an unknown token, or no SELFIES
        return None
    return ids if len(ids) <= model.denoiser.max_length else None
