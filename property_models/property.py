"""A property: a number that a molecule has, and which way is better.

    y = f(molecule)

A string that is no molecule has no properties: its value is NaN, never zero and never left out, so
that values stay aligned with rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem, rdBase

from molgen.molecules.parsing import parse

Direction = Literal["max", "min", "none"]
DIRECTIONS = ("max", "min", "none")


@dataclass(frozen=True)
class Property:
    """A named function of a molecule."""

    name: str
    """As it is written on the command line and in column headers."""
    unit: str
    """Empty for a number without one."""
    direction: Direction
    """Whether designers usually want more of it (``max``), less (``min``) or a value (``none``)."""
    function: Callable[[Any], Any]
    """From a sanitised RDKit molecule to a number; None or NaN where it is not defined. If it is
    ``batched``, from a list of molecules, at least one, to as many numbers."""
    integer: bool = False
    """Whether only whole numbers occur, so that a target is met exactly or not at all."""
    description: str = ""
    batched: bool = False
    """Whether ``function`` takes many molecules at a time, as learned properties do."""

    def __post_init__(self) -> None:
        if self.direction not in DIRECTIONS:
            raise ValueError(
                f"direction of {self.name} is {self.direction!r}, expected one of {DIRECTIONS}"
            )

    def __call__(self, molecules: Sequence[str | Chem.Mol | None]) -> NDArray[np.float64]:
        """Return the value of every molecule.

        Args:
            molecules: SMILES or RDKit molecules; what is no molecule may be None or any string.

        Returns:
            With shape (molecules,), NaN where there is no molecule.
        """
        return self.values([parse(m) if isinstance(m, str) else m for m in molecules])

    def values(self, mols: Sequence[Chem.Mol | None]) -> NDArray[np.float64]:
        """Return the value of every RDKit molecule, with shape (molecules,).

        None, and a molecule without atoms, have NaN.

        Raises:
            ValueError: if a batched function does not return one number for each molecule.
        """
        found = np.full(len(mols), np.nan)
        rows = [i for i, mol in enumerate(mols) if mol is not None and mol.GetNumAtoms()]
        with rdBase.BlockLogs():
            if not self.batched:
                for i in rows:
                    found[i] = self._single(mols[i])
            elif rows:
                numbers = np.asarray(self.function([mols[i] for i in rows]), dtype=np.float64)
                if numbers.shape != (len(rows),):
                    raise ValueError(
                        f"property {self.name!r} returned shape {numbers.shape} for {len(rows)} "
                        f"molecules, expected ({len(rows)},)"
                    )
                found[rows] = numbers
        return found

    def value(self, mol: Chem.Mol | None) -> float:
        """Return the value of one RDKit molecule, NaN for None or a molecule without atoms."""
        return float(self.values([mol])[0])

    def _single(self, mol: Chem.Mol) -> float:
        try:
            result = self.function(mol)
        except ZeroDivisionError:  # an average over heavy atoms, of which hydrogen has none
            return math.nan
        return math.nan if result is None else float(result)
