"""Faults: the tokens of a SMILES text that a parser blames for its being no molecule.

    syntax      a bracket, ring label or bond without its other end; two tokens that cannot meet
    chemistry   atoms with too many bonds, or aromatic ones that cannot be kekulised, each with the
                bond symbols and ring labels that are its own; a dot between two molecules

Blame is where the parser notices, which need not be where the network went wrong. Imports RDKit,
never torch.
"""

from __future__ import annotations

from collections.abc import Sequence

from rdkit import Chem, rdBase

from molgen.spans import ATOM, BOND, CLOSING, END, LABEL, NEVER, OPENING, kind

DOT = "."


def faults(tokens: Sequence[str]) -> list[int]:
    """Return the positions that are to blame, in order; none where nothing is known.

    Args:
        tokens: of a text that is no molecule.
    """
    return sorted(_syntax(tokens) or _chemistry(tokens))


def _syntax(tokens: Sequence[str]) -> set[int]:
    """Return the tokens at which the grammar of SMILES is broken."""
    kinds = [kind(token) for token in tokens]
    found: set[int] = set()
    before = [END, *kinds]
    for at, (first, second) in enumerate(zip(before, [*kinds, END], strict=True)):
        ends_on_branch = first == CLOSING and second == END  # unusual, but a molecule
        if second in NEVER.get(first, ()) and not ends_on_branch:
            found |= {at - 1, at} & set(range(len(tokens)))
    branches: list[tuple[int, int]] = []  # places of opening brackets, and of the atom before
    rings: dict[str, tuple[int, int]] = {}  # places of open labels, and of their atoms
    bonded: set[frozenset[int]] = set()
    atom = -1
    for at, (token, own) in enumerate(zip(tokens, kinds, strict=True)):
        if own == ATOM:
            bonded.add(frozenset((atom, at)))
            atom = -1 if token == DOT else at
        elif own == OPENING:
            branches.append((at, atom))
        elif own == CLOSING and branches:
            atom = branches.pop()[1]
        elif own == CLOSING:
            found.add(at)
        elif own == LABEL and token in rings:
            start, other = rings.pop(token)
            pair = frozenset((atom, other))
            if pair in bonded or len(pair) == 1:
                found |= {start, at}
            bonded.add(pair)
        elif own == LABEL:
            rings[token] = at, atom
    return found | {at for at, _ in branches} | {at for at, _ in rings.values()}


def _chemistry(tokens: Sequence[str]) -> set[int]:
    """Return the tokens of atoms that cannot be, and dots."""
    found = {at for at, token in enumerate(tokens) if token == DOT}
    with rdBase.BlockLogs():
        mol = Chem.MolFromSmiles("".join(tokens), sanitize=False)
        problems = [] if mol is None else Chem.DetectChemistryProblems(mol)
    blamed: set[int] = set()
    for problem in problems:
        if hasattr(problem, "GetAtomIndices"):
            blamed |= set(problem.GetAtomIndices())
        elif hasattr(problem, "GetAtomIdx"):
            blamed.add(problem.GetAtomIdx())
    places = [at for at, token in enumerate(tokens) if kind(token) == ATOM and token != DOT]
    for index in blamed:
        at = places[index]
        found.add(at)
        if at and kind(tokens[at - 1]) == BOND:
            found.add(at - 1)
        after = at + 1
        while after < len(tokens) and kind(tokens[after]) in (LABEL, BOND):
            found.add(after)
            after += 1
    return found
