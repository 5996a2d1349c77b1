"""Retries: which tokens of a failed row are remasked.

    restart   all of them: the row is drawn again, including its length
    remask    the k = ceil(share * length) largest of  -log q / tau + Gumbel noise

Remasking keeps the probable part of the row and costs only the remasked tokens: with one forward a
token, a share of the cost of a restart. With the noise, the choice is a draw without replacement in
proportion to ``q ** (-1 / tau)`` (the Gumbel-top-k trick; Kool et al., "Stochastic beams and where
to find them", 2019), so improbable tokens come first and attempts differ.

Random positions, independent of the row, followed by an ancestral redraw, are a blocked Gibbs step,
which keeps the distribution of the network. A choice that depends on the row - on ``q``, or on the
reason of the failure - is a heuristic and does not keep it; neither does stopping at the first
accepted attempt, which is the purpose of a retry.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from molgen.diffusion.token_weights import PSI, QUALITY
from molgen.errors import MolgenError
from molgen.molecules.fate import Fate
from molgen.sampling.acceptance import LIKELY, REQUIREMENTS
from molgen.utils.arguments import check_fields
from molgen.utils.arrays import Floats, Ids, Mask
from molgen.utils.options import UNBOUNDED

RANDOM = "random"
TINY, ROUNDING = np.finfo(np.float64).tiny, 1e-9


@dataclass(frozen=True)
class Failed:
    """Rows that are to be retried.

    Attributes:
        open: tokens that may be remasked, shape (rows, longest): neither padding nor fixed.
        quality: probability that each token is right, same shape; ones where unknown.
        fate: reason of the failure of each row.
        failures: failures of each row since its last complete draw, shape (rows,).
    """

    open: Mask
    quality: Floats
    fate: Sequence[str]
    failures: Ids


class Retry(Protocol):
    """A rule for which tokens of failed rows are remasked."""

    @property
    def reads(self) -> str:
        """The score that it depends on: ``"psi"``, ``"quality"`` or, for none, ``"random"``."""
        ...

    def choose(self, failed: Failed, u: Floats) -> Mask:
        """Return the tokens to remask, with the shape of ``u``; a row with all of them is redrawn.

        Args:
            failed: the rows.
            u: uniforms in [0, 1), shape (rows, longest).
        """
        ...


@dataclass(frozen=True)
class Restart:
    """All tokens are remasked: the baseline for other retries."""

    reads = RANDOM

    def choose(self, failed: Failed, u: Floats) -> Mask:
        """Return every token that may be remasked; see `Retry`."""
        return failed.open.copy()


@dataclass(frozen=True)
class Remask:
    """A share of the tokens is remasked.

    Attributes:
        share: of the tokens of an invalid row, rounded up.
        by: the order: lowest ``"quality"`` first (output of the quality head, or else ``"psi"``),
            lowest ``"psi"`` (probability when placed), or ``"random"``.
        tau: temperature of the order; near 0 the lowest are always first, infinity is random.
        move: share for valid rows that fail, such as duplicates and molecules of the training set;
            it is chosen at random, since all tokens are valid.
        rising: whether the k-th failure in a row remasks k times the share, until the row is
            completely redrawn.
    """

    share: float = 0.4
    by: str = QUALITY
    tau: float = field(default=0.3, metadata=UNBOUNDED)
    move: float = 0.4
    rising: bool = False

    def __post_init__(self) -> None:
        """Check the parameters.

        Raises:
            MolgenError: if one is out of range.
        """
        check_fields(self)
        for name in ("share", "move"):
            if not 0 < getattr(self, name) <= 1:
                value = getattr(self, name)
                raise MolgenError(f"{name} is {value}, expected more than 0 and at most 1")
        if not self.tau > 0:
            raise MolgenError(f"tau is {self.tau}, expected more than 0")
        if self.by not in (PSI, QUALITY, RANDOM):
            raise MolgenError(f"by is {self.by!r}, expected {PSI}, {QUALITY} or {RANDOM}")

    @property
    def reads(self) -> str:
        """The score that the order depends on."""
        return self.by

    def choose(self, failed: Failed, u: Floats) -> Mask:
        """Return the first tokens in the order of each row; see `Retry`."""
        invalid = np.array([fate == Fate.INVALID for fate in failed.fate], dtype=bool)
        share = np.where(invalid, self.share, self.move)
        if self.rising:
            share = share * failed.failures
        count = np.ceil(share.clip(max=1) * failed.open.sum(1) - ROUNDING)
        score = -np.log(-np.log(u.clip(TINY)))
        if self.by != RANDOM:
            doubt = -np.log(failed.quality.clip(TINY)) / self.tau
            score = score + np.where(invalid[:, None], doubt, 0.0)
        score = np.where(failed.open, score, -np.inf)
        rank = np.argsort(np.argsort(-score, axis=1, kind="stable"), axis=1, kind="stable")
        return failed.open & (rank < count[:, None])


@dataclass(frozen=True)
class Adaptive:
    """Settings of adaptive sampling.

    Attributes:
        until: requirements on a row, out of ``"valid"``, ``"unique"`` (another canonical form than
            the other rows), ``"novel"`` (not in the training set) and ``"likely"`` (target
            probability of at least ``probability``); valid is always required.
        budget: forwards of a row, its first draw included. Every attempt is finished, so a row may
            exceed it by less than an attempt.
        retry: of failed rows.
        probability: minimum target probability of a likely row, in (0, 1).
    """

    until: tuple[str, ...] = REQUIREMENTS
    budget: int = 128
    retry: Retry = field(default_factory=Restart)
    probability: float = 0.5

    def __post_init__(self) -> None:
        """Check the parameters.

        Raises:
            MolgenError: if a requirement is unknown, the budget is not a whole number from 1 up,
                or the probability is out of range.
        """
        check_fields(self)
        allowed = *REQUIREMENTS, LIKELY
        if not self.until or not set(self.until) <= set(allowed):
            raise MolgenError(f"until is {self.until}, expected some of {', '.join(allowed)}")
        if not 0 < self.probability < 1:
            raise MolgenError(
                f"probability is {self.probability}, expected a number between 0 and 1"
            )
        if not isinstance(self.budget, int) or self.budget < 1:
            raise MolgenError(f"budget is {self.budget!r}, expected a whole number of at least 1")
