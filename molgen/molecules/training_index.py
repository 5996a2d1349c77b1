"""Which molecules were known beforehand: a compact index that answers "is it novel?".

    key(m) = first 64 bits of BLAKE2b(canonical SMILES of m),   known(m)  iff  key(m) in sorted keys

Eight bytes a molecule, so the index of a training set travels inside a checkpoint and novelty needs
no data. A molecule that is new is mistaken for a known one with probability n / 2^64: 7e-15 for
QM9. Canonical SMILES depend on the RDKit release that wrote them, so the index carries some
molecules in full, by which :meth:`TrainingIndex.check` notices a release that writes differently.
"""

from __future__ import annotations

import hashlib
import heapq
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rdkit
from msgspec import Struct
from numpy.typing import NDArray
from safetensors.numpy import save

from molgen.molecules.parsing import canonical, flat
from molgen.utils.array_files import Array, read_safetensors
from molgen.utils.json_files import checked, parse_json
from molgen.utils.parallel import map_chunks

FORMAT = "molgen known molecules, version 1"
PROBES = (
    32  # a change to canonicalisation that touches one molecule in ten is missed 3 % of the time
)

Keys = NDArray[np.uint64]

STORED = {"keys": Array("u", "molecules"), "flat_keys": Array("u", "flat", optional=True)}

_STEREO = re.compile(r"[@/\\]|\[\d")  # marks of stereochemistry, or of an isotope


class _Facts(Struct):
    """What a file says of itself."""

    count: str
    rdkit: str
    probes: str


@dataclass(frozen=True, eq=False)
class TrainingIndex:
    """An index of canonical SMILES."""

    keys: Keys
    """Sorted, without repetitions, with shape (molecules,)."""
    flat_keys: Keys
    """The same for SMILES without stereochemistry, which is how GuacaMol compares."""
    rdkit_version: str
    """The release that wrote the canonical SMILES."""
    probes: tuple[str, ...]
    """Some of the canonical SMILES: those with the smallest keys, so a random choice."""

    @classmethod
    def from_smiles(
        cls,
        smiles: Iterable[str],
        canonicalise: bool = True,
        processes: int = 1,
        progress: str = "",
    ) -> TrainingIndex:
        """Build the index; strings that RDKit cannot read are left out.

        Args:
            smiles: of the molecules.
            canonicalise: rewrite them first; False if this RDKit wrote them.
            processes: how many processes share the work.
            progress: label of a progress bar; empty for none.
        """
        work = _canonical_pairs if canonicalise else _pairs
        chunks = map_chunks(work, list(dict.fromkeys(smiles)), processes, progress)
        pairs = {text: plain for chunk in chunks for text, plain in chunk}
        keys = _keys(list(pairs))
        probes = heapq.nsmallest(PROBES, zip(keys.tolist(), pairs, strict=True))
        return cls(
            np.unique(keys),
            np.unique(_keys(list(set(pairs.values())))),
            rdkit.__version__,
            tuple(text for _, text in probes),
        )

    def __len__(self) -> int:
        return len(self.keys)

    def contains(self, smiles: Sequence[str], stereo: bool = True) -> NDArray[np.bool_]:
        """Say of each string whether it is in the index.

        Args:
            smiles: canonical SMILES (without stereochemistry if ``stereo`` is False); a string
                spelled in any other way is not found.
            stereo: look among the full SMILES, or among those without stereochemistry.

        Returns:
            With shape (molecules,).
        """
        index = self.keys if stereo else self.flat_keys
        wanted = _keys(smiles)
        if not len(index):
            return np.zeros(len(wanted), dtype=bool)
        places = np.minimum(np.searchsorted(index, wanted), len(index) - 1)
        return index[places] == wanted

    def check(self) -> str | None:
        """Return a warning if this RDKit writes canonical SMILES unlike the index's, else None."""
        changed = [text for text in self.probes if canonical(text) != text]
        if not changed:
            return None
        return (
            f"the index of known molecules was written by RDKit {self.rdkit_version}; this RDKit "
            f"({rdkit.__version__}) spells {len(changed)} of {len(self.probes)} of its molecules "
            f"differently (first: {changed[0]}), so known molecules may count as novel"
        )

    def save(self, path: str | Path) -> None:
        """Write the index as a safetensors file.

        Raises:
            OSError: if it cannot be written.
        """
        tensors = {"keys": self.keys}
        if not np.array_equal(self.keys, self.flat_keys):  # equal where no molecule has any stereo
            tensors["flat_keys"] = self.flat_keys
        metadata = {
            "format": FORMAT,
            "count": str(len(self)),
            "rdkit": self.rdkit_version,
            "probes": json.dumps(self.probes),
        }
        Path(path).write_bytes(save(tensors, metadata=metadata))

    @classmethod
    def load(cls, path: str | Path) -> TrainingIndex:
        """Read an index.

        Raises:
            ValueError: if the file is none, or was cut short.
            OSError: if it cannot be opened.
        """
        arrays, about = read_safetensors(path, STORED)
        if about.get("format") != FORMAT:
            raise ValueError(f"{path} has format {about.get('format')!r}, expected {FORMAT!r}")
        facts = checked(about, _Facts, path)
        keys = arrays["keys"]
        flat_keys = arrays.get("flat_keys", keys)
        if facts.count != str(len(keys)):
            raise ValueError(f"{path} is damaged: it holds {len(keys)} keys of {facts.count}")
        for name, held in (("keys", keys), ("flat_keys", flat_keys)):
            if held.dtype != np.uint64 or not (held[1:] > held[:-1]).all():
                raise ValueError(f"{path} is damaged: its {name} are not sorted numbers of 64 bits")
        probes = checked(parse_json(facts.probes, path), list[str], path)
        return cls(keys, flat_keys, facts.rdkit, tuple(probes))

    def union(self, other: TrainingIndex) -> TrainingIndex:
        """Return the index of what either knows, with the RDKit release of ``other``."""
        probes = tuple(dict.fromkeys((*self.probes, *other.probes)))
        nearest = heapq.nsmallest(PROBES, zip(_keys(probes).tolist(), probes, strict=True))
        return TrainingIndex(
            np.union1d(self.keys, other.keys),
            np.union1d(self.flat_keys, other.flat_keys),
            other.rdkit_version,
            tuple(text for _, text in nearest),
        )


def _keys(smiles: Sequence[str]) -> Keys:
    """Return the key of each string, with shape (molecules,)."""
    digests = b"".join(
        hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        for text in smiles
    )
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


def _canonical_pairs(smiles: Sequence[str]) -> list[tuple[str, str]]:
    return _pairs([text for text in map(canonical, smiles) if text])


def _pairs(smiles: Sequence[str]) -> list[tuple[str, str]]:
    """Return each canonical string with its form without stereochemistry."""
    return [(text, flat(text) if _STEREO.search(text) else text) for text in smiles]
