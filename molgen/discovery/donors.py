"""Donors: molecules of a user's file whose fragments replace parts of the molecules of a search.

    current molecule = A-B,    donor = C-D    ->    A-C, A-D, B-C, B-D

Of the donors most similar to a lead those with the best scores are used. Rounds of attempts may
start from them, and a child joins a part of the current molecule, cut at one single bond of a
carbon outside of rings, with a part of such a donor. RDKit cuts and joins: its fragmentation is
that of matched molecular pairs (Hussain and Rea, "Computationally efficient algorithm to identify
matched molecular pairs", 2010), here of amides too.

Reference: Wang et al., "Retrieval-based controllable molecule generation" (2023), which conditions
on good molecules near the lead.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from rdkit import Chem, DataStructs
from rdkit.Chem import rdMMPA

from molgen.discovery.goals import Goals
from molgen.errors import MolgenError
from molgen.molecules.environments import BITS
from molgen.molecules.fingerprints import morgan
from molgen.molecules.logs import quiet
from molgen.molecules.parsing import canonical, parse
from molgen.utils.arrays import Floats
from property_models import compute
from property_models.registry import is_function

NEAR = 256  # most similar donors of a lead whose values are looked at
COUNT = 16  # of them, those that are used
PENALTY = 5.0  # training standard deviations for a similarity of 0 in place of the least one
CUTS = 100  # bonds of a molecule that may be cut
BOND = "[#6]!@-[*]"


@dataclass(frozen=True, eq=False)
class Donors:
    """Molecules with the values of some properties.

    Attributes:
        smiles: canonical, distinct.
        values: of properties by name, each with shape (donors,); others are computed where needed.
    """

    smiles: tuple[str, ...]
    values: Mapping[str, Floats] = field(default_factory=dict)

    def check(self, goals: Goals) -> None:
        """Check that the values of donors are known, or cheap to compute.

        Raises:
            MolgenError: naming a goal on a user's function for which there is no column.
        """
        if not self.smiles:
            raise MolgenError("donors is empty, expected at least one molecule")
        for goal in goals.computed:
            if goal.name not in self.values and is_function(goal.name):
                raise MolgenError(
                    f"donors has no column {goal.name!r}, expected one: each value would take a "
                    "call of the scorer"
                )

    def similarities(self, mol: Chem.Mol) -> Floats:
        """Return the similarity of each donor to a molecule, shape (donors,)."""
        own = morgan(BITS).GetFingerprint(mol)
        return np.array(DataStructs.BulkTanimotoSimilarity(own, self._fingerprints))

    def near(self, lead: str, goals: Goals, similarity: float) -> dict[str, tuple[float, Floats]]:
        """Return the best donors among the nearest ones of a lead, best first.

        Args:
            lead: its canonical SMILES.
            goals: at least one, all on properties that can be computed.
            similarity: least similarity of a molecule to the lead.

        Returns:
            By SMILES the score of each, see :func:`reduced`, and the values of the goals'
            properties, with shape (goals,).
        """
        like = self.similarities(Chem.MolFromSmiles(lead))
        order = np.argsort(-like, kind="stable")[: NEAR + 1]
        order = np.array([i for i in order if self.smiles[i] != lead], dtype=np.int64)
        smiles = [self.smiles[i] for i in order]
        names = [goal.name for goal in goals]
        found = {name: self.values[name][order] for name in names if name in self.values}
        found |= compute([name for name in names if name not in found], smiles)
        values = np.stack([found[name] for name in names], axis=1)
        score = reduced(goals.scores(values), like[order], similarity)
        best = [i for i in np.argsort(-score, kind="stable")[:COUNT] if np.isfinite(score[i])]
        return {smiles[i]: (float(score[i]), values[i]) for i in best}

    @functools.cached_property
    def _fingerprints(self) -> list[DataStructs.ExplicitBitVect]:
        make = morgan(BITS)
        return [make.GetFingerprint(Chem.MolFromSmiles(text)) for text in self.smiles]


def reduced(score: Floats, similarity: Floats, least: float) -> Floats:
    """Return scores less a penalty for a similarity to the lead below the least one.

    Args:
        score: in training standard deviations, any shape.
        similarity: to the lead, with the same shape.
        least: similarity of an improvement.
    """
    return score - PENALTY * np.maximum(0.0, 1.0 - similarity / least) if least else score


@functools.lru_cache(maxsize=4096)
@quiet
def cuts(smiles: str) -> tuple[tuple[str, str], ...]:
    """Return the two parts of a molecule for each bond that may be cut, as SMILES with ``*``."""
    mol = parse(smiles)
    if mol is None:
        return ()
    found = rdMMPA.FragmentMol(mol, 1, 1, CUTS, BOND, resultsAsMols=False)
    return tuple(tuple(both.split(".")) for _, both in found if both.count(".") == 1)


def children(smiles: str, donors: Iterable[str], u: Floats) -> dict[str, str]:
    """Return molecules that join a part of one molecule with a part of a donor.

    Args:
        smiles: of the current molecule.
        donors: their SMILES.
        u: uniforms in [0, 1) with shape (children, 2), that choose the parts.

    Returns:
        The replaced part of the current molecule by child; fewer where two are equal, or a pair
        cannot be joined.
    """
    own = [pair for both in cuts(smiles) for pair in (both, both[::-1])]
    parts = list(dict.fromkeys(part for donor in donors for both in cuts(donor) for part in both))
    found: dict[str, str] = {}
    if not own or not parts:
        return found
    for first, second in u.tolist():
        kept, replaced = own[int(first * len(own))]
        child = joined(kept, parts[int(second * len(parts))])
        if child and child != smiles:
            found.setdefault(child, replaced.replace("[*:1]", "*"))
    return found


@quiet
def joined(first: str, second: str) -> str:
    """Return the molecule of two parts, canonical; empty if there is none."""
    mol = Chem.MolFromSmiles(f"{first}.{second}")
    whole = None if mol is None else Chem.molzip(mol)
    return "" if whole is None else canonical(Chem.MolToSmiles(whole))
