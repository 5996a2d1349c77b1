"""Properties with a molecule or a pattern in their name: similarity, substructure counts.

    similarity:SMILES   Tanimoto similarity of Morgan fingerprints to that molecule, 0 to 1
    count:SMARTS        how many distinct sets of atoms match that pattern
    has:SMARTS          1 where the pattern matches, else 0

Fingerprints are those of :mod:`molgen.similarity`, so a similarity asked for here is the one that
every other number of molgen speaks of. A pattern that cannot be read is refused with the place of
the fault; RDKit's own reading decides what is a fault.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from rdkit import Chem, rdBase

from molgen.molecules import canonical, parse
from molgen.similarity import fingerprint
from molgen.tokenizer import TokenError, split
from property_models.property import Property

SIMILARITY, COUNT, HAS = "similarity:", "count:", "has:"
MAX_MATCHES = 1_000_000  # RDKit stops at 1,000 by default, which large molecules do exceed

_POSITION = re.compile(r"around position (\d+)")
_ATOM = re.compile(r"atom # (\d+)")
_LABEL = re.compile(r"%\(\d+\)|%\d\d|\d")
_STAMP = re.compile(r"^\[[\d:]+\] ")


def similarity(name: str) -> Property:
    """Return the Tanimoto similarity to the molecule in the name.

    Raises:
        ValueError: if that is no molecule, pointing at the character where it stops being one.
    """
    smiles = name.removeprefix(SIMILARITY)
    reference = parse(smiles)
    if reference is None or not reference.GetNumAtoms():
        raise ValueError(f"property {name!r}: {smiles_fault(smiles)}")
    bits = fingerprint(reference).astype(bool)

    def tanimoto(mol: Chem.Mol) -> float:
        other = fingerprint(mol).astype(bool)
        union = int((bits | other).sum())
        return int((bits & other).sum()) / union if union else 1.0

    about = f"Tanimoto similarity of Morgan fingerprints to {canonical(smiles)}, 0 to 1"
    return Property(name, "", "max", tanimoto, False, about)


def count(name: str) -> Property:
    """Return how often the pattern in the name matches; each set of atoms counts once.

    Raises:
        ValueError: if the pattern is not SMARTS, pointing at the character.
    """
    smarts = name.removeprefix(COUNT)
    pattern = read_smarts(smarts, f"property {name!r}")

    def matches(mol: Chem.Mol) -> int:
        return len(mol.GetSubstructMatches(pattern, uniquify=True, maxMatches=MAX_MATCHES))

    return Property(name, "", "none", matches, True, f"matches of {smarts}")


def has(name: str) -> Property:
    """Return whether the pattern in the name matches, as 1 or 0.

    Raises:
        ValueError: if the pattern is not SMARTS, pointing at the character.
    """
    smarts = name.removeprefix(HAS)
    pattern = read_smarts(smarts, f"property {name!r}")
    return Property(
        name, "", "none", lambda mol: mol.HasSubstructMatch(pattern), True, f"contains {smarts}"
    )


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
