"""The autoregressive baseline: molecules written from left to right.

A network of noise ``"none"`` writes a token at a time (:mod:`molgen.nn.language_model`); no length
is asked for. A row costs one forward for each token written, the end included, and twice that with
classifier-free guidance. Forwards through a key-value cache (:mod:`molgen.nn.kv_cache`) count like
any other, although they are cheaper.

A row that has not ended at the network's longest is kept as it is: it is a draw like any other, and
most likely counts as invalid. One uniform per (molecule, place) picks each token by inverse CDF in
float64, so row ``i`` of a seed is the same row in any company.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from molgen.guidance.shaping import Shaping
from molgen.nn.language_model import LanguageModel
from molgen.sampling.row_sampler import Draw
from molgen.sampling.sampler import Given, OnDone, Samples
from molgen.sampling.trajectory import Recorder
from molgen.utils import randomness
from molgen.utils.arrays import Ids
from molgen.utils.randomness import inverse_cdf
from molgen.utils.threads import Workers

# Rows of a forward are filled up to a whole number of WHOLE_ROWS and to LEAST_ROWS, so that a row's
# result is the same in any company: for a handful of rows, matrix kernels sum in another order.
LEAST_ROWS, WHOLE_ROWS = 64, 32


@dataclass(frozen=True)
class AutoregressiveSampler:
    """Draws molecules' tokens from left to right.

    Attributes:
        model: the network, with its guidance.
        workers: threads to run batches on.
        shaping: temperature and nucleus of each token's distribution.
        batch_size: rows of a batch; it changes speed and memory, not results.
    """

    model: LanguageModel
    workers: Workers
    shaping: Shaping = field(default_factory=Shaping)
    batch_size: int = 256

    def __post_init__(self) -> None:
        """Check the batch size.

        Raises:
            ValueError: if it is below 1.
        """
        if self.batch_size < 1:
            raise ValueError(f"batch_size is {self.batch_size}, expected at least 1")

    def run(
        self,
        count: int,
        condition: NDArray[np.float32] | None = None,
        seed: int = 0,
        first: int = 0,
        record: bool = False,
        on_done: OnDone | None = None,
    ) -> Samples:
        """Draw rows.

        Args:
            count: how many.
            condition: property values with shape (count, properties), NaN where left out.
            seed: of the draw; row ``i`` depends on the seed and ``first + i`` alone.
            first: index of the first row, to go on from an earlier call.
            record: keep every event; a token's step is its place.
            on_done: told of each batch of rows as it is finished.

        Raises:
            ValueError: if the count is below 0, or the condition has another number of rows.
        """
        if count < 0:
            raise ValueError(f"count is {count}, expected at least 0")
        if condition is not None and len(condition) != count:
            raise ValueError(f"condition has {len(condition)} rows, expected {count}")
        draw = Draw(seed, first, condition, Recorder() if record else None)
        share = max(LEAST_ROWS, -(-count // self.workers.count))  # none shall be without work
        size = min(self.batch_size, share)
        batches = [np.arange(i, min(i + size, count)) for i in range(0, count, size)]
        tokens = np.full((count, self.model.max_length), self.model.pad_id, dtype=np.int64)
        asked = np.zeros(count, dtype=np.int64)
        found = self.workers.map(partial(self._write, draw), batches)
        for rows, (written, steps) in zip(batches, found, strict=True):
            tokens[rows], asked[rows] = written, steps
            if on_done:
                costs = steps * self.model.forwards, None, steps * self.model.classifier_forwards
                on_done(rows, Samples(written, *costs))
        longest = int((tokens != self.model.pad_id).sum(1).max(initial=0))
        return Samples(
            tokens=tokens[:, :longest],
            nfe=asked * self.model.forwards,
            trajectory=draw.recorder.trajectory(first) if draw.recorder else None,
            classifier_nfe=asked * self.model.classifier_forwards,
        )

    def _write(self, draw: Draw, rows: Ids) -> tuple[Ids, Ids]:
        """Write one batch of rows.

        Returns:
            Their tokens with shape (rows, max_length), padded, and how many tokens each was asked
            for, the end included, with shape (rows,).
        """
        model = self.model
        out = np.full((len(rows), model.max_length), model.pad_id, dtype=np.int64)
        asked = np.zeros(len(rows), dtype=np.int64)
        slot = filled(np.arange(len(rows)))  # the row that each place in the batch holds
        live = np.arange(len(slot)) < len(rows)
        condition = draw.conditions(rows[slot])
        prefixes = model.begin(
            len(slot), None if condition is None else torch.from_numpy(condition)
        )
        token = np.full(len(slot), model.mask_id, dtype=np.int64)
        for place in range(model.max_length):
            log_p = prefixes.append(torch.from_numpy(token))
            p = self.shaping(log_p[torch.from_numpy(live)]).numpy()
            row = slot[live]
            u = randomness.uniform(draw.seed, randomness.STEP, draw.first + rows[row], place, 0)
            token = np.full(len(slot), model.pad_id, dtype=np.int64)
            token[live] = out[row, place] = drawn = inverse_cdf(p, u)
            asked[row] += 1
            on = drawn != model.pad_id
            if draw.recorder:
                at, psi = np.full(on.sum(), place), p[np.arange(len(drawn)), drawn]
                draw.recorder.place(rows[row[on]], at, at, drawn[on], psi[on])
            live &= token != model.pad_id
            if not live.any():
                break
            kept = filled(np.flatnonzero(live))
            if len(kept) < len(slot):
                prefixes.keep(torch.from_numpy(kept))
                slot, token, live = slot[kept], token[kept], np.arange(len(kept)) < live.sum()
        return out, asked


def filled(rows: Ids) -> Ids:
    """Return the rows, at least one, with the last repeated until a forward is filled."""
    full = -(-max(len(rows), LEAST_ROWS) // WHOLE_ROWS) * WHOLE_ROWS
    return rows[np.arange(full).clip(max=len(rows) - 1)]


class LeftToRight:
    """An autoregressive sampler that is asked for lengths, and does not need them."""

    def __init__(self, inner: AutoregressiveSampler) -> None:
        self.inner = inner

    def run(
        self,
        lengths: Ids,
        condition: NDArray[np.float32] | None = None,
        seed: int = 0,
        first: int = 0,
        record: bool = False,
        on_done: OnDone | None = None,
        given: Given | None = None,
    ) -> Samples:
        """Draw as many rows as there are lengths.

        Raises:
            ValueError: if rows are given in part.
        """
        if given is not None:
            raise ValueError("rows are given in part, but this network writes from left to right")
        return self.inner.run(len(lengths), condition, seed, first, record, on_done)
