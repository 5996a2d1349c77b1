"""Whether a text can begin the SMILES of a molecule.

Parentheses and ring labels are a regular language (:mod:`molgen.guidance.smiles_grammar`); valences
and aromatic systems are not, but a text from the left shows them as soon as they are impossible:
partialsmiles (O'Boyle, "partialsmiles: a validating SMILES parser", 2019) counts the bonds of every
atom, those that the text has announced included, and looks for a Kekule form of each aromatic
system that nothing can join any more. Added here: an aromatic atom that nothing can join has two
aromatic bonds at least, as one in a ring has; and one more token is possible. A whole text is read
by RDKit.
"""

from __future__ import annotations

from functools import lru_cache

from partialsmiles.exceptions import Error
from partialsmiles.smiparser import SmilesParser
from rdkit import Chem, rdBase

# of the rules that partialsmiles can leave out: labels are closed before a dot, no aromatic bonds
RULES = 16 | 64
OPEN = "*%99."  # a label that is open elsewhere: a text before which it stands must go on
REMEMBERED = 2**16  # texts: those of many rows begin alike


def can_begin(text: str, more: bool) -> bool:
    """Return whether a text can begin a molecule's SMILES, or be one.

    Args:
        text: whole tokens from the left.
        more: whether further tokens follow; else the text is whole.
    """
    if not more:
        with rdBase.BlockLogs():
            return Chem.MolFromSmiles(text) is not None
    if not _reads(text):
        return False
    if text[-1:].isupper() or text[-1:] == "(":  # partialsmiles counts the bond that must follow
        return True
    return any(_reads(text + token) for token in _continuations(text))


def knows(atom: str) -> bool:
    """Return whether the valences of an atom's token are known."""
    return _reads(atom)


def _continuations(text: str) -> list[str]:
    """Return tokens of all kinds that may follow, the likeliest first."""
    inside = text.count("(") > text.count(")")
    return [*([")"] if inside else []), "C", "c", "=C", *"123456", "#C"]


@lru_cache(maxsize=REMEMBERED)
def _reads(text: str) -> bool:
    """Return whether partialsmiles reads a text that goes on."""
    parser = SmilesParser(True, RULES)
    try:
        atoms = parser.parse(OPEN + text).mol.atoms
    except (Error, KeyError, IndexError, ValueError):  # partialsmiles has no error for each
        return False
    return all(
        sum(bond.arom for bond in atom.bonds) >= 2
        for atom in atoms
        if atom.arom and atom not in parser.incompleteAtoms
    )
