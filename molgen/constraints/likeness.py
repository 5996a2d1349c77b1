"""What of a lead stays in the molecules that are drawn from it: atoms, and how similar they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Atoms = Sequence[int] | str
"""Indices of atoms, or SMARTS that match them."""


@dataclass(frozen=True)
class Likeness:
    """What of a lead stays in molecules that are drawn from it.

    Attributes:
        similarity: least Tanimoto similarity to the lead, in [0, 1].
        keep: atoms that stay; see :func:`molgen.constraints.scaffolds.read_lead`.
        change: atoms that may change, in place of ``keep``.
    """

    similarity: float = 0.4
    keep: Atoms | None = None
    change: Atoms | None = None

    def __post_init__(self) -> None:
        """Check the similarity, and that atoms are named in one way.

        Raises:
            ValueError: naming what is out of line.
        """
        if not 0 <= self.similarity <= 1:
            raise ValueError(f"similarity is {self.similarity}, expected a number in [0, 1]")
        if self.keep is not None and self.change is not None:
            raise ValueError("keep and change are both given, expected at most one of them")
