"""The Fréchet ChemNet distance of two sets, over activations of a network trained on bioactivity.

    FCD = |m - m'|^2 + tr(C + C' - 2 (C C')^(1/2))

with mean ``m`` and covariance ``C`` of the last hidden layer of ChemNet, an LSTM over SMILES
trained to predict assays (Preuer et al., "Fréchet ChemNet distance: a metric for generative models
for molecules in drug discovery", 2018). The network is evaluated through a function
(:func:`molgen.nn.chemnet.chemnet`); mean, covariance and distance are computed here.

ChemNet takes about 5 ms a molecule on one CPU core, and the reference is often larger than the
compared set. Only its mean and covariance are needed, so those of the MOSES test set are bundled,
and those of any other large set are stored in the user's cache folder.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from molgen.molecules.parsing import canonical
from molgen.utils.array_files import Array, read_safetensors
from molgen.utils.files import replacing
from molgen.utils.parallel import map_chunks

BUNDLED = Path(__file__).parent / "references"
FORMAT = "molgen ChemNet moments, version 1"
FEATURES = 512
STORED = {
    "mean": Array("f", FEATURES),
    "covariance": Array("f", FEATURES * (FEATURES + 1) // 2),  # its upper half, row by row
}
KEPT_FROM = 10_000  # molecules: a minute on one core, against a megabyte on disk


Activations = Callable[[Sequence[str], str], Iterator[NDArray[np.float64]]]
"""From canonical SMILES and the label of a progress bar (empty for none) to ChemNet's last hidden
layer, batch by batch, with shape (batch, features)."""


@dataclass(frozen=True, eq=False)
class Moments:
    """Mean and covariance of ChemNet's activations over a set of molecules."""

    mean: NDArray[np.float64]
    """With shape (features,)."""
    covariance: NDArray[np.float64]
    """With shape (features, features), over one less than the number of molecules."""


def distance(a: Moments, b: Moments) -> float:
    """Return the Fréchet distance (squared, as reported in the literature) of two sets.

    The trace of ``(C C')^(1/2)`` is the sum of the square roots of the eigenvalues of the symmetric
    ``R^T C' R`` with ``C = R R^T``, which avoids the square root of a possibly singular matrix.
    """
    values, vectors = np.linalg.eigh(a.covariance)
    root = vectors * np.sqrt(values.clip(min=0.0))
    shared = np.sqrt(np.linalg.eigvalsh(root.T @ b.covariance @ root).clip(min=0.0)).sum()
    gap = a.mean - b.mean
    trace = np.trace(a.covariance) + np.trace(b.covariance)
    return float(max(gap @ gap + trace - 2.0 * shared, 0.0))


def reference_moments(
    smiles: Sequence[str], activations: Activations, processes: int = 1, progress: str = ""
) -> Moments | None:
    """Return the moments of a reference set: bundled, cached by an earlier call, or computed.

    Args:
        smiles: of the molecules, as written in their file; other strings are excluded.
        activations: of the network.
        processes: number of processes for chemistry.
        progress: label of a progress bar; empty for none.

    Returns:
        None for fewer than two molecules.
    """
    name = f"{_digest(smiles)}.safetensors"
    for folder in (BUNDLED, cache_folder()):
        found = _load(folder / name)
        if found is not None:
            return found
    chunks = map_chunks(_canonical_chunk, list(smiles), processes)
    molecules = [text for chunk in chunks for text in chunk]
    (result,) = moments(molecules, np.ones((1, len(molecules)), np.int64), activations, progress)
    if result is not None and len(molecules) >= KEPT_FROM:
        _keep(result, len(molecules), cache_folder() / name)
    return result


def moments(
    smiles: Sequence[str], sets: NDArray[np.int64], activations: Activations, progress: str = ""
) -> list[Moments | None]:
    """Return the moments of several sets of the same molecules.

    Args:
        smiles: canonical SMILES of the molecules.
        sets: multiplicity of each molecule in each set, with shape (sets, molecules).
        activations: of the network.
        progress: label of a progress bar; empty for none.

    Returns:
        For each set its moments, None for fewer than two molecules. The number of cores affects
        only their rounding.
    """
    sizes = sets.sum(axis=1).astype(np.float64)
    first = np.zeros((len(sets), FEATURES))
    second = np.zeros((len(sets), FEATURES, FEATURES))
    done = 0
    for rows in activations(smiles, progress):
        for k, weight in enumerate(sets[:, done : done + len(rows)].astype(np.float64)):
            first[k] += weight @ rows
            second[k] += (rows * weight[:, None]).T @ rows
        done += len(rows)
    found: list[Moments | None] = []
    for n, one, two in zip(sizes, first, second, strict=True):
        if n < 2:
            found.append(None)
            continue
        mean = one / n
        found.append(Moments(mean, (two - n * np.outer(mean, mean)) / (n - 1)))
    return found


def cache_folder() -> Path:
    """Return the folder in which moments of large reference sets are cached."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "molgen" / "fcd"


def _canonical_chunk(smiles: Sequence[str]) -> list[str]:
    return [text for text in map(canonical, smiles) if text]


def _digest(smiles: Sequence[str]) -> str:
    """Return a name for a set of strings that does not depend on their order."""
    text = "\n".join(sorted(smiles)).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=16).hexdigest()


def _load(path: Path) -> Moments | None:
    try:
        tensors, _ = read_safetensors(path, STORED)
    except (OSError, ValueError):  # missing or damaged: computed again
        return None
    upper, mean = (tensors[name].astype(np.float64) for name in ("covariance", "mean"))
    if not (np.isfinite(upper).all() and np.isfinite(mean).all()):
        return None
    covariance = np.zeros((FEATURES, FEATURES))
    covariance[np.triu_indices(FEATURES)] = upper
    return Moments(mean, covariance + np.triu(covariance, 1).T)


def _keep(found: Moments, count: int, path: Path) -> None:
    """Write moments (single precision: 1e-7 of a distance of 1), if the folder can be written."""
    from safetensors.numpy import save

    tensors = {
        "mean": found.mean.astype(np.float32),
        "covariance": found.covariance[np.triu_indices(FEATURES)].astype(np.float32),
    }
    data = save(tensors, metadata={"format": FORMAT, "molecules": str(count)})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part:
            part.write_bytes(data)
    except OSError:  # without a cache the next call computes them again
        return
