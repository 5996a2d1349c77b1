"""One call of a user's function: each molecule gets a number, or a message why it has none.

A function of one molecule is called for each, with a molecule of its own. A vectorised function is
called once for all of them; a mistake of the whole call is one message in place of the outcomes,
since it may be due to any of its molecules.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rdkit import Chem

from molgen.molecules.logs import quiet
from molgen.molecules.parsing import parse
from molgen.scorers.outcomes import Outcome as Outcome
from molgen.scorers.outcomes import message as message
from molgen.scorers.outcomes import number


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


def _single(function: Callable[[Any], Any], mol: Chem.Mol) -> float | str:
    try:
        return number(function(mol))
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
    return [number(result) for result in results]
