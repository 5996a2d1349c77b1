"""The active batch: the base of samplers that follow a plan.

Each row has its own step, its own random numbers (a function of seed, molecule, step and position)
and its own end. A row that has ended leaves the active batch and the next one enters, so a row does
not depend on the batch size. A sampler defines the initial tokens of rows and their next steps.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from molgen.diffusion.plan import Plan
from molgen.diffusion.token_weights import Evidence, TokenWeights, token_sigma
from molgen.errors import MolgenError
from molgen.sampling.blocks import count_blocks, in_block
from molgen.sampling.sampler import Given, Info, Job, Samples, Stepping
from molgen.sampling.trajectory import Recorder
from molgen.utils.arrays import Floats, Ids, Mask

if TYPE_CHECKING:
    from torch import Tensor

LOOK_AHEAD = 8  # steps examined at once to find the next event of a row


@dataclass
class ActiveRows:
    """The active batch.

    Attributes:
        molecule: index of each row in the job, shape (rows,).
        tokens: ids with shape (rows, longest), padded.
        psi: probability each placed token had when it was placed, same shape; 1 elsewhere.
        quality: output of the quality head for each placed token at the last forward; ``psi``
            before the first one or without a quality head; same shape.
        delta: attribution: how much each placed token lowers the target property, by the quality
            head; same shape.
        fixed: tokens that are never remasked, same shape.
        settled: whether the row is unchanged since its last correction, shape (rows,).
        step: the next step of each row, shape (rows,); in continuous time the next event.
        clock: moment of each row in a plan in continuous time, shape (rows,); 0 on a grid.
        block: block in which the tokens of each row are placed, likewise.
        nfe: forwards so far, shape (rows,).
        classifier_nfe: classifier forwards so far, shape (rows,).
    """

    molecule: Ids
    tokens: Ids
    psi: Floats
    quality: Floats
    delta: Floats
    fixed: Mask
    settled: Mask
    step: Ids
    clock: Floats
    block: Ids
    nfe: Ids
    classifier_nfe: Ids

    @classmethod
    def start(cls, molecule: Ids, tokens: Ids, given: Given | None = None) -> ActiveRows:
        """Return rows before their first step, from given rows if there are any."""
        psi, fixed = np.ones(tokens.shape), np.zeros(tokens.shape, dtype=bool)
        step, *zeros = np.zeros((4, len(molecule)), dtype=np.int64)
        if given is not None:
            tokens = given.tokens[molecule]
            psi = psi if given.psi is None else given.psi[molecule]
            fixed = fixed if given.fixed is None else given.fixed[molecule]
            step = step if given.step is None else given.step[molecule].astype(np.int64)
        settled = np.zeros(len(molecule), dtype=bool)
        delta, clock = np.zeros(tokens.shape), np.zeros(len(molecule))
        return cls(molecule, tokens, psi, psi.copy(), delta, fixed, settled, step, clock, *zeros)

    def take(self, rows: Ids | Mask) -> ActiveRows:
        """Return some of the rows."""
        return ActiveRows(*(array[rows] for array in vars(self).values()))

    def join(self, other: ActiveRows) -> ActiveRows:
        """Return these rows and the others."""
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return ActiveRows(*(np.concatenate(pair) for pair in pairs))


@dataclass
class State:
    """The state of a job.

    Attributes:
        job: the requested rows.
        active: the active batch.
        queue: rows that have not begun, the shortest first.
        tokens: of rows that have ended, shape (molecules, longest); likewise the next three.
        nfe: forwards.
        classifier_nfe: forwards of classifiers.
        quality: see :class:`molgen.sampling.sampler.Samples`.
        recorder: records events, or None.
        memory: the last prediction of rows that have not changed since, by molecule.
    """

    job: Job
    active: ActiveRows
    queue: Ids
    tokens: Ids
    nfe: Ids
    classifier_nfe: Ids
    quality: Floats
    recorder: Recorder | None
    memory: dict[int, Tensor] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        """Whether every row has ended."""
        return not len(self.active.molecule) and not len(self.queue)

    def restore(self, rows: Ids, samples: Samples) -> None:
        """Take rows as ended; see :class:`molgen.sampling.recorded.Restorable`."""
        self.queue = self.queue[~np.isin(self.queue, rows)]
        self.write(rows, samples)

    def write(self, rows: Ids, samples: Samples) -> None:
        """Store the result of rows that have ended."""
        self.tokens[rows], self.quality[rows] = samples.tokens, samples.quality
        self.nfe[rows], self.classifier_nfe[rows] = samples.nfe, samples.classifier_nfe

    def result(self) -> Samples:
        """Return all rows, in order."""
        trajectory = self.recorder.trajectory(self.job.first) if self.recorder else None
        return Samples(self.tokens, self.nfe, trajectory, self.classifier_nfe, self.quality)


class RowSampler(Stepping[State]):
    """A sampler whose rows follow a plan."""

    plan: Plan
    weights: TokenWeights | None
    batch_size: int
    mask_id: int
    pad_id: int
    max_length: int
    plan_masks: bool = True
    """Whether the noise is masked, so that rows may be partially given."""
    blocks: int | None = None
    """Tokens of a block; see :mod:`molgen.sampling.blocks`. None for one block, all of a row."""
    _bound: Floats

    def _prepare(self) -> None:
        """Check the batch size and compute ``sigma_max`` of every step.

        Raises:
            MolgenError: if the batch size is below 1.
        """
        self._check_size()
        placed = self.plan.alpha_t > 0
        safe = np.where(placed, self.plan.alpha_t, 1.0)
        self._bound = np.where(placed, np.minimum(1, (1 - self.plan.alpha_s) / safe), 0.0)

    def _check_size(self) -> None:
        """Check the batch size.

        Raises:
            MolgenError: if it is below 1.
        """
        if self.batch_size < 1:
            raise MolgenError(f"batch_size is {self.batch_size}, expected at least 1")

    def start_at(self, placed: Floats) -> Ids | Floats:
        """Return where a row begins of which this fraction is placed; see :class:`Given`."""
        return self.plan.start(placed)

    def _over(self, active: ActiveRows) -> Mask:
        """Return whether each row is at its end."""
        return active.step >= self._ends(active)

    def _ends(self, active: ActiveRows) -> Ids:
        """Return the number of steps of each row: a plan for each block."""
        lengths = (active.tokens != self.pad_id).sum(1)
        return len(self.plan) * count_blocks(lengths, self.blocks)

    def _begin(self, molecules: Ids, real: Mask, state: State) -> Ids:
        """Return the initial tokens of rows, with the shape of ``real``, (rows, longest)."""
        return np.full(real.shape, self.mask_id, dtype=np.int64)  # all masks

    @abstractmethod
    def _advance(self, active: ActiveRows, state: State) -> None:
        """Advance every row, in place, past its next step with a forward, or to its end."""

    def init(self, job: Job) -> State:
        """Return the state before the first step.

        Raises:
            MolgenError: if a length is below 1 or above the maximum of the network, or given rows
                have other lengths.
        """
        lengths = job.lengths
        if len(lengths) and not (lengths.min() >= 1 and lengths.max() <= self.max_length):
            raise MolgenError(
                f"lengths must lie in 1..{self.max_length}, got {lengths.min()}..{lengths.max()}"
            )
        width = int(lengths.max(initial=0))
        if job.given is not None:
            self._check_given(job.given, lengths)
            width = job.given.tokens.shape[1]
        tokens = np.full((len(lengths), width), self.pad_id, dtype=np.int64)
        queue = np.argsort(lengths, kind="stable")
        none = ActiveRows.start(queue[:0], tokens[:0], job.given)
        nfe, classifier_nfe = np.zeros((2, len(lengths)), dtype=np.int64)
        recorder = Recorder() if job.record else None
        quality = np.ones(tokens.shape)
        return State(job, none, queue, tokens, nfe, classifier_nfe, quality, recorder)

    def step(self, state: State) -> tuple[State, Info]:
        """Fill the active batch, and advance its rows past their next forward or to their end."""
        room = self.batch_size - len(state.active.molecule)
        active = state.active.join(self._start(state.queue[:room], state))
        state.queue = state.queue[room:]
        self._advance(active, state)
        done = self._over(active)
        ended, state.active = active.take(done), active.take(~done)
        costs = ended.nfe, None, ended.classifier_nfe
        info = Info(ended.molecule, Samples(ended.tokens, *costs, ended.quality))
        state.write(info.rows, info.samples)
        return state, info

    def _check_given(self, given: Given, lengths: Ids) -> None:
        """Check given rows.

        Raises:
            MolgenError: if the noise has no mask, or the rows have other lengths.
        """
        if not self.plan_masks:
            raise MolgenError("given is set, expected None for noise without masks")
        found = (given.tokens != self.pad_id).sum(1)
        if not np.array_equal(found, lengths):
            raise MolgenError(f"given rows have lengths {found}, expected {lengths}")

    def _start(self, molecules: Ids, state: State) -> ActiveRows:
        job = state.job
        real = np.arange(state.tokens.shape[1]) < job.lengths[molecules, None]
        tokens = real if job.given else self._begin(molecules, real, state)
        return ActiveRows.start(molecules, np.where(real, tokens, self.pad_id), job.given)

    def _sigma(self, active: ActiveRows, rows: Ids, steps: Ids) -> Floats:
        """Return the probability that each token is remasked in each step.

        Args:
            active: the active batch.
            rows: indices of some of its rows.
            steps: of the plan, shape (rows, steps).

        Returns:
            Probabilities with shape (rows, steps, longest).
        """
        tokens = active.tokens[rows]
        k = (steps % len(self.plan))[:, :, None]
        sigma = np.broadcast_to(self.plan.sigma[k], (*steps.shape, tokens.shape[1]))
        closed = ~in_block(active.block[rows], tokens.shape[1], self.blocks)
        fixed = active.fixed[rows] | closed
        if self.weights is not None:
            clean = (tokens != self.mask_id) & (tokens != self.pad_id) & ~fixed
            evidence = Evidence(active.psi[rows], active.quality[rows], active.delta[rows])
            weights = self.weights(evidence, clean)[:, None, :]
            sigma = token_sigma(sigma, weights, self._bound[k])
        return np.where(fixed[:, None, :], 0.0, sigma)
