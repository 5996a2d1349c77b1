"""What the molecules of a report are compared with: a model's training set, or given molecules."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from molgen.checkpoints.files import INDEX, PRIOR, find
from molgen.checkpoints.folder import read_info
from molgen.checkpoints.info import home
from molgen.data.prior import Prior
from molgen.molecules.training_index import TrainingIndex
from molgen.reports.data import Distribution
from molgen.reports.rows import COMPUTED
from property_models import compute

SAMPLED = 5_000
"""Molecules of a reference whose properties are computed: about 2 ms each."""


def of_folder(folder: Path, label: str) -> tuple[Distribution, TrainingIndex | None]:
    """Return the distributions and the index of a model's training set, without its network.

    Args:
        folder: of the model.
        label: of the distributions.

    Raises:
        MolgenError: if a file is damaged.
        OSError: if one cannot be opened.
    """
    place = home(folder, read_info(folder))
    index = find(place, INDEX)
    return (
        of_prior(Prior.load(place / PRIOR), label),
        TrainingIndex.load(index) if index.is_file() else None,
    )


def of_prior(prior: Prior, label: str) -> Distribution:
    """Return the distributions of a model's training set."""
    values = dict(zip(prior.properties, prior.values.T, strict=True))
    return Distribution(label, values, prior.weight)


def of_molecules(smiles: Sequence[str], label: str, workers: int = 1) -> Distribution:
    """Return the distributions of given molecules, of a random sample if there are many.

    Args:
        smiles: of the molecules.
        label: of the distributions.
        workers: number of processes.
    """
    chosen = np.random.default_rng(0).permutation(len(smiles))[:SAMPLED]
    sample = [smiles[i] for i in sorted(chosen.tolist())]
    if len(sample) < len(smiles):
        label = f"{label}, {len(sample):,} of {len(smiles):,} molecules"
    values = compute(COMPUTED, sample, workers, "properties of the reference")
    return Distribution(label, values, np.ones(len(sample)), trained=False)
