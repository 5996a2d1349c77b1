"""A property: a function of a molecule with a unit and a direction.

    y = f(molecule)

The value of an invalid string is NaN, never zero and never dropped, so that values are aligned with
rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from molgen.errors import MolgenError
from molgen.molecules.logs import quiet
from molgen.molecules.parsing import parse
from molgen.utils.hints import one_of

Direction = Literal["max", "min", "none"]
DIRECTIONS = ("max", "min", "none")


@dataclass(frozen=True)
class Property:
    """A named function of a molecule.

    Raises:
        MolgenError: if the direction is none of the three.
    """

    name: str
    """As on the command line and in column headers."""
    unit: str
    """Empty for a number without one."""
    direction: Direction
    """Whether it is usually maximised (``max``), minimised (``min``) or neither (``none``)."""
    function: Callable[[Any], Any]
    """From a sanitised RDKit molecule to a number; None or NaN if undefined. If ``batched``, from a
    list of molecules, at least one, to one number for each."""
    integer: bool = False
    """Whether only whole numbers occur, so that a target is met exactly or not at all."""
    description: str = ""
    batched: bool = False
    """Whether ``function`` takes a list of molecules."""
    beside: str = ""
    """A property that stands beside it in tables: another definition of the same quantity."""

    def __post_init__(self) -> None:
        if self.direction not in DIRECTIONS:
            raise MolgenError(
                f"direction of {self.name} is {self.direction!r}, "
                f"{one_of(self.direction, DIRECTIONS)}"
            )

    def __call__(self, molecules: Sequence[str | Chem.Mol | None]) -> NDArray[np.float64]:
        """Return the value of every molecule.

        Args:
            molecules: SMILES or RDKit molecules; None or any string for an invalid one.

        Returns:
            With shape (molecules,), NaN for invalid molecules.
        """
        return self.values([parse(m) if isinstance(m, str) else m for m in molecules])

    def values(self, mols: Sequence[Chem.Mol | None]) -> NDArray[np.float64]:
        """Return the value of every RDKit molecule, with shape (molecules,).

        None, and a molecule without atoms, have NaN.

        Raises:
            MolgenError: if a batched function does not return one number for each molecule.
        """
        found = np.full(len(mols), np.nan)
        rows = [i for i, mol in enumerate(mols) if mol is not None and mol.GetNumAtoms()]
        with quiet, np.errstate(all="ignore"):  # some of RDKit's descriptors overflow
            if not self.batched:
                for i in rows:
                    found[i] = self._single(mols[i])
            elif rows:
                numbers = np.asarray(self.function([mols[i] for i in rows]), dtype=np.float64)
                if numbers.shape != (len(rows),):
                    raise MolgenError(
                        f"property {self.name!r} returned shape {numbers.shape} for {len(rows)} "
                        f"molecules, expected ({len(rows)},)"
                    )
                found[rows] = numbers
        return found

    def value(self, mol: Chem.Mol | None) -> float:
        """Return the value of one RDKit molecule, NaN for None or a molecule without atoms.

        Raises:
            MolgenError: if a batched function does not return one number.
        """
        return float(self.values([mol])[0])

    def _single(self, mol: Chem.Mol) -> float:
        try:
            result = self.function(mol)
        except ZeroDivisionError:  # an average over heavy atoms of hydrogen
            return math.nan
        return math.nan if result is None else float(result)
