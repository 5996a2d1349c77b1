"""A property: a number that a molecule has, and which way is better.

    y = f(molecule),   oriented(y) = -y where smaller is better, else y

A string that is no molecule has no properties: its value is NaN, never zero and never left out, so
that values stay aligned with rows. Everything downstream maximises; ``direction`` is applied once,
by :meth:`Property.oriented`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem, rdBase

from molgen.molecules import parse

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
    function: Callable[[Chem.Mol], float | None]
    """From a sanitised RDKit molecule to a number; None or NaN where it is not defined."""
    integer: bool = False
    """Whether only whole numbers occur, so that a target is met exactly or not at all."""
    description: str = ""

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
        values = (self.value(parse(m) if isinstance(m, str) else m) for m in molecules)
        with rdBase.BlockLogs():
            return np.fromiter(values, dtype=np.float64, count=len(molecules))

    def value(self, mol: Chem.Mol | None) -> float:
        """Return the value of one RDKit molecule, NaN for None or a molecule without atoms."""
        if mol is None or not mol.GetNumAtoms():
            return math.nan
        try:
            result = self.function(mol)
        except ZeroDivisionError:  # an average over heavy atoms, of which hydrogen has none
            return math.nan
        return math.nan if result is None else float(result)

    def oriented(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return values of which more is better, with the same shape."""
        return -values if self.direction == "min" else values
