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

from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import torch

from molgen.guidance.shaping import Shaping
from molgen.nn.language_model import LanguageModel
from molgen.sampling.sampler import Info, Job, Samples, Stepping
from molgen.sampling.trajectory import Recorder
from molgen.utils import randomness
from molgen.utils.arrays import Ids
from molgen.utils.randomness import inverse_cdf
from molgen.utils.threads import Workers

# Rows of a forward are filled up to a whole number of WHOLE_ROWS and to LEAST_ROWS, so that a row's
# result is the same in any company: for a handful of rows, matrix kernels sum in another order.
LEAST_ROWS, WHOLE_ROWS = 64, 32


@dataclass
class State:
    """A job under way.

    Attributes:
        job: what is asked for; its lengths say how many rows, not how long they become.
        batches: rows that are to be written, batch by batch.
        tokens: of all rows, shape (molecules, the network's longest), padded.
        asked: how many tokens each row was asked for, its end included, shape (molecules,).
        recorder: where events go, or None.
        model: the network.
    """

    job: Job
    batches: list[Ids]
    tokens: Ids
    asked: Ids
    recorder: Recorder | None
    model: LanguageModel

    @property
    def over(self) -> bool:
        """Whether every row has ended."""
        return not self.batches

    def samples(self, rows: Ids) -> Samples:
        """Return some rows."""
        asked, model = self.asked[rows], self.model
        costs = asked * model.forwards, None, asked * model.classifier_forwards
        return Samples(self.tokens[rows], *costs)

    def result(self) -> Samples:
        """Return all rows, in order."""
        found = self.samples(np.arange(len(self.tokens)))
        longest = int((self.tokens != self.model.pad_id).sum(1).max(initial=0))
        trajectory = self.recorder.trajectory(self.job.first) if self.recorder else None
        return replace(
            found,
            tokens=found.tokens[:, :longest],
            trajectory=trajectory,
            quality=found.quality[:, :longest],
        )


@dataclass(frozen=True)
class AutoregressiveSampler(Stepping[State]):
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

    def init(self, job: Job) -> State:
        """Return the state before the first batch.

        Raises:
            ValueError: if rows are given in part.
        """
        if job.given is not None:
            raise ValueError("rows are given in part, but this network writes from left to right")
        count = len(job.lengths)
        share = max(LEAST_ROWS, -(-count // self.workers.count))  # none shall be without work
        size = min(self.batch_size, share)
        batches = [np.arange(i, min(i + size, count)) for i in range(0, count, size)]
        tokens = np.full((count, self.model.max_length), self.model.pad_id, dtype=np.int64)
        recorder = Recorder() if job.record else None
        return State(job, batches, tokens, np.zeros(count, dtype=np.int64), recorder, self.model)

    def step(self, state: State) -> tuple[State, Info]:
        """Write as many batches as there are workers."""
        count = self.workers.count
        batches, state.batches = state.batches[:count], state.batches[count:]
        found = self.workers.map(partial(self._write, state), batches)
        for rows, (written, steps) in zip(batches, found, strict=True):
            state.tokens[rows], state.asked[rows] = written, steps
        ended = np.concatenate(batches)
        return state, Info(ended, state.samples(ended))

    def _write(self, state: State, rows: Ids) -> tuple[Ids, Ids]:
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
        condition = state.job.conditions(rows[slot])
        prefixes = model.begin(
            len(slot), None if condition is None else torch.from_numpy(condition)
        )
        token = np.full(len(slot), model.mask_id, dtype=np.int64)
        for place in range(model.max_length):
            log_p = prefixes.append(torch.from_numpy(token))
            p = self.shaping(log_p[torch.from_numpy(live)]).numpy()
            row = slot[live]
            u = randomness.uniform(
                state.job.seed, randomness.STEP, state.job.indices(rows[row]), place, 0
            )
            token = np.full(len(slot), model.pad_id, dtype=np.int64)
            token[live] = out[row, place] = drawn = inverse_cdf(p, u)
            asked[row] += 1
            on = drawn != model.pad_id
            if state.recorder:
                at, psi = np.full(on.sum(), place), p[np.arange(len(drawn)), drawn]
                state.recorder.place(rows[row[on]], at, at, drawn[on], psi[on])
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
