"""Features of the property predictor: counts of circular substructures, and 2D descriptors.

    molecule -> Morgan counts c (folded) -> unary code: the sum of min(c, c') is then a product
             -> descriptors d of RDKit   -> sign(d) log(1 + |d|) -> standard scores in [-5, 5]

Counts are of substructures up to two bonds from an atom (Rogers and Hahn, "Extended-connectivity
fingerprints", 2010). All descriptors are computed by RDKit's C++ code, so a molecule takes about a
millisecond; RDKit's full list takes many times as long. Undefined descriptors (charges of an
element without parameters) are set to the training mean.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import rdFingerprintGenerator, rdMolDescriptors

from molgen.molecules.logs import quiet
from molgen.molecules.parsing import parse
from molgen.utils.parallel import map_chunks

RADIUS, BITS = 2, 2048
MOST_COUNT = 15  # of one substructure; higher counts are clipped
LIMIT = 5.0  # standard scores are clipped, so that no descriptor dominates a prediction
# fmt: off
PROPERTIES = (
    "exactmw", "lipinskiHBA", "lipinskiHBD", "NumRotatableBonds", "NumHBD", "NumHBA",
    "NumHeavyAtoms", "NumAtoms", "NumHeteroatoms", "NumAmideBonds", "FractionCSP3", "NumRings",
    "NumAromaticRings", "NumAliphaticRings", "NumSaturatedRings", "NumHeterocycles",
    "NumAromaticHeterocycles", "NumSaturatedHeterocycles", "NumAliphaticHeterocycles",
    "NumSpiroAtoms", "NumBridgeheadAtoms", "labuteASA", "tpsa", "CrippenClogP", "CrippenMR",
    "chi0v", "chi1v", "chi2v", "chi3v", "chi4v", "chi0n", "chi1n", "chi2n", "chi3n", "chi4n",
    "hallKierAlpha", "kappa1", "kappa2", "kappa3", "Phi",
)
# fmt: on
FAMILIES: dict[str, tuple[int, Callable[[Chem.Mol], Sequence[float]]]] = {
    "PEOE_VSA": (14, rdMolDescriptors.PEOE_VSA_),
    "SlogP_VSA": (12, rdMolDescriptors.SlogP_VSA_),
    "SMR_VSA": (10, rdMolDescriptors.SMR_VSA_),
    "MQN": (42, rdMolDescriptors.MQNs_),
}
DESCRIPTORS = (
    *PROPERTIES,
    *(f"{family}{i + 1}" for family, (size, _) in FAMILIES.items() for i in range(size)),
)


@dataclass(frozen=True)
class Features:
    """Molecules as arrays.

    Attributes:
        counts: of substructures, with shape (molecules, :data:`BITS`), at most :data:`MOST_COUNT`.
        descriptors: with shape (molecules, descriptors), NaN where undefined.
    """

    counts: NDArray[np.uint8]
    descriptors: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.counts)

    def __getitem__(self, rows: NDArray[np.int64]) -> Features:
        return Features(self.counts[rows], self.descriptors[rows])

    @classmethod
    def of(cls, mols: Sequence[Chem.Mol]) -> Features:
        """Return the features of RDKit molecules."""
        with quiet:
            rows = [(_counts(mol), _descriptors(mol)) for mol in mols]
        if not rows:
            return cls(np.empty((0, BITS), np.uint8), np.empty((0, len(DESCRIPTORS))))
        counts, descriptors = zip(*rows, strict=True)
        return cls(np.stack(counts), np.stack(descriptors))

    @classmethod
    def of_smiles(cls, smiles: Sequence[str], processes: int = 1, progress: str = "") -> Features:
        """Return the features of molecules given as SMILES.

        Args:
            smiles: each a molecule.
            processes: number of processes.
            progress: label of a progress bar; empty for none.
        """
        parts = map_chunks(_of_chunk, list(smiles), processes, progress) or [cls.of([])]
        return cls(
            np.concatenate([part.counts for part in parts]),
            np.concatenate([part.descriptors for part in parts]),
        )


@dataclass(frozen=True)
class Scaler:
    """Descriptors as standard scores of the training molecules.

    Attributes:
        mean: of the transformed descriptors, shape (descriptors,).
        std: same shape; 0 for a constant descriptor, which is dropped.
    """

    mean: NDArray[np.float64]
    std: NDArray[np.float64]

    @classmethod
    def fit(cls, descriptors: NDArray[np.float64]) -> Scaler:
        """Compute mean and deviation of training molecules, shape (molecules, descriptors)."""
        squashed = _squash(descriptors)
        finite = np.isfinite(squashed)
        count = np.maximum(finite.sum(0), 1)
        values = np.where(finite, squashed, 0.0)
        mean = values.sum(0) / count
        std = np.sqrt((np.where(finite, values - mean, 0.0) ** 2).sum(0) / count)
        return cls(mean, np.where(std > 1e-9, std, 0.0))

    def __call__(self, descriptors: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return standard scores, with shape (molecules, descriptors that vary)."""
        varies = self.std > 0
        scores = (_squash(descriptors) - self.mean)[:, varies] / self.std[varies]
        return np.where(np.isfinite(scores), scores, 0.0).clip(-LIMIT, LIMIT)


def unary(counts: NDArray[np.uint8], columns: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return counts in unary, so that the product of two rows is the sum of their minima.

    Args:
        counts: with shape (molecules, :data:`BITS`).
        columns: pairs (bit, level) as ``bit * MOST_COUNT + level - 1``; see :func:`unary_columns`.

    Returns:
        Zeros and ones with shape (molecules, columns).
    """
    return (counts[:, columns // MOST_COUNT] > columns % MOST_COUNT).astype(np.float32)


def unary_columns(counts: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the pairs (bit, level) that occur in some row, for :func:`unary`."""
    most = counts.max(axis=0, initial=0)
    return np.flatnonzero((most[:, None] > np.arange(MOST_COUNT)).ravel())


def _of_chunk(smiles: Sequence[str]) -> Features:
    return Features.of([parse(text) for text in smiles])


def _counts(mol: Chem.Mol) -> NDArray[np.uint8]:
    counts = _generator().GetCountFingerprintAsNumPy(mol)
    return np.minimum(counts, MOST_COUNT).astype(np.uint8)


def _descriptors(mol: Chem.Mol) -> NDArray[np.float64]:
    families = [function(mol) for _, function in FAMILIES.values()]
    values = np.concatenate([_calculator().ComputeProperties(mol), *families]).astype(np.float64)
    return np.where(np.isfinite(values), values, np.nan)


def _squash(descriptors: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.sign(descriptors) * np.log1p(np.abs(descriptors))


@functools.cache
def _generator() -> rdFingerprintGenerator.FingerprintGenerator64:
    return rdFingerprintGenerator.GetMorganGenerator(
        radius=RADIUS, fpSize=BITS, countSimulation=False
    )


@functools.cache
def _calculator() -> rdMolDescriptors.Properties:
    return rdMolDescriptors.Properties(list(PROPERTIES))
