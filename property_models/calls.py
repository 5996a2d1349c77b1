"""One call of a user's function: each molecule gets a number, or a message why it has none.

A function of one molecule is called for each, with a molecule of its own. A vectorised function is
called once for all of them; a mistake of the whole call is one message in place of the outcomes,
since it may be due to any of its molecules.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from rdkit import Chem

from molgen.molecules.logs import quiet
from molgen.molecules.parsing import parse

Outcome = float | str | None
"""A finite number, the message of a failure, or None for what is not a molecule."""


def call(
    function: Callable[[Any], Any], batched: bool, items: Sequence[str | Chem.Mol]
) -> list[Outcome] | str:
    """Call a user's function.

    Args:
        function: of one RDKit molecule; batched, of a list of canonical SMILES.
        batched: whether it takes all molecules at once.
        items: SMILES or sanitised molecules.

    Returns:
        The outcome of each item; the message alone if a batched call failed as a whole.
    """
    with quiet:
        mols = [parse(item) if isinstance(item, str) else Chem.Mol(item) for item in items]
        rows = [i for i, mol in enumerate(mols) if mol is not None and mol.GetNumAtoms()]
        given = [mols[i] for i in rows]
        answers = _batch(function, given) if batched else [_single(function, m) for m in given]
    if isinstance(answers, str):
        return answers
    found: list[Outcome] = [None] * len(items)
    for i, answer in zip(rows, answers, strict=True):
        found[i] = answer
    return found


def message(error: BaseException) -> str:
    """Return an error as one line: its type and the first line of its text."""
    lines = str(error).strip().splitlines()
    return type(error).__name__ + (f": {lines[0].strip()}" if lines else "")


def _single(function: Callable[[Any], Any], mol: Chem.Mol) -> float | str:
    try:
        return _number(function(mol))
    except BaseException as error:  # noqa: BLE001 - it may raise anything
        return message(error)


def _batch(function: Callable[[Any], Any], mols: Sequence[Chem.Mol]) -> list[float | str] | str:
    if not mols:
        return []
    try:
        results = list(function([Chem.MolToSmiles(mol) for mol in mols]))
        if len(results) != len(mols):
            return f"returned {len(results)} numbers for {len(mols)} molecules"
    except BaseException as error:  # noqa: BLE001 - it may raise anything
        return message(error)
    return [_number(result) for result in results]


def _number(result: Any) -> float | str:
    """Return a result as a finite number, or a message that it is none."""
    if result is None:
        return "returned None"
    try:
        shape = np.shape(result)
        value = math.nan if shape or isinstance(result, (str, bytes)) else float(result)
    except Exception as error:  # noqa: BLE001 - an object of the user's own may raise anything
        return f"returned a {type(result).__name__}, expected a number ({message(error)})"
    if shape or isinstance(result, (str, bytes)):
        of_shape = f" of shape {shape}" if shape else ""
        return f"returned a {type(result).__name__}{of_shape}, expected a number"
    return value if math.isfinite(value) else f"returned {value}, expected a finite number"
