"""Token weights as the sampler asks for them: a factor on the plan's sigma at every position.

    uniform      none of them
    confidence   softmax(-psi)                        psi: probability when placed (published form)
    sharpened    softmax(-log psi / tau)
    quality      softmax(-log q / tau + gamma delta)  q: probability to be right as things stand now
    property     softmax(gamma delta)

``q`` and ``delta`` come from the quality head of a network trained by
:mod:`molgen.self_correction`, at no forward of their own. It is asked under the condition ``y``
and, for classifier-free guidance, without:

    delta_l = log q_l(no condition) - log q_l(y)

A token that is plausible as such but not in a molecule of the wanted property has ``delta > 0``:
it is what holds the molecule back. By Bayes' rule ``p(x_l | rest, y) / p(x_l | rest)`` equals
``p(y | x) / p(y | rest)``, so ``delta_l`` stands for the gain in ``log p(y)`` from taking the token
off: guided remasking without a classifier.

Masked tokens are placed at the rate of the plan's own sigma, so under weights of mean one that are
nowhere capped the masked fraction is kept on average. Which tokens are placed when is not what it
was: these are heuristics, and :mod:`molgen.remasking` says what they do to the marginals.

References: Wang et al., "Remasking Discrete Diffusion Models with Inference-Time Scaling" (2025);
Kim et al., "Fine-tuning masked diffusion for provable self-correction" (2025), for ``q``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from molgen.remasking import (
    Normalise,
    check_normalise,
    confidence_weights,
    sharpened_weights,
    softmax_over,
)
from molgen.utils.arrays import Floats, Mask

PSI, QUALITY, PROPERTY = "psi", "quality", "property"


@dataclass(frozen=True)
class Evidence:
    """What is known of placed tokens, each with shape (rows, length); ignored elsewhere.

    Attributes:
        psi: probability each had when it was placed.
        quality: probability to be right as things stand now; ``psi`` where nobody has judged.
        delta: how far it holds the wanted property back, in nats; 0 where nobody has judged.
    """

    psi: Floats
    quality: Floats
    delta: Floats


class TokenWeights(Protocol):
    """Weights as the sampler asks for them."""

    @property
    def reads(self) -> str:
        """What they go by: ``"psi"``, ``"quality"`` or ``"property"``.

        The last compares both forwards of classifier-free guidance.
        """
        ...

    def __call__(self, evidence: Evidence, is_clean: Mask) -> Floats:
        """Return factors with shape (rows, length).

        Args:
            evidence: on the tokens.
            is_clean: True at tokens that are placed and may be taken off, shape (rows, length).
        """
        ...


@dataclass(frozen=True)
class Confidence:
    """The published weights: ``softmax(-psi)``, summing to one, masked tokens not compensated."""

    normalise: Normalise = "sum"
    reads = PSI

    def __post_init__(self) -> None:
        """Check ``normalise``."""
        check_normalise(self.normalise)

    def __call__(self, evidence: Evidence, is_clean: Mask) -> Floats:
        """Return the factors; see `TokenWeights`."""
        psi = torch.from_numpy(evidence.psi)
        weights = confidence_weights(psi, torch.from_numpy(is_clean), self.normalise)
        return _compensated(weights, is_clean, self.normalise)


@dataclass(frozen=True)
class Sharpened:
    """``softmax(-log psi / tau)`` with mean one: doubtful tokens go back far more often."""

    tau: float = 1.0
    normalise: Normalise = "mean"
    reads = PSI

    def __post_init__(self) -> None:
        """Check the parameters.

        Raises:
            ValueError: if ``tau`` is not positive or ``normalise`` not known.
        """
        _check_tau(self.tau)
        check_normalise(self.normalise)

    def __call__(self, evidence: Evidence, is_clean: Mask) -> Floats:
        """Return the factors; see `TokenWeights`."""
        psi = torch.from_numpy(evidence.psi)
        weights = sharpened_weights(psi, torch.from_numpy(is_clean), self.tau, self.normalise)
        return _compensated(weights, is_clean, self.normalise)


@dataclass(frozen=True)
class Quality:
    """``softmax(-log q / tau + gamma delta)`` with mean one; ``gamma = 0`` is quality alone."""

    tau: float = 1.0
    gamma: float = 0.0

    def __post_init__(self) -> None:
        """Check the parameters.

        Raises:
            ValueError: if ``tau`` is not positive.
        """
        _check_tau(self.tau)

    @property
    def reads(self) -> str:
        """See `TokenWeights`."""
        return PROPERTY if self.gamma else QUALITY

    def __call__(self, evidence: Evidence, is_clean: Mask) -> Floats:
        """Return the factors; see `TokenWeights`."""
        smallest = np.finfo(np.float64).tiny
        doubt = -np.log(np.maximum(evidence.quality, smallest)) / self.tau
        return _softmax(doubt + self.gamma * evidence.delta, is_clean)


@dataclass(frozen=True)
class HeldBack:
    """``softmax(gamma delta)`` with mean one: what holds the wanted property back goes first."""

    gamma: float = 1.0
    reads = PROPERTY

    def __call__(self, evidence: Evidence, is_clean: Mask) -> Floats:
        """Return the factors; see `TokenWeights`."""
        return _softmax(self.gamma * evidence.delta, is_clean)


def _check_tau(tau: float) -> None:
    if not tau > 0:
        raise ValueError(f"tau is {tau}, expected more than 0")


def _softmax(scores: Floats, is_clean: Mask) -> Floats:
    weights = softmax_over(torch.from_numpy(scores), torch.from_numpy(is_clean), "mean")
    return _compensated(weights, is_clean, "mean")


def _compensated(weights: Tensor, is_clean: Mask, normalise: Normalise) -> Floats:
    """Let masked tokens follow the plan's own sigma under mean-one weights, none otherwise."""
    elsewhere = 1.0 if normalise == "mean" else 0.0
    return np.where(is_clean, weights.double().numpy(), elsewhere)


WEIGHTS: dict[str, type[TokenWeights] | None] = {
    "uniform": None,
    "confidence": Confidence,
    "sharpened": Sharpened,
    "quality": Quality,
    "property": HeldBack,
}
