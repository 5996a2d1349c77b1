"""Metrics of one list of molecules under every convention.

A row counts differently under each convention, so every number has the name of its convention
(:mod:`molgen.molecules.conventions`). A convention also defines the set of rows whose diversity,
filters and similarity to a reference are measured (:mod:`molgen.molecules.distribution`):

==========  ======================================================================================
convention  the set
==========  ======================================================================================
strict      its unique rows: each molecule once
paper       its unique rows: each string once
inchikey    none: counts only
moses       all valid rows, duplicates included, as in MOSES
guacamol    none: counts only
==========  ======================================================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from molgen.errors import MolgenError
from molgen.molecules import fcd
from molgen.molecules.conventions import (
    CONVENTIONS,
    GUACAMOL,
    INCHIKEY,
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
    """Inputs of the Fréchet ChemNet distance in addition to the molecules."""

    reference: fcd.Moments | None
    """Of the reference set; None if it has fewer than two molecules."""
    activations: fcd.Activations
    """Of the network (:func:`molgen.nn.chemnet.chemnet`)."""


def evaluate(
    molecules: Sequence[Molecule],
    conventions: Sequence[Convention] | None = None,
    known: TrainingIndex | None = None,
    reference: Reference | None = None,
    processes: int = 1,
    progress: str = "",
    chemnet: ChemNet | None = None,
    counts_only: bool = False,
) -> dict[str, Metrics]:
    """Return the metrics of a list of rows by several conventions.

    Args:
        molecules: one a row, in the order of the draws, invalid ones included.
        conventions: of counting; None for all, without that of InChIKeys if the index has none.
        known: index of the molecules given to training, for novelty.
        reference: from :func:`molgen.molecules.distribution.describe`, for SNN, Frag and Scaf.
        processes: number of processes for chemistry; the numbers do not depend on it.
        progress: label of progress bars; empty for none.
        chemnet: for FCD; None omits it.
        counts_only: omit the metrics of sets, whose time is quadratic in the number of rows.

    Returns:
        By convention and metric. None is an undefined value, such as novelty without an index, and
        becomes null in JSON. ``strict``, ``inchikey``, ``paper`` and ``guacamol`` have the keys of
        :meth:`molgen.molecules.conventions.Count.rates`, ``inchikey`` also ``no_inchikey``, the
        number of molecules without one; ``moses`` has ``valid``, ``unique@1000``, ``unique@10000``
        and, with an index, ``Novelty``. ``strict``, ``paper`` and ``moses`` also have those of
        :data:`molgen.molecules.distribution.METRICS`, and ``FCD`` if requested.

    Raises:
        MolgenError: if there are no rows, or the index lacks InChIKeys and ``inchikey`` is among
            the conventions.
    """
    if not molecules:
        raise MolgenError("molecules is empty, expected at least one row")
    if conventions is None:
        keyless = known is not None and known.inchi_keys is None
        conventions = [c for c in CONVENTIONS.values() if not (keyless and c is INCHIKEY)]
    counts = {c.name: count(molecules, c, known, processes) for c in conventions}
    result = {name: _counts(counted) for name, counted in counts.items()}
    if not counts_only:
        sets = {
            name: counted.valid if counted.convention is MOSES else counted.unique
            for name, counted in counts.items()
            if counted.convention not in (GUACAMOL, INCHIKEY)
        }
        measured = measure(molecules, sets, reference, processes, progress, chemnet)
        for name, found in measured.items():
            result[name] |= found
    if INCHIKEY.name in counts:
        readable = sum(molecule.ok for molecule in molecules)
        result[INCHIKEY.name]["no_inchikey"] = readable - int(counts[INCHIKEY.name].valid.sum())
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
    """Return the metrics of several sets of rows; each molecule is featurised once.

    Args:
        molecules: one a row.
        sets: mask of the rows in each set, with shape (rows,); repetitions count.
        reference: see :func:`evaluate`.
        processes: see :func:`evaluate`.
        progress: see :func:`evaluate`.
        chemnet: see :func:`evaluate`.
    """
    smiles, weights = _distinct(molecules, sets)
    if not smiles:
        names = METRICS if chemnet is None else (*METRICS, "FCD")
        return {name: dict.fromkeys(names) for name in sets}
    features = featurise(smiles, processes, progress)
    found = dict(zip(sets, set_metrics(features, weights, reference, progress), strict=True))
    if chemnet is not None:
        label = f"{progress} FCD" if progress else ""
        of_sets = fcd.moments(smiles, weights, chemnet.activations, label)
        for metrics, moments in zip(found.values(), of_sets, strict=True):
            comparable = moments is not None and chemnet.reference is not None
            metrics["FCD"] = fcd.distance(moments, chemnet.reference) if comparable else None  # type: ignore[arg-type]
    return found


def _counts(counted: Count) -> Metrics:
    if counted.convention is MOSES:
        return {"valid": counted.rates()["valid"], **uniqueness(counted)}
    return counted.rates()


def _distinct(molecules: Sequence[Molecule], sets: dict[str, Marks]) -> tuple[list[str], Weights]:
    """Return the distinct molecules of all sets, and their multiplicity in each set."""
    wanted = np.any(list(sets.values()), axis=0) if sets else np.zeros(len(molecules), bool)
    rows = np.flatnonzero(wanted).tolist()
    # MOSES also counts rows of several fragments, of which a Molecule has no canonical SMILES
    texts = [molecules[i].smiles or canonical(molecules[i].raw) for i in rows]
    place = {text: i for i, text in enumerate(dict.fromkeys(texts))}
    at = np.array([place[text] for text in texts], dtype=np.int64)
    weights = [np.bincount(at[marks[rows]], minlength=len(place)) for marks in sets.values()]
    return list(place), np.array(weights, dtype=np.int64).reshape(len(sets), len(place))
