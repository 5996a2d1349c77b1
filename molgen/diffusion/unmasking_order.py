"""Orders of unmasking: which of the masked tokens are placed after a forward, and which wait.

A plan decides by clock alone. An order looks at what the network, with its guidance, says now: at
``p_l``, the distribution of every masked token ``l``, with entropy ``H_l`` in nats.

==================  =============================================================================
random              any masked token
left-to-right       the leftmost masked token
entropy             the lowest ``H_l``
margin              the largest gap between the two likeliest values
entropy-bounded     by increasing ``H_l``, as many as keep ``sum H_l - max H_l <= gamma``
klass               every ``l`` with ``max p_l > 0.9`` and ``KL(p_l now || before) < 0.01`` twice
                    running; where there is none, the one with the largest ``max p_l``
==================  =============================================================================

Tokens placed by one forward are drawn independently. What that gets wrong is their total
correlation, ``KL(joint || product) = sum H_l - H(all) <= sum H_l - max H_l``, so ``gamma`` bounds
the error of each forward, in nats, as far as the network is right.

**What an order changes.** With exact conditionals every order here that places one token a forward
draws from the exact joint: it goes by the state alone, so its path is one more way to write the
chain rule. That is why an order is never told which token *would be drawn*: going by the
probability of the drawn token picks lucky draws, a low temperature in disguise. A trained network's
conditionals belong to no one joint. Then the random order alone keeps what training was about,
every set of masked positions of one size equally likely; all others meet states that training did
not weigh that way, and their rows have other marginals. Guided conditionals belong to no one joint
either, beyond ``gamma = 1``.

References: Ben-Hamu et al., "Accelerated Sampling from Masked Diffusion Models via Entropy Bounded
Unmasking" (2025); Kim et al., "KLASS: KL-Guided Fast Inference in Masked Diffusion Models" (2025);
Kim et al., "Train for the Worst, Plan for the Best" (2025), for the margin.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from molgen.utils.arrays import Floats, Mask


@dataclass(frozen=True)
class Outlook:
    """What an order decides by.

    Attributes:
        masked: tokens that are to be placed, shape (rows, longest).
        p: what each may become, as drawn from (guided and shaped), shape (rows, longest, vocab); 0
            where nothing is masked.
        past: the same at each row's own last forwards, latest first, with shape (forwards, rows,
            longest, vocab); NaN where there was none.
        u: uniforms of this row and step, independent of those that tokens are drawn with, shape
            (rows, longest).
    """

    masked: Mask
    p: Floats
    past: Floats
    u: Floats


class Order(Protocol):
    """A rule that says which tokens are placed now."""

    @property
    def memory(self) -> int:
        """How many forwards back it looks."""
        ...

    def __call__(self, now: Outlook) -> Mask:
        """Return the tokens to place, shape (rows, longest): masked ones, at least one a row.

        Every row here has a masked token. A row's answer depends on that row alone.
        """
        ...


@dataclass(frozen=True)
class Ranked(ABC):
    """An order that places so many tokens a forward, those of the lowest rank."""

    at_once: int = 1
    memory = 0

    def __post_init__(self) -> None:
        """Check the count."""
        _check_count("at_once", self.at_once)

    @abstractmethod
    def rank(self, now: Outlook) -> Floats:
        """Return what is to be low, shape (rows, longest)."""

    def __call__(self, now: Outlook) -> Mask:
        """Return the tokens to place; see `Order`."""
        return lowest(self.rank(now), now.masked, self.at_once)


class Random(Ranked):
    """Any token: the order of ancestral sampling in infinitely many steps."""

    def rank(self, now: Outlook) -> Floats:
        """Return noise."""
        return now.u


class LeftToRight(Ranked):
    """The leftmost."""

    def rank(self, now: Outlook) -> Floats:
        """Return positions."""
        return np.broadcast_to(np.arange(now.u.shape[1], dtype=np.float64), now.u.shape)


class LowestEntropy(Ranked):
    """The one the network hesitates least about."""

    def rank(self, now: Outlook) -> Floats:
        """Return entropies in nats."""
        return entropy(now.p)


class LargestMargin(Ranked):
    """The one whose likeliest value is furthest ahead of the next."""

    def rank(self, now: Outlook) -> Floats:
        """Return the gap between the two largest probabilities, below 0."""
        second, first = np.moveaxis(np.partition(now.p, -2, axis=-1)[..., -2:], -1, 0)
        return np.asarray(second - first)


@dataclass(frozen=True)
class EntropyBounded:
    """As many as the bound on their total correlation allows, surest first.

    Attributes:
        gamma: the bound, in nats; 0 places one token a forward, and with it those that are certain;
            infinity places all.
    """

    gamma: float = 0.1
    memory = 0

    def __post_init__(self) -> None:
        """Check the bound.

        Raises:
            ValueError: if it is below 0 or no number.
        """
        if not self.gamma >= 0:
            raise ValueError(f"gamma is {self.gamma}, expected at least 0")

    def __call__(self, now: Outlook) -> Mask:
        """Return the tokens to place; see `Order`."""
        h = np.where(now.masked, entropy(now.p), np.inf)
        order = np.argsort(h, axis=1, kind="stable")
        sorted_h = np.take_along_axis(h, order, axis=1)
        # up to the k-th, the largest is the k-th itself: the sum less it is that of all before;
        # added up before it, since inf - inf is no number
        before = np.cumsum(sorted_h[:, :-1], axis=1)
        within = np.pad(before <= self.gamma, ((0, 0), (1, 0)), constant_values=True)
        chosen = np.zeros_like(now.masked)
        np.put_along_axis(chosen, order, within, axis=1)
        return chosen & now.masked


@dataclass(frozen=True)
class Stable:
    """KLASS: those that are sure and have stayed what they were; else the surest.

    Attributes:
        confidence: what the largest probability is to exceed.
        kl: what the change since the forward before is to stay below, in nats.
        forwards: how many changes running are to stay below it.
        at_once: tokens that are placed where none is stable.
    """

    confidence: float = 0.9
    kl: float = 0.01
    forwards: int = 2
    at_once: int = 1

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            ValueError: naming what is out of range.
        """
        if not 0 <= self.confidence <= 1:
            raise ValueError(f"confidence is {self.confidence}, expected a number in [0, 1]")
        if not self.kl > 0:
            raise ValueError(f"kl is {self.kl}, expected more than 0")
        _check_count("forwards", self.forwards)
        _check_count("at_once", self.at_once)

    @property
    def memory(self) -> int:
        """How many forwards back it looks."""
        return self.forwards

    def __call__(self, now: Outlook) -> Mask:
        """Return the tokens to place; see `Order`."""
        sure = now.p.max(-1)
        ready = now.masked & (sure > self.confidence)
        for later, earlier in zip((now.p, *now.past), now.past, strict=False):
            ready &= divergence(later, earlier) < self.kl
        surest = lowest(-sure, now.masked, self.at_once)
        return np.where(ready.any(1, keepdims=True), ready, surest)


def lowest(rank: Floats, masked: Mask, count: int) -> Mask:
    """Mark the lowest masked entries of each row, of equal ones the leftmost.

    Args:
        rank: with shape (rows, longest).
        masked: the entries that count, same shape.
        count: how many; all where a row has fewer.
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

    Infinite where ``q`` rules out what ``p`` does not; NaN where either is.
    """
    with np.errstate(divide="ignore"):
        ratio = np.log(np.where(p > 0, p, 1.0)) - np.log(np.where(p > 0, q, 1.0))
    return np.asarray((p * ratio).sum(-1))


def _check_count(name: str, value: Any) -> None:
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} is {value!r}, expected a whole number of at least 1")


ORDERS: dict[str, type[Order]] = {
    "random": Random,
    "left-to-right": LeftToRight,
    "entropy": LowestEntropy,
    "margin": LargestMargin,
    "entropy-bounded": EntropyBounded,
    "klass": Stable,
}
