"""A surrogate: a guide in the oracle's place, where nothing may be computed of a property.

    score(x) = log p(y | x)

of a finished molecule, as the guide has learned it from data. It says from which molecule a lead
goes on, and in the end which of all that were drawn are worth an assay: the proposals.

Reference: Stanton et al., "Accelerating Bayesian optimization for biological sequence design with
denoising autoencoders" (2022), where a learned head chooses among what a network has drawn.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from molgen.data.tokenizer import Tokenizer, padded
from molgen.guidance.target_probability import Odds
from molgen.utils.arrays import Floats


class Surrogate:
    """Scores molecules of one lead and remembers; a forward of the guide for each."""

    def __init__(self, says: Odds, tokenizer: Tokenizer) -> None:
        self._says, self._tokenizer = says, tokenizer
        self._known: dict[str, float] = {}

    def knows(self, smiles: str) -> bool:
        """Return whether it has scored a molecule."""
        return smiles in self._known

    def __call__(self, smiles: Sequence[str]) -> Floats:
        """Return ``log p(y | x)`` of molecules, shape (molecules,).

        Args:
            smiles: canonical, of tokens that the guide knows.
        """
        new = [text for text in dict.fromkeys(smiles) if text not in self._known]
        if new:
            rows = padded([self._tokenizer.encode(text) for text in new], self._tokenizer.pad_id)
            self._known.update(zip(new, self._says(rows).tolist(), strict=True))
        return np.array([self._known[text] for text in smiles])

    def best(self, count: int, lead: str) -> set[str]:
        """Return the ``count`` molecules of the highest score but the lead; the first of equals."""
        others = [text for text in self._known if text != lead]
        return set(sorted(others, key=self._known.__getitem__, reverse=True)[:count])
