"""Continuous time: the limit of a plan with infinitely many steps, as rates of events.

Let ``u`` be the progress of a row, from 0 (all masked) to 1 (all placed), ``alpha(u)`` the fraction
of tokens kept, and ``rho(u)`` the rate at which a placed token is remasked. With ``sigma = rho du``
the posterior of :mod:`molgen.diffusion.posterior` becomes a jump process,

    placed token :  remasked at rate  rho
    masked token :  placed at rate    (alpha' + w rho alpha) / (1 - alpha)

whose masked fraction is ``1 - alpha`` at every moment. The second term compensates the remasking;
``w`` is 1, or the weight of a masked token under remasking weights. The rates depend on time alone,
not on the network, so the time of the next event is drawn exactly, by inverting the integrated
rate: there is no grid and no error of a step.

Each piece of a plan has ``alpha`` linear in ``u`` and

    rho = constant + inverse / alpha + linear * alpha

so that all integrals are in closed form. Ancestral sampling and the two correctors (``rho = beta
alpha' / alpha``) have this limit themselves. The strength of ``cap``, ``rescale``, ``loop`` and
``psi`` is that of one step, so under a fixed strength the remasking per unit of time grows without
bound with the number of steps ``T``; their continuous plan has the rates ``rho = T sigma`` of ``T``
steps.

A moment is stored as ``clock = -log(1 - u)``, which is exact near the end, where tokens are placed
at rate ``1 / (1 - u)``.

References: Campbell et al., "A Continuous Time Framework for Discrete Denoising Models" (2022);
Zheng et al., "Masked Diffusion Models are Secretly Time-Agnostic Masked Models" (2024), for the
first hitting of ancestral sampling.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from molgen.utils.arrays import Floats, Ids

TINY = 1e-300
"""Lower bound of fractions, whose logarithms are taken."""
END = 50.0
"""A clock at which the time left, 2e-22, has no further event."""
EXACT = 1e-12
"""Tolerance of an integrated rate, which is drawn from an exponential distribution of mean 1."""
ITERATIONS = 200


@dataclass(frozen=True)
class Rate:
    """The remasking rate ``constant + inverse / alpha + linear * alpha``, per unit of progress."""

    constant: float = 0.0
    inverse: float = 0.0
    linear: float = 0.0


@dataclass(frozen=True)
class Hazard:
    """Three rates at some moments, or their integrals; arrays of one shape.

    Attributes:
        place: of a masked token without remasking.
        compensate: of a masked token, in addition, to compensate the remasking.
        remask: of a placed token.
    """

    place: Floats
    compensate: Floats
    remask: Floats

    def total(self, weights: Hazard) -> Floats:
        """Return the weighted sum; without weight, an infinite rate counts nothing."""
        return (
            self.place * weights.place
            + self.compensate * weights.compensate
            + self.remask * weights.remask
        )


@dataclass(frozen=True)
class ContinuousPlan:
    """A plan in continuous time.

    Attributes:
        progress: ends of the pieces, from 0 to 1, shape (pieces + 1,).
        alphas: fraction kept at these, likewise, never falling.
        rates: of remasking, one for each piece.
    """

    progress: Sequence[float]
    alphas: Sequence[float]
    rates: Sequence[Rate]
    _left: Floats = field(init=False, repr=False, compare=False)
    _slope: Floats = field(init=False, repr=False, compare=False)
    _table: Floats = field(init=False, repr=False, compare=False)
    _offset: Floats = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Compute the time left at the ends, and the integrals over whole pieces."""
        table = [(rate.constant, rate.inverse, rate.linear) for rate in self.rates]
        self._set("_left", 1 - np.array(self.progress))
        self._set("_slope", np.diff(self.alphas) / np.diff(self.progress))
        self._set("_table", np.array(table).T)
        pieces = np.arange(len(self.rates))
        first, last = (self._local(self._left[at], pieces) for at in (pieces, pieces + 1))
        whole = last.compensate - first.compensate
        before = np.cumsum(whole) - whole - first.compensate
        whole = last.remask - first.remask
        after = np.cumsum(whole[::-1])[::-1] - whole + last.remask
        # from the start where the end is infinite, and from the end where the start may be
        self._set("_offset", np.array([before, -after]))

    def _set(self, name: str, value: Floats) -> None:
        object.__setattr__(self, name, value)

    @classmethod
    def linear(cls, pieces: Sequence[tuple[float, Rate]]) -> ContinuousPlan:
        """Return the plan along ``alpha = u``.

        Args:
            pieces: end and rate of each; one that ends where it begins is left out.
        """
        ends, rates = [0.0], []
        for end, rate in pieces:
            if end > ends[-1]:
                ends.append(end)
                rates.append(rate)
        return cls(ends, ends, rates)

    @property
    def remasks(self) -> bool:
        """Whether tokens are remasked."""
        return any(rate != Rate() for rate in self.rates)

    @property
    def remasked(self) -> float:
        """The mean number of times that a token is remasked: the integral of ``rho alpha``."""
        (a, b, c), alphas = self._table, np.array(self.alphas)
        first, last = alphas[:-1], alphas[1:]
        # the mean over a piece of each power of alpha, which is linear in u
        square = (first**2 + first * last + last**2) / 3
        mean = a * (first + last) / 2 + b + c * square
        return float((mean * np.diff(self.progress)).sum())

    def start(self, placed: Floats) -> Floats:
        """Return the last moment at which this fraction of tokens is kept, as progress."""
        piece = np.searchsorted(self.alphas, placed, side="right") - 1
        piece = np.minimum(piece, len(self.rates) - 1)
        ends, alphas = np.array(self.progress), np.array(self.alphas)
        rise = alphas[piece + 1] - alphas[piece]
        share = np.where(rise > 0, (placed - alphas[piece]) / np.where(rise > 0, rise, 1.0), 1.0)
        return np.asarray(ends[piece] + share * (ends[piece + 1] - ends[piece]))

    def alpha(self, clock: Floats) -> Floats:
        """Return the fraction kept at some moments."""
        left = np.exp(-clock)
        return 1 - self._masked(left, self._piece(left))

    def hazard(self, clock: Floats) -> Hazard:
        """Return the rates at some moments, per unit of progress."""
        left = np.exp(-clock)
        piece = self._piece(left)
        masked = self._masked(left, piece)
        alpha, (a, b, c) = self._alpha(clock, masked), self._table[:, piece]
        rho = a + b / alpha + c * alpha
        return Hazard(self._slope[piece] / masked, rho * alpha / masked, rho)

    def next(self, clock: Floats, weights: Hazard, exposure: Floats) -> Floats:
        """Return the moment of the next event of each row; infinite if there is none.

        Args:
            clock: moments from which rows wait, shape (rows,).
            weights: number of tokens that each rate applies to, or the sum of their weights.
            exposure: integrated rate until the event, of an exponential distribution of mean 1.
        """
        wanted = self._integral(clock).total(weights) + exposure
        # a masked token is placed at least as fast as 1 / (1 - u) in the last piece
        last = -np.log(self._left[-2])
        masked = weights.place > 0
        wait = exposure / np.where(masked, weights.place, 1.0)
        low, high = clock, np.where(masked, np.maximum(clock, last) + wait + 1, END)
        none = ~masked & (self._integral(np.maximum(high, low)).total(weights) < wanted)
        x, open = (low + high) / 2, ~none
        for _ in range(ITERATIONS):
            error = self._integral(x).total(weights) - wanted
            low, high = np.where(error < 0, x, low), np.where(error < 0, high, x)
            exact = EXACT * np.maximum(1, np.abs(wanted))
            open &= (np.abs(error) > exact) & (high - low > EXACT * x)
            if not open.any():
                break
            slope = self.hazard(x).total(weights) * np.exp(-x)
            newton = x - error / np.maximum(slope, TINY)
            inside = (newton > low) & (newton < high)
            # a finished row does not move: its moment is independent of the other rows
            x = np.where(open, np.where(inside, newton, (low + high) / 2), x)
        return np.where(none, np.inf, x)

    def _integral(self, clock: Floats) -> Hazard:
        """Return the integrated rates, each up to a constant."""
        left = np.exp(-clock)
        piece = self._piece(left)
        found, offset = self._local(left, piece, clock), self._offset[:, piece]
        return Hazard(found.place, found.compensate + offset[0], found.remask + offset[1])

    def _local(self, left: Floats, piece: Ids, clock: Floats | None = None) -> Hazard:
        """Return the antiderivatives of the rates within a piece."""
        masked, slope = self._masked(left, piece), self._slope[piece]
        alpha = self._alpha(-np.log(np.maximum(left, TINY)) if clock is None else clock, masked)
        a, b, c = self._table[:, piece]
        log = -np.log(masked)
        moves = slope > 0
        steep = np.where(moves, slope, 1.0)
        rho, progress = a + b / alpha + c * alpha, 1 - left
        falling = (a + b + c) * log - a * alpha - c * (alpha**2 / 2 + alpha)
        rising = a * alpha + b * np.log(alpha) + c * alpha**2 / 2
        return Hazard(
            log,
            np.where(moves, falling / steep, rho * alpha / masked * progress),
            np.where(moves, rising / steep, rho * progress),
        )

    def _piece(self, left: Floats) -> Ids:
        """Return the piece at some moments, by the time left."""
        return np.searchsorted(-self._left[1:-1], -left, side="right")

    def _masked(self, left: Floats, piece: Ids) -> Floats:
        """Return ``1 - alpha``, exact where little time is left."""
        end = 1 - np.array(self.alphas)[piece + 1]
        return np.maximum(end + self._slope[piece] * (left - self._left[piece + 1]), TINY)

    def _alpha(self, clock: Floats, masked: Floats) -> Floats:
        """Return ``alpha``, exact near the start."""
        early = -np.expm1(-clock) * self._slope[0]
        first = self._piece(np.exp(-clock)) == 0
        return np.maximum(np.where(first, early, 1 - masked), TINY)
