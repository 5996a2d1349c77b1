"""Novelty of the molecules of a run: what makes two of them one, and one of them known.

By the convention *strict*, canonical SMILES do; by *inchikey* standard InChIKeys, so that tautomers
of each other, or of a training molecule, are not delivered as new
(:mod:`molgen.molecules.conventions`). A molecule without an InChIKey is rejected by the latter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from molgen.errors import MolgenError
from molgen.molecules.conventions import INCHIKEY, STRICT, Convention
from molgen.molecules.fate import Fate
from molgen.molecules.inchi import inchikeys
from molgen.molecules.training_index import TrainingIndex
from molgen.utils.arrays import Mask

if TYPE_CHECKING:
    import pandas as pd

CONVENTIONS = {c.name: c for c in (STRICT, INCHIKEY)}
COLUMN = "novel_inchikey"


@dataclass(frozen=True, eq=False)
class Novelty:
    """Uniqueness and novelty in a run.

    Attributes:
        convention: strict or inchikey.
        index: of the training set; None if its molecules are allowed.
    """

    convention: Convention
    index: TrainingIndex | None

    @classmethod
    def of(cls, name: str, index: TrainingIndex | None, allowed: bool) -> Novelty:
        """Return the novelty of a request.

        Args:
            name: of the convention.
            index: of the training set; None if there is none.
            allowed: whether molecules of the training set are delivered too.

        Raises:
            MolgenError: if the index lacks what novelty needs.
        """
        convention = CONVENTIONS[name]
        if allowed:
            return cls(convention, None)
        if index is None:
            raise MolgenError(
                "the model has no training-set index, so novelty is unknown, expected "
                "allow_training_molecules"
            )
        index.contains([], convention.form)
        return cls(convention, index)

    @property
    def reasons(self) -> list[str]:
        """The reasons of :meth:`rejected`, in their order."""
        keyless = [str(Fate.NO_INCHIKEY)] if self.convention is INCHIKEY else []
        return keyless + ([str(Fate.IN_TRAINING_SET)] if self.index is not None else [])

    def identities(self, smiles: Sequence[str]) -> list[str]:
        """Return the text that identifies each molecule; empty for no molecule or no InChIKey.

        Args:
            smiles: canonical, empty for no molecule.
        """
        return inchikeys(smiles) if self.convention is INCHIKEY else list(smiles)

    def rejected(self, identities: Sequence[str], novel: Mask | None = None) -> list[str]:
        """Return why each molecule is not new, empty for a new one.

        Args:
            identities: of :meth:`identities`.
            novel: by the strict convention, if it is known, shape (molecules,).
        """
        known = np.zeros(len(identities), dtype=bool)
        if self.index is not None and self.convention is STRICT and novel is not None:
            known = ~novel
        elif self.index is not None:
            known = self.index.contains(identities, self.convention.form)
        keyless = str(Fate.NO_INCHIKEY) if self.convention is INCHIKEY else ""
        return [
            (str(Fate.IN_TRAINING_SET) if old else "") if text else keyless
            for text, old in zip(identities, known, strict=True)
        ]


def with_inchikey_novelty(table: pd.DataFrame, index: TrainingIndex | None) -> pd.DataFrame:
    """Return a table with the column :data:`COLUMN`, if the index has InChIKeys.

    Args:
        table: with the columns ``smiles`` and ``novel``.
        index: of the training set.

    Returns:
        The column follows ``novel``: whether the InChIKey is not that of a training molecule; False
        without an InChIKey.
    """
    if index is None or index.inchi_keys is None:
        return table
    keys = inchikeys(table["smiles"].tolist())
    new: Mask = ~index.contains(keys, "inchi_keys") & np.array([key != "" for key in keys], bool)
    table = table.copy()
    table.insert(int(table.columns.get_loc("novel")) + 1, COLUMN, new)
    return table


def tautomers(table: pd.DataFrame) -> str:
    """Return a line on the molecules that are other forms of training molecules.

    Args:
        table: of :func:`with_inchikey_novelty`.

    Returns:
        Empty without the column, or without rows.
    """
    if COLUMN not in table or not len(table):
        return ""
    keys = inchikeys(table.loc[~table[COLUMN], "smiles"].tolist())
    line = (
        f"{sum(map(bool, keys))} of {len(table)} have the InChIKey of a training molecule "
        "(tautomers, as a rule)"
    )
    return f"{line}, {keys.count('')} no InChIKey" if "" in keys else line
