"""Best of n: draw far more rows than are wanted, and keep those that the oracle likes best.

The baseline of every search: all rows are drawn alike, under guidance, and none learns from
another. A row costs what it costs in sampling, so the budget says how many there are.
"""

from __future__ import annotations

from dataclasses import dataclass

from molgen.discovery.search import Search

ROUND = 256  # rows between two looks at the budgets


@dataclass(frozen=True)
class BestOf:
    """Independent draws until a budget ends."""

    def run(self, search: Search) -> str:
        """Draw and judge until a budget ends; return why it stopped."""
        first, dearest = 0, search.dearest
        while not (reason := search.ended()):
            rows = min(ROUND, search.left // dearest)
            if rows < 1:
                return search.out_of_forwards()
            samples = search.draw(rows, first)
            search.score_rows(samples)
            dearest = max(dearest, int(samples.nfe.max()))
            first += rows
        return reason
