"""An oracle: properties of complete molecules, with a budget of calls.

A call is one new molecule by its canonical SMILES, for any number of properties; repeated queries
are cached and free. The oracle returns gains (:mod:`molgen.discovery.objectives`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from molgen.discovery.objectives import Objective
from molgen.utils.arrays import Floats
from property_models import compute
from property_models.scorers import active


@dataclass
class Oracle:
    """Scores molecules with a cache, and counts the calls.

    Attributes:
        objectives: to compute.
        budget: highest number of calls; None for no limit.
    """

    objectives: tuple[Objective, ...]
    budget: int | None = None
    _scored: dict[str, Floats] = field(default_factory=dict, repr=False)

    @property
    def calls(self) -> int:
        """The number of distinct molecules scored."""
        return len(self._scored)

    @property
    def scored(self) -> Mapping[str, Floats]:
        """The values of the molecules scored so far, each with shape (objectives,)."""
        return self._scored

    @property
    def spent(self) -> bool:
        """Whether the budget is used up."""
        return self.budget is not None and self.calls >= self.budget

    def values(self, smiles: Sequence[str]) -> Floats:
        """Return the properties of molecules.

        If the budget ends among them, the first ones are scored.

        Args:
            smiles: canonical SMILES, empty for no molecule.

        Returns:
            With shape (molecules, objectives); NaN without a molecule, for an undefined property,
            and beyond the budget.
        """
        new = [text for text in dict.fromkeys(smiles) if text and text not in self._scored]
        if self.budget is not None:
            new = new[: max(0, self.budget - self.calls)]
        found = compute([objective.name for objective in self.objectives], new)
        columns = [found[objective.name] for objective in self.objectives]
        rows = np.array(columns).reshape(len(self.objectives), len(new)).T
        skipped = active().skipped
        self._scored |= {t: row for t, row in zip(new, rows, strict=True) if t not in skipped}
        missing = np.full(len(self.objectives), np.nan)
        values = [self._scored.get(text, missing) for text in smiles]
        return np.array(values).reshape(len(smiles), len(self.objectives))

    def __call__(self, smiles: Sequence[str]) -> Floats:
        """Return the gains of molecules; arguments and shape as of :meth:`values`."""
        values = self.values(smiles)
        columns = [o.gain(values[:, j]) for j, o in enumerate(self.objectives)]
        return np.array(columns).reshape(len(columns), len(values)).T
