"""Morgan fingerprints and their Tanimoto similarity.

    T(a, b) = |a and b| / |a or b|,      |a or b| = |a| + |b| - |a and b|

between sets of bits, one bit for each circular substructure up to two bonds from an atom (Rogers
and Hahn, "Extended-connectivity fingerprints", 2010). All pairs are one matrix product, computed
block by block because 30,000 molecules have 900 million pairs. The similarity of two molecules
without bits is 1.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import rdFingerprintGenerator

from molgen.errors import MolgenError
from molgen.molecules.parsing import parse
from molgen.utils.arguments import checked
from molgen.utils.parallel import map_chunks
from molgen.utils.progress import each

RADIUS = 2
BITS = 1024
BLOCK = 2048  # a block of pairs takes 16 MB in single precision, which fits a cache

Bits = NDArray[np.uint8]


@checked
def fingerprints(
    smiles: Sequence[str], processes: int = 1, progress: str = "", size: int = BITS
) -> Bits:
    """Return Morgan fingerprints, radius 2.

    Args:
        smiles: of the molecules.
        processes: number of processes.
        progress: label of a progress bar; empty for none.
        size: bits; MOSES has 1,024.

    Returns:
        Zeros and ones with shape (molecules, bits).

    Raises:
        MolgenError: if one of them is not a molecule.
    """
    chunk = functools.partial(_fingerprint_chunk, size=size)
    chunks = map_chunks(chunk, list(smiles), processes, progress)
    return np.concatenate(chunks) if chunks else np.empty((0, size), dtype=np.uint8)


def internal_diversity(bits: Bits, power: float = 1.0) -> float:
    """Return the internal diversity of a set; see :func:`internal_diversities`."""
    return internal_diversities(bits, (power,))[0]


def internal_diversities(bits: Bits, powers: Sequence[float]) -> tuple[float, ...]:
    """Return the internal diversities of a set as MOSES defines them.

    ``1 - mean_i (mean_j T_ij^p)^(1/p)`` over all ordered pairs, each molecule with itself included
    (Polykovskiy et al., "Molecular Sets (MOSES)", 2020). The root is taken for each molecule before
    the mean over molecules.

    Args:
        bits: fingerprints with shape (molecules, bits).
        powers: values of ``p``; MOSES' IntDiv has 1 and its IntDiv2 has 2.

    Returns:
        For each power a value between 0 (all equal) and 1; NaN for no molecules.
    """
    once = np.ones((1, len(bits)), dtype=np.int64)
    return tuple(weighted_diversities(bits, powers, once)[0].tolist())


def pairwise_diversity(bits: Bits) -> float:
    """Return the mean distance ``1 - T_ij`` of all pairs of different rows, in [0, 1].

    With 2,048 bits and distinct molecules it is the diversity of Therapeutics Data Commons (Huang
    et al., 2021). It exceeds :func:`internal_diversity`, which also counts the pair of every
    molecule with itself.

    Args:
        bits: fingerprints with shape (molecules, bits).

    Returns:
        NaN for fewer than two molecules.
    """
    n = len(bits)
    return internal_diversity(bits) * n / (n - 1) if n > 1 else float("nan")


def weighted_diversities(
    bits: Bits, powers: Sequence[float], weights: NDArray[np.int64], progress: str = ""
) -> NDArray[np.float64]:
    """Return the internal diversity of several sets of the same molecules, in one pass.

    Args:
        bits: fingerprints of distinct molecules with shape (molecules, bits).
        powers: see :func:`internal_diversities`.
        weights: multiplicity of each molecule in each set, with shape (sets, molecules).
        progress: label of a progress bar over pairs; empty for none.

    Returns:
        With shape (sets, powers); NaN for an empty set.
    """
    sums = np.zeros((len(weights), len(powers), len(bits)))
    blocks = [(i, _Block(bits[i : i + BLOCK])) for i in range(0, len(bits), BLOCK)]
    pairs = [(at, to) for at in range(len(blocks)) for to in range(at, len(blocks))]
    for at, to in each(pairs, label=progress, shown=bool(progress)):
        (i, left), (j, right) = blocks[at], blocks[to]
        table = left.tanimoto(right)
        for k, power in enumerate(powers):
            raised = table if power == 1.0 else table**power
            for total, w in zip(sums[:, k], weights, strict=True):
                total[i : i + BLOCK] += _weighted_sum(raised, w[j : j + BLOCK])
                if i != j:  # the table is symmetric: a block is used for its transpose too
                    total[j : j + BLOCK] += _weighted_sum(raised.T, w[i : i + BLOCK])
    with np.errstate(invalid="ignore"):  # 0 / 0 is NaN, as intended for an empty set
        sizes = weights.sum(axis=1)[:, None]
        roots = (sums / sizes[..., None]) ** (1.0 / np.array(powers))[:, None]
        return 1.0 - np.einsum("skm,sm->sk", roots, weights) / sizes


def _weighted_sum(table: NDArray[np.float32], weight: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return ``table @ weight`` in double precision, summed in an order independent of threads."""
    if (weight == 1).all():
        return table.sum(axis=1, dtype=np.float64)
    return (table * weight.astype(np.float32)).sum(axis=1, dtype=np.float64)


def nearest_similarity(bits: Bits, reference: Bits, progress: str = "") -> NDArray[np.float64]:
    """Return each molecule's similarity to its nearest neighbour in a reference set.

    Args:
        bits: fingerprints with shape (molecules, bits).
        reference: fingerprints with shape (others, bits), at least one.
        progress: label of a progress bar over blocks of others; empty for none.

    Returns:
        With shape (molecules,).
    """
    best = np.zeros(len(bits))
    # For equal |b|, similarity increases with the bits in common. Sorted by |b|, only the largest
    # intersection of each run is needed, which saves a division for every pair.
    sizes = reference.sum(axis=1, dtype=np.int64)
    order = np.argsort(sizes, kind="stable")
    for j in each(range(0, len(reference), BLOCK), label=progress, shown=bool(progress)):
        place = order[j : j + BLOCK]
        other = _Block(reference[place])
        runs = np.flatnonzero(np.diff(sizes[place], prepend=-1))
        run_sizes = sizes[place][runs].astype(np.float32)
        for i in range(0, len(bits), BLOCK):
            block = _Block(bits[i : i + BLOCK])
            common = np.maximum.reduceat(other.rows @ block.rows.T, runs, axis=0)
            ratio = _ratio(common, run_sizes[:, None], block.sizes[None, :])
            best[i : i + BLOCK] = np.maximum(best[i : i + BLOCK], ratio.max(axis=0))
    return best


def nearest(
    bits: Bits, reference: Bits, progress: str = ""
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the nearest neighbour of each molecule in a reference set, and its similarity.

    Args:
        bits: fingerprints with shape (molecules, bits).
        reference: fingerprints with shape (others, bits), at least one.
        progress: label of a progress bar over blocks of others; empty for none.

    Returns:
        Indices in the reference, of equally near ones the first, and similarities, both with shape
        (molecules,).
    """
    best, which = np.full(len(bits), -1.0), np.zeros(len(bits), dtype=np.int64)
    blocks = [(i, _Block(bits[i : i + BLOCK])) for i in range(0, len(bits), BLOCK)]
    for j in each(range(0, len(reference), BLOCK), label=progress, shown=bool(progress)):
        other = _Block(reference[j : j + BLOCK])
        for i, block in blocks:
            table = block.tanimoto(other)
            place = table.argmax(axis=1)
            here = table[np.arange(len(table)), place]
            better = np.flatnonzero(here > best[i : i + BLOCK])
            best[i + better], which[i + better] = here[better], j + place[better]
    return which, best


class _Block:
    """A block of fingerprints in single precision, which is exact for integers up to 2^24."""

    def __init__(self, bits: Bits) -> None:
        self.rows = bits.astype(np.float32)
        self.sizes = self.rows.sum(axis=1)

    def tanimoto(self, other: _Block) -> NDArray[np.float32]:
        """Return all similarities, with shape (rows, other rows)."""
        return _ratio(self.rows @ other.rows.T, self.sizes[:, None], other.sizes[None, :])


def _ratio(
    common: NDArray[np.float32], left: NDArray[np.float32], right: NDArray[np.float32]
) -> NDArray[np.float32]:
    union = left + right - common
    return np.divide(common, union, out=np.ones_like(common), where=union > 0)


def fingerprint(mol: Chem.Mol, size: int = BITS) -> Bits:
    """Return the fingerprint of one RDKit molecule, zeros and ones with shape (size,)."""
    return morgan(size).GetFingerprintAsNumPy(mol)


@functools.cache
def morgan(size: int) -> rdFingerprintGenerator.FingerprintGenerator64:
    """Return a generator of Morgan fingerprints of that many bits."""
    return rdFingerprintGenerator.GetMorganGenerator(radius=RADIUS, fpSize=size)


def _fingerprint_chunk(smiles: Sequence[str], size: int) -> Bits:
    mols = [parse(text) for text in smiles]
    if None in mols:
        text = smiles[mols.index(None)]
        raise MolgenError(f"smiles {text!r} is no molecule and has no fingerprint")
    return np.stack([fingerprint(mol, size) for mol in mols])
