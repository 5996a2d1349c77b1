"""Properties of given molecules, in any form."""

from __future__ import annotations

from typing import Any

from molgen.api.goals import PropertiesLike, columns_of
from molgen.api.molecules import MoleculesLike, read_molecules
from molgen.molecules.fate import Fate, Ledger
from molgen.molecules.parsing import interpret_all
from molgen.sampling.result import Result
from molgen.utils.numbers import whole
from property_models import compute as values_of


def compute(
    molecules: MoleculesLike,
    properties: PropertiesLike,
    *,
    column: str | None = None,
    workers: int = 1,
) -> Result[Ledger]:
    """Compute properties of molecules.

    A property is named: a descriptor such as ``qed``, ``rdkit:NAME``, ``similarity:SMILES``,
    ``count:SMARTS``, ``has:SMARTS``, the folder of a fitted property, ``file.py:function``; or is a
    function of an RDKit molecule, or one of a list of SMILES (:func:`molgen.vectorised`).

        molgen.compute(["CCO", "c1ccccc1"], ["qed", "logp", my_function])

    Args:
        molecules: SMILES or RDKit molecules, one or several, a result, a table, or a file.
        properties: names or functions.
        column: of the SMILES in a file or a table; None for the usual ones.
        workers: number of processes.

    Returns:
        A row for each molecule with ``raw``, ``smiles``, ``status`` and a column for each property,
        NaN for what is no molecule.

    Raises:
        MolgenError: if a property is unknown, or molecules cannot be read.
    """
    import pandas as pd

    names = columns_of(properties)
    read = read_molecules(molecules, column=column)
    rows = interpret_all(read.raw, whole("workers", workers))
    columns: dict[str, Any] = {
        "raw": read.raw,
        "smiles": [row.smiles for row in rows],
        "status": [str(row.status) for row in rows],
    }
    found = values_of(names, columns["smiles"], workers)
    table = pd.DataFrame({**columns, **found})
    counts = Ledger(drawn=len(rows))
    counts.fates[str(Fate.ACCEPTED)] = sum(row.ok for row in rows)
    counts.fates[str(Fate.INVALID)] = len(rows) - counts.accepted
    return Result(table, counts, len(rows), request=names)
