"""A request that is ready to run: now, or by the workers of a campaign."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from molgen.discovery.metropolis import Metropolis
from molgen.discovery.request import Request
from molgen.discovery.search_state import Method
from molgen.model import Model

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Prepared:
    """A request that is ready to run.

    Attributes:
        model: loaded.
        request: with settings and the targets that guide the draws.
        carry: adds the other columns of an input file to drawn rows; None without one.
        leads: SMILES; none for a request without leads.
        method: of a search.
    """

    model: Model
    request: Request
    carry: Callable[[pd.DataFrame], pd.DataFrame] | None = None
    leads: tuple[str, ...] = ()
    method: Method = field(default_factory=Metropolis)

    def carried(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return drawn rows with the other columns of the input file."""
        return rows if self.carry is None else self.carry(rows)
