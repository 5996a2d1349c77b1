"""A card: a molecule or the reason why there is none, with its caption."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rdkit import Chem

FAULT = "#a33a2c"  # colour of a reason
LONGEST_STRING = 44  # characters shown of a string that is not a molecule


@dataclass(frozen=True, eq=False)
class Card:
    """A molecule, or the reason why there is none, with its caption.

    Attributes:
        molecule: SMILES, or a molecule of RDKit; for a row that is not a molecule, its string.
        caption: of one line or several; the first line is set larger.
        fault: why it is not a molecule; empty for a molecule.
        highlight: SMILES or SMARTS of the part to highlight; empty for none.
    """

    molecule: str | Chem.Mol
    caption: str = ""
    fault: str = ""
    highlight: str = ""

    @property
    def string(self) -> str:
        """The string of a row that is not a molecule, shortened."""
        text = str(self.molecule)
        return text if len(text) <= LONGEST_STRING else text[: LONGEST_STRING - 3] + "..."
