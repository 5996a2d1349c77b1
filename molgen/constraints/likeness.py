"""Likeness to a lead: kept atoms and least similarity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from molgen.errors import MolgenError
from molgen.utils.arguments import check_fields

Atoms = Sequence[int] | str
"""Indices of atoms, or SMARTS that match them."""


@dataclass(frozen=True)
class Likeness:
    """The required likeness of molecules to a lead.

    Attributes:
        similarity: least Tanimoto similarity to the lead, in [0, 1].
        keep: kept atoms; see :func:`molgen.constraints.scaffolds.read_lead`.
        change: atoms that may change, as an alternative to ``keep``.
    """

    similarity: float = 0.4
    keep: Atoms | None = None
    change: Atoms | None = None

    def __post_init__(self) -> None:
        """Check the similarity, and that at most one of ``keep`` and ``change`` is given.

        Raises:
            MolgenError: naming the argument that is invalid.
        """
        check_fields(self)
        if not 0 <= self.similarity <= 1:
            raise MolgenError(f"similarity is {self.similarity}, expected a number in [0, 1]")
        if self.keep is not None and self.change is not None:
            raise MolgenError("keep and change are both given, expected at most one of them")
