"""How alike molecules are: Morgan fingerprints and their Tanimoto similarity.

    T(a, b) = |a and b| / |a or b|,      |a or b| = |a| + |b| - |a and b|

between sets of bits, one bit for each circular substructure up to two bonds from an atom (Rogers
and Hahn, "Extended-connectivity fingerprints", 2010). All pairs at once are one matrix product;
they are taken block by block, because 30,000 molecules have 900 million pairs. Two molecules
without bits are taken to be the same.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import rdFingerprintGenerator

from molgen.chunks import map_chunks
from molgen.molecules import parse

RADIUS = 2
BITS = 1024
BLOCK = 2048  # a block of pairs takes 16 MB in single precision, which caches still help with

Bits = NDArray[np.uint8]


def fingerprints(smiles: Sequence[str], processes: int = 1, progress: str = "") -> Bits:
    """Return Morgan fingerprints, radius 2 and 1,024 bits.

    Args:
        smiles: of the molecules.
        processes: how many processes share the work.
        progress: label of a progress bar; empty for none.

    Returns:
        Zeros and ones with shape (molecules, bits).

    Raises:
        ValueError: if one of them is no molecule.
    """
    chunks = map_chunks(_fingerprint_chunk, list(smiles), processes, progress)
    return np.concatenate(chunks) if chunks else np.empty((0, BITS), dtype=np.uint8)


def internal_diversity(bits: Bits, power: float = 1.0) -> float:
    """Return how unlike the molecules of a set are: see :func:`internal_diversities`."""
    return internal_diversities(bits, (power,))[0]


def internal_diversities(bits: Bits, powers: Sequence[float]) -> tuple[float, ...]:
    """Return how unlike the molecules of a set are, in MOSES' definition.

    ``1 - mean_i (mean_j T_ij^p)^(1/p)`` over all ordered pairs, each molecule with itself included
    (Polykovskiy et al., "Molecular Sets (MOSES)", 2020). The root is taken for each molecule before
    the mean over molecules.

    Args:
        bits: fingerprints with shape (molecules, bits).
        powers: values of ``p``; MOSES' IntDiv has 1 and its IntDiv2 has 2.

    Returns:
        For each power between 0 (all alike) and 1; NaN for no molecules.
    """
    if not len(bits):
        return tuple(float("nan") for _ in powers)
    sums = np.zeros((len(powers), len(bits)))
    blocks = [(i, _Block(bits[i : i + BLOCK])) for i in range(0, len(bits), BLOCK)]
    for at, (i, left) in enumerate(blocks):
        for j, right in blocks[at:]:
            pairs = left.tanimoto(right)
            for k, power in enumerate(powers):
                raised = pairs if power == 1.0 else pairs**power
                sums[k, i : i + BLOCK] += raised.sum(axis=1, dtype=np.float64)
                if i != j:  # the table is symmetric: a block serves its mirror image too
                    sums[k, j : j + BLOCK] += raised.sum(axis=0, dtype=np.float64)
    means = sums / len(bits)
    return tuple(
        float(1.0 - np.mean(row ** (1.0 / p))) for row, p in zip(means, powers, strict=True)
    )


def nearest_similarity(bits: Bits, reference: Bits) -> NDArray[np.float64]:
    """Return each molecule's similarity to the one most like it among others.

    Args:
        bits: fingerprints with shape (molecules, bits).
        reference: fingerprints with shape (others, bits), at least one.

    Returns:
        With shape (molecules,).
    """
    best = np.zeros(len(bits))
    # For equal |b|, more bits in common is more alike. Sorted by |b|, the largest intersection of
    # each run is all that is needed, which spares a division for every pair.
    sizes = reference.sum(axis=1, dtype=np.int64)
    order = np.argsort(sizes, kind="stable")
    reference, sizes = reference[order], sizes[order]
    for j in range(0, len(reference), BLOCK):
        other = _Block(reference[j : j + BLOCK])
        runs = np.flatnonzero(np.diff(sizes[j : j + BLOCK], prepend=-1))
        run_sizes = sizes[j : j + BLOCK][runs].astype(np.float32)
        for i in range(0, len(bits), BLOCK):
            mine = _Block(bits[i : i + BLOCK])
            common = np.maximum.reduceat(other.rows @ mine.rows.T, runs, axis=0)
            ratio = _ratio(common, run_sizes[:, None], mine.sizes[None, :])
            best[i : i + BLOCK] = np.maximum(best[i : i + BLOCK], ratio.max(axis=0))
    return best


class _Block:
    """Some fingerprints in single precision, which counts exactly up to 2^24."""

    def __init__(self, bits: Bits) -> None:
        self.rows = bits.astype(np.float32)
        self.sizes = self.rows.sum(axis=1)

    def tanimoto(self, other: _Block) -> NDArray[np.float32]:
        """Return all similarities, with shape (mine, others)."""
        return _ratio(self.rows @ other.rows.T, self.sizes[:, None], other.sizes[None, :])


def _ratio(
    common: NDArray[np.float32], left: NDArray[np.float32], right: NDArray[np.float32]
) -> NDArray[np.float32]:
    union = left + right - common
    return np.divide(common, union, out=np.ones_like(common), where=union > 0)


def fingerprint(mol: Chem.Mol) -> Bits:
    """Return the fingerprint of one RDKit molecule, zeros and ones with shape (bits,)."""
    return _generator().GetFingerprintAsNumPy(mol)


@functools.cache
def _generator() -> rdFingerprintGenerator.FingerprintGenerator64:
    return rdFingerprintGenerator.GetMorganGenerator(radius=RADIUS, fpSize=BITS)


def _fingerprint_chunk(smiles: Sequence[str]) -> Bits:
    mols = [parse(text) for text in smiles]
    if None in mols:
        text = smiles[mols.index(None)]
        raise ValueError(f"smiles {text!r} is no molecule and has no fingerprint")
    return np.stack([fingerprint(mol) for mol in mols])
