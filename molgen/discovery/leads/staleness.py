"""Staleness: for how long a search at a lead has found no better molecule, and what then changes.

    s = clip((attempts without a better molecule - 60) / 180, 0, 1)

A search that is not stale masks small regions, at the temperature of its settings. As it grows
stale, larger regions are masked (down to lower expected similarities), the temperature is raised by
up to a half, more attempts are made in a round, and rounds start from the best three molecules and
the lead in turn. Regions stay small while more than half of the last attempts are too dissimilar.
Steps are quantised, so that leads of equal staleness are drawn together.

Reference: Yang et al., "Chemlactica" (2024), raises the temperature from 1 to 1.5 over the budget.
"""

from __future__ import annotations

from dataclasses import dataclass

PATIENCE, SPAN = 60, 180  # attempts until a search is stale, and from then until it is fully so
LEVELS = 3
DISSIMILAR = 0.5  # largest part of the last ``PATIENCE`` attempts with which regions grow
ROUND, WIDE_ROUND = 4, 12  # attempts between two scorings
LOW, LOWEST = 0.75, 0.4
"""Lowest target similarity over the threshold, since redrawn tokens add similarity."""
HOTTEST = 1.5  # factor of the temperature


@dataclass(frozen=True)
class Exploration:
    """How widely the next round of attempts at a lead explores.

    Attributes:
        level: from 0, not stale, to :data:`LEVELS`.
        narrow: whether regions stay small all the same.
    """

    level: int = 0
    narrow: bool = False

    @classmethod
    def after(cls, attempts: int, dissimilar: float = 0.0) -> Exploration:
        """Return the exploration after a number of attempts without a better molecule.

        Args:
            attempts: since the last better molecule.
            dissimilar: part of the last :data:`PATIENCE` attempts that are too dissimilar.
        """
        share = min(1.0, max(0.0, (attempts - PATIENCE) / SPAN))
        level = 0 if attempts <= PATIENCE else 1 + int(share * (LEVELS - 1))
        return cls(level, level > 0 and dissimilar > DISSIMILAR)

    @property
    def staleness(self) -> float:
        """Between 0 and 1."""
        return self.level / LEVELS

    @property
    def temperature(self) -> float:
        """Factor of the temperature of the settings."""
        return 1.0 + self.staleness * (HOTTEST - 1.0)

    @property
    def low(self) -> float:
        """Lowest target similarity of a masked region, over the threshold."""
        return LOW if self.narrow else LOW - self.staleness * (LOW - LOWEST)

    @property
    def attempts(self) -> int:
        """Attempts of a round."""
        return WIDE_ROUND if self.level else ROUND

    @property
    def children(self) -> int:
        """Further attempts of a round: children of donors."""
        return self.attempts // 2
