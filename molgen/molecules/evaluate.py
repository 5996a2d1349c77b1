"""Every convention's metrics of one list of molecules, side by side.

One row written by a network counts differently under each convention, so no number is given without
the name of its convention (:mod:`molgen.molecules.conventions`). A convention also says which rows
are the set whose diversity, filters and likeness to a reference are measured
(:mod:`molgen.molecules.distribution`):

==========  ======================================================================================
convention  the set
==========  ======================================================================================
strict      its unique rows: each molecule once
paper       its unique rows: each spelling once
moses       all valid rows, duplicates included, as MOSES has it
guacamol    none: counts only
==========  ======================================================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from molgen.molecules import fcd
from molgen.molecules.conventions import (
    CONVENTIONS,
    GUACAMOL,
    MOSES,
    Convention,
    Count,
    Marks,
    count,
)
from molgen.molecules.distribution import METRICS, Reference, Weights, featurise, set_metrics
from molgen.molecules.moses_metrics import uniqueness
from molgen.molecules.parsing import Molecule, canonical
from molgen.molecules.training_index import TrainingIndex

Metrics = dict[str, float | int | None]


@dataclass(frozen=True, eq=False)
class ChemNet:
    """What the Fréchet ChemNet distance needs beside the molecules themselves."""

    reference: fcd.Moments | None
    """Of the reference set; None if it has fewer than two molecules."""
    activations: fcd.Activations
    """Of the network (:func:`molgen.nn.chemnet.chemnet`)."""


def evaluate(
    molecules: Sequence[Molecule],
    conventions: Sequence[Convention] = tuple(CONVENTIONS.values()),
    known: TrainingIndex | None = None,
    reference: Reference | None = None,
    processes: int = 1,
    progress: str = "",
    chemnet: ChemNet | None = None,
    counts_only: bool = False,
) -> dict[str, Metrics]:
    """Return the metrics of a list of rows by several conventions.

    Args:
        molecules: one a row, in the order they were drawn, invalid ones included.
        conventions: which ones.
        known: the molecules given to training, for novelty.
        reference: from :func:`molgen.molecules.distribution.describe`, for SNN, Frag and Scaf.
        processes: how many processes share the chemistry; the numbers do not depend on it.
        progress: label of progress bars; empty for none.
        chemnet: to have FCD too.
        counts_only: leave out the metrics of sets, whose time grows as the square of the rows.

    Returns:
        By convention and metric. None stands for what is not defined, such as novelty without known
        molecules, and becomes null in JSON. ``strict``, ``paper`` and ``guacamol`` have the keys of
        :meth:`molgen.molecules.conventions.Count.rates`, ``moses`` has ``valid``, ``unique@1000``,
        ``unique@10000`` and, with known molecules, ``Novelty``; all but ``guacamol`` also have
        those of :data:`molgen.molecules.distribution.METRICS`, and ``FCD`` if asked for.

    Raises:
        ValueError: if there are no rows, of which nothing can be said.
    """
    if not molecules:
        raise ValueError("molecules is empty, expected at least one row")
    counts = {c.name: count(molecules, c, known) for c in conventions}
    result = {name: _counts(counted) for name, counted in counts.items()}
    if not counts_only:
        sets = {
            name: counted.valid if counted.convention is MOSES else counted.unique
            for name, counted in counts.items()
            if counted.convention is not GUACAMOL
        }
        measured = measure(molecules, sets, reference, processes, progress, chemnet)
        for name, found in measured.items():
            result[name] |= found
    if MOSES.name in counts and known is not None:
        result[MOSES.name]["Novelty"] = counts[MOSES.name].rates()["novel"]
    return result


def measure(
    molecules: Sequence[Molecule],
    sets: dict[str, Marks],
    reference: Reference | None = None,
    processes: int = 1,
    progress: str = "",
    chemnet: ChemNet | None = None,
) -> dict[str, dict[str, float | None]]:
    """Return the metrics of several sets of rows, each molecule being worked out once.

    Args:
        molecules: one a row.
        sets: which rows are in each set, with shape (rows,); repetitions count.
        reference: see :func:`evaluate`.
        processes: see :func:`evaluate`.
        progress: see :func:`evaluate`.
        chemnet: see :func:`evaluate`.
    """
    smiles, weights = _distinct(molecules, sets)
    if not smiles:
        names = METRICS if chemnet is None else (*METRICS, "FCD")
        return {name: dict.fromkeys(names) for name in sets}
    portraits = featurise(smiles, processes, progress)
    found = dict(zip(sets, set_metrics(portraits, weights, reference, progress), strict=True))
    if chemnet is not None:
        label = f"{progress} FCD" if progress else ""
        mine = fcd.moments(smiles, weights, chemnet.activations, label)
        for metrics, moments in zip(found.values(), mine, strict=True):
            comparable = moments is not None and chemnet.reference is not None
            metrics["FCD"] = fcd.distance(moments, chemnet.reference) if comparable else None  # type: ignore[arg-type]
    return found


def _counts(counted: Count) -> Metrics:
    if counted.convention is MOSES:
        return {"valid": counted.rates()["valid"], **uniqueness(counted)}
    return counted.rates()


def _distinct(molecules: Sequence[Molecule], sets: dict[str, Marks]) -> tuple[list[str], Weights]:
    """Return the distinct molecules of all sets, and how often each is in each of them."""
    wanted = np.any(list(sets.values()), axis=0) if sets else np.zeros(len(molecules), bool)
    rows = np.flatnonzero(wanted).tolist()
    # MOSES also counts what has several fragments, of which a Molecule keeps no canonical form
    texts = [molecules[i].smiles or canonical(molecules[i].raw) for i in rows]
    place = {text: i for i, text in enumerate(dict.fromkeys(texts))}
    at = np.array([place[text] for text in texts], dtype=np.int64)
    weights = [np.bincount(at[marks[rows]], minlength=len(place)) for marks in sets.values()]
    return list(place), np.array(weights, dtype=np.int64).reshape(len(sets), len(place))
