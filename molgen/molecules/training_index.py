"""The training-set index: a compact test of novelty without the training data.

    key(m) = first 64 bits of BLAKE2b(canonical SMILES of m),   m in index  iff  key(m) in keys

Eight bytes a molecule, so that a checkpoint contains the index of its training set. A false
positive has probability n / 2^64: 7e-15 for QM9. Canonical SMILES depend on the RDKit release, so
the index contains some molecules in full, with which :meth:`TrainingIndex.check` detects a release
that writes them differently.

The same is kept of SMILES without stereochemistry and, except in folders of earlier releases, of
InChIKeys (:mod:`molgen.molecules.inchi`); :meth:`TrainingIndex.with_inchikeys` adds the latter.
"""

from __future__ import annotations

import hashlib
import heapq
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import rdkit
from msgspec import Struct
from numpy.typing import NDArray
from safetensors.numpy import save

from molgen.errors import MolgenError
from molgen.molecules.inchi import inchikeys
from molgen.molecules.parsing import canonical, flat
from molgen.utils.array_files import Array, read_safetensors
from molgen.utils.files import replacing
from molgen.utils.json_files import checked, parse_json
from molgen.utils.parallel import map_chunks

FORMAT = "molgen known molecules, version 1"
PROBES = 32  # a change of canonicalisation in one molecule in ten is missed with probability 3 %

Keys = NDArray[np.uint64]
Form = Literal["keys", "flat_keys", "inchi_keys"]
"""What is looked up: canonical SMILES, those without stereochemistry, or InChIKeys."""

STORED = {
    "keys": Array("u", "molecules"),
    "flat_keys": Array("u", "flat", optional=True),
    "inchi_keys": Array("u", "inchi", optional=True),
}

NO_INCHIKEYS = (
    "the training-set index has no InChIKeys, expected those of the training file: `molgen index "
    "MODEL FILE` adds them"
)

_STEREO = re.compile(r"[@/\\]|\[\d")  # symbols of stereochemistry, or an isotope


class _Facts(Struct):
    """Metadata of a file."""

    count: str
    rdkit: str
    probes: str


@dataclass(frozen=True, eq=False)
class TrainingIndex:
    """An index of canonical SMILES."""

    keys: Keys
    """Sorted, without repetitions, with shape (molecules,)."""
    flat_keys: Keys
    """The same for SMILES without stereochemistry, for GuacaMol's convention."""
    rdkit_version: str
    """The release that wrote the canonical SMILES."""
    probes: tuple[str, ...]
    """Some of the canonical SMILES: those with the smallest keys, a random subset."""
    inchi_keys: Keys | None = None
    """The same for InChIKeys; None if they are unknown."""

    @classmethod
    def from_smiles(
        cls,
        smiles: Iterable[str],
        canonicalise: bool = True,
        processes: int = 1,
        progress: str = "",
        inchi: bool = True,
    ) -> TrainingIndex:
        """Build the index; strings that RDKit cannot read are excluded.

        Args:
            smiles: of the molecules.
            canonicalise: canonicalise them first; False if this RDKit release wrote them.
            processes: number of processes.
            progress: label of a progress bar; empty for none.
            inchi: whether it has InChIKeys, which takes about 0.5 ms a molecule and core.
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
            _inchi_keys(list(pairs), processes, progress) if inchi else None,
        )

    def with_inchikeys(
        self, smiles: Sequence[str], processes: int = 1, progress: str = ""
    ) -> TrainingIndex:
        """Return the index with the InChIKeys of its molecules.

        Args:
            smiles: canonical SMILES, all of the index among them; others are left out.
            processes: number of processes.
            progress: label of a progress bar; empty for none.

        Raises:
            MolgenError: if some molecules of the index are not among them.
        """
        inside = [s for s, known in zip(smiles, self.contains(smiles), strict=True) if known]
        missing = len(self) - len(np.unique(_keys(inside)))
        if missing:
            raise MolgenError(
                f"{missing:,} of the {len(self):,} molecules of the training-set index are not "
                f"among the {len(smiles):,} given, expected all"
            )
        return replace(self, inchi_keys=_inchi_keys(inside, processes, progress))

    def __len__(self) -> int:
        return len(self.keys)

    def contains(self, texts: Sequence[str], form: Form = "keys") -> NDArray[np.bool_]:
        """Return whether each text is in the index.

        Args:
            texts: canonical SMILES (any other SMILES of a molecule is not found), or what ``form``
                names.
            form: of the texts.

        Returns:
            With shape (molecules,).

        Raises:
            MolgenError: if InChIKeys are looked up, and the index has none.
        """
        index: Keys | None = getattr(self, form)
        if index is None:
            raise MolgenError(NO_INCHIKEYS)
        wanted = _keys(texts)
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
            f"the training-set index was written by RDKit {self.rdkit_version}; RDKit "
            f"{rdkit.__version__} writes {len(changed)} of {len(self.probes)} of its molecules "
            f"differently (first: {changed[0]}), so training molecules may count as novel"
        )

    def save(self, path: str | Path) -> None:
        """Write the index as a safetensors file.

        Raises:
            OSError: if it cannot be written.
        """
        tensors = {"keys": self.keys}
        if not np.array_equal(self.keys, self.flat_keys):  # equal where no molecule has any stereo
            tensors["flat_keys"] = self.flat_keys
        if self.inchi_keys is not None:
            tensors["inchi_keys"] = self.inchi_keys
        metadata = {
            "format": FORMAT,
            "count": str(len(self)),
            "rdkit": self.rdkit_version,
            "probes": json.dumps(self.probes),
        }
        with replacing(path) as part:
            part.write_bytes(save(tensors, metadata=metadata))

    @classmethod
    def load(cls, path: str | Path) -> TrainingIndex:
        """Read an index.

        Raises:
            MolgenError: if the file is not an index, or is damaged.
            OSError: if it cannot be opened.
        """
        arrays, about = read_safetensors(path, STORED)
        if about.get("format") != FORMAT:
            raise MolgenError(f"{path} has format {about.get('format')!r}, expected {FORMAT!r}")
        facts = checked(about, _Facts, path)
        keys = arrays["keys"]
        flat_keys = arrays.get("flat_keys", keys)
        if facts.count != str(len(keys)):
            raise MolgenError(f"{path} is damaged: it has {len(keys)} keys of {facts.count}")
        for name, array in arrays.items():
            if array.dtype != np.uint64 or not (array[1:] > array[:-1]).all():
                raise MolgenError(
                    f"{path} is damaged: its {name} are not sorted numbers of 64 bits"
                )
        probes = checked(parse_json(facts.probes, path), list[str], path)
        return cls(keys, flat_keys, facts.rdkit, tuple(probes), arrays.get("inchi_keys"))

    def union(self, other: TrainingIndex) -> TrainingIndex:
        """Return the union of both indices, with the RDKit release of ``other``.

        It has InChIKeys if both have.
        """
        both = self.inchi_keys is not None and other.inchi_keys is not None
        probes = tuple(dict.fromkeys((*self.probes, *other.probes)))
        nearest = heapq.nsmallest(PROBES, zip(_keys(probes).tolist(), probes, strict=True))
        return TrainingIndex(
            np.union1d(self.keys, other.keys),
            np.union1d(self.flat_keys, other.flat_keys),
            other.rdkit_version,
            tuple(text for _, text in nearest),
            np.union1d(self.inchi_keys, other.inchi_keys) if both else None,  # type: ignore[arg-type]
        )


def _inchi_keys(smiles: Sequence[str], processes: int, progress: str) -> Keys:
    """Return the sorted keys of the InChIKeys of molecules, of those that have one."""
    label = f"{progress}: InChIKeys" if progress else ""
    return np.unique(_keys([key for key in inchikeys(smiles, processes, label) if key]))


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
