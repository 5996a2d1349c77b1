"""The sampler: per-row clocks, per-row randomness, and a forward only when a token is placed.

A step of a plan places each masked token with probability ``reveal_rate`` and takes each placed
token off with probability ``sigma``. Neither needs the network, so every row runs ahead on its own
clock until it meets a step that places something; only there is ``p(x_0 | x_t)`` asked for, for
exactly the rows that wait for it. The outcome is that of the plain loop with one forward a step,
to the last token; the number of forwards is the number of steps in which something was placed, so
``T = 1024`` costs about as much as ``T = 128``.

One uniform per (molecule, step, position) decides both whether a masked token is placed and, by
inverse CDF in float64, as what. A row that has ended leaves the batch and the next takes its place.

Reference: Wang et al., "Remasking Discrete Diffusion Models with Inference-Time Scaling" (2025).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from molgen import randomness
from molgen.plan import Plan
from molgen.predict import Predictor
from molgen.remasking import TokenWeights
from molgen.trajectory import Recorder, Trajectory

Ids = NDArray[np.int64]
Mask = NDArray[np.bool_]
LOOK_AHEAD = 8  # steps examined at once when a row runs ahead to its next event


@dataclass(frozen=True)
class Samples:
    """What came out: one row for each row asked for, in order.

    Attributes:
        tokens: ids with shape (molecules, longest), padded.
        nfe: forwards of the network each row took, guidance included, shape (molecules,).
        trajectory: every event of every row, where it was recorded.
    """

    tokens: Ids
    nfe: Ids
    trajectory: Trajectory | None = None


@dataclass
class _State:
    """Rows in flight.

    Attributes:
        molecule: which requested row each is, shape (rows,).
        tokens: ids with shape (rows, longest), padded.
        psi: probability each placed token had when it was placed, same shape; 1 elsewhere.
        step: the next step of each row, shape (rows,).
        nfe: forwards so far, shape (rows,).
    """

    molecule: Ids
    tokens: Ids
    psi: NDArray[np.float64]
    step: Ids
    nfe: Ids

    def take(self, rows: Ids | Mask) -> _State:
        return _State(*(array[rows] for array in vars(self).values()))

    def join(self, other: _State) -> _State:
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return _State(*(np.concatenate(pair) for pair in pairs))


@dataclass(frozen=True)
class _Events:
    """What the waiting rows meet in their next step.

    Attributes:
        rows: indices of the rows in flight, shape (waiting,).
        place: masked tokens that are placed, shape (waiting, longest).
        remove: placed tokens that are taken off, same shape.
        quantile: where in its distribution a token to be placed falls, in [0, 1), same shape.
    """

    rows: Ids
    place: Mask
    remove: Mask
    quantile: NDArray[np.float64]


@dataclass
class Sampler:
    """Draws molecules' tokens along a plan.

    Attributes:
        predictor: the network with its guidance.
        plan: the steps.
        weights: which placed tokens go back first; None treats all alike, exactly.
        batch_size: rows in flight at once; it changes speed and memory, not results.
    """

    predictor: Predictor
    plan: Plan
    weights: TokenWeights | None = None
    batch_size: int = 256
    _bound: NDArray[np.float64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Prepare what every step needs."""
        if self.batch_size < 1:
            raise ValueError(f"batch_size is {self.batch_size}, expected at least 1")
        safe = np.where(self.plan.alpha_t > 0, self.plan.alpha_t, 1.0)
        self._bound = np.where(
            self.plan.alpha_t > 0, np.minimum(1, (1 - self.plan.alpha_s) / safe), 0.0
        )

    def run(
        self,
        lengths: Ids,
        condition: NDArray[np.float32] | None = None,
        seed: int = 0,
        first: int = 0,
        record: bool = False,
        on_done: Callable[[Ids, Ids, Ids], None] | None = None,
    ) -> Samples:
        """Draw one row for each length.

        Args:
            lengths: tokens of each row, shape (molecules,).
            condition: property values with shape (molecules, properties), NaN where left out.
            seed: of the draw; row ``i`` depends on the seed and ``first + i`` alone.
            first: index of the first row, to go on from an earlier call.
            record: keep every event.
            on_done: called with (indices, tokens, nfe) of rows as they finish.

        Raises:
            ValueError: if a length is below 1 or above the network's longest.
        """
        longest = self.predictor.max_length
        if len(lengths) and not (lengths.min() >= 1 and lengths.max() <= longest):
            raise ValueError(
                f"lengths must lie in 1..{longest}, got {lengths.min()}..{lengths.max()}"
            )
        width = int(lengths.max(initial=0))
        out = Samples(
            np.full((len(lengths), width), self.predictor.pad_id, dtype=np.int64),
            np.zeros(len(lengths), dtype=np.int64),
        )
        recorder = Recorder() if record else None
        queue = np.argsort(lengths, kind="stable")
        state, queue = self._start(queue[:0], lengths, width), queue
        while len(state.molecule) or len(queue):
            room = self.batch_size - len(state.molecule)
            state = state.join(self._start(queue[:room], lengths, width))
            queue = queue[room:]
            events = self._advance(state, seed, first, recorder)
            if len(events.rows):
                self._apply(state, events, condition, recorder)
            done = state.step >= len(self.plan)
            if done.any():
                ended = state.take(done)
                out.tokens[ended.molecule], out.nfe[ended.molecule] = ended.tokens, ended.nfe
                if on_done:
                    on_done(ended.molecule, ended.tokens, ended.nfe)
                state = state.take(~done)
        trajectory = recorder.trajectory(first) if recorder else None
        return Samples(out.tokens, out.nfe, trajectory)

    def _start(self, molecules: Ids, lengths: Ids, width: int) -> _State:
        """Return all-masked rows for the given molecules."""
        real = np.arange(width) < lengths[molecules, None]
        tokens = np.where(real, self.predictor.mask_id, self.predictor.pad_id)
        zeros = np.zeros(len(molecules), dtype=np.int64)
        return _State(molecules, tokens, np.ones(tokens.shape), zeros, zeros.copy())

    def _advance(self, state: _State, seed: int, first: int, recorder: Recorder | None) -> _Events:
        """Run every row ahead to its next step that places a token, or to its end.

        Tokens taken off on the way are taken off here; the step that places is left to
        :meth:`_apply`.
        """
        count, width = state.tokens.shape
        place, remove = np.zeros((2, count, width), dtype=bool)
        quantile = np.zeros((count, width))
        waiting = np.zeros(count, dtype=bool)
        while True:
            rows = np.flatnonzero(~waiting & (state.step < len(self.plan)))
            if not len(rows):
                break
            masked = state.tokens[rows] == self.predictor.mask_id
            real = state.tokens[rows] != self.predictor.pad_id
            steps = state.step[rows, None] + np.arange(LOOK_AHEAD)
            chance = self._chances(state, rows, steps, masked)
            u = randomness.uniform(
                seed,
                randomness.STEP,
                (first + state.molecule[rows])[:, None, None],
                steps[:, :, None],
                np.arange(width),
            )
            event = (u < chance) & real[:, None, :] & (steps < len(self.plan))[:, :, None]
            hit = event.any(2)
            ahead = np.where(hit.any(1), hit.argmax(1), LOOK_AHEAD - 1)
            at = np.arange(len(rows))
            now = event[at, ahead]
            state.step[rows] = np.minimum(steps[at, ahead], len(self.plan))
            places = (now & masked).any(1)
            waiting[rows[places]] = True
            place[rows], remove[rows] = now & masked, now & ~masked
            with np.errstate(divide="ignore", invalid="ignore"):
                quantile[rows] = np.where(now, u[at, ahead] / chance[at, ahead], 0.0)
            moved = rows[~places]
            self._remove(state, moved, remove[moved], recorder)
            state.step[moved] += 1
        rows = np.flatnonzero(waiting)
        return _Events(rows, place[rows], remove[rows], quantile[rows])

    def _chances(self, state: _State, rows: Ids, steps: Ids, masked: Mask) -> NDArray[np.float64]:
        """Return the chance that each token changes in each step: (rows, steps, longest)."""
        k = np.minimum(steps, len(self.plan) - 1)[:, :, None]
        a_t, a_s = self.plan.alpha_t[k], self.plan.alpha_s[k]
        sigma = np.broadcast_to(self.plan.sigma[k], (*steps.shape, masked.shape[1]))
        if self.weights is not None:
            clean = ~masked & (state.tokens[rows] != self.predictor.pad_id)
            w = self.weights(state.psi[rows], clean)[:, None, :]
            sigma = np.minimum(sigma * w, self._bound[k])
        # by the end of the schedule (alpha_t = 1) nothing may be left masked
        rest = np.where(a_t < 1, 1 - a_t, 1.0)
        reveal = np.where(a_t < 1, (a_s - (1 - sigma) * a_t) / rest, 1.0)
        return np.where(masked[:, None, :], reveal, sigma)

    def _apply(
        self,
        state: _State,
        events: _Events,
        condition: NDArray[np.float32] | None,
        recorder: Recorder | None,
    ) -> None:
        """Take the step that each waiting row waits for."""
        rows = events.rows
        molecules = state.molecule[rows]
        p = self.predictor(
            state.tokens[rows],
            events.place,
            None if condition is None else condition[molecules],
            self.plan.alpha_t[state.step[rows]],
        )
        i, position = np.nonzero(events.place)
        token = inverse_cdf(p, events.quantile[i, position])
        state.tokens[rows[i], position] = token
        state.psi[rows[i], position] = p[np.arange(len(token)), token]
        if recorder:
            recorder.place(
                molecules[i], state.step[rows[i]], position, token, state.psi[rows[i], position]
            )
        self._remove(state, rows, events.remove, recorder)
        state.step[rows] += 1
        state.nfe[rows] += self.predictor.forwards

    def _remove(self, state: _State, rows: Ids, remove: Mask, recorder: Recorder | None) -> None:
        """Mask the chosen tokens of the given rows."""
        i, position = np.nonzero(remove)
        if recorder and len(i):
            recorder.remove(
                state.molecule[rows[i]],
                state.step[rows[i]],
                position,
                state.tokens[rows[i], position],
                state.psi[rows[i], position],
            )
        state.tokens[rows[i], position] = self.predictor.mask_id
        state.psi[rows[i], position] = 1.0


def inverse_cdf(p: NDArray[np.float64], quantile: NDArray[np.float64]) -> Ids:
    """Return the category at each quantile.

    Args:
        p: probabilities with shape (rows, vocab), summing to one.
        quantile: numbers in [0, 1), shape (rows,).

    Returns:
        Ids with shape (rows,); never a category of probability zero.
    """
    cdf = np.cumsum(p, axis=1)
    index = (cdf <= quantile[:, None] * cdf[:, -1:]).sum(1)
    # the largest quantile times the sum may round up to the sum itself
    last = p.shape[1] - 1 - (p[:, ::-1] > 0).argmax(1)
    return np.asarray(np.minimum(index, last), dtype=np.int64)
