"""Retries: why a row failed, and which of its tokens go back to the mask.

    restart   all of them: the row is thrown away and drawn again, its length too
    remask    the k = ceil(share * length) first in the order of  -log q / tau + Gumbel noise

The second keeps what is right with the row and pays only for what goes back: with one forward a
token, a share of the cost of a restart. With the noise, the choice is a draw without replacement in
proportion to ``q ** (-1 / tau)`` (the Gumbel-top-k trick; Kool et al., "Stochastic beams and where
to find them", 2019), so doubtful tokens go first and no two tries are alike.

Positions at random, whatever the row, followed by an ancestral redraw, are a blocked Gibbs step: it
leaves the network's own distribution as it is. A choice that looks at the row - by ``q``, or by why
it failed - is a heuristic and does not; nor does stopping at the first row that passes, which is
what a retry is for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from molgen.diffusion.token_weights import PSI, QUALITY
from molgen.molecules.fate import Fate
from molgen.sampling.acceptance import DEMANDS, LIKELY
from molgen.utils.arrays import Floats, Ids, Mask

RANDOM = "random"
TINY, ROUNDING = np.finfo(np.float64).tiny, 1e-9


@dataclass(frozen=True)
class Failed:
    """Rows that are to be tried again.

    Attributes:
        open: tokens that may go back, shape (rows, longest): not padding, nor fixed.
        trust: how probable each token is to be right, same shape; ones where nobody knows.
        fate: why each row failed, one a row.
        tries: how often each has failed since it was last drawn as a whole, shape (rows,).
    """

    open: Mask
    trust: Floats
    fate: Sequence[str]
    tries: Ids


class Retry(Protocol):
    """What is done with rows that failed."""

    @property
    def reads(self) -> str:
        """What it goes by: ``"psi"``, ``"quality"`` or ``"random"``: nothing."""
        ...

    def choose(self, failed: Failed, u: Floats) -> Mask:
        """Return which tokens go back, with the shape of ``u``; a row with all of them is redrawn.

        Args:
            failed: the rows.
            u: uniforms in [0, 1) to choose by, shape (rows, longest).
        """
        ...


@dataclass(frozen=True)
class Restart:
    """Everything goes back: the control that any other retry must beat."""

    reads = RANDOM

    def choose(self, failed: Failed, u: Floats) -> Mask:
        """Return every token that may go back; see `Retry`."""
        return failed.open.copy()


@dataclass(frozen=True)
class Remask:
    """A share of the tokens goes back.

    Attributes:
        share: of an invalid row's tokens, rounded up.
        by: the order: the least ``"quality"`` first (what a quality head said, or else ``"psi"``),
            the least ``"psi"`` (probability when placed), or ``"random"``.
        tau: temperature of the order; near 0 the least are always first, infinity is random.
        move: the share of a molecule that is known or a duplicate, and has to become another one;
            it goes back at random, because there is nothing wrong with any of its tokens.
        rising: whether the k-th failure in a row takes k times the share, until the row is drawn
            anew as a whole.
    """

    share: float = 0.4
    by: str = QUALITY
    tau: float = 0.3
    move: float = 0.4
    rising: bool = False

    def __post_init__(self) -> None:
        """Check the parameters.

        Raises:
            ValueError: if one is out of range.
        """
        for name in ("share", "move"):
            if not 0 < getattr(self, name) <= 1:
                value = getattr(self, name)
                raise ValueError(f"{name} is {value}, expected more than 0 and at most 1")
        if not self.tau > 0:
            raise ValueError(f"tau is {self.tau}, expected more than 0")
        if self.by not in (PSI, QUALITY, RANDOM):
            raise ValueError(f"by is {self.by!r}, expected {PSI}, {QUALITY} or {RANDOM}")

    @property
    def reads(self) -> str:
        """What the order goes by."""
        return self.by

    def choose(self, failed: Failed, u: Floats) -> Mask:
        """Return the first of each row's order; see `Retry`."""
        invalid = np.array([fate == Fate.INVALID for fate in failed.fate], dtype=bool)
        share = np.where(invalid, self.share, self.move)
        if self.rising:
            share = share * failed.tries
        count = np.ceil(share.clip(max=1) * failed.open.sum(1) - ROUNDING)
        score = -np.log(-np.log(u.clip(TINY)))
        if self.by != RANDOM:
            doubt = -np.log(failed.trust.clip(TINY)) / self.tau
            score = score + np.where(invalid[:, None], doubt, 0.0)
        score = np.where(failed.open, score, -np.inf)
        rank = np.argsort(np.argsort(-score, axis=1, kind="stable"), axis=1, kind="stable")
        return failed.open & (rank < count[:, None])


@dataclass(frozen=True)
class Adaptive:
    """How rows go on.

    Attributes:
        until: what a row has to be, out of ``"valid"``, ``"unique"`` (its canonical form is not
            that of another row), ``"novel"`` (nor of a known molecule) and ``"likely"`` (a guide
            finds it at least as probable as ``odds`` that it meets all targets); valid in any case.
        budget: forwards a row may take, its first draw included. Every try is finished, so a row
            may exceed it by less than a try.
        retry: what is done with a row that failed.
        probability: probability, in (0, 1), that makes a row likely.
    """

    until: tuple[str, ...] = DEMANDS
    budget: int = 128
    retry: Retry = field(default_factory=Restart)
    probability: float = 0.5

    def __post_init__(self) -> None:
        """Check the numbers and words.

        Raises:
            ValueError: if a demand is not known, the budget no whole number of at least 1, or the
                odds no probability.
        """
        known = *DEMANDS, LIKELY
        if not self.until or not set(self.until) <= set(known):
            raise ValueError(f"until is {self.until}, expected some of {', '.join(known)}")
        if not 0 < self.probability < 1:
            raise ValueError(f"odds is {self.probability}, expected a number between 0 and 1")
        if not isinstance(self.budget, int) or self.budget < 1:
            raise ValueError(f"budget is {self.budget!r}, expected a whole number of at least 1")
