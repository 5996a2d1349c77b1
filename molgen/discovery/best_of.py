"""Best of n: draw many independent rows, and keep those with the best oracle scores.

The baseline of every search: rows are drawn under guidance, independently of each other. A row
costs as much as in sampling, so the budget determines the number of rows.
"""

from __future__ import annotations

from dataclasses import dataclass

from molgen.discovery.search_state import Search

ROUND = 256  # rows between two checks of the budgets


@dataclass(frozen=True)
class BestOf:
    """Independent draws until a budget ends."""

    def run(self, search: Search) -> str:
        """Draw and score until a budget ends; return the reason of the end."""
        first, row_forwards = 0, search.max_row_forwards
        while not (reason := search.ended()):
            rows = min(ROUND, search.left // row_forwards)
            if rows < 1:
                return search.out_of_forwards()
            samples = search.draw(rows, first)
            search.score_rows(samples)
            row_forwards = max(row_forwards, int(samples.nfe.max()))
            first += rows
        return reason
