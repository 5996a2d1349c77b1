"""From a constraint to token templates: fixed text with open spans between.

    *c1ccco1            {}c1ccco1
    *c1ccc(*)cc1        {}c1ccc({})cc1
    *C1CC1.*C#N         N#C{}C1CC1    or    N#C{}(C2CC2){}    or    {}({}C#N){}C1CC1    or ...

A network writes canonical SMILES, and knows a fragment in the places and directions that they have
there. So each spelling is that of a whole molecule (:mod:`molgen.constraints.completion`): its
canonical SMILES is written, and the tokens of everything that is not kept are taken out again,

    an atom's token, bonds and ring closures among free atoms, branches that hold nothing else

and, of a lead, bonds and ring closures between what stays and what changes, too. Each run of such
tokens is an open span: free text that may open and close rings and branches of its own. A span's
usual length is what was taken out there, and only a first guess.
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
from molgen.molecules.smiles import TokenError, split

SPELLINGS = 128  # completions tried: those of a scaffold are some tens of distinct templates
_BOND, _RING = re.compile(r"[-=#$:/\\~]"), re.compile(r"[%\d]")
_ELEMENT = re.compile(r"\[?\d*([A-Z][a-z]?|[a-z]{1,2})(?:[@H+\-\d:].*)?\]?")


@dataclass(frozen=True)
class Span:
    """An open span.

    Attributes:
        least: fewest tokens.
        usual: tokens in the molecule that was spelled.
        hangs: whether it begins behind a kept atom, at the other end of a bond that was drawn.
        holds: whether a kept atom comes next, likewise.
        labels: ids of the ring labels that fixed text has in use there.
    """

    least: int
    usual: int
    hangs: bool
    holds: bool
    labels: tuple[int, ...]


@dataclass(frozen=True)
class Template:
    """Fixed tokens with open spans between them.

    Attributes:
        pieces: ids of the fixed tokens before, between and behind the spans.
        spans: what is open.
        text: for readers; a span is ``{}``.
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
        """Tokens of the molecule that was spelled."""
        return sum(map(len, self.pieces)) + sum(span.usual for span in self.spans)

    def stretch(self, length: int, u: NDArray[np.float64]) -> list[int]:
        """Return a length for each span.

        From the usual lengths on, tokens are added to spans chosen at random, or taken from those
        that can spare one, until the row is as long as asked for.

        Args:
            length: tokens of the row, at least :attr:`shortest`.
            u: uniforms in [0, 1), at least one for each token added or taken.
        """
        sizes, rest = [span.usual for span in self.spans], length - self.usual
        for number in u[: abs(rest)]:
            able = [k for k, span in enumerate(self.spans) if rest > 0 or sizes[k] > span.least]
            sizes[able[int(number * len(able))]] += 1 if rest > 0 else -1
        return sizes

    def row(self, sizes: Sequence[int], mask_id: int) -> tuple[list[int], list[int]]:
        """Return the tokens of a row, masks in its spans, and the span each is in, -1 for none.

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
        constraint: what stays.
        tokenizer: of the model, for SMILES.
        longest: most tokens of a row.
        seed: the same seed gives the same templates, and fewer are a prefix of more.
        count: completions tried; a lead has one spelling, its own.

    Raises:
        ValueError: if the constraint holds an element or another token that the vocabulary lacks,
            or does not fit into the longest row; one line.
    """
    if tokenizer.representation != "smiles":
        raise ValueError(
            f"the model writes {tokenizer.representation}, expected smiles: what is kept is text"
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
        hint = ": leave its stereo out" if unknown in "/\\" or "@" in unknown else ""
        raise ValueError(
            f"{name} is written with {unknown!r}, which the model's vocabulary does not hold{hint}"
        )
    if not found:
        raise ValueError(f"{name} has no place to grow at, expected an atom with hydrogen")
    fitting = [template for template in found if template.shortest <= longest]
    if not fitting:
        least = min(template.shortest for template in found)
        raise ValueError(
            f"{name} takes at least {least} tokens with its open spans, expected at most "
            f"{longest}, the longest row of the model"
        )
    return fitting


def cut(mol: Chem.Mol, free: frozenset[int], tokenizer: Tokenizer, task: Task) -> Template:
    """Spell a molecule, and open spans where its free atoms are.

    Args:
        mol: the molecule.
        free: its atoms that are not kept.
        tokenizer: of the model, for SMILES.
        task: for a lead, bonds between kept and free atoms are free, too; under a superstructure
            new atoms are bonded to kept ones in any way.

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
    """What each token of a SMILES text belongs to.

    Attributes:
        tokens: of the text.
        is_open: of each token, whether it is to be drawn.
        parent: the atom that each token is written behind, -1 at the start.
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
        symbol: list[int] = []  # position of a bond symbol that waits for its second atom
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
        """Return whether an open ring closure has one label among some tokens, the other not."""
        return any(
            self.is_open[first] and (first in place) != (second in place)
            for first, second in self.rings
        )

    def labels(self, position: int) -> list[str]:
        """Return the labels of the fixed ring closures that are in use at a position."""
        return [
            self.tokens[first]
            for first, second in self.rings
            if first < position < second and not self.is_open[first]
        ]


def _check_elements(constraint: Constraint, tokenizer: Tokenizer, name: str) -> None:
    """Check that the vocabulary can write every element that is kept.

    Raises:
        ValueError: naming those it cannot.
    """
    matches = (_ELEMENT.fullmatch(token) for token in tokenizer.vocab[:-2])
    known = {match.group(1).capitalize() for match in matches if match}
    kept = ((part.mol, i) for part in constraint.fragments for i in part.kept)
    unknown = {mol.GetAtomWithIdx(i).GetSymbol() for mol, i in kept} - known
    if unknown:
        raise ValueError(
            f"{name} holds {', '.join(sorted(unknown))}, expected elements that the model writes: "
            f"{', '.join(sorted(known))}"
        )
