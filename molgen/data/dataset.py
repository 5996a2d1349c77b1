"""Tokenised molecules as arrays: what training reads, and nothing else.

A :class:`TokenDataset` is built once (this is where the tokenizer and the property values come
in) and saved as one ``.npz``; from then on training needs neither RDKit nor the text. Batches hold
rows of one length wherever there are enough of them, so hardly any padding is computed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from molgen.data.tokenizer import check_vocabulary
from molgen.errors import MolgenError
from molgen.utils.array_files import Array, read_npz
from molgen.utils.files import replacing

HELD_OUT_FRACTION = 0.05
STORED = {
    "tokens": Array("u", "molecules", "longest"),
    "lengths": Array("iu", "molecules"),
    "values": Array("f", "molecules", "properties"),
    "properties": Array("U", "properties"),
    "held_out": Array("b", "molecules"),
    "vocab": Array("U", "vocabulary"),
    "representation": Array("U"),
}


@dataclass(frozen=True)
class TokenDataset:
    """Molecules as ids.

    Attributes:
        tokens: ids with shape (molecules, longest), padded with ``pad_id``; uint8 or uint16.
        lengths: tokens per molecule, shape (molecules,).
        values: property values with shape (molecules, properties), float32, NaN where unknown.
        properties: names of the columns of ``values``.
        held_out: True for molecules kept from training, shape (molecules,).
        vocab: tokens in id order, the special ones last.
        representation: ``"smiles"`` or ``"selfies"``.
    """

    tokens: NDArray[np.unsignedinteger]
    lengths: NDArray[np.int64]
    values: NDArray[np.float32]
    properties: tuple[str, ...]
    held_out: NDArray[np.bool_]
    vocab: tuple[str, ...]
    representation: str

    @classmethod
    def build(
        cls,
        encoded: Sequence[Sequence[int]],
        values: dict[str, NDArray[np.float64]],
        vocab: Sequence[str],
        representation: str = "smiles",
        seed: int = 0,
        held_out_fraction: float = HELD_OUT_FRACTION,
    ) -> TokenDataset:
        """Pad the ids and draw the held-out part.

        Args:
            encoded: ids of each distinct molecule.
            values: property values by name, one per molecule.
            vocab: tokens in id order, ``[PAD]`` and ``[MASK]`` last.
            representation: what the ids spell.
            seed: of the held-out split.
            held_out_fraction: part of the molecules kept from training, at least 0 and below 1; at
                least one molecule is trained on.

        Raises:
            MolgenError: if there are no molecules, a property has another number of values, or the
                fraction is out of range.
        """
        count = len(encoded)
        if not count:
            raise MolgenError("no molecules to build a data set from")
        if not 0 <= held_out_fraction < 1:
            raise MolgenError(f"held_out_fraction is {held_out_fraction}, expected 0 <= it < 1")
        for name, column in values.items():
            if len(column) != count:
                raise MolgenError(f"{name} has {len(column)} values for {count} molecules")
        lengths = np.array([len(ids) for ids in encoded], dtype=np.int64)
        dtype = np.uint8 if len(vocab) <= 256 else np.uint16
        tokens = np.full((count, int(lengths.max())), len(vocab) - 2, dtype=dtype)
        for row, ids in zip(tokens, encoded, strict=True):
            row[: len(ids)] = ids
        order = np.random.default_rng(seed).permutation(count)
        held_out = np.zeros(count, dtype=bool)
        held_out[order[: min(round(count * held_out_fraction), count - 1)]] = True
        columns = [np.asarray(v, dtype=np.float32) for v in values.values()]
        table = np.stack(columns, axis=1) if columns else np.zeros((count, 0), np.float32)
        return cls(tokens, lengths, table, tuple(values), held_out, tuple(vocab), representation)

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def pad_id(self) -> int:
        """Id of the padding token."""
        return len(self.vocab) - 2

    @property
    def mask_id(self) -> int:
        """Id of the mask token."""
        return len(self.vocab) - 1

    def moments(self) -> tuple[list[float], list[float]]:
        """Return each property's mean and standard deviation over the training part.

        Unknown values are left out; where all values are equal the deviation is given as 1.
        """
        known = self.values[~self.held_out].astype(np.float64)
        if not known.size:
            return [0.0] * known.shape[1], [1.0] * known.shape[1]
        std = np.nanstd(known, axis=0)
        return np.nanmean(known, axis=0).tolist(), np.where(std > 0, std, 1.0).tolist()

    def fingerprint(self) -> str:
        """Return a digest of everything that training sees."""
        digest = hashlib.blake2b(digest_size=16)
        for array in (self.tokens, self.lengths, self.values, self.held_out):
            digest.update(f"{array.dtype.str} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        digest.update("\n".join((*self.vocab, *self.properties, self.representation)).encode())
        return digest.hexdigest()

    def save(self, path: str | Path) -> None:
        """Write one compressed ``.npz`` of plain arrays, whole or not at all."""
        with replacing(path) as part, part.open("wb") as file:
            np.savez_compressed(
                file,
                tokens=self.tokens,
                lengths=self.lengths,
                values=self.values,
                properties=np.array(self.properties, dtype=str),
                held_out=self.held_out,
                vocab=np.array(self.vocab, dtype=str),
                representation=np.array(self.representation),
            )

    @classmethod
    def load(cls, path: str | Path) -> TokenDataset:
        """Read what :meth:`save` wrote; nothing is unpickled.

        Raises:
            MolgenError: if the file is no data set of molgen's, or damaged.
            OSError: if it cannot be opened.
        """
        arrays = read_npz(path, STORED)
        found = cls(
            arrays["tokens"],
            arrays["lengths"],
            arrays["values"],
            tuple(arrays["properties"].tolist()),
            arrays["held_out"],
            tuple(arrays["vocab"].tolist()),
            str(arrays["representation"]),
        )
        found._check(path)
        return found

    def _check(self, path: str | Path) -> None:
        """Check that the arrays fit together.

        Raises:
            MolgenError: naming the first that does not.
        """
        check_vocabulary(self.vocab, self.representation, path)
        held = (self.tokens != self.pad_id).sum(1)
        faults = {
            "tokens": not len(self) or int(self.tokens.max(initial=0)) > self.pad_id,
            "lengths": int(self.lengths.min(initial=1)) < 1
            or not np.array_equal(held, self.lengths),
            "values": bool(np.isinf(self.values).any()),
            "properties": len(set(self.properties)) != len(self.properties),
            "held_out": bool(self.held_out.all()),
        }
        for name, fault in faults.items():
            if fault:
                raise MolgenError(f"{path} is no data set of molgen's: its {name} do not fit")

    def batches(self, batch_size: int, seed: int, epoch: int) -> Iterator[NDArray[np.int64]]:
        """Yield the training rows of one epoch, in batches of row indices.

        Rows are shuffled and grouped by length; what is left over from each length is pooled, in
        order of length, into mixed batches; then the batches are shuffled. The number of batches
        is the same in every epoch, and an epoch depends on nothing but its arguments.

        Args:
            batch_size: rows in each batch; the last mixed one may have fewer.
            seed: of the shuffles.
            epoch: which epoch, from 0.
        """
        rng = np.random.default_rng([seed, epoch])
        rows = rng.permutation(np.flatnonzero(~self.held_out))
        groups, rest = [], []
        for length in np.unique(self.lengths[rows]):
            same = rows[self.lengths[rows] == length]
            whole = len(same) // batch_size * batch_size
            groups.extend(same[:whole].reshape(-1, batch_size))
            rest.append(same[whole:])
        left = np.concatenate(rest)
        groups.extend(left[i : i + batch_size] for i in range(0, len(left), batch_size))
        for i in rng.permutation(len(groups)):
            yield groups[i]

    def batches_per_epoch(self, batch_size: int) -> int:
        """Return how many batches :meth:`batches` yields."""
        counts = np.unique(self.lengths[~self.held_out], return_counts=True)[1]
        return int((counts // batch_size).sum() + -(-(counts % batch_size).sum() // batch_size))

    def length_log_probability(self) -> NDArray[np.float64]:
        """Return ``log p(length)`` for lengths 0..longest, from the training part.

        Every length up to the longest gets one more count than was seen (Laplace), so that a
        held-out length is never impossible.
        """
        longest = self.tokens.shape[1]
        counts = np.bincount(self.lengths[~self.held_out], minlength=longest + 1) + 1.0
        counts[0] = 0.0
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(counts / counts.sum()))
