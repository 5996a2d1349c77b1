"""The dense sampler: draws from the full kernel ``q(x_s | x_t)`` at every position.

For kernels with their own reveal rate: tilted mask entries, guided remasking, mixtures of
``log q``, uniform noise. A step is one call of a :mod:`molgen.guidance.transition`. It is skipped
where it cannot change a token: each token is drawn with the entry of its present value last in the
cumulative distribution,

    changes  <=>  u < 1 - q(x_t),      to the first v with  u < sum of q over the entries up to v

so a row whose uniforms all exceed a bound on ``1 - q(x_t)`` that is valid for any network does not
change. An unchanged row reuses its last prediction, unless the network has a time input;
classifiers are evaluated at every step.

Where the kernel is that of :class:`molgen.sampling.event_sampler.Sampler`, the draws are the same
to the last token, since the uniforms are the same function of seed, molecule, step and position.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from molgen.diffusion.plan import Plan
from molgen.diffusion.token_weights import TokenWeights
from molgen.errors import MolgenError
from molgen.guidance.transition import Transition
from molgen.nn.micro_batches import filling, micro_batches
from molgen.sampling.row_sampler import LOOK_AHEAD, ActiveRows, RowSampler, State
from molgen.sampling.trajectory import Recorder
from molgen.utils import randomness
from molgen.utils.arrays import Floats, Ids, Mask
from molgen.utils.threads import Workers

START = 2**62  # in place of a step: the uniforms of the initial noise


@dataclass(frozen=True)
class _Work:
    """Rows about to take a step.

    Attributes:
        tokens: x_t with shape (rows, longest), padded.
        alpha_t: fraction kept now, shape (rows,).
        alpha_s: fraction kept after the step, shape (rows,).
        sigma: probability that each token is remasked, shape (rows, longest).
        u: uniforms to draw with, same shape.
        lengths: of the rows, shape (rows,).
    """

    tokens: Ids
    alpha_t: Floats
    alpha_s: Floats
    sigma: Floats
    u: Floats
    lengths: Ids

    def length(self, rows: Ids) -> int:
        """Return the length of the rows of a micro-batch."""
        return int(self.lengths[rows[0]])


@dataclass
class DenseSampler(RowSampler):
    """Draws molecules' tokens along a plan.

    Attributes:
        transition: a step, with its network and guidance.
        plan: the steps.
        workers: threads to run micro-batches on.
        weights: remasking weights; None for uniform ones, which are exact.
        batch_size: rows in the active batch; it changes speed and memory, not results.
    """

    transition: Transition
    plan: Plan
    workers: Workers
    weights: TokenWeights | None = None
    batch_size: int = 256

    def __post_init__(self) -> None:
        """Initialise attributes of the network and the plan.

        Raises:
            MolgenError: if the batch size is below 1, the weights need a quality head, or the plan
                remasks under noise without a mask.
        """
        self.mask_id, self.pad_id = self.transition.mask_id, self.transition.pad_id
        self.max_length = self.transition.max_length
        self._prepare()
        self.plan_masks = self.transition.remasks
        if self.weights is not None and self.weights.reads != "psi":
            raise MolgenError(
                f"weights depend on {self.weights.reads}, expected psi: the quality head is not "
                "used with guidance that acts on the mask entry"
            )
        if not self.transition.remasks and (self.plan.sigma.any() or self.weights is not None):
            raise MolgenError(
                f"sigma is up to {self.plan.sigma.max():.6g}, but uniform noise has no masks: "
                "expected remask ancestral and weights uniform"
            )

    def _begin(self, molecules: Ids, real: Mask, state: State) -> Ids:
        """Return pure noise."""
        position = np.arange(real.shape[1])
        molecule = state.job.indices(molecules)[:, None]
        u = randomness.uniform(state.job.seed, randomness.STEP, molecule, START, position)
        tokens = self.transition.start(u.reshape(real.shape))
        if state.recorder and not self.transition.remasks:
            i, at = np.nonzero(real)
            p = np.full(len(i), 1 / self.pad_id)
            state.recorder.place(molecules[i], np.full(len(i), -1), at, tokens[i, at], p)
        return tokens

    def _advance(self, active: ActiveRows, state: State) -> None:
        """Advance every row past its next step that may change a token, or to its end."""
        u, sigma = self._run_ahead(active, state)
        rows = np.flatnonzero(active.step < len(self.plan))
        if not len(rows):
            return
        step, molecules = active.step[rows], active.molecule[rows]
        tokens = active.tokens[rows]
        alpha_t, alpha_s = self.plan.alpha_t[step], self.plan.alpha_s[step]
        lengths = (tokens != self.pad_id).sum(1)
        work = _Work(tokens, alpha_t, alpha_s, sigma[rows], u[rows], lengths)
        active.nfe[rows] += self._predict(work, molecules, state)
        drawn, p, cost = self._step(work, [state.memory[m] for m in molecules.tolist()])
        if state.recorder:
            self._record(state.recorder, molecules, step, tokens, drawn, active.psi[rows], p)
        changed, placed = drawn != tokens, drawn != self.mask_id
        active.tokens[rows] = drawn
        active.psi[rows] = np.where(changed, np.where(placed, p, 1.0), active.psi[rows])
        active.step[rows] += 1
        active.classifier_nfe[rows] += cost
        over = (
            changed.any(1) | (active.step[rows] == len(self.plan)) | (not self.transition.repeats)
        )
        for molecule in molecules[over].tolist():
            del state.memory[molecule]

    def _run_ahead(self, active: ActiveRows, state: State) -> tuple[Floats, Floats]:
        """Advance every row to its next step that may change a token, or to its end.

        Returns:
            Uniforms and ``sigma`` of each token in that step, both with shape (rows, longest).
        """
        u_next, sigma_next = np.zeros((2, *active.tokens.shape))
        rows = np.flatnonzero(active.step < len(self.plan))
        position = np.arange(active.tokens.shape[1])
        while len(rows):
            tokens = active.tokens[rows]
            masked, real = tokens == self.mask_id, tokens != self.pad_id
            steps = active.step[rows, None] + np.arange(LOOK_AHEAD)
            k = np.minimum(steps, len(self.plan) - 1)[:, :, None]
            sigma = self._sigma(active, rows, steps)
            molecule = state.job.indices(active.molecule[rows])[:, None, None]
            u = randomness.uniform(
                state.job.seed, randomness.STEP, molecule, steps[:, :, None], position
            )
            bound = self.transition.most(
                masked[:, None], self.plan.alpha_t[k], self.plan.alpha_s[k], sigma
            )
            may = ((u < bound) & real[:, None]).any(2)
            over = steps >= len(self.plan)
            stop = may | over
            ahead = np.where(stop.any(1), stop.argmax(1), LOOK_AHEAD)
            active.step[rows] = np.minimum(steps[:, 0] + ahead, len(self.plan))
            found = stop.any(1)
            at = np.flatnonzero(found)
            u_next[rows[at]], sigma_next[rows[at]] = u[at, ahead[at]], sigma[at, ahead[at]]
            rows = rows[~found]
        return u_next, sigma_next

    def _predict(self, work: _Work, molecules: Ids, state: State) -> Ids:
        """Compute the predictions that are not in memory.

        Returns:
            Forwards of each row, shape (rows,).
        """
        new = np.array([m not in state.memory for m in molecules.tolist()])
        rows_new = np.flatnonzero(new)
        condition = state.job.conditions(molecules)

        @torch.inference_mode()
        def run(part: Ids) -> Tensor:
            rows = rows_new[part]
            fill = self._filled(rows, work)
            return self.transition.predict(
                torch.from_numpy(work.tokens[fill, : work.length(rows)]),
                None if condition is None else torch.from_numpy(condition[fill]),
                torch.from_numpy(work.alpha_t[fill]),
            )

        parts = micro_batches(work.lengths[rows_new], self.transition.device)
        for part, found in zip(parts, self.workers.map(run, parts), strict=True):
            for molecule, row in zip(molecules[rows_new[part]].tolist(), found, strict=False):
                state.memory[molecule] = row.clone()  # a view would keep the whole micro-batch
        return new * self.transition.forwards

    def _step(self, work: _Work, predictions: list[Tensor]) -> tuple[Ids, Floats, Ids]:
        """Take one step of each row.

        Returns:
            Tokens and, where they changed, their probability among the changes, both with shape
            (rows, longest); classifier forwards with shape (rows,).
        """

        @torch.inference_mode()
        def run(rows: Ids) -> tuple[Tensor, Tensor, Tensor]:
            fill, length, count = self._filled(rows, work), work.length(rows), len(rows)
            tokens = torch.from_numpy(work.tokens[fill, :length])
            kernel = self.transition.kernel(
                torch.stack([predictions[row] for row in fill]),
                tokens,
                torch.from_numpy(work.alpha_t[fill]),
                torch.from_numpy(work.alpha_s[fill]),
                torch.from_numpy(work.sigma[fill, :length]),
            )
            drawn, p = draw_changes(kernel.q, tokens, torch.from_numpy(work.u[fill, :length]))
            return drawn[:count], p[:count], kernel.classifier_forwards[:count]

        drawn, p = work.tokens.copy(), np.ones(work.tokens.shape)
        cost = np.zeros(len(drawn), dtype=np.int64)
        parts = micro_batches(work.lengths, self.transition.device)
        for rows, found in zip(parts, self.workers.map(run, parts), strict=True):
            length = work.length(rows)
            drawn[rows, :length], p[rows, :length], cost[rows] = (x.numpy() for x in found)
        return drawn, p, cost

    def _filled(self, rows: Ids, work: _Work) -> Ids:
        """Return the rows of a micro-batch, filled up."""
        fill = filling(len(rows), work.length(rows), self.transition.device)
        return np.asarray(rows[fill.numpy()])

    def _record(
        self,
        recorder: Recorder,
        molecules: Ids,
        step: Ids,
        before: Ids,
        after: Ids,
        psi: Floats,
        p: Floats,
    ) -> None:
        """Record the changes; under uniform noise one token replaces another."""
        removed = (before != after) & (after == self.mask_id)
        i, at = np.nonzero(removed)
        recorder.remove(molecules[i], step[i], at, before[i, at], psi[i, at])
        i, at = np.nonzero((before != after) & ~removed)
        recorder.place(molecules[i], step[i], at, after[i, at], p[i, at])


def draw_changes(q: Tensor, tokens: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """Draw from a kernel, without a change for the largest uniforms.

    Args:
        q: probabilities in float64 with shape (..., vocab).
        tokens: tokens before the step, shape (...).
        u: uniforms in [0, 1), same shape.

    Returns:
        Tokens after the step, and their probability among the changes; both with the shape of
        ``tokens``. Values of probability zero are never drawn.
    """
    here = tokens.unsqueeze(-1)
    stay = q.gather(-1, here).squeeze(-1)
    cdf = q.scatter(-1, here, 0.0).cumsum(-1)
    change = cdf[..., -1]
    at = u * (change + stay)
    moves = (at < change) | (stay == 0)
    # the product may round up to the sum itself, which then stands for the last possible entry
    at = torch.minimum(at, torch.nextafter(change, torch.zeros_like(change)))
    token = torch.where(moves, (cdf <= at.unsqueeze(-1)).sum(-1), tokens)
    p = q.gather(-1, token.unsqueeze(-1)).squeeze(-1) / change
    return token, torch.where(moves, p, 1.0)
