"""The ordered sampler: tokens are placed in an order that depends on the prediction.

    p(x_0 | x_t) at every mask  ->  the order selects tokens  ->  those are drawn  ->  ...

There is no plan: a row ends when no token is masked, after at most one forward for each token. The
effect of an order on the distribution of rows is described in
:mod:`molgen.diffusion.unmasking_order`. The time input of guidance and classifiers is the fraction
of placed tokens of the row.

One uniform per (molecule, step, position) draws a token by inverse CDF in float64, another one per
(molecule, step, position) is for random orders, so rows are batch-invariant.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from molgen.diffusion.plan import Ancestral
from molgen.diffusion.unmasking_order import Order, UnmaskingState
from molgen.guidance.predictor import Predictor
from molgen.guidance.smiles_grammar import Language
from molgen.sampling.blocks import in_block
from molgen.sampling.draws import predict
from molgen.sampling.row_sampler import ActiveRows, RowSampler, State
from molgen.utils import randomness
from molgen.utils.arrays import Floats, Ids, Mask

ORDER = 2**61  # added to the step: the uniforms of an order


@dataclass
class OrderedSampler(RowSampler):
    """Draws molecules' tokens in an unmasking order.

    Given rows are completed where they are masked; there is no remasking and no plan, so
    ``Given.fixed`` and ``Given.step`` are not used.

    Attributes:
        predictor: the network with its guidance.
        order: selects the tokens to place after a forward.
        batch_size: rows in the active batch; it changes speed and memory, not results.
        language: the language of the texts to draw; None for any text. The order then depends on
            the marginals of the prediction given the language.
        blocks: tokens of a block; the order selects in the leftmost one with a mask. None for one.
    """

    predictor: Predictor
    order: Order
    batch_size: int = 256
    language: Language | None = None
    blocks: int | None = None

    def __post_init__(self) -> None:
        """Initialise attributes of the network and the plan."""
        self.mask_id, self.pad_id = self.predictor.mask_id, self.predictor.pad_id
        self.max_length = self.predictor.max_length
        self.weights = None
        # each step places a token, so no row needs more; the alphas are not used
        self.plan = Ancestral().plan(self.max_length)
        self._prepare()

    def _start(self, molecules: Ids, state: State) -> ActiveRows:
        """Return rows at their first step."""
        active = super()._start(molecules, state)
        active.step = np.zeros_like(active.step)
        return active

    def _advance(self, active: ActiveRows, state: State) -> None:
        """Advance every row past its next forward; rows without a mask are at their end."""
        masked = active.tokens == self.mask_id
        rows = np.flatnonzero(masked.any(1))
        if len(rows):
            self._place(active, rows, masked[rows], state)
        over = np.flatnonzero(~(active.tokens == self.mask_id).any(1))
        active.step[over] = self._ends(active)[over]
        for molecule in active.molecule[over].tolist():
            state.memory.pop(molecule, None)

    def _place(self, active: ActiveRows, rows: Ids, masked: Mask, state: State) -> None:
        """Predict every masked token of some rows, and place those that the order selects."""
        molecules, tokens, step = active.molecule[rows], active.tokens[rows], active.step[rows]
        real = tokens != self.pad_id
        alpha_t = 1 - masked.sum(1) / real.sum(1)
        condition, index = state.job.conditions(molecules), state.job.indices(molecules)
        found = predict(self.predictor, self.language, tokens, None, condition, alpha_t, index)
        p = found.marginals() if self.order.reads_prediction else np.zeros((*masked.shape, 0))
        row, position = index[:, None], np.arange(masked.shape[1])
        u, u_order = (
            randomness.uniform(state.job.seed, randomness.STEP, row, at[:, None], position)
            for at in (step, step + ORDER)
        )
        first = np.ones_like(step) if self.blocks is None else masked.argmax(1) // self.blocks
        open = masked & in_block(first, masked.shape[1], self.blocks)
        past = self._past(molecules, p, state)
        chosen = self.order(UnmaskingState(open, p, past, u_order, real.sum(1)))
        i, at = np.nonzero(chosen)
        drawn, chance = found.draw(chosen, u)
        token, psi = drawn[i, at], chance[i, at]
        if found.quality is not None:
            placed = real & ~masked
            active.quality[rows] = np.where(placed, found.quality[:, : masked.shape[1]], 1.0)
        active.tokens[rows[i], at] = token
        active.psi[rows[i], at] = active.quality[rows[i], at] = psi
        if state.recorder:
            state.recorder.place(molecules[i], step[i], at, token, psi)
        active.step[rows] += 1
        active.nfe[rows] += self.predictor.forwards
        active.classifier_nfe[rows] += found.classifier_forwards

    def _past(self, molecules: Ids, p: Floats, state: State) -> Floats:
        """Return the past predictions of rows, and store the present ones.

        Args:
            molecules: the rows, shape (rows,).
            p: present prediction, shape (rows, longest, vocab).
            state: its memory has the last predictions of each molecule, latest first.

        Returns:
            Probabilities with shape (forwards, rows, longest, vocab), NaN where there were none.
        """
        past = np.full((self.order.memory, *p.shape), np.nan)
        if not self.order.memory:
            return past
        for row, molecule in enumerate(molecules.tolist()):
            if molecule in state.memory:
                past[:, row] = state.memory[molecule].numpy()
            latest = np.concatenate([p[None, row], past[:-1, row]])
            state.memory[molecule] = torch.from_numpy(latest)
        return past
