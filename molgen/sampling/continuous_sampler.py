"""The sampler in continuous time: events at their rates, and a forward only to place a token.

The rates of :mod:`molgen.diffusion.continuous_plan` depend on time and on the number of masked and
placed tokens, not on their values, so the next event of a row (its moment, and which token it
places or remasks) is drawn without the network. One token is placed at a time, from its own
distribution given all others: there is no error of tokens that are drawn together, and "infinitely
many steps" cost as many forwards as tokens are placed.

    forwards of a row  <=  length + remasked tokens

A token that is remasked by the very next event of its row is not drawn: nothing depends on it.
(Under remasking weights it is, since they depend on its probability.)

Three uniforms per (molecule, event) determine the moment, the token and its value, so rows are
batch-invariant.

Under remasking weights ``w`` the token ``l`` is remasked at rate ``w_l rho``, as on a grid
(:mod:`molgen.diffusion.token_weights`); there is no cap, since ``sigma_max`` of an infinitely
short step is no bound on a rate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from molgen.diffusion.continuous_plan import ContinuousPlan, Hazard
from molgen.diffusion.token_weights import Evidence, TokenWeights
from molgen.guidance.predictor import Predictor
from molgen.guidance.smiles_grammar import Language
from molgen.sampling.blocks import count_blocks, in_block, placed_fraction
from molgen.sampling.event_sampler import Events, EventSampler
from molgen.sampling.row_sampler import ActiveRows, State
from molgen.utils import randomness
from molgen.utils.arrays import Floats, Ids, Mask
from molgen.utils.randomness import inverse_cdf

EVENT = 2**60  # added to the event's number in place of a step: the uniforms of events
NONE = -1  # in place of a position


@dataclass
class ContinuousSampler(EventSampler):
    """Draws molecules' tokens along a plan in continuous time.

    Attributes:
        predictor: the network with its guidance.
        rates: the plan.
        weights: remasking weights; None for uniform ones, which are exact.
        batch_size: rows in the active batch; it changes speed and memory, not results.
        language: the language of the texts to draw; None for any text.
        blocks: tokens of a block, each of which runs the plan; None for one block.
    """

    predictor: Predictor
    rates: ContinuousPlan
    weights: TokenWeights | None = None
    batch_size: int = 256
    language: Language | None = None
    blocks: int | None = None

    def __post_init__(self) -> None:
        """Initialise attributes of the network."""
        self.mask_id, self.pad_id = self.predictor.mask_id, self.predictor.pad_id
        self.max_length = self.predictor.max_length
        self._check_size()

    def start_at(self, placed: Floats) -> Floats:
        """Return the progress at which this fraction of tokens is placed."""
        return self.rates.start(placed)

    def _start(self, molecules: Ids, state: State) -> ActiveRows:
        """Return rows before their first event."""
        active = super()._start(molecules, state)
        active.clock = self._first(molecules, state)
        return active

    def _first(self, molecules: Ids, state: State) -> Floats:
        """Return the moment at which each block of rows begins, shape (rows,)."""
        given = state.job.given
        if given is None or given.step is None:
            return np.zeros(len(molecules))
        return -np.log1p(-np.asarray(given.step[molecules], dtype=np.float64))

    def _over(self, active: ActiveRows) -> Mask:
        """Return whether each row is at the end of its last block."""
        lengths = (active.tokens != self.pad_id).sum(1)
        return active.block >= count_blocks(lengths, self.blocks)

    def _alpha(self, active: ActiveRows, rows: Ids) -> Floats:
        """Return the fraction kept; see :class:`EventSampler`."""
        lengths = (active.tokens[rows] != self.pad_id).sum(1)
        alpha = self.rates.alpha(active.clock[rows])
        return placed_fraction(alpha, active.block[rows], lengths, self.blocks)

    def _run_ahead(self, active: ActiveRows, state: State) -> Events:
        """Advance rows from event to event; see :class:`EventSampler`."""
        count, width = active.tokens.shape
        pending, quantile = np.full(count, NONE), np.zeros((count, width))
        waiting = np.zeros(count, dtype=bool)
        none = np.zeros((count, width), dtype=bool)
        while True:
            rows = np.flatnonzero(~waiting & ~self._over(active))
            if not len(rows):
                break
            drawn = pending[rows] != NONE
            clock, position, places, value = self._next(active, rows, pending[rows], state)
            undone = drawn & (position == pending[rows]) & ~places
            # the events after a token that stays are drawn again, after it has its value
            waiting[rows[drawn & ~undone]] = True
            pending[rows[undone]] = NONE
            active.step[rows[undone]] += 2  # both events
            new = np.flatnonzero(~drawn)
            active.clock[rows[undone]], active.clock[rows[new]] = clock[undone], clock[new]
            self._end_blocks(active, rows[new][position[new] == NONE], state)
            removed = new[(position[new] != NONE) & ~places[new]]
            remove = position[removed, None] == np.arange(width)
            self._remove(active, rows[removed], remove, state)
            active.step[rows[removed]] += 1
            placed = new[places[new]]
            pending[rows[placed]] = position[placed]
            quantile[rows[placed], position[placed]] = value[placed]
            waiting[rows[placed]] = self.weights is not None
        rows = np.flatnonzero(waiting)
        place = pending[rows, None] == np.arange(width)
        return Events(rows, place, none[rows], quantile[rows], rows[:0])

    def _end_blocks(self, active: ActiveRows, rows: Ids, state: State) -> None:
        """Open the next block of rows."""
        active.block[rows] += 1
        active.step[rows] += 1
        active.clock[rows] = self._first(active.molecule[rows], state)

    def _next(
        self, active: ActiveRows, rows: Ids, pending: Ids, state: State
    ) -> tuple[Floats, Ids, Mask, Floats]:
        """Draw the next event of rows.

        Args:
            active: the active batch.
            rows: indices of some of its rows.
            pending: position of a token that is placed, but has no value yet, or :data:`NONE`.
            state: of the job.

        Returns:
            Moments; positions, :data:`NONE` where the block has no further event; whether a token
            is placed there; and the quantile of its value. All with the shape (rows,).
        """
        held = pending != NONE
        masked, clean, weights = self._tokens(active, rows, pending)
        counts = Hazard(
            *((each * 1.0).sum(1) for each in (masked, masked * weights, clean * weights))
        )
        u = randomness.uniform(
            state.job.seed,
            randomness.STEP,
            state.job.indices(active.molecule[rows])[:, None],
            (active.step[rows] + held)[:, None] + EVENT,
            np.arange(3),
        )
        here = active.clock[rows]
        clock = self.rates.next(here, counts, -np.log1p(-u[:, 0]))
        ends = np.isinf(clock)
        rate = self.rates.hazard(np.where(ends, here, clock))
        place = rate.place[:, None] + rate.compensate[:, None] * weights
        each = np.where(masked, place, np.where(clean, rate.remask[:, None] * weights, 0.0))
        each[ends, 0] = 1.0  # no event: any position
        position = np.where(ends, NONE, inverse_cdf(each, u[:, 1]))
        places = masked[np.arange(len(rows)), position] & ~ends
        return clock, position, places, u[:, 2]

    def _tokens(self, active: ActiveRows, rows: Ids, pending: Ids) -> tuple[Mask, Mask, Floats]:
        """Return masked tokens, those that may be remasked, and weights: (rows, longest) each."""
        tokens, width = active.tokens[rows], active.tokens.shape[1]
        open = (tokens != self.pad_id) & in_block(active.block[rows], width, self.blocks)
        waits = pending[:, None] == np.arange(width)
        masked = open & (tokens == self.mask_id) & ~waits
        clean = open & ~masked & ~active.fixed[rows]
        if self.weights is None:
            return masked, clean, np.ones(tokens.shape)
        evidence = Evidence(active.psi[rows], active.quality[rows], active.delta[rows])
        return masked, clean, self.weights(evidence, clean)
