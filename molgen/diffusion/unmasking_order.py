"""Unmasking orders: which of the masked tokens are placed after a forward.

A plan depends on the step alone. An order depends on the guided prediction: on ``p_l``, the
distribution of every masked token ``l``, with entropy ``H_l`` in nats.

==================  =============================================================================
random              any masked token
left-to-right       the leftmost masked token
chunks              the leftmost masked tokens, so many that a row takes a number of forwards
entropy             the lowest ``H_l``
margin              the largest gap between the two likeliest values
entropy-bounded     by increasing ``H_l``, as many as keep ``sum H_l - max H_l <= gamma``
klass               every ``l`` with ``max p_l > 0.9`` and ``KL(p_l now || before) < 0.01`` twice in
                    a row; where there is none, the one with the largest ``max p_l``
==================  =============================================================================

Tokens placed by one forward are drawn independently. The error is their total correlation,
``KL(joint || product) = sum H_l - H(all) <= sum H_l - max H_l``, so ``gamma`` bounds the error of
each forward, in nats, if the network is exact.

**Effect of an order.** With exact conditionals every order here that places one token a forward
draws from the exact joint: it depends on the state alone, so its path is an instance of the chain
rule. An order therefore never depends on the token that *would be drawn*: selection by the
probability of the drawn token prefers probable draws and acts as a low temperature. The
conditionals of a trained network belong to no common joint. Then only the random order keeps the
distribution of training, in which all sets of masked positions of one size are equally likely; all
others visit states with other weights, and their rows have other marginals. Guided conditionals
belong to no common joint either, beyond ``gamma = 1``.

References: Ben-Hamu et al., "Accelerated Sampling from Masked Diffusion Models via Entropy Bounded
Unmasking" (2025); Kim et al., "KLASS: KL-Guided Fast Inference in Masked Diffusion Models" (2025);
Kim et al., "Train for the Worst, Plan for the Best" (2025), for the margin.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from molgen.errors import MolgenError
from molgen.utils.arrays import Floats, Ids, Mask
from molgen.utils.options import UNBOUNDED

ROUNDING = 1e-9  # of powers of shares


@dataclass(frozen=True)
class UnmaskingState:
    """The input of an order.

    Attributes:
        masked: masked tokens, shape (rows, longest).
        p: guided and shaped distribution of each, shape (rows, longest, vocab); 0 where no token
            is masked.
        past: the same at the last forwards of each row, latest first, with shape (forwards, rows,
            longest, vocab); NaN where there was none.
        u: uniforms of this row and step, independent of those that tokens are drawn with, shape
            (rows, longest).
        lengths: tokens of each row, shape (rows,); None if all rows are of the longest length.
    """

    masked: Mask
    p: Floats
    past: Floats
    u: Floats
    lengths: Ids | None = None


class Order(Protocol):
    """A rule for which tokens are placed after a forward."""

    @property
    def memory(self) -> int:
        """Number of past forwards that it depends on."""
        ...

    @property
    def reads_prediction(self) -> bool:
        """Whether it depends on the prediction; if not, ``p`` may have no values."""
        ...

    def __call__(self, now: UnmaskingState) -> Mask:
        """Return the tokens to place, shape (rows, longest): masked ones, at least one a row.

        Every row has a masked token. The result of a row depends on that row alone.
        """
        ...


@dataclass(frozen=True)
class Ranked(ABC):
    """An order that places a fixed number of tokens a forward, those of the lowest rank."""

    at_once: int = 1
    memory = 0
    reads_prediction = True

    def __post_init__(self) -> None:
        """Check the count."""
        _check_count("at_once", self.at_once)

    @abstractmethod
    def rank(self, now: UnmaskingState) -> Floats:
        """Return the rank of each token, lowest first, shape (rows, longest)."""

    def __call__(self, now: UnmaskingState) -> Mask:
        """Return the tokens to place; see `Order`."""
        return lowest(self.rank(now), now.masked, self.at_once)


class Random(Ranked):
    """Any token: the order of ancestral sampling in the limit of infinitely many steps."""

    reads_prediction = False

    def rank(self, now: UnmaskingState) -> Floats:
        """Return uniforms."""
        return now.u


class LeftToRight(Ranked):
    """The leftmost token."""

    reads_prediction = False

    def rank(self, now: UnmaskingState) -> Floats:
        """Return positions."""
        return np.broadcast_to(np.arange(now.u.shape[1], dtype=np.float64), now.u.shape)


@dataclass(frozen=True)
class Chunks:
    """Consecutive tokens from left to right, a row in a given number of forwards.

    After ``k`` of ``n`` forwards a share ``(k / n) ** growth`` of the row is placed. Tokens of a
    chunk depend on each other more than scattered ones: for joint draws
    (:mod:`molgen.guidance.joint_predictor`).

    Attributes:
        forwards: ``n``; a row of fewer tokens takes fewer.
        growth: 1 for chunks of equal size; above, the first ones are smaller, which are drawn with
            the least context.
    """

    forwards: int = 4
    growth: float = field(default=1.2, metadata=UNBOUNDED)
    memory = 0
    reads_prediction = False

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            MolgenError: naming the one that is out of range.
        """
        _check_count("forwards", self.forwards)
        if not 0 < self.growth < math.inf:
            raise MolgenError(f"growth is {self.growth}, expected a finite number above 0")

    def __call__(self, now: UnmaskingState) -> Mask:
        """Return the tokens to place; see `Order`."""
        masked, n = now.masked, self.forwards
        lengths = np.full(len(masked), masked.shape[1]) if now.lengths is None else now.lengths
        placed = lengths - masked.sum(1)
        k = np.floor(n * (placed / lengths) ** (1 / self.growth) + ROUNDING)
        until = np.ceil(lengths * ((k + 1) / n) ** self.growth - ROUNDING)
        count = np.maximum(until - placed, 1)
        return np.asarray(masked & (masked.cumsum(1) <= count[:, None]))


class LowestEntropy(Ranked):
    """The token of lowest entropy."""

    def rank(self, now: UnmaskingState) -> Floats:
        """Return entropies in nats."""
        return entropy(now.p)


class LargestMargin(Ranked):
    """The token with the largest gap between its two likeliest values."""

    def rank(self, now: UnmaskingState) -> Floats:
        """Return the gap between the two largest probabilities, below 0."""
        second, first = np.moveaxis(np.partition(now.p, -2, axis=-1)[..., -2:], -1, 0)
        return np.asarray(second - first)


@dataclass(frozen=True)
class EntropyBounded:
    """As many tokens as the bound on their total correlation allows, by increasing entropy.

    Attributes:
        gamma: the bound, in nats; 0 places one token a forward and all that are certain; infinity
            places all.
    """

    gamma: float = field(default=0.1, metadata=UNBOUNDED)
    memory = 0
    reads_prediction = True

    def __post_init__(self) -> None:
        """Check the bound.

        Raises:
            MolgenError: if it is below 0 or not a number.
        """
        if not self.gamma >= 0:
            raise MolgenError(f"gamma is {self.gamma}, expected at least 0")

    def __call__(self, now: UnmaskingState) -> Mask:
        """Return the tokens to place; see `Order`."""
        h = np.where(now.masked, entropy(now.p), np.inf)
        order = np.argsort(h, axis=1, kind="stable")
        sorted_h = np.take_along_axis(h, order, axis=1)
        # the largest of the first k entropies is the k-th, so the sum minus the largest is the sum
        # of those before it; summed in that way, since inf - inf is NaN
        before = np.cumsum(sorted_h[:, :-1], axis=1)
        within = np.pad(before <= self.gamma, ((0, 0), (1, 0)), constant_values=True)
        chosen = np.zeros_like(now.masked)
        np.put_along_axis(chosen, order, within, axis=1)
        return chosen & now.masked


@dataclass(frozen=True)
class Stable:
    """KLASS: tokens that are confident and stable; without any, the most confident.

    Attributes:
        confidence: lower limit of the largest probability.
        kl: upper limit of the divergence from the previous forward, in nats.
        forwards: number of consecutive divergences that must be below it.
        at_once: number of tokens to place where none is stable.
    """

    confidence: float = 0.9
    kl: float = field(default=0.01, metadata=UNBOUNDED)
    forwards: int = 2
    at_once: int = 1
    reads_prediction = True

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            MolgenError: naming the one that is out of range.
        """
        if not 0 <= self.confidence <= 1:
            raise MolgenError(f"confidence is {self.confidence}, expected a number in [0, 1]")
        if not self.kl > 0:
            raise MolgenError(f"kl is {self.kl}, expected more than 0")
        _check_count("forwards", self.forwards)
        _check_count("at_once", self.at_once)

    @property
    def memory(self) -> int:
        """Number of past forwards that it depends on."""
        return self.forwards

    def __call__(self, now: UnmaskingState) -> Mask:
        """Return the tokens to place; see `Order`."""
        confidence = now.p.max(-1)
        stable = now.masked & (confidence > self.confidence)
        for later, earlier in zip((now.p, *now.past), now.past, strict=False):
            stable &= divergence(later, earlier) < self.kl
        best = lowest(-confidence, now.masked, self.at_once)
        return np.where(stable.any(1, keepdims=True), stable, best)


def lowest(rank: Floats, masked: Mask, count: int) -> Mask:
    """Mark the lowest masked entries of each row, the leftmost of equal ones.

    Args:
        rank: with shape (rows, longest).
        masked: the entries to consider, same shape.
        count: number of entries; all where a row has fewer.
    """
    order = np.argsort(np.where(masked, rank, np.inf), axis=1, kind="stable")
    chosen = np.zeros_like(masked)
    np.put_along_axis(chosen, order[:, :count], True, axis=1)
    return chosen & masked


def entropy(p: Floats) -> Floats:
    """Return ``- sum p log p`` over the last axis, in nats."""
    return np.asarray(-(p * np.log(np.where(p > 0, p, 1.0))).sum(-1))


def divergence(p: Floats, q: Floats) -> Floats:
    """Return ``KL(p || q)`` over the last axis, in nats.

    Infinite where ``q`` is zero and ``p`` is not; NaN where either is NaN.
    """
    with np.errstate(divide="ignore"):
        ratio = np.log(np.where(p > 0, p, 1.0)) - np.log(np.where(p > 0, q, 1.0))
    return np.asarray((p * ratio).sum(-1))


def _check_count(name: str, value: Any) -> None:
    if not isinstance(value, int) or value < 1:
        raise MolgenError(f"{name} is {value!r}, expected a whole number of at least 1")


ORDERS: dict[str, type[Order]] = {
    "random": Random,
    "left-to-right": LeftToRight,
    "chunks": Chunks,
    "entropy": LowestEntropy,
    "margin": LargestMargin,
    "entropy-bounded": EntropyBounded,
    "klass": Stable,
}
