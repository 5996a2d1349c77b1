"""Candidate regions of a molecule to redraw, and the expected similarity of the result to a lead.

A region is a connected set of atoms, grown from a random atom: atom by atom, or by whole rings and
chain atoms, since chemists replace whole rings. Aromatic rings are taken whole unless the molecule
has no other atoms, because a partial aromatic ring can rarely be completed. Redrawing a region
keeps the bits of the fingerprint whose environments lie in the rest,

    c = |bits(rest) and bits(lead)|,      T  ~  c / (|bits(lead)| + |bits(molecule)| - c)

is the expected similarity if the redrawn region shares no bit with the lead and sets as many bits
as before. It is computed before drawing, and limits the size of a region. Imports RDKit, never
torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from molgen.molecules.environments import Bits, environments

MOST_REGIONS = 24
ATTEMPTS = 96  # to grow regions
LEAST_REGIONS = 6  # below the threshold too: the similarity may exceed the expected one
LARGEST = 0.7  # share of the atoms


@dataclass(frozen=True)
class Region:
    """Atoms to redraw.

    Attributes:
        atoms: their indices.
        common: number of bits of the lead that the rest keeps.
        bits: number of bits of the current molecule.
        lead_bits: number of bits of the lead.
    """

    atoms: frozenset[int]
    common: int = 0
    bits: int = 0
    lead_bits: int = 0

    def similarity(self, size: float = 1.0) -> float:
        """Return the expected similarity to the lead; see this module.

        Args:
            size: of the new molecule, relative to the current one.
        """
        either = self.lead_bits + self.bits * size - self.common
        return min(1.0, self.common / either) if either > 0 else 1.0


def candidate_regions(
    mol: Chem.Mol, free: frozenset[int], lead: Bits, least: float, u: NDArray[np.float64]
) -> list[Region]:
    """Return distinct regions of a molecule.

    Args:
        mol: the molecule.
        free: atoms that may change.
        lead: the bits of the lead.
        least: lowest expected similarity; if fewer than :data:`LEAST_REGIONS` regions reach it,
            the most similar ones are returned.
        u: uniforms in [0, 1) with shape (attempts, atoms + 2).

    Returns:
        At most :data:`MOST_REGIONS`; none if no atom may change.
    """
    ways = [pieces(mol, free), blocks(mol, free)]
    if all(len(units) == 1 and len(units[0]) == mol.GetNumAtoms() for units in ways):
        ways = [[frozenset([atom]) for atom in sorted(free)]]  # benzene
    surroundings = environments(mol)
    everything = frozenset(range(mol.GetNumAtoms()))
    found: dict[frozenset[int], Region] = {}
    for attempt, row in enumerate(u):
        units, numbers = ways[attempt % len(ways)], iter(row.tolist())
        size = 1 + int(next(numbers) * LARGEST * mol.GetNumAtoms())
        atoms = grow_region(mol, units, size, numbers) if units else frozenset()
        if atoms and atoms != everything and atoms not in found:
            common = _kept(surroundings, everything - atoms) & lead
            found[atoms] = Region(atoms, len(common), len(surroundings), len(lead))
    similar = [region for region in found.values() if region.similarity() >= least]
    if len(similar) < LEAST_REGIONS:
        similar = sorted(found.values(), key=lambda region: -region.similarity())[:LEAST_REGIONS]
    return similar[:MOST_REGIONS]


def _kept(surroundings: dict[int, list[frozenset[int]]], rest: frozenset[int]) -> Bits:
    """Return the bits of a fingerprint that an environment within the rest sets."""
    return frozenset(
        bit for bit, places in surroundings.items() if any(place <= rest for place in places)
    )


def pieces(mol: Chem.Mol, free: frozenset[int]) -> list[frozenset[int]]:
    """Return single atoms, with fused aromatic rings as one unit."""
    bonds = [bond.GetIdx() for bond in mol.GetBonds() if not bond.GetIsAromatic()]
    apart = Chem.FragmentOnBonds(mol, bonds, addDummies=False) if bonds else mol
    pieces = (free.intersection(atoms) for atoms in Chem.GetMolFrags(apart))
    return [piece for piece in pieces if piece]


def blocks(mol: Chem.Mol, free: frozenset[int]) -> list[frozenset[int]]:
    """Return the fragments after cutting every single bond outside of rings."""
    cut = [
        bond.GetIdx()
        for bond in mol.GetBonds()
        if bond.GetBondType() == Chem.BondType.SINGLE and not bond.IsInRing()
    ]
    pieces = Chem.FragmentOnBonds(mol, cut, addDummies=False) if cut else mol
    blocks = (free.intersection(atoms) for atoms in Chem.GetMolFrags(pieces))
    return [block for block in blocks if block]


def grow_region(
    mol: Chem.Mol, units: Sequence[frozenset[int]], size: int, u: Iterator[float]
) -> frozenset[int]:
    """Return a connected union of units with at least ``size`` atoms, or a whole component."""
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
