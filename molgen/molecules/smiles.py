"""Splitting SMILES and SELFIES into tokens, and the kinds of SMILES tokens.

SMILES are split at the atom level: a bracket atom, a two-letter element, a ring label such as
``%12`` is one token (the regular expression follows Schwaller et al., "Molecular Transformer",
2019). SELFIES are split at their brackets.
"""

from __future__ import annotations

import re

from molgen.errors import MolgenError

SMILES_PATTERN = (
    r"\[[^\[\]]*\]|Br|Cl|Si|Se|se|As|as|@@|%\([0-9]+\)|%[0-9]{2}|[A-Za-z0-9()=#+\-./\\:~@?>*$]"
)
SELFIES_PATTERN = r"\[[^\[\]]*\]|\."
PATTERNS = {"smiles": SMILES_PATTERN, "selfies": SELFIES_PATTERN}


class TokenError(MolgenError):
    """A text has a token that is not in the vocabulary.

    Attributes:
        text: the whole text.
        position: index of the first character that cannot be read.
    """

    def __init__(self, text: str, position: int, found: str) -> None:
        self.text, self.position = text, position
        super().__init__(
            f"unknown token {found!r} at character {position + 1} of {text!r}\n"
            f"  {text}\n  {' ' * position}^"
        )


def split(text: str, representation: str = "smiles") -> list[str]:
    """Split a text into tokens; nothing is dropped.

    Raises:
        TokenError: at the first character that starts no token.
    """
    tokens, end = [], 0
    for match in re.finditer(PATTERNS[representation], text):
        if match.start() != end:
            break
        tokens.append(match.group())
        end = match.end()
    if end != len(text):
        raise TokenError(text, end, text[end])
    return tokens


ATOM, BOND, OPENING, CLOSING, LABEL, END = range(6)


def kind(token: str) -> int:
    """Return the kind of a SMILES token."""
    if token in "()":
        return OPENING if token == "(" else CLOSING
    if token in "-=#$:/\\~":
        return BOND
    return LABEL if token[0] in "0123456789%" else ATOM
