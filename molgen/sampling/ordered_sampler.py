"""The sampler in the network's own order: a forward, then what it is sure about is placed.

    p(x_0 | x_t) at every mask  ->  an order says which are placed now  ->  those are drawn  ->  ...

There is no plan: a row ends when nothing is masked, after as many forwards as the order takes, at
most one for each token. What an order does to the rows' distribution is in
:mod:`molgen.diffusion.unmasking_order`. The clock that guidance and classifiers are told is the
fraction of the row that is placed.

One uniform per (molecule, step, position) draws a token by inverse CDF in float64, another one per
(molecule, step, position) is for orders that need chance, so a row is the same in any company.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from molgen.diffusion.plan import Ancestral
from molgen.diffusion.unmasking_order import Order, Outlook
from molgen.guidance.predictor import Predictor
from molgen.guidance.smiles_grammar import Language, spread
from molgen.sampling.row_sampler import Draw, RowSampler, State
from molgen.utils import randomness
from molgen.utils.arrays import Floats, Ids, Mask
from molgen.utils.randomness import inverse_cdf

ORDER = 2**61  # added to the step: the numbers that an order decides by


@dataclass
class OrderedSampler(RowSampler):
    """Draws molecules' tokens in an order that the network has a say in.

    Given rows are written where they are masked; nothing is ever taken off, so ``Given.fixed`` has
    nothing to forbid, and with no plan to begin within, ``Given.step`` is not looked at.

    Attributes:
        predictor: the network with its guidance.
        order: says which tokens are placed after a forward.
        batch_size: rows in flight at once; it changes speed and memory, not results.
        language: that rows are to be texts of; None for any text. The order goes by what is drawn
            from, so by the marginals of the prediction given the language.
    """

    predictor: Predictor
    order: Order
    batch_size: int = 256
    language: Language | None = None

    def __post_init__(self) -> None:
        """Prepare what every step needs."""
        self.mask_id, self.pad_id = self.predictor.mask_id, self.predictor.pad_id
        self.max_length = self.predictor.max_length
        self.weights = None
        # each step places a token, so no row needs more; its alphas are not looked at
        self.plan = Ancestral().plan(self.max_length)
        self._prepare()

    def _begin(self, molecules: Ids, real: Mask, draw: Draw) -> Ids:
        """Return masks."""
        return np.full(real.shape, self.mask_id, dtype=np.int64)

    def _start(self, molecules: Ids, lengths: Ids, width: int, draw: Draw) -> State:
        """Return rows at their first step."""
        state = super()._start(molecules, lengths, width, draw)
        state.step = np.zeros_like(state.step)
        return state

    def _advance(self, state: State, draw: Draw) -> None:
        """Take every row past its next forward; rows without a mask are at their end."""
        masked = state.tokens == self.mask_id
        rows = np.flatnonzero(masked.any(1))
        if len(rows):
            self._place(state, rows, masked[rows], draw)
        over = np.flatnonzero(~(state.tokens == self.mask_id).any(1))
        state.step[over] = len(self.plan)
        for molecule in state.molecule[over].tolist():
            draw.memory.pop(molecule, None)

    def _place(self, state: State, rows: Ids, masked: Mask, draw: Draw) -> None:
        """Ask for every masked token of some rows, and place those whose turn it is."""
        molecules, tokens, step = state.molecule[rows], state.tokens[rows], state.step[rows]
        real = tokens != self.pad_id
        alpha_t = 1 - masked.sum(1) / real.sum(1)
        found = self.predictor(tokens, masked, draw.conditions(molecules), alpha_t)
        p = spread(found.p, masked)
        language = self.language
        completions = None if language is None else language.given(tokens, masked, p)
        p = p if completions is None else completions.marginals()
        row, position = draw.rows(molecules)[:, None], np.arange(masked.shape[1])
        u, u_order = (
            randomness.uniform(draw.seed, randomness.STEP, row, at[:, None], position)
            for at in (step, step + ORDER)
        )
        chosen = self.order(Outlook(masked, p, self._past(molecules, p, draw), u_order))
        i, at = np.nonzero(chosen)
        if completions is None:
            token = inverse_cdf(p[i, at], u[i, at])
            psi = p[i, at, token]
        else:
            drawn, chance = completions.draw(chosen, u)
            token, psi = drawn[i, at], chance[i, at]
        if found.quality is not None:
            placed = real & ~masked
            state.quality[rows] = np.where(placed, found.quality[:, : masked.shape[1]], 1.0)
        state.tokens[rows[i], at] = token
        state.psi[rows[i], at] = state.quality[rows[i], at] = psi
        if draw.recorder:
            draw.recorder.place(molecules[i], step[i], at, token, psi)
        state.step[rows] += 1
        state.nfe[rows] += self.predictor.forwards
        state.classifier_nfe[rows] += found.classifier_forwards

    def _past(self, molecules: Ids, p: Floats, draw: Draw) -> Floats:
        """Return what rows were predicted before, and remember what they are now.

        Args:
            molecules: the rows, shape (rows,).
            p: predicted now, shape (rows, longest, vocab).
            draw: whose memory holds each molecule's last predictions, latest first.

        Returns:
            Probabilities with shape (forwards, rows, longest, vocab), NaN where there were none.
        """
        past = np.full((self.order.memory, *p.shape), np.nan)
        if not self.order.memory:
            return past
        for row, molecule in enumerate(molecules.tolist()):
            if molecule in draw.memory:
                past[:, row] = draw.memory[molecule].numpy()
            latest = np.concatenate([p[None, row], past[:-1, row]])
            draw.memory[molecule] = torch.from_numpy(latest)
        return past
