"""Parts of a molecule that may be redrawn, and how alike the rest leaves it to a lead.

A part is a connected set of atoms, grown from a random one: atom by atom, or by whole rings and
chain atoms, since a chemist replaces a ring and not two thirds of it. Aromatic rings are taken
whole, unless there is nothing else: what is left of one could seldom be completed. Redrawing it
keeps those bits of the fingerprint whose surroundings lie in the rest,

    c = |bits(rest) and bits(lead)|,      T  ~  c / (|bits(lead)| + |bits(molecule)| - c)

is the similarity to expect if nothing of what is drawn is like the lead and it sets as many bits as
what was there. It can be told before anything is drawn, and says how large a part may be. Imports
RDKit, never torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from molgen.molecules.environments import Bits, environments

POOL = 24  # parts to choose from
ATTEMPTS = 96  # at so many
FEWEST = 6  # parts, if there are as many: what is drawn may be more like the lead than expected
LARGEST = 0.7  # part of the atoms


@dataclass(frozen=True)
class Part:
    """Atoms to redraw.

    Attributes:
        atoms: their indices.
        common: bits of the lead that the rest keeps.
        bits: of the molecule as it is.
        lead_bits: of the lead.
    """

    atoms: frozenset[int]
    common: int = 0
    bits: int = 0
    lead_bits: int = 0

    def similarity(self, size: float = 1.0) -> float:
        """Return the similarity to the lead that is to be expected; see this module.

        Args:
            size: of what comes of the molecule, in parts of what it is.
        """
        either = self.lead_bits + self.bits * size - self.common
        return min(1.0, self.common / either) if either > 0 else 1.0


def parts(
    mol: Chem.Mol, free: frozenset[int], lead: Bits, least: float, u: NDArray[np.float64]
) -> list[Part]:
    """Return distinct parts of a molecule.

    Args:
        mol: the molecule.
        free: atoms that may change.
        lead: the bits of the lead.
        least: similarity to be expected; where fewer than :data:`FEWEST` parts leave as much, those
            that leave most.
        u: uniforms in [0, 1) with shape (attempts, atoms + 2).

    Returns:
        At most :data:`POOL`; none where nothing may change.
    """
    ways = [pieces(mol, free), blocks(mol, free)]
    if all(len(units) == 1 and len(units[0]) == mol.GetNumAtoms() for units in ways):
        ways = [[frozenset([atom]) for atom in sorted(free)]]  # benzene
    surroundings = environments(mol)
    everything = frozenset(range(mol.GetNumAtoms()))
    found: dict[frozenset[int], Part] = {}
    for attempt, row in enumerate(u):
        units, numbers = ways[attempt % len(ways)], iter(row.tolist())
        size = 1 + int(next(numbers) * LARGEST * mol.GetNumAtoms())
        atoms = grown(mol, units, size, numbers) if units else frozenset()
        if atoms and atoms != everything and atoms not in found:
            common = _kept(surroundings, everything - atoms) & lead
            found[atoms] = Part(atoms, len(common), len(surroundings), len(lead))
    near = [part for part in found.values() if part.similarity() >= least]
    if len(near) < FEWEST:
        near = sorted(found.values(), key=lambda part: -part.similarity())[:FEWEST]
    return near[:POOL]


def _kept(surroundings: dict[int, list[frozenset[int]]], rest: frozenset[int]) -> Bits:
    """Return the bits of a fingerprint that some place in the rest sets."""
    return frozenset(
        bit for bit, places in surroundings.items() if any(place <= rest for place in places)
    )


def pieces(mol: Chem.Mol, free: frozenset[int]) -> list[frozenset[int]]:
    """Return atoms, but those of aromatic rings that share a bond together."""
    bonds = [bond.GetIdx() for bond in mol.GetBonds() if not bond.GetIsAromatic()]
    apart = Chem.FragmentOnBonds(mol, bonds, addDummies=False) if bonds else mol
    pieces = (free.intersection(atoms) for atoms in Chem.GetMolFrags(apart))
    return [piece for piece in pieces if piece]


def blocks(mol: Chem.Mol, free: frozenset[int]) -> list[frozenset[int]]:
    """Return what is left together when every single bond outside of rings is cut."""
    cut = [
        bond.GetIdx()
        for bond in mol.GetBonds()
        if bond.GetBondType() == Chem.BondType.SINGLE and not bond.IsInRing()
    ]
    pieces = Chem.FragmentOnBonds(mol, cut, addDummies=False) if cut else mol
    blocks = (free.intersection(atoms) for atoms in Chem.GetMolFrags(pieces))
    return [block for block in blocks if block]


def grown(
    mol: Chem.Mol, units: Sequence[frozenset[int]], size: int, u: Iterator[float]
) -> frozenset[int]:
    """Return a connected union of units with at least so many atoms, or all that is connected."""
    owner = {atom: unit for unit in units for atom in unit}
    atoms = set(units[int(next(u) * len(units))])
    while len(atoms) < size:
        edge = sorted(
            {
                min(owner[other.GetIdx()])
                for atom in atoms
                for other in mol.GetAtomWithIdx(atom).GetNeighbors()
                if other.GetIdx() in owner and other.GetIdx() not in atoms
            }
        )
        if not edge:
            break
        atoms |= owner[edge[int(next(u) * len(edge))]]
    return frozenset(atoms)
