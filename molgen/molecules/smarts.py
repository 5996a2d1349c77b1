"""Parse errors of SMARTS and SMILES in one line, with the position of the error.

RDKit's parser decides what is an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from rdkit import Chem, rdBase

from molgen.errors import MolgenError
from molgen.molecules.smiles import TokenError, split
from molgen.utils.arguments import checked

_POSITION = re.compile(r"around position (\d+)")
_ATOM = re.compile(r"atom # (\d+)")
_LABEL = re.compile(r"%\(\d+\)|%\d\d|\d")
_STAMP = re.compile(r"^\[[\d:]+\] ")


@checked
def read_smarts(smarts: str, noun: str) -> Chem.Mol:
    """Return the pattern of a SMARTS string.

    Args:
        smarts: the pattern.
        noun: source of the string, for messages, such as ``property 'substructures:C'``.

    Raises:
        MolgenError: if it is empty or not SMARTS; the message begins with the noun.
    """
    pattern = None
    with rdBase.CaptureErrorLog() as log:
        if smarts.isprintable() and " " not in smarts:  # RDKit would read the rest as a title
            pattern = Chem.MolFromSmarts(smarts)
    if pattern is None or not pattern.GetNumAtoms():
        reason = _reason(smarts, log.messages, "SMARTS") if smarts else "the SMARTS is empty"
        raise MolgenError(f"{noun}: {reason}")
    return pattern


def smiles_fault(smiles: str) -> str:
    """Return the reason why a string is not a molecule, in one line with the character."""
    if not smiles:
        return "the SMILES is empty"
    with rdBase.CaptureErrorLog() as log:
        Chem.MolFromSmiles(smiles)
    return _reason(smiles, log.messages, "SMILES")


def _reason(text: str, log: str, kind: str) -> str:
    """Return in one line why a text cannot be read, from RDKit's log."""
    lines = [_STAMP.sub("", line) for line in log.splitlines()]
    error = lines[0].split("Parse Error: ")[-1].split(" while parsing")[0] if lines else "not read"
    error = error.split(" for input")[0].split(", is greater than")[0].strip()
    at = _place(text, log)
    position = f" at character {at + 1}, {text[at]!r}" if at is not None else ""
    return f"{kind} {text!r} cannot be read: {error}{position}"


def _place(text: str, log: str) -> int | None:
    """Return the index of the character of RDKit's error, or None if it is unknown."""
    finders: tuple[tuple[re.Pattern[str], Callable[[str, int], int | None]], ...] = (
        (_POSITION, lambda text, number: number - 1),
        (_ATOM, _atom),
    )
    for pattern, place in finders:
        if found := pattern.search(log):
            at = place(text, int(found.group(1)))
            return at if at is not None and 0 <= at < len(text) else None
    if "unclosed ring" in log:
        return _open_ring(text)
    return next((i for i, c in enumerate(text) if c.isspace() or not c.isprintable()), None)


def _atom(text: str, number: int) -> int | None:
    """Return the position in the text of the atom of that number."""
    places = [at for at, token in _tokens(text) if token[0] == "[" or token[0].isalpha()]
    return places[number] if number < len(places) else None


def _open_ring(text: str) -> int | None:
    """Return the position of the first ring label that is not closed."""
    labels: dict[str, int] = {}
    for at, token in _tokens(text):
        if _LABEL.fullmatch(token):
            label = token.strip("%()")
            if labels.pop(label, None) is None:
                labels[label] = at
    return min(labels.values(), default=None)


def _tokens(text: str) -> list[tuple[int, str]]:
    """Return the tokens of a text with their positions; none if it cannot be split."""
    try:
        tokens = split(text)
    except TokenError:
        return []
    ends = [sum(map(len, tokens[:i])) for i in range(len(tokens))]
    return list(zip(ends, tokens, strict=True))
