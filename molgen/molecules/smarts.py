"""SMARTS and SMILES that cannot be read, refused with the place of the fault.

RDKit's own reading decides what is a fault; this says in one line where it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from rdkit import Chem, rdBase

from molgen.molecules.smiles import TokenError, split

_POSITION = re.compile(r"around position (\d+)")
_ATOM = re.compile(r"atom # (\d+)")
_LABEL = re.compile(r"%\(\d+\)|%\d\d|\d")
_STAMP = re.compile(r"^\[[\d:]+\] ")


def read_smarts(smarts: str, noun: str) -> Chem.Mol:
    """Return the pattern that a SMARTS string stands for.

    Args:
        smarts: the pattern.
        noun: what it came with, for messages, such as ``property 'substructures:C'``.

    Raises:
        ValueError: if it is empty or no SMARTS; it begins with the noun.
    """
    pattern = None
    with rdBase.CaptureErrorLog() as log:
        if smarts.isprintable() and " " not in smarts:  # RDKit would take the rest for a title
            pattern = Chem.MolFromSmarts(smarts)
    if pattern is None or not pattern.GetNumAtoms():
        reason = _reason(smarts, log.messages, "SMARTS") if smarts else "the SMARTS is empty"
        raise ValueError(f"{noun}: {reason}")
    return pattern


def smiles_fault(smiles: str) -> str:
    """Return why a string is no molecule, in one line that points at the character."""
    if not smiles:
        return "the SMILES is empty"
    with rdBase.CaptureErrorLog() as log:
        Chem.MolFromSmiles(smiles)
    return _reason(smiles, log.messages, "SMILES")


def _reason(text: str, log: str, kind: str) -> str:
    """Say in one line what is wrong with a text, given what RDKit logged about it."""
    lines = [_STAMP.sub("", line) for line in log.splitlines()]
    said = lines[0].split("Parse Error: ")[-1].split(" while parsing")[0] if lines else "not read"
    said = said.split(" for input")[0].split(", is greater than")[0].strip()
    at = _place(text, log)
    where = f" at character {at + 1}, {text[at]!r}" if at is not None else ""
    return f"{kind} {text!r} cannot be read: {said}{where}"


def _place(text: str, log: str) -> int | None:
    """Return the index of the character that RDKit's complaint is about, if that can be told."""
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
    """Return where the atom of that number is written."""
    places = [at for at, token in _tokens(text) if token[0] == "[" or token[0].isalpha()]
    return places[number] if number < len(places) else None


def _open_ring(text: str) -> int | None:
    """Return where the first ring label is written that nothing closes."""
    labels: dict[str, int] = {}
    for at, token in _tokens(text):
        if _LABEL.fullmatch(token):
            label = token.strip("%()")
            if labels.pop(label, None) is None:
                labels[label] = at
    return min(labels.values(), default=None)


def _tokens(text: str) -> list[tuple[int, str]]:
    """Return the tokens of a text with their places, none if it has no tokens of SMILES."""
    try:
        tokens = split(text)
    except TokenError:
        return []
    ends = [sum(map(len, tokens[:i])) for i in range(len(tokens))]
    return list(zip(ends, tokens, strict=True))
