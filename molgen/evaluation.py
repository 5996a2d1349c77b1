"""Every convention's metrics of one set of molecules, side by side.

One row written by a network counts differently under each convention, so no number is given without
the name of its convention (:mod:`molgen.metrics`, :mod:`molgen.moses`).
"""

from __future__ import annotations

from collections.abc import Sequence

from molgen.known import KnownMolecules
from molgen.metrics import CONVENTIONS, MOSES, Convention, count
from molgen.molecules import Molecule
from molgen.moses import Described, moses_metrics


def evaluate(
    molecules: Sequence[Molecule],
    conventions: Sequence[Convention] = tuple(CONVENTIONS.values()),
    known: KnownMolecules | None = None,
    reference: Described | None = None,
    processes: int = 1,
    progress: str = "",
) -> dict[str, dict[str, float | int | None]]:
    """Return the metrics of a set of rows by several conventions.

    Args:
        molecules: one a row, in the order they were drawn, invalid ones included.
        conventions: which ones.
        known: the molecules given to training, for novelty.
        reference: from :func:`molgen.moses.describe`, for SNN, Frag and Scaf.
        processes: how many processes share the chemistry.
        progress: label of a progress bar; empty for none.

    Returns:
        By convention and metric. None stands for what is not defined, such as novelty without
        known molecules, and becomes null in JSON. ``strict``, ``paper`` and ``guacamol`` have the
        keys of :meth:`molgen.metrics.Count.rates`, ``moses`` those of
        :func:`molgen.moses.moses_metrics`.

    Raises:
        ValueError: if there are no rows, of which nothing can be said.
    """
    if not molecules:
        raise ValueError("molecules is empty, expected at least one row")
    result: dict[str, dict[str, float | int | None]] = {}
    for convention in conventions:
        if convention is MOSES:
            metrics = moses_metrics(molecules, reference, known, processes, progress)
            result[convention.name] = {**metrics}
        else:
            result[convention.name] = count(molecules, convention, known).rates()
    return result
