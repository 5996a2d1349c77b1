"""Rows in flight: what every sampler that goes along a plan has in common.

Each row has its own clock, its own random numbers (a function of seed, molecule, step and position)
and its own end. A row that has ended leaves the batch and the next takes its place, so a row is the
same whatever the batch size. A sampler says what rows start as and how they take their next steps.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from molgen.diffusion.plan import Plan
from molgen.diffusion.token_weights import Evidence, TokenWeights
from molgen.sampling.sampler import Given, OnDone, Samples
from molgen.sampling.trajectory import Recorder
from molgen.utils.arrays import Floats, Ids, Mask

if TYPE_CHECKING:
    from torch import Tensor

LOOK_AHEAD = 8  # steps examined at once when a row runs ahead to its next event


@dataclass
class State:
    """Rows in flight.

    Attributes:
        molecule: which requested row each is, shape (rows,).
        tokens: ids with shape (rows, longest), padded.
        psi: probability each placed token had when it was placed, same shape; 1 elsewhere.
        quality: what the network's quality head said of each placed token at the last forward;
            ``psi`` where it has said nothing yet, or there is none; same shape.
        delta: how far each placed token holds the wanted property back, as far as the head has
            said; same shape.
        fixed: tokens that no step takes off, same shape.
        settled: whether nothing has changed since the row was last mended, shape (rows,).
        step: the next step of each row, shape (rows,).
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
    nfe: Ids
    classifier_nfe: Ids

    @classmethod
    def start(cls, molecule: Ids, tokens: Ids, given: Given | None = None) -> State:
        """Return rows before their first step, as far as they are given."""
        psi, fixed = np.ones(tokens.shape), np.zeros(tokens.shape, dtype=bool)
        step, *zeros = np.zeros((3, len(molecule)), dtype=np.int64)
        if given is not None:
            tokens = given.tokens[molecule]
            psi = psi if given.psi is None else given.psi[molecule]
            fixed = fixed if given.fixed is None else given.fixed[molecule]
            step = step if given.step is None else given.step[molecule]
        settled = np.zeros(len(molecule), dtype=bool)
        delta = np.zeros(tokens.shape)
        return cls(molecule, tokens, psi, psi.copy(), delta, fixed, settled, step, *zeros)

    def take(self, rows: Ids | Mask) -> State:
        """Return some of the rows."""
        return State(*(array[rows] for array in vars(self).values()))

    def join(self, other: State) -> State:
        """Return these rows and the others."""
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return State(*(np.concatenate(pair) for pair in pairs))


@dataclass(frozen=True)
class Draw:
    """What one call of a sampler is asked for.

    Attributes:
        seed: of the draw.
        first: index of the first row.
        condition: property values with shape (molecules, properties), NaN where left out, or None.
        recorder: where events go, or None.
        given: what rows start from, or None.
        memory: the last prediction for rows in which nothing has changed since, by molecule.
    """

    seed: int
    first: int
    condition: NDArray[np.float32] | None
    recorder: Recorder | None
    given: Given | None = None
    memory: dict[int, Tensor] = field(default_factory=dict)

    def conditions(self, molecules: Ids) -> NDArray[np.float32] | None:
        """Return the conditions of some molecules."""
        return None if self.condition is None else self.condition[molecules]

    def rows(self, molecules: Ids) -> Ids:
        """Return which rows of the endless table some molecules are."""
        if self.given is None or self.given.rows is None:
            return self.first + molecules
        return self.given.rows[molecules]


class RowSampler(ABC):
    """A sampler that takes every row along a plan."""

    plan: Plan
    weights: TokenWeights | None
    batch_size: int
    mask_id: int
    pad_id: int
    max_length: int
    plan_masks: bool = True
    """Whether the noise is masks, so that rows may be given in part."""
    _bound: Floats

    def _prepare(self) -> None:
        """Check the batch size and find ``sigma_max`` of every step.

        Raises:
            ValueError: if no row would be in flight.
        """
        if self.batch_size < 1:
            raise ValueError(f"batch_size is {self.batch_size}, expected at least 1")
        placed = self.plan.alpha_t > 0
        safe = np.where(placed, self.plan.alpha_t, 1.0)
        self._bound = np.where(placed, np.minimum(1, (1 - self.plan.alpha_s) / safe), 0.0)

    @abstractmethod
    def _begin(self, molecules: Ids, real: Mask, draw: Draw) -> Ids:
        """Return the tokens that rows start from, with the shape of ``real``, (rows, longest)."""

    @abstractmethod
    def _advance(self, state: State, draw: Draw) -> None:
        """Take every row, in place, past its next step that costs a forward, or to its end."""

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
        """Draw one row for each length.

        Args:
            lengths: tokens of each row, shape (molecules,).
            condition: property values with shape (molecules, properties), NaN where left out.
            seed: of the draw; row ``i`` depends on the seed and ``first + i`` alone.
            first: index of the first row, to go on from an earlier call.
            record: keep every event.
            on_done: told of rows as they finish.
            given: what the rows start from, where that is not all masks.

        Raises:
            ValueError: if a length is below 1 or above the network's longest, or given rows have
                other lengths.
        """
        if len(lengths) and not (lengths.min() >= 1 and lengths.max() <= self.max_length):
            raise ValueError(
                f"lengths must lie in 1..{self.max_length}, got {lengths.min()}..{lengths.max()}"
            )
        width = int(lengths.max(initial=0))
        if given is not None:
            self._check_given(given, lengths)
            width = given.tokens.shape[1]
        draw = Draw(seed, first, condition, Recorder() if record else None, given)
        tokens = np.full((len(lengths), width), self.pad_id, dtype=np.int64)
        quality = np.ones(tokens.shape)
        nfe, classifier_nfe = np.zeros((2, len(lengths)), dtype=np.int64)
        queue = np.argsort(lengths, kind="stable")
        state = self._start(queue[:0], lengths, width, draw)
        while len(state.molecule) or len(queue):
            room = self.batch_size - len(state.molecule)
            state = state.join(self._start(queue[:room], lengths, width, draw))
            queue = queue[room:]
            self._advance(state, draw)
            done = state.step >= len(self.plan)
            if done.any():
                ended = state.take(done)
                tokens[ended.molecule], nfe[ended.molecule] = ended.tokens, ended.nfe
                classifier_nfe[ended.molecule] = ended.classifier_nfe
                quality[ended.molecule] = ended.quality
                if on_done:
                    costs = ended.nfe, None, ended.classifier_nfe
                    on_done(ended.molecule, Samples(ended.tokens, *costs, ended.quality))
                state = state.take(~done)
        trajectory = draw.recorder.trajectory(first) if draw.recorder else None
        return Samples(tokens, nfe, trajectory, classifier_nfe, quality)

    def _check_given(self, given: Given, lengths: Ids) -> None:
        """Check given rows.

        Raises:
            ValueError: if the noise has no mask, or the rows have other lengths.
        """
        if not self.plan_masks:
            raise ValueError("rows are given in part, but under this noise nothing is masked")
        found = (given.tokens != self.pad_id).sum(1)
        if not np.array_equal(found, lengths):
            raise ValueError(f"given rows have lengths {found}, expected {lengths}")

    def _start(self, molecules: Ids, lengths: Ids, width: int, draw: Draw) -> State:
        real = np.arange(width) < lengths[molecules, None]
        tokens = real if draw.given else self._begin(molecules, real, draw)
        return State.start(molecules, np.where(real, tokens, self.pad_id), draw.given)

    def _sigma(self, state: State, rows: Ids, steps: Ids) -> Floats:
        """Return each token's own chance of being masked again in each step.

        Args:
            state: rows in flight.
            rows: some of them.
            steps: of the plan, shape (rows, steps).

        Returns:
            Chances with shape (rows, steps, longest).
        """
        tokens = state.tokens[rows]
        k = np.minimum(steps, len(self.plan) - 1)[:, :, None]
        sigma = np.broadcast_to(self.plan.sigma[k], (*steps.shape, tokens.shape[1]))
        fixed = state.fixed[rows]
        if self.weights is not None:
            clean = (tokens != self.mask_id) & (tokens != self.pad_id) & ~fixed
            evidence = Evidence(state.psi[rows], state.quality[rows], state.delta[rows])
            weights = self.weights(evidence, clean)[:, None, :]
            sigma = np.minimum(sigma * weights, self._bound[k])
        return np.where(fixed[:, None, :], 0.0, sigma)
