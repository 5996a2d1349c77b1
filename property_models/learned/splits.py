"""Splitting molecules into training, calibration and test parts.

*random*: every molecule independently. *scaffold*: whole groups of molecules that share a
Bemis-Murcko scaffold, their rings and linkers (Bemis and Murcko, "The Properties of Known Drugs. 1.
Molecular Frameworks", 1996), so that the test has new ring systems. Groups larger than half a test
part are assigned to training; the others in random order, training first (the balanced scaffold
split of Yang et al., "Analyzing Learned Molecular Representations for Property Prediction", 2019).
All molecules without rings are one group.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from rdkit.Chem.Scaffolds import MurckoScaffold

from molgen.errors import MolgenError
from molgen.molecules.logs import quiet
from molgen.molecules.parsing import parse
from molgen.utils.hints import one_of

Kind = Literal["scaffold", "random"]
KINDS = ("scaffold", "random")
CALIBRATION, TEST = 0.1, 0.1


@dataclass(frozen=True)
class Split:
    """Row numbers of three disjoint parts that cover all rows, each in increasing order."""

    train: NDArray[np.int64]
    calibration: NDArray[np.int64]
    test: NDArray[np.int64]


@quiet
def scaffold(smiles: str) -> str:
    """Return the Bemis-Murcko scaffold as canonical SMILES, empty for a molecule without rings.

    Raises:
        MolgenError: if the string is not a molecule.
    """
    mol = parse(smiles)
    if mol is None:
        raise MolgenError(f"smiles {smiles!r} is no molecule and has no scaffold")
    return MurckoScaffold.MurckoScaffoldSmiles(mol=mol, includeChirality=False)


def split(
    smiles: Sequence[str],
    kind: Kind = "scaffold",
    seed: int = 0,
    calibration: float = CALIBRATION,
    test: float = TEST,
) -> Split:
    """Split molecules into three parts, deterministically.

    Args:
        smiles: of distinct molecules.
        kind: ``"scaffold"`` or ``"random"``.
        seed: of the random order.
        calibration: fraction for calibration.
        test: fraction for the test.

    Raises:
        MolgenError: if the kind is unknown, a fraction is out of range, or a part would be empty.
    """
    if kind not in KINDS:
        raise MolgenError(f"split is {kind!r}, {one_of(kind, KINDS)}")
    if min(calibration, test) <= 0 or calibration + test >= 1:
        raise MolgenError(
            f"calibration and test are {calibration} and {test}, expected fractions above 0 with a "
            "sum below 1"
        )
    count = len(smiles)
    if kind == "random":
        groups = [[i] for i in range(count)]
    else:
        members = defaultdict(list)
        for i, text in enumerate(smiles):
            members[scaffold(text)].append(i)
        groups = list(members.values())
    parts = _assign(groups, count, seed, calibration, test)
    if not all(len(part) for part in parts):
        sizes = ", ".join(str(len(part)) for part in parts)
        hint = "; split at random instead" if kind == "scaffold" else ""
        raise MolgenError(
            f"{count} molecules in {len(groups)} groups are too few to split: training, "
            f"calibration and test would have {sizes}{hint}"
        )
    return Split(*(np.array(sorted(part), dtype=np.int64) for part in parts))


def _assign(
    groups: list[list[int]], count: int, seed: int, calibration: float, test: float
) -> tuple[list[int], list[int], list[int]]:
    rng = np.random.default_rng(seed)
    shuffled = [groups[i] for i in rng.permutation(len(groups))]
    large = min(calibration, test) * count / 2
    order = [g for g in shuffled if len(g) > large] + [g for g in shuffled if len(g) <= large]
    sizes = (round(count * (1 - calibration - test)), round(count * calibration))
    parts: tuple[list[int], list[int], list[int]] = ([], [], [])
    for group in order:
        fitting = (i for i in (0, 1) if len(parts[i]) + len(group) <= sizes[i])
        parts[next(fitting, 2)].extend(group)
    return parts
