"""Transitions: the full kernel of a step, ``q(x_s | x_t)`` at every position.

masked noise:   log p(x_0 | x_t) -> mixture -> posterior -> tilts -> shaping of what is placed
uniform noise:  log p(x_0 | x_t) -> shaping -> posterior -> mixture -> tilts

A transition is a function of noised rows of one length, in two parts: the prediction of the
network, and the kernel computed from it. It has no state, so it applies to whole distributions over
states as well as to samples.

References: Sahoo et al., "Simple and Effective Masked Diffusion Language Models" (2024); Wang et
al., "Remasking Discrete Diffusion Models with Inference-Time Scaling" (2025); Schiff et al.,
"Simple Guidance Mechanisms for Discrete Diffusion Models" (2024).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from molgen.diffusion.posterior import (
    chance_to_change,
    log_masked_posterior,
    subs,
    uniform_posterior,
)
from molgen.errors import MolgenError
from molgen.guidance.conditional_denoiser import MicroBatchedDenoiser
from molgen.guidance.kernels import ClassifierBased, ClassifierFree, Guidance, nest
from molgen.guidance.shaping import Shaping
from molgen.utils.arrays import Floats, Ids, Mask

PLAIN = Shaping()


@dataclass(frozen=True)
class Kernel:
    """The output of a transition.

    Attributes:
        q: ``q(x_s | x_t)`` in float64 with shape (rows, length, vocab).
        classifier_forwards: of each row, shape (rows,).
    """

    q: Tensor
    classifier_forwards: Tensor


class Transition(Protocol):
    """One step of a chain on rows of one length."""

    device: torch.device
    mask_id: int
    pad_id: int
    max_length: int
    forwards: int
    """Forwards of the network per row and call."""
    remasks: bool
    """Whether ``sigma`` has an effect."""
    repeats: bool
    """Whether an unchanged row has the same prediction at another time."""

    def start(self, uniform: Floats) -> Ids:
        """Return tokens drawn from pure noise, given numbers in [0, 1) of the same shape."""
        ...

    def most(self, masked: Mask, alpha_t: Floats, alpha_s: Floats, sigma: Floats) -> Floats:
        """Return an upper bound on the probability that each token changes, for any network.

        Arguments broadcast against each other; ``masked`` is True where a token is the mask.
        """
        ...

    def predict(self, tokens: Tensor, condition: Tensor | None, alpha_t: Tensor) -> Tensor:
        """Return the predictions of the network for noised rows of one length.

        Args:
            tokens: x_t with shape (rows, length).
            condition: property values with shape (rows, properties), NaN where left out, or None.
            alpha_t: fraction of tokens kept now, shape (rows,).

        Returns:
            Log-probabilities with shape (rows, predictions, length, classes).

        Raises:
            MolgenError: if there is classifier-free guidance and no condition.
        """
        ...

    def kernel(
        self, found: Tensor, tokens: Tensor, alpha_t: Tensor, alpha_s: Tensor, sigma: Tensor
    ) -> Kernel:
        """Return the step.

        Args:
            found: the result of `predict` for these rows.
            tokens: x_t with shape (rows, length).
            alpha_t: fraction of tokens kept now, shape (rows,).
            alpha_s: fraction kept after the step, shape (rows,).
            sigma: probability that a placed token is remasked, shape (rows, length).

        Raises:
            MolgenError: if a probability is NaN.
        """
        ...


class _NetworkStep:
    """Base of the transitions: a network with its guidance."""

    def __init__(
        self,
        network: MicroBatchedDenoiser,
        guidance: ClassifierFree | None,
        tilts: Sequence[Guidance],
        shaping: Shaping,
    ) -> None:
        self.network, self.guidance, self.tilts = network, guidance, tuple(tilts)
        self.shaping = shaping
        self.device, self.max_length = network.device, network.max_length
        self.mask_id, self.pad_id = network.mask_id, network.pad_id
        self.forwards = network.forwards + (guidance is not None)
        self.repeats = not network.denoiser.time_input

    def predict(self, tokens: Tensor, condition: Tensor | None, alpha_t: Tensor) -> Tensor:
        """Return the predictions of the network; see `Transition`."""
        output = self.network.predict(tokens, condition, alpha_t, self.guidance is not None)
        return torch.stack(output.log_p, dim=1)


class MaskedTransition(_NetworkStep):
    """A step under masked noise.

    Guidance may act on ``log q`` with its mask entry: then it also changes how fast tokens are
    revealed (`mix_steps`, `ClassifierBased.tilt_mask`) or which are remasked
    (`ClassifierBased.guided_remasking`), and P(masked) is no longer ``1 - alpha``. Without any of
    these it is the kernel of :class:`molgen.sampling.event_sampler.Sampler`, which needs fewer
    forwards.
    """

    remasks = True

    def __init__(
        self,
        network: MicroBatchedDenoiser,
        guidance: ClassifierFree | None = None,
        tilts: Sequence[Guidance] = (),
        shaping: Shaping = PLAIN,
        mix_steps: bool = False,
    ) -> None:
        """Create a transition.

        Args:
            network: the denoiser.
            guidance: mixes the conditional and the unconditional prediction, two forwards a row.
            tilts: further guidance, by classifiers, in this order; it acts on ``log q``.
            shaping: temperature and nucleus of the distribution of placed tokens, after all
                guidance.
            mix_steps: whether ``log q`` with the mask entry is mixed instead of
                ``log p(x_0 | x_t)``.
        """
        super().__init__(network, guidance, tilts, shaping)
        self.mix_steps = mix_steps

    def start(self, uniform: Floats) -> Ids:
        """Return masks; see `Transition`."""
        return np.full(uniform.shape, self.mask_id, dtype=np.int64)

    def most(self, masked: Mask, alpha_t: Floats, alpha_s: Floats, sigma: Floats) -> Floats:
        """Return the bound; see `Transition`. It is tight without guidance of the mask entry."""
        p = chance_to_change(masked, alpha_t, alpha_s, sigma)
        mixed = self.mix_steps and self.guidance is not None
        reveals = mixed or any(_tilts_mask(tilt) for tilt in self.tilts)
        remasks = any(_tilts_placed(tilt) for tilt in self.tilts)
        return np.where(np.where(masked, reveals, remasks) & (p > 0), 1.0, p)

    def kernel(
        self, found: Tensor, tokens: Tensor, alpha_t: Tensor, alpha_s: Tensor, sigma: Tensor
    ) -> Kernel:
        """Return the step; see `Transition`."""
        log_p = [subs(part.double(), tokens, self.mask_id) for part in found.unbind(1)]
        if self.guidance is not None and not self.mix_steps:
            log_p = [self.guidance.combine(log_p[0], log_p[1], alpha_t)]
        steps = [
            log_masked_posterior(part, tokens, alpha_t, alpha_s, sigma, self.mask_id)
            for part in log_p
        ]
        log_q = steps[0]
        if self.guidance is not None and self.mix_steps:
            log_q = self.guidance.combine(steps[0], steps[1], alpha_t)
        log_q, forwards = nest(self.tilts, log_q, tokens, alpha_t)
        return Kernel(_numbers(self._shaped(log_q)), forwards)

    def _shaped(self, log_q: Tensor) -> Tensor:
        """Return ``q`` with the distribution of placed tokens shaped and their mass kept."""
        q = log_q.exp()
        if self.shaping == PLAIN:
            return q
        entry = torch.arange(q.shape[-1]) == self.mask_id
        total = q.masked_fill(entry, 0.0).sum(-1)
        some = total > 0
        shaped = self.shaping(log_q[some].masked_fill(entry, -torch.inf)) * total[some, None]
        q[some] = torch.where(entry, q[some], shaped)
        return q


class UniformTransition(_NetworkStep):
    """A step under uniform noise over the ids below ``pad_id``; there is no remasking."""

    remasks = False

    def __init__(
        self,
        network: MicroBatchedDenoiser,
        guidance: ClassifierFree | None = None,
        tilts: Sequence[Guidance] = (),
        shaping: Shaping = PLAIN,
    ) -> None:
        """Create a transition.

        Args:
            network: the denoiser, with as many classes as there are ids below ``pad_id``.
            guidance: mixes the conditional and the unconditional ``log q``, two forwards a row.
            tilts: further guidance, by classifiers, in this order; it acts on ``log q``.
            shaping: temperature and nucleus of ``p(x_0 | x_t)``.

        Raises:
            MolgenError: if the network has another number of classes.
        """
        if network.classes != network.pad_id:
            raise MolgenError(
                f"network has {network.classes} classes, expected the {network.pad_id} ids that "
                "uniform noise draws from"
            )
        super().__init__(network, guidance, tilts, shaping)

    def start(self, uniform: Floats) -> Ids:
        """Return uniform ids; see `Transition`."""
        return (uniform * self.pad_id).astype(np.int64)

    def most(self, masked: Mask, alpha_t: Floats, alpha_s: Floats, sigma: Floats) -> Floats:
        """Return the bound; see `Transition`.

        A change from ``z`` is likeliest where ``p(z) = 0``: with ``N`` ids its probability is then
        ``[alpha_s - alpha_t + (1 - alpha_t / alpha_s)(1 - alpha_s)(N - 1) / N] / (1 - alpha_t)``.
        With any guidance the bound is 1.
        """
        shape = np.broadcast_shapes(masked.shape, alpha_t.shape, sigma.shape)
        if self.guidance is not None or self.tilts:
            return np.ones(shape)
        fresh = (1 - alpha_t / alpha_s) * (1 - alpha_s) * (self.pad_id - 1) / self.pad_id
        rest = np.where(alpha_t < 1, 1 - alpha_t, 1.0)
        p = np.where(alpha_t < 1, (alpha_s - alpha_t + fresh) / rest, 1.0)
        return np.broadcast_to(p, shape)

    def kernel(
        self, found: Tensor, tokens: Tensor, alpha_t: Tensor, alpha_s: Tensor, sigma: Tensor
    ) -> Kernel:
        """Return the step; see `Transition`."""
        steps = [
            uniform_posterior(self.shaping(log_p), tokens, alpha_t, alpha_s)
            for log_p in found.unbind(1)
        ]
        if self.guidance is None and not self.tilts:
            return Kernel(_numbers(steps[0]), torch.zeros(len(tokens), dtype=torch.int64))
        log_q = steps[0].log()
        if self.guidance is not None:
            log_q = self.guidance.combine(log_q, steps[1].log(), alpha_t)
        log_q, forwards = nest(self.tilts, log_q, tokens, alpha_t)
        return Kernel(_numbers(log_q.exp()), forwards)


def _tilts_mask(tilt: Guidance) -> bool:
    """Return whether a tilt may change how fast tokens are revealed."""
    return not isinstance(tilt, ClassifierBased) or tilt.tilt_mask


def _tilts_placed(tilt: Guidance) -> bool:
    """Return whether a tilt may change how often placed tokens are remasked."""
    return not isinstance(tilt, ClassifierBased) or tilt.guided_remasking


def _numbers(q: Tensor) -> Tensor:
    """Return ``q``.

    Raises:
        MolgenError: if an entry is NaN.
    """
    if q.isnan().any():
        raise MolgenError(
            "the step's probabilities are not numbers: the weights are damaged, or gamma is too "
            "large"
        )
    return q
