"""The event sampler: per-row steps, per-row randomness, and a forward only to place a token.

A step of a plan places each masked token with probability ``reveal_rate`` and remasks each placed
token with probability ``sigma``. Neither needs the network, so every row advances independently to
its next step that places a token; only there is ``p(x_0 | x_t)`` computed, for exactly the rows
that need it. The result is that of the plain loop with one forward a step, to the last token; the
number of forwards is the number of steps that place a token, so ``T = 1024`` costs about as much as
``T = 128``.

The reveal rate must not depend on the prediction, so guidance here acts on ``p(x_0 | x_t)``; for
kernels with other reveal rates see :mod:`molgen.sampling.kernel_sampler`.

One uniform per (molecule, step, position) determines both whether a masked token is placed and, by
inverse CDF in float64, its value.

Reference: Wang et al., "Remasking Discrete Diffusion Models with Inference-Time Scaling" (2025).
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from molgen.diffusion.plan import Plan
from molgen.diffusion.posterior import chance_to_change
from molgen.diffusion.token_weights import TokenWeights
from molgen.errors import MolgenError
from molgen.guidance.predictor import Predictor
from molgen.guidance.smiles_grammar import Language
from molgen.sampling.blocks import in_block, placed_fraction
from molgen.sampling.corrector import Corrector, correct
from molgen.sampling.draws import predict
from molgen.sampling.row_sampler import LOOK_AHEAD, ActiveRows, RowSampler, State
from molgen.sampling.sampler import Samples
from molgen.utils import randomness
from molgen.utils.arrays import Floats, Ids, Mask

__all__ = ["Sampler", "Samples"]


@dataclass(frozen=True)
class Events:
    """The events of the next step of rows that wait for a forward.

    Attributes:
        rows: indices in the active batch, shape (waiting,).
        place: masked tokens that are placed, shape (waiting, longest).
        remove: placed tokens that are remasked, same shape.
        quantile: of each token to place in its distribution, in [0, 1), same shape.
        due: rows to correct before their next step, shape (due,).
    """

    rows: Ids
    place: Mask
    remove: Mask
    quantile: Floats
    due: Ids


class EventSampler(RowSampler):
    """A sampler that predicts a row only where one of its tokens is placed."""

    predictor: Predictor
    language: Language | None

    @abstractmethod
    def _run_ahead(self, active: ActiveRows, state: State) -> Events:
        """Advance every row to its next step that places a token, or to its end.

        Steps that only remask are applied here; the step that places is applied by :meth:`_apply`.
        """

    @abstractmethod
    def _alpha(self, active: ActiveRows, rows: Ids) -> Floats:
        """Return the fraction of tokens kept at the present step of rows, shape (rows,)."""

    def _advance(self, active: ActiveRows, state: State) -> None:
        """Advance every row past its next step that places a token, or to its end."""
        events = self._run_ahead(active, state)
        if len(events.rows):
            self._apply(active, events, state)
        if len(events.due):
            self._correct(active, events.due, state)

    def _correct(self, active: ActiveRows, rows: Ids, state: State) -> None:
        """Correct rows; their step does not change."""

    def _apply(self, active: ActiveRows, events: Events, state: State) -> None:
        """Apply the next step of each waiting row."""
        rows = events.rows
        molecules = active.molecule[rows]
        placed = active.tokens[rows] != self.mask_id
        found = predict(
            self.predictor,
            self.language,
            active.tokens[rows],
            events.place,
            state.job.conditions(molecules),
            self._alpha(active, rows),
            state.job.indices(molecules),
        )
        if found.quality is not None:
            active.quality[rows] = np.where(placed, found.quality, 1.0)
        if found.delta is not None:
            active.delta[rows] = np.where(placed, found.delta, 0.0)
        i, position = np.nonzero(events.place)
        drawn, chance = found.draw(events.place, events.quantile)
        token, psi = drawn[i, position], chance[i, position]
        active.tokens[rows[i], position] = token
        active.psi[rows[i], position] = active.quality[rows[i], position] = psi
        if state.recorder:
            state.recorder.place(molecules[i], active.step[rows[i]], position, token, psi)
        active.settled[rows] = False
        self._remove(active, rows, events.remove, state)
        active.step[rows] += 1
        active.nfe[rows] += self.predictor.forwards
        active.classifier_nfe[rows] += found.classifier_forwards

    def _remove(self, active: ActiveRows, rows: Ids, remove: Mask, state: State) -> None:
        """Mask the chosen tokens of the given rows."""
        i, position = np.nonzero(remove)
        if state.recorder and len(i):
            state.recorder.remove(
                active.molecule[rows[i]],
                active.step[rows[i]],
                position,
                active.tokens[rows[i], position],
                active.psi[rows[i], position],
            )
        active.tokens[rows[i], position] = self.mask_id
        active.psi[rows[i], position] = active.quality[rows[i], position] = 1.0
        active.delta[rows[i], position] = 0.0
        active.settled[rows[i]] = False


@dataclass
class Sampler(EventSampler):
    """Draws molecules' tokens along a plan.

    Attributes:
        predictor: the network with its guidance.
        plan: the steps.
        weights: remasking weights; None for uniform ones, which are exact.
        batch_size: rows in the active batch; it changes speed and memory, not results.
        corrector: when to correct rows during sampling; None for never.
        plain_predictor: the conditional network without guidance, for the corrector.
        language: the language of the texts to draw; None for any text.
        blocks: tokens of a block, each of which runs the plan; None for one block.
    """

    predictor: Predictor
    plan: Plan
    weights: TokenWeights | None = None
    batch_size: int = 256
    corrector: Corrector | None = None
    plain_predictor: Predictor | None = None
    language: Language | None = None
    blocks: int | None = None

    def __post_init__(self) -> None:
        """Initialise attributes of the network and the plan."""
        self.mask_id, self.pad_id = self.predictor.mask_id, self.predictor.pad_id
        self.max_length = self.predictor.max_length
        self._prepare()

    def _alpha(self, active: ActiveRows, rows: Ids) -> Floats:
        """Return the fraction kept; see :class:`EventSampler`."""
        alpha = self.plan.alpha_t[active.step[rows] % len(self.plan)]
        lengths = (active.tokens[rows] != self.pad_id).sum(1)
        return placed_fraction(alpha, active.block[rows], lengths, self.blocks)

    def _run_ahead(self, active: ActiveRows, state: State) -> Events:
        """Advance rows along the grid; see :class:`EventSampler`."""
        count, width = active.tokens.shape
        place, remove = np.zeros((2, count, width), dtype=bool)
        quantile = np.zeros((count, width))
        waiting, due = np.zeros((2, count), dtype=bool)
        while True:
            rows = np.flatnonzero(~waiting & ~due & ~self._over(active))
            if not len(rows):
                break
            masked = active.tokens[rows] == self.mask_id
            real = active.tokens[rows] != self.pad_id
            steps = active.step[rows, None] + np.arange(LOOK_AHEAD)
            active.block[rows] = active.step[rows] // len(self.plan)
            # steps of the next block are examined when the row is there
            within = steps // len(self.plan) == active.block[rows, None]
            chance = self._chances(active, rows, steps, masked)
            u = randomness.uniform(
                state.job.seed,
                randomness.STEP,
                state.job.indices(active.molecule[rows])[:, None, None],
                steps[:, :, None],
                np.arange(width),
            )
            open = real & in_block(active.block[rows], width, self.blocks)
            runs = within & (steps % len(self.plan) >= self._first(active, rows, state))
            event = (u < chance) & open[:, None, :] & runs[:, :, None]
            stop = self._due(active, rows, steps, real & ~masked) & within
            hit = event.any(2) | stop
            ahead = np.where(hit.any(1), hit.argmax(1), within.sum(1) - 1)
            at = np.arange(len(rows))
            active.step[rows] = steps[at, ahead]
            stopped = stop[at, ahead]
            due[rows[stopped]] = True
            rows, masked, at, ahead = (x[~stopped] for x in (rows, masked, at, ahead))
            now = event[at, ahead]
            places = (now & masked).any(1)
            waiting[rows[places]] = True
            place[rows], remove[rows] = now & masked, now & ~masked
            with np.errstate(divide="ignore", invalid="ignore"):
                quantile[rows] = np.where(now, u[at, ahead] / chance[at, ahead], 0.0)
            moved = rows[~places]
            self._remove(active, moved, remove[moved], state)
            active.step[moved] += 1
        rows = np.flatnonzero(waiting)
        return Events(rows, place[rows], remove[rows], quantile[rows], np.flatnonzero(due))

    def _due(self, active: ActiveRows, rows: Ids, steps: Ids, placed: Mask) -> Mask:
        """Return the steps before which rows are corrected, with the shape of ``steps``."""
        if self.corrector is None:
            return np.zeros(steps.shape, dtype=bool)
        waits = (~active.settled[rows] & placed.any(1))[:, None]
        return waits & self.corrector.due(steps)

    def _first(self, active: ActiveRows, rows: Ids, state: State) -> Ids:
        """Return the step of the plan at which each block of rows begins, shape (rows, 1)."""
        given = state.job.given
        if self.blocks is None or given is None or given.step is None:
            return np.zeros((len(rows), 1), dtype=np.int64)
        return given.step[active.molecule[rows], None].astype(np.int64)

    def _chances(self, active: ActiveRows, rows: Ids, steps: Ids, masked: Mask) -> Floats:
        """Return the probability that each token changes in each step: (rows, steps, longest)."""
        k = (steps % len(self.plan))[:, :, None]
        sigma = self._sigma(active, rows, steps)
        return chance_to_change(
            masked[:, None, :], self.plan.alpha_t[k], self.plan.alpha_s[k], sigma
        )

    def _correct(self, active: ActiveRows, rows: Ids, state: State) -> None:
        """Correct rows; their step does not change."""
        if self.corrector is None or self.plain_predictor is None:
            raise MolgenError("plain_predictor is None, expected a predictor for the corrector")
        molecules, before = active.molecule[rows], active.tokens[rows]
        found = correct(
            self.predictor,
            self.plain_predictor,
            self.corrector.rounds,
            before,
            active.fixed[rows] | ~in_block(active.block[rows], before.shape[1], self.blocks),
            state.job.conditions(molecules),
            self._alpha(active, rows),
            state.job.indices(molecules),
        )
        changed = found.tokens != before
        if state.recorder:
            i, at = np.nonzero(changed)
            step = active.step[rows[i]]
            state.recorder.remove(molecules[i], step, at, before[i, at], active.psi[rows[i], at])
            state.recorder.place(molecules[i], step, at, found.tokens[i, at], found.p[i, at])
        placed = (before != self.mask_id) & (before != self.pad_id)
        active.tokens[rows] = found.tokens
        active.psi[rows] = np.where(changed, found.p, active.psi[rows])
        quality = found.p if found.quality is None else found.quality
        active.quality[rows] = np.where(placed, quality, 1.0)
        active.settled[rows] = True
        active.nfe[rows] += found.forwards
        active.classifier_nfe[rows] += found.classifier_forwards
