"""Token templates of a constraint: fixed text with open spans between.

    *c1ccco1            {}c1ccco1
    *c1ccc(*)cc1        {}c1ccc({})cc1
    *C1CC1.*C#N         N#C{}C1CC1    or    N#C{}(C2CC2){}    or    {}({}C#N){}C1CC1    or ...

A network is trained on canonical SMILES, with fragments in the positions and directions that occur
there. So each spelling is that of a whole molecule (:mod:`molgen.constraints.completion`): its
canonical SMILES is written, and the tokens of free atoms are removed,

    an atom's token, bonds and ring closures among free atoms, branches of free atoms alone

and, for a lead, bonds and ring closures between kept and free atoms. Each run of removed tokens is
an open span: free text that may contain rings and branches of its own. A span's usual length is
the number of tokens removed there, as an initial estimate.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from molgen.constraints.completion import completions
from molgen.constraints.scaffolds import Constraint, Task
from molgen.data.tokenizer import Tokenizer
from molgen.errors import MolgenError
from molgen.molecules.logs import quiet
from molgen.molecules.smiles import TokenError, split

SPELLINGS = 128  # completions; a scaffold has some tens of distinct templates
_BOND, _RING = re.compile(r"[-=#$:/\\~]"), re.compile(r"[%\d]")
_ELEMENT = re.compile(r"\[?\d*([A-Z][a-z]?|[a-z]{1,2})(?:[@H+\-\d:].*)?\]?")


@dataclass(frozen=True)
class Span:
    """An open span.

    Attributes:
        least: lowest number of tokens.
        usual: number of tokens in the completion.
        after_kept: whether it begins after a kept atom, at an attachment point.
        before_kept: whether it ends before a kept atom, at an attachment point.
        labels: ids of the ring labels of fixed text that are in use there.
    """

    least: int
    usual: int
    after_kept: bool
    before_kept: bool
    labels: tuple[int, ...]


@dataclass(frozen=True)
class Template:
    """Fixed tokens with open spans between them.

    Attributes:
        pieces: ids of the fixed tokens before, between and after the spans.
        spans: open spans.
        text: readable form, with ``{}`` for a span.
    """

    pieces: tuple[tuple[int, ...], ...]
    spans: tuple[Span, ...]
    text: str = field(compare=False)

    @property
    def shortest(self) -> int:
        """Tokens of the shortest row."""
        return sum(map(len, self.pieces)) + sum(span.least for span in self.spans)

    @property
    def usual(self) -> int:
        """Tokens of the completion."""
        return sum(map(len, self.pieces)) + sum(span.usual for span in self.spans)

    def stretch(self, length: int, u: NDArray[np.float64]) -> list[int]:
        """Return a length for each span.

        Starting from the usual lengths, tokens are added to random spans, or removed from random
        spans above their least, until the row has the requested length.

        Args:
            length: tokens of the row, at least :attr:`shortest`.
            u: uniforms in [0, 1), at least one for each token added or removed.
        """
        sizes, rest = [span.usual for span in self.spans], length - self.usual
        for number in u[: abs(rest)]:
            able = [k for k, span in enumerate(self.spans) if rest > 0 or sizes[k] > span.least]
            sizes[able[int(number * len(able))]] += 1 if rest > 0 else -1
        return sizes

    def row(self, sizes: Sequence[int], mask_id: int) -> tuple[list[int], list[int]]:
        """Return the tokens of a row, with masks in its spans, and the span of each, -1 for none.

        Args:
            sizes: tokens of each span.
            mask_id: id of the mask.
        """
        tokens, owner = list(self.pieces[0]), [-1] * len(self.pieces[0])
        for k, (size, piece) in enumerate(zip(sizes, self.pieces[1:], strict=True)):
            tokens += [mask_id] * size + list(piece)
            owner += [k] * size + [-1] * len(piece)
        return tokens, owner


def templates(
    constraint: Constraint,
    tokenizer: Tokenizer,
    longest: int,
    seed: int = 0,
    count: int = SPELLINGS,
) -> list[Template]:
    """Return distinct spellings of a constraint as templates.

    Args:
        constraint: the constraint.
        tokenizer: of the model, for SMILES.
        longest: highest number of tokens of a row.
        seed: the same seed gives the same templates, and fewer are a prefix of more.
        count: number of completions; a lead has one spelling, its own.

    Raises:
        MolgenError: if the constraint has an element or another token outside the vocabulary, or
            does not fit into the longest row; one line.
    """
    if tokenizer.representation != "smiles":
        raise MolgenError(
            f"representation of the model is {tokenizer.representation}, expected smiles: kept "
            "atoms are clamped as SMILES tokens"
        )
    name = f"{'lead' if constraint.task is Task.LEAD else 'scaffold'} {constraint.source!r}"
    _check_elements(constraint, tokenizer, name)
    found: dict[Template, None] = {}
    unknown = ""
    for mol, free in completions(constraint, seed, count):
        try:
            template = cut(mol, free, tokenizer, constraint.task)
        except TokenError as error:
            unknown = unknown or split(error.text[error.position :])[0]
            continue
        if template.spans:
            found.setdefault(template)
    if unknown and not found:
        hint = ": remove its stereo" if unknown in "/\\" or "@" in unknown else ""
        raise MolgenError(
            f"{name} has token {unknown!r}, expected tokens of the model's vocabulary{hint}"
        )
    if not found:
        raise MolgenError(f"{name} has no atom to grow at, expected an atom with hydrogen")
    fitting = [template for template in found if template.shortest <= longest]
    if not fitting:
        least = min(template.shortest for template in found)
        raise MolgenError(
            f"{name} has at least {least} tokens with its open spans, expected at most "
            f"{longest}, the longest row of the model"
        )
    return fitting


@quiet
def cut(mol: Chem.Mol, free: frozenset[int], tokenizer: Tokenizer, task: Task) -> Template:
    """Write a molecule as SMILES, with open spans in place of its free atoms.

    Args:
        mol: the molecule.
        free: its atoms that are not kept.
        tokenizer: of the model, for SMILES.
        task: for a lead, bonds between kept and free atoms are open too; for a superstructure,
            new atoms may be bonded to kept ones by any bond.

    Raises:
        TokenError: if a fixed token is not in the vocabulary.
    """
    tokens = split(Chem.MolToSmiles(mol))
    order = json.loads(mol.GetProp("_smilesAtomOutputOrder").replace(",]", "]"))
    reading = _Reading(tokens, order, free, bonds=task is Task.LEAD)
    drawn = task not in (Task.LEAD, Task.SUPERSTRUCTURE)
    pieces: list[list[str]] = [[]]
    places: list[list[int]] = []  # of the tokens of each span
    for i, token in enumerate(tokens):
        if not reading.is_open[i]:
            pieces[-1].append(token)
            continue
        if not i or not reading.is_open[i - 1]:
            pieces.append([])
            places.append([])
        places[-1].append(i)
    texts = ["".join(piece) for piece in pieces]
    ids = tuple(tuple(tokenizer.encode(text)) for text in texts)
    spans = [
        Span(
            # a ring that begins in one span and ends in another needs its tokens
            len(place)
            if task is not Task.LEAD and reading.crossed(place)
            else int(not reading.atoms.isdisjoint(place)),
            len(place),
            drawn and place[0] > 0 and reading.parent[place[0]] not in free,
            drawn and not piece.startswith(("(", ")")) and bool(piece),
            tuple(tokenizer.encode("".join(reading.labels(place[0])))),
        )
        for place, piece in zip(places, texts[1:], strict=True)
    ]
    return Template(ids, tuple(spans), "{}".join(texts))


class _Reading:
    """The role of each token of a SMILES text.

    Attributes:
        tokens: of the text.
        is_open: whether each token is drawn.
        parent: the atom before each token, -1 at the start.
        atoms: positions of atoms.
        rings: positions of each ring closure's tokens, the two labels last.
    """

    def __init__(
        self, tokens: Sequence[str], order: Sequence[int], free: frozenset[int], bonds: bool
    ) -> None:
        """Read a text.

        Args:
            tokens: of the text.
            order: the molecule's atoms in the order of the text.
            free: atoms that are not kept.
            bonds: whether any bond symbol between a kept and a free atom is open.
        """
        self.tokens, self.is_open = tokens, [False] * len(tokens)
        self.parent: list[int] = []
        self.atoms: set[int] = set()
        self.rings: list[tuple[int, int]] = []
        branches: list[tuple[int, int, int]] = []  # parent, position, atoms before
        begun: dict[str, tuple[int, list[int]]] = {}  # labels in use: their atom, positions
        last, written = -1, 0
        symbol: list[int] = []  # position of a bond symbol before its second atom
        for i, token in enumerate(tokens):
            self.parent.append(last)
            if token == "(":
                branches.append((last, i, written))
            elif token == ")":
                last, start, before = branches.pop()
                inside = free.issuperset([last, *order[before:written]])
                self.is_open[start] = self.is_open[i] = inside
            elif _BOND.fullmatch(token):
                symbol = [i]
            elif not _RING.match(token):
                atom = order[written]
                for at in symbol:
                    among = len(free.intersection([last, atom]))
                    self.is_open[at] = among == 2 or (among == 1 and (bonds or tokens[at] == "-"))
                self.is_open[i] = atom in free
                self.atoms.add(i)
                last, written, symbol = atom, written + 1, []
            elif token in begun:
                other, positions = begun.pop(token)
                for at in (*positions, *symbol, i):
                    self.is_open[at] = last in free or other in free
                self.rings.append((positions[-1], i))
                symbol = []
            else:
                begun[token], symbol = (last, [*symbol, i]), []

    def crossed(self, place: Sequence[int]) -> bool:
        """Return whether an open ring closure has exactly one label among some tokens."""
        return any(
            self.is_open[first] and (first in place) != (second in place)
            for first, second in self.rings
        )

    def labels(self, position: int) -> list[str]:
        """Return the labels of fixed ring closures in use at a position."""
        return [
            self.tokens[first]
            for first, second in self.rings
            if first < position < second and not self.is_open[first]
        ]


def _check_elements(constraint: Constraint, tokenizer: Tokenizer, name: str) -> None:
    """Check that the vocabulary has every kept element.

    Raises:
        MolgenError: naming those that are missing.
    """
    matches = (_ELEMENT.fullmatch(token) for token in tokenizer.vocab[:-2])
    elements = {match.group(1).capitalize() for match in matches if match}
    kept = ((part.mol, i) for part in constraint.fragments for i in part.kept)
    unknown = {mol.GetAtomWithIdx(i).GetSymbol() for mol, i in kept} - elements
    if unknown:
        raise MolgenError(
            f"{name} has elements {', '.join(sorted(unknown))}, expected elements of the model's "
            f"vocabulary: {', '.join(sorted(elements))}"
        )
