"""Structures of a page: RDKit's coordinates, packed; the browser draws them and writes the SDF.

    distinct molecules -> molfile (V2000) + hydrogens of atoms -> blocks of 100, deflated, base64

A molfile takes about 280 characters packed, against 1,600 of the same drawing as compact SVG, and
serves both purposes. A block is unpacked when its first structure comes into view. Coordinates are
those of every other picture of molgen (:mod:`molgen.molecules.coordinates`).
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from rdkit import Chem

from molgen.errors import MolgenError
from molgen.molecules.coordinates import structures
from molgen.molecules.logs import quiet
from molgen.molecules.parsing import parse
from molgen.utils.parallel import map_chunks

BLOCK = 100  # structures unpacked at once; about 3 ms in a browser
SEPARATOR = "$$$$\n"
MOST_ATOMS = 250  # of a drawing; larger ones are shown as strings
MOST_HYDROGENS = 9  # of an atom: one digit each


@dataclass
class Structures:
    """The distinct structures of a page, numbered as they are added."""

    smiles: list[str] = field(default_factory=list)
    _numbers: dict[str, int | None] = field(default_factory=dict, repr=False)
    _drawn: set[str] = field(default_factory=set, repr=False)

    def add(self, smiles: str, drawn: bool = True) -> int | None:
        """Return the number of a structure, None for what cannot be drawn.

        Args:
            smiles: several fragments and attachment points are allowed.
            drawn: whether it is laid out, which takes 5 ms; else the page shows its SMILES.
        """
        if smiles not in self._numbers:
            mol = parse(smiles) if smiles else None
            drawable = mol is not None and 0 < mol.GetNumAtoms() <= MOST_ATOMS
            self._numbers[smiles] = len(self.smiles) if drawable else None
            if drawable:
                self.smiles.append(smiles)
        if drawn:
            self._drawn.add(smiles)
        return self._numbers[smiles]

    def blocks(self, workers: int = 1, progress: str = "") -> list[str]:
        """Return the packed structures, :data:`BLOCK` in each.

        Args:
            workers: number of processes.
            progress: label of a progress bar; empty for none.
        """
        drawn = [text for text in self.smiles if text in self._drawn]
        chunks = map_chunks(_texts, drawn, workers, progress)
        laid_out = zip(drawn, (text for chunk in chunks for text in chunk), strict=True)
        texts = dict.fromkeys(self.smiles, "") | dict(laid_out)
        found = list(texts.values())
        return [pack(found[i : i + BLOCK]) for i in range(0, len(found), BLOCK)]


def pack(texts: Sequence[str]) -> str:
    """Return texts deflated, as base64."""
    whole = zlib.compress(SEPARATOR.join(texts).encode("utf-8"), 9)
    return base64.b64encode(whole).decode("ascii")


def unpack(block: str) -> list[str]:
    """Return the texts of a block; what the page's script does."""
    return zlib.decompress(base64.b64decode(block)).decode("utf-8").split(SEPARATOR)


def _texts(smiles: Sequence[str]) -> list[str]:
    """Return the hydrogens and the molfile of each structure, with common parts aligned."""
    try:
        return [_molfile(one.mol) for one in structures(smiles)]
    except (MolgenError, ValueError, RuntimeError):  # one of them has no layout
        return [_text(text) for text in smiles]


def _text(smiles: str) -> str:
    """Return the same of one structure; empty for one without a layout."""
    try:
        return _molfile(structures([smiles])[0].mol)
    except (MolgenError, ValueError, RuntimeError):
        return ""


def _molfile(mol: Chem.Mol) -> str:
    hydrogens = (min(MOST_HYDROGENS, atom.GetTotalNumHs()) for atom in mol.GetAtoms())
    with quiet:
        return f"{''.join(map(str, hydrogens))}\n{Chem.MolToMolBlock(mol)}"
