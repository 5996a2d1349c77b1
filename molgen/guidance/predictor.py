"""Predictors: the network with its guidance and shaping.

The input is the rows in which a token is about to be placed, with the positions; the output is
float64 probabilities at those positions, computed in the order

    log p(x_0 | x_t)  ->  classifier-free mixture  ->  contrast with less context
                      ->  tilts, one after another  ->  shaping

Rows run in the micro-batches of :mod:`molgen.nn.micro_batches`, so the result of a row does not
depend on the other rows of the batch (batch invariance).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from molgen.guidance.conditional_denoiser import MicroBatchedDenoiser
from molgen.guidance.context_contrast import Context
from molgen.guidance.kernels import ClassifierFree, Guidance, nest
from molgen.guidance.shaping import Shaping
from molgen.nn.micro_batches import (
    filling,
    micro_batches,
    padded_lengths,
    whole_rows,
    whole_tokens,
)
from molgen.utils.threads import Workers


@dataclass(frozen=True)
class Prediction:
    """The output of a predictor.

    Attributes:
        p: probabilities with shape (wanted positions in row-major order, vocab).
        classifier_forwards: of each row, shape (rows,).
        quality: probability that each placed token is right given the others and the condition,
            with the shape of the tokens; None for a network without a quality head.
        delta: attribution: how much each placed token lowers the probability of the condition, in
            nats, same shape: see :mod:`molgen.diffusion.token_weights`. None without
            classifier-free guidance.
    """

    p: NDArray[np.float64]
    classifier_forwards: NDArray[np.int64]
    quality: NDArray[np.float64] | None = None
    delta: NDArray[np.float64] | None = None


class Predictor(Protocol):
    """A predictor as used by samplers: see :class:`NetworkPredictor`."""

    forwards: int
    mask_id: int
    pad_id: int
    max_length: int

    def __call__(
        self,
        tokens: NDArray[np.int64],
        wanted: NDArray[np.bool_],
        condition: NDArray[np.float32] | None,
        alpha_t: NDArray[np.float64],
        rows: NDArray[np.int64] | None = None,
    ) -> Prediction:
        """Return ``p(x_0 | x_t)`` at the wanted positions.

        Args:
            tokens: noised ids with shape (rows, longest), padded.
            wanted: True at masked positions whose distribution is needed, same shape.
            condition: property values with shape (rows, properties), NaN where left out.
            alpha_t: fraction kept at the step of each row, shape (rows,).
            rows: sample index of each row, shape (rows,), for predictors that depend on it, such
                as one under constraints; the network does not use it.
        """
        ...


class NetworkPredictor:
    """A denoiser with optional guidance and shaping."""

    def __init__(
        self,
        network: MicroBatchedDenoiser,
        workers: Workers,
        guidance: ClassifierFree | None = None,
        shaping: Shaping = Shaping(),
        tilts: Sequence[Guidance] = (),
        context: Context | None = None,
    ) -> None:
        """Prepare guidance and shaping.

        Args:
            network: the denoiser on its device.
            workers: threads to run micro-batches on.
            guidance: mixes the conditional and the unconditional prediction; each row then costs
                two forwards. None is the conditional prediction, or the unconditional one without
                a condition.
            shaping: temperature and nucleus.
            tilts: further guidance, by classifiers, in this order; it acts on the mixture.
            context: contrasts the mixture with that of rows with hidden tokens; each row then costs
                twice the forwards.
        """
        self.network, denoiser = network, network.denoiser
        self.guidance, self.shaping, self.workers = guidance, shaping, workers
        self.tilts, self.context = tuple(tilts), context
        self.mask_id, self.pad_id = denoiser.mask_id, denoiser.pad_id
        self.max_length, self._whole = denoiser.max_length, whole_tokens(denoiser)
        self.branches = 1 if guidance is None else 2
        forwards = self.network.forwards + self.branches - 1
        self.forwards = forwards * (1 if context is None else 2)

    def __call__(
        self,
        tokens: NDArray[np.int64],
        wanted: NDArray[np.bool_],
        condition: NDArray[np.float32] | None,
        alpha_t: NDArray[np.float64],
        rows: NDArray[np.int64] | None = None,
    ) -> Prediction:
        """Return ``p(x_0 | x_t)`` at the wanted positions; see :class:`Predictor`.

        Raises:
            MolgenError: if there is guidance and no condition.
        """
        lengths, width = (tokens != self.pad_id).sum(1), tokens.shape[1]
        if self.context is None:  # what that hides depends on the length
            lengths = padded_lengths(lengths, self.max_length)
            beyond = ((0, 0), (0, max(int(lengths.max(initial=0)) - width, 0)))
            tokens = np.pad(tokens, beyond, constant_values=self.pad_id)
            wanted = np.pad(wanted, beyond)
        parts = micro_batches(lengths, self.network.device)

        def run(rows: NDArray[np.int64]) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
            length = int(lengths[rows[0]])
            return self._micro_batch(
                torch.from_numpy(tokens[rows, :length]),
                torch.from_numpy(wanted[rows, :length]),
                None if condition is None else torch.from_numpy(condition[rows]),
                torch.from_numpy(alpha_t[rows]),
            )

        place = np.zeros(wanted.shape, dtype=np.int64)
        place[wanted] = np.arange(wanted.sum())
        p = np.empty((int(wanted.sum()), self.network.classes))
        forwards = np.zeros(len(tokens), dtype=np.int64)
        log_quality = np.zeros((self.branches, *tokens.shape))
        for rows, (found, cost, quality) in zip(parts, self.workers.map(run, parts), strict=True):
            p[place[rows][wanted[rows]]] = found.numpy()
            forwards[rows] = cost.numpy()
            for branch, values in zip(log_quality, quality, strict=False):
                branch[rows, : values.shape[1]] = values.numpy()
        if not self.network.has_quality_head:
            return Prediction(p, forwards)
        log_quality = log_quality[..., :width]
        delta = log_quality[1] - log_quality[0] if self.guidance is not None else None
        return Prediction(p, forwards, np.exp(log_quality[0]), delta)

    @torch.inference_mode()
    def _micro_batch(
        self, tokens: Tensor, wanted: Tensor, condition: Tensor | None, alpha_t: Tensor
    ) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        """Return probabilities at the wanted positions of rows of one length, cost, quality."""
        rows, length = tokens.shape
        fill = filling(rows, length, self.network.device, whole_rows(length, self._whole))
        filled, alpha = tokens[fill], alpha_t[fill]
        condition = None if condition is None else condition[fill]
        log_p, log_quality = self._mixture(filled, condition, alpha)
        if self.context is not None:
            less = self._mixture(self.context.hide(filled, self.mask_id), condition, alpha)[0]
            log_p = self.context.combine(log_p.double(), less.double())
        forwards = torch.zeros(len(fill), dtype=torch.int64)
        if self.tilts:
            here = wanted[fill] & (torch.arange(len(fill)) < rows).unsqueeze(-1)
            log_p, forwards = nest(self.tilts, self._step(log_p, filled, here), filled, alpha)
        quality = tuple(branch[:rows] for branch in log_quality)
        return self.shaping(log_p[:rows][wanted]), forwards[:rows], quality

    def _mixture(
        self, tokens: Tensor, condition: Tensor | None, alpha_t: Tensor
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return the classifier-free mixture of a filled micro-batch, and quality by branch."""
        found = self.network.predict(tokens, condition, alpha_t, self.guidance is not None)
        return self.mix(found.log_p, alpha_t), found.log_quality

    def mix(self, log_p: Sequence[Tensor], alpha_t: Tensor) -> Tensor:
        """Return the classifier-free mixture of predictions, or the only one."""
        if self.guidance is None:
            return log_p[0]
        cond, uncond = (branch.double() for branch in log_p)
        return self.guidance.combine(cond, uncond, alpha_t)

    def _step(self, log_p: Tensor, tokens: Tensor, wanted: Tensor) -> Tensor:
        """Return the step given which tokens it places: the others are unchanged.

        A tilt thus scores only the tokens to place.
        """
        stay = torch.zeros_like(log_p, dtype=torch.float64).scatter(-1, tokens.unsqueeze(-1), 1.0)
        return torch.where(wanted.unsqueeze(-1), log_p.double(), stay.log())
