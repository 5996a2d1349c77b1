"""An oracle: properties of finished molecules, of which every new molecule asked about counts.

A call is one molecule not asked about before, by its canonical SMILES, whatever the number of
properties; asking again costs nothing. What it answers are gains
(:mod:`molgen.discovery.objectives`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from molgen.discovery.objectives import Objective
from molgen.utils.arrays import Floats
from property_models import compute


@dataclass
class Oracle:
    """Scores molecules, counts what it is asked, and remembers.

    Attributes:
        objectives: what it computes.
        budget: molecules it may score; None for any number.
    """

    objectives: tuple[Objective, ...]
    budget: int | None = None
    _known: dict[str, Floats] = field(default_factory=dict, repr=False)

    @property
    def calls(self) -> int:
        """How many distinct molecules it has scored."""
        return len(self._known)

    @property
    def spent(self) -> bool:
        """Whether it answers no more about new molecules."""
        return self.budget is not None and self.calls >= self.budget

    def values(self, smiles: Sequence[str]) -> Floats:
        """Return the properties of molecules.

        Where the budget ends among them, those that come first are scored.

        Args:
            smiles: canonical SMILES, empty where there is no molecule.

        Returns:
            With shape (molecules, objectives); NaN where there is no molecule, where a property is
            not defined, and where the budget has ended.
        """
        new = [text for text in dict.fromkeys(smiles) if text and text not in self._known]
        if self.budget is not None:
            new = new[: max(0, self.budget - self.calls)]
        found = compute([objective.name for objective in self.objectives], new)
        rows = np.stack([found[objective.name] for objective in self.objectives], axis=1)
        self._known.update(zip(new, rows, strict=True))
        nothing = np.full(len(self.objectives), np.nan)
        answers = [self._known.get(text, nothing) for text in smiles]
        return np.array(answers).reshape(len(smiles), len(self.objectives))

    def __call__(self, smiles: Sequence[str]) -> Floats:
        """Return the gains of molecules; arguments and shape as of :meth:`values`."""
        values = self.values(smiles)
        columns = [o.gain(values[:, j]) for j, o in enumerate(self.objectives)]
        return np.stack(columns, axis=1)
