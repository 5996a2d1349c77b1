"""From a constraint to token templates: fixed text with open spans between.

    *c1ccco1            {}c1ccco1
    *c1ccc(*)cc1        {}c1ccc({})cc1
    *C1CC1.*C#N         C1({}C#N)CC1    or    {}(C1CC1){}C#N    or ...

A network writes canonical SMILES, and knows a fragment in the places and directions that they have
there. So each spelling is that of a whole molecule: ordinary groups are put on the attachment
points (or between fragments, or on hydrogens of a superstructure's core), the canonical SMILES is
written, and the tokens of the groups are taken out again. What is taken out of a lead are the atoms
that may change,

    an atom's token, bonds and ring closures among or to them, branches that hold nothing else,

and each run of such tokens is an open span: free text that may open and close rings and branches of
its own. A span's usual length is that of the group that was there, and only a first guess.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem, rdBase

from molgen import randomness
from molgen.fragments import Constraint, Task
from molgen.tokenizer import Tokenizer, TokenError, split

GROUPS = (
    "C CC CCC CCCC C(C)C C(C)(C)C C1CC1 C1CCCC1 C1CCCCC1 F Cl Br O OC OCC N NC NCC N(C)C N1CCCC1 "
    "N1CCOCC1 N1CCN(C)CC1 C#N C#C C=C C=O C(F)(F)F CO CCO COC CC#N CC(N)=O CN(C)C C(C)=O C(=O)O "
    "C(N)=O C(=O)OC C(=O)NC C(=O)NCC C(=O)N(C)C C(=O)NC1CC1 C(=O)Nc1ccccc1 NC(C)=O NC(=O)CC "
    "NC(=O)c1ccccc1 NS(C)(=O)=O S(C)(=O)=O S(N)(=O)=O SC OC(F)F Oc1ccccc1 c1ccccc1 c1ccc(F)cc1 "
    "c1ccc(OC)cc1 c1ccncc1 c1ccco1 c1cccs1 c1cc[nH]n1 Cc1ccccc1 CCc1ccccc1 Cc1ccc(F)cc1 =O =C =CC "
    "=C(C)C =NO =NC =Cc1ccccc1 #N #C #CC #CCC"
).split()
"""Groups of one attachment, with the bond they take where it is not single."""
CHAINS = (
    "CC CCC C(=O)N CC(=O)N OCC COC CNC C(=O)NC CC(=O)NC NCCC OCCO CCCC C(=O)CC C(=O)OC C=C NC(=O)N "
    "C1CCN(C1) C1CCN(CC1) N1CCN(CC1) c1ccc(cc1) c1ccc(cc1)C C(=O)N1CCN(CC1) Cc1ccc(cc1) S(=O)(=O)N "
    "C(=O)Nc1ccc(cc1) CCCCC CCNC(=O) CCC(=O)N"
).split()
"""Linkers: from their first atom to their last in the order of the text that ends with it."""
GROWN = 3  # a superstructure's core grows at up to so many places at once
TRIES = 4  # of groups for each spelling wanted, as some do not go with the fragment
_POOL = 1 << 40  # coordinate of the random numbers by which groups are chosen
_BOND, _RING = re.compile(r"[-=#$:/\\~]"), re.compile(r"%|\d")


@dataclass(frozen=True)
class Template:
    """Fixed tokens with open spans between them.

    Attributes:
        pieces: ids of the fixed tokens before, between and behind the spans.
        least: fewest tokens of each span.
        usual: tokens of each span in the molecule that was spelled.
        text: for readers; a span is ``{}``.
    """

    pieces: tuple[tuple[int, ...], ...]
    least: tuple[int, ...]
    usual: tuple[int, ...] = field(compare=False)
    text: str = field(compare=False)

    @property
    def fixed(self) -> int:
        """Fixed tokens."""
        return sum(map(len, self.pieces))

    @property
    def shortest(self) -> int:
        """Tokens of the shortest row."""
        return self.fixed + sum(self.least)

    @property
    def length(self) -> int:
        """Tokens of the molecule that was spelled."""
        return self.fixed + sum(self.usual)

    def spans(self, length: int, u: NDArray[np.float64]) -> list[int]:
        """Share the tokens of a row of some length out over the spans.

        Starting from the usual lengths, tokens are added to spans (or taken from those that can
        spare one) chosen at random until the row is as long as asked for.

        Args:
            length: tokens of the row, at least :attr:`shortest`.
            u: uniforms in [0, 1), one for each token added or taken.
        """
        spans, rest = list(self.usual), length - self.length
        for number in u[: abs(rest)]:
            if rest > 0:
                spans[int(number * len(spans))] += 1
            else:
                able = [i for i, n in enumerate(spans) if n > self.least[i]]
                spans[able[int(number * len(able))]] -= 1
        return spans

    def row(self, spans: Sequence[int], mask_id: int) -> tuple[list[int], list[bool]]:
        """Return the tokens of a row, masks in its spans, and which of them are fixed."""
        tokens, fixed = list(self.pieces[0]), [True] * len(self.pieces[0])
        for count, piece in zip(spans, self.pieces[1:], strict=True):
            tokens += [mask_id] * count + list(piece)
            fixed += [False] * count + [True] * len(piece)
        return tokens, fixed


def templates(
    constraint: Constraint, tokenizer: Tokenizer, longest: int, seed: int = 0, count: int = 128
) -> list[Template]:
    """Return distinct spellings of a constraint as templates.

    Args:
        constraint: what stays.
        tokenizer: of the model, for SMILES.
        longest: most tokens of a row.
        seed: the same seed gives the same templates.
        count: spellings tried; a lead has one, its own.

    Raises:
        ValueError: if the constraint holds an element or another token that the vocabulary lacks,
            or does not fit into the longest row; one line.
    """
    if tokenizer.representation != "smiles":
        raise ValueError(
            f"the model writes {tokenizer.representation}, expected SMILES: constraints are fixed "
            "text"
        )
    _check_elements(constraint, tokenizer)
    found: dict[Template, None] = {}
    unknown = ""
    for spelled, free in _spelled(constraint, seed, count):
        try:
            found.setdefault(cut(spelled, free, tokenizer, constraint.task is Task.LEAD))
        except TokenError as error:
            unknown = unknown or error.text
    if not found:
        raise ValueError(
            f"scaffold {constraint.source!r} is written with {unknown!r}, which the model's "
            "vocabulary does not hold"
        )
    fitting = [template for template in found if template.shortest <= longest]
    if not fitting:
        least = min(template.shortest for template in found)
        raise ValueError(
            f"scaffold {constraint.source!r} takes at least {least} tokens with its open spans, "
            f"expected at most {longest}, the model's longest"
        )
    return fitting


def cut(
    mol: Chem.Mol, free: frozenset[int], tokenizer: Tokenizer, bonds: bool = False
) -> Template:
    """Spell a molecule, and open spans where its free atoms are.

    Args:
        mol: the molecule.
        free: its atoms that are not kept.
        tokenizer: of the model, for SMILES.
        bonds: whether the bonds between kept and free atoms are free, too.

    Raises:
        TokenError: if a fixed token is not in the vocabulary.
    """
    text = Chem.MolToSmiles(mol)
    order = json.loads(mol.GetProp("_smilesAtomOutputOrder").replace(",]", "]"))
    tokens = split(text)
    is_open, atoms = _open_tokens(tokens, order, free, bonds)
    pieces: list[list[str]] = [[]]
    least, usual = [], []
    for i, token in enumerate(tokens):
        if not is_open[i]:
            pieces[-1].append(token)
            continue
        if not i or not is_open[i - 1]:
            pieces.append([])
            least.append(0)
            usual.append(0)
        usual[-1] += 1
        least[-1] |= i in atoms
    texts = ["".join(piece) for piece in pieces]
    ids = []
    for piece in pieces:
        for token in piece:
            tokenizer.encode(token) if token not in tokenizer.vocab else None
        ids.append(tuple(tokenizer.encode("".join(piece))))
    return Template(tuple(ids), tuple(least), tuple(usual), "{}".join(texts))
