"""Well-formed SMILES: predictions conditioned on a regular language.

A prediction is a product over the masked tokens, and a product cannot express that one parenthesis
requires another. Most invalid rows fail on this, and more so the less a network is trained. Here a
prediction is conditioned on the language ``L`` of texts with

- balanced parentheses and paired ring labels,
- neighbours as in canonical SMILES: no empty branch, no bond without an atom after it,

    q(x)  =  prod_l p_l(x_l) [x in L] / sum_y prod_l p_l(y_l) [y in L]

With bounded depth and few labels ``L`` is regular: a state is the kind of the last token, the
depth, and the set of open labels. The sum over all completions, the marginals of ``q`` and joint
draws from it are therefore exact, by the forward-backward recursion (Rabiner, "A Tutorial on Hidden
Markov Models", 1989), at a few percent of the time of a forward. Probability ratios between texts
in ``L`` do not change. ``L`` has no valence and no aromaticity: a row that RDKit rejects for these
is still invalid, and no row is corrected. These two are left to draws from the left
(:class:`ValenceGrammar`).

A row with no completion in ``L`` (fixed tokens that use a further label) is predicted without it.

Suresh et al., "DINGO: Constrained Inference for Diffusion LLMs" (2025), compute the likeliest text
of a regular language under such a product; here one is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from molgen.errors import MolgenError
from molgen.guidance.completions import Completions
from molgen.guidance.prefixes import Prefixes
from molgen.guidance.smiles_states import DOT, FIRST_LABEL, OUTSIDE, SmilesStates
from molgen.molecules.smiles import ATOM, LABEL, kind
from molgen.utils.arrays import Floats, Ids, Mask

__all__ = ["GRAMMARS", "OUTSIDE", "Completions", "Language", "SmilesGrammar", "spread"]


@dataclass(frozen=True)
class SmilesGrammar:
    """The language of well-formed SMILES texts.

    Attributes:
        depth: maximum depth of nested parentheses.
        labels: number of ring labels that may be used, the first ones of the vocabulary.
    """

    depth: int = 5
    labels: int = 5

    def __post_init__(self) -> None:
        """Check the bounds.

        Raises:
            MolgenError: if one is not a whole number in its range.
        """
        for name, most in (("depth", 20), ("labels", 9)):
            value: Any = getattr(self, name)
            if not isinstance(value, int) or not 0 <= value <= most:
                raise MolgenError(f"{name} is {value!r}, expected a whole number of 0 to {most}")

    def language(self, vocab: Sequence[str]) -> Language:
        """Return the language over a vocabulary, with padding and the mask last."""
        kinds = np.array([kind(token) for token in vocab[:-2]] + [OUTSIDE] * 2)
        kinds[[token == "." for token in vocab]] = DOT
        at = [i for i in range(len(vocab) - 2) if kind(vocab[i]) == LABEL]
        used = sorted(at, key=lambda i: (len(vocab[i]), vocab[i]))
        for place, i in enumerate(used):
            kinds[i] = FIRST_LABEL + place if place < self.labels else OUTSIDE
        return Language(kinds, self.depth, min(self.labels, len(used)))


@dataclass(frozen=True)
class ValenceGrammar(SmilesGrammar):
    """Well-formed SMILES of which no token makes a valence or an aromatic system impossible.

    Such a token is left out when it is drawn, see :mod:`molgen.guidance.prefixes`; marginals, and
    the weights of tokens to come, are those of :class:`SmilesGrammar`. Texts with atoms of unknown
    valence, such as metal ions, are not judged.
    """

    def language(self, vocab: Sequence[str]) -> Language:
        """Return the language over a vocabulary, with padding and the mask last."""
        from molgen.molecules.partial import can_begin, knows

        plain = super().language(vocab)
        atoms = [token for token in vocab[:-2] if kind(token) == ATOM]
        unknown = [token for token in atoms if not knows(token)]

        def possible(text: str, more: bool) -> bool:
            return any(token in text for token in unknown) or can_begin(text, more)

        return ValenceLanguage(plain.kinds, plain.depth, plain.labels, tuple(vocab), possible)


GRAMMARS = {"none": None, "smiles": SmilesGrammar, "valence": ValenceGrammar}


class Language(SmilesStates):
    """A grammar over a vocabulary."""

    def given(self, tokens: Ids, masked: Mask, p: Floats) -> Completions:
        """Return the distribution over completions of rows.

        Args:
            tokens: of the rows, shape (rows, longest), padded at the end.
            masked: masked positions, same shape.
            p: the prediction there, shape (rows, longest, vocab).
        """
        return Completions(self, tokens, masked, p)


@dataclass(frozen=True, eq=False)
class ValenceLanguage(Language):
    """The same whose draws are checked.

    Attributes:
        vocab: text of each token, padding and the mask last.
        possible: whether a text can begin a molecule; and whether more tokens follow it.
    """

    vocab: tuple[str, ...]
    possible: Callable[[str, bool], bool]

    def prefixes(self, tokens: Ids, masked: Mask) -> Prefixes:
        """Return the texts of rows from the left; see :class:`SmilesStates`."""
        return Prefixes(self.possible, self.vocab, tokens, masked)


def spread(p: Floats, masked: Mask) -> Floats:
    """Return predictions of masked tokens, (masked tokens, vocab), as (rows, longest, vocab)."""
    found = np.zeros((*masked.shape, p.shape[1]))
    found[masked] = p
    return found
