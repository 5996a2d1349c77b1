"""The autoregressive baseline: tokens sampled from left to right.

A network of noise ``"none"`` samples one token at a time (:mod:`molgen.nn.language_model`), without
a given length. A row costs one forward for each token, the end included, and twice that with
classifier-free guidance. Forwards through a key-value cache (:mod:`molgen.nn.kv_cache`) count like
any other, although they are cheaper.

A row without an end at the maximum length of the network is returned as it is, and is usually
invalid. One uniform per (molecule, position) draws each token by inverse CDF in float64, so rows
are batch-invariant.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import torch

from molgen.errors import MolgenError
from molgen.guidance.shaping import Shaping
from molgen.nn.language_model import LanguageModel
from molgen.sampling.sampler import Info, Job, Samples, Stepping
from molgen.sampling.trajectory import Recorder
from molgen.utils import randomness
from molgen.utils.arrays import Ids
from molgen.utils.randomness import inverse_cdf
from molgen.utils.threads import Workers

# Rows of a forward are filled up to a multiple of WHOLE_ROWS and to LEAST_ROWS, for batch
# invariance: for a small number of rows, matrix kernels sum in another order.
LEAST_ROWS, WHOLE_ROWS = 64, 32


@dataclass
class State:
    """The state of a job.

    Attributes:
        job: the requested rows; its lengths set their number only.
        batches: rows that have not been drawn, by batch.
        tokens: of all rows, shape (molecules, maximum length of the network), padded.
        steps: tokens drawn for each row, its end included, shape (molecules,).
        recorder: records events, or None.
        model: the network.
    """

    job: Job
    batches: list[Ids]
    tokens: Ids
    steps: Ids
    recorder: Recorder | None
    model: LanguageModel

    @property
    def over(self) -> bool:
        """Whether every row has ended."""
        return not self.batches

    def restore(self, rows: Ids, samples: Samples) -> None:
        """Take rows as ended; see :class:`molgen.sampling.recorded.Restorable`."""
        left = (batch[~np.isin(batch, rows)] for batch in self.batches)
        self.batches = [batch for batch in left if len(batch)]
        self.tokens[rows], self.steps[rows] = samples.tokens, samples.nfe // self.model.forwards

    def samples(self, rows: Ids) -> Samples:
        """Return some rows."""
        steps, model = self.steps[rows], self.model
        costs = steps * model.forwards, None, steps * model.classifier_forwards
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
            MolgenError: if it is below 1.
        """
        if self.batch_size < 1:
            raise MolgenError(f"batch_size is {self.batch_size}, expected at least 1")

    def init(self, job: Job) -> State:
        """Return the state before the first batch.

        Raises:
            MolgenError: if rows are partially given.
        """
        if job.given is not None:
            raise MolgenError("given is set, expected None for an autoregressive network")
        count = len(job.lengths)
        share = max(LEAST_ROWS, -(-count // self.workers.count))  # work for every thread
        size = min(self.batch_size, share)
        batches = [np.arange(i, min(i + size, count)) for i in range(0, count, size)]
        tokens = np.full((count, self.model.max_length), self.model.pad_id, dtype=np.int64)
        recorder = Recorder() if job.record else None
        return State(job, batches, tokens, np.zeros(count, dtype=np.int64), recorder, self.model)

    def step(self, state: State) -> tuple[State, Info]:
        """Draw as many batches as there are workers."""
        count = self.workers.count
        batches, state.batches = state.batches[:count], state.batches[count:]
        found = self.workers.map(partial(self._write, state), batches)
        for rows, (written, steps) in zip(batches, found, strict=True):
            state.tokens[rows], state.steps[rows] = written, steps
        ended = np.concatenate(batches)
        return state, Info(ended, state.samples(ended))

    def _write(self, state: State, rows: Ids) -> tuple[Ids, Ids]:
        """Draw one batch of rows.

        Returns:
            Tokens with shape (rows, max_length), padded, and the number of tokens drawn for each
            row, the end included, with shape (rows,).
        """
        model = self.model
        out = np.full((len(rows), model.max_length), model.pad_id, dtype=np.int64)
        steps = np.zeros(len(rows), dtype=np.int64)
        slot = filled(np.arange(len(rows)))  # the row at each position of the batch
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
            steps[row] += 1
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
        return out, steps


def filled(rows: Ids) -> Ids:
    """Return the rows, at least one, with the last repeated to fill a forward."""
    full = -(-max(len(rows), LEAST_ROWS) // WHOLE_ROWS) * WHOLE_ROWS
    return rows[np.arange(full).clip(max=len(rows) - 1)]
