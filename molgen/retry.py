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

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from molgen.diffusion.token_weights import PSI, QUALITY
from molgen.molecules.parsing import interpret_all
from molgen.utils.arrays import Floats, Ids, Mask

if TYPE_CHECKING:
    from molgen.data.tokenizer import Tokenizer
    from molgen.guidance.target_probability import Odds
    from molgen.molecules.training_index import KnownMolecules

INVALID, BROKEN, KNOWN, DUPLICATE = "invalid", "broken", "known", "duplicate"
UNLIKELY = "unlikely"
RANDOM = "random"
TINY, ROUNDING = np.finfo(np.float64).tiny, 1e-9


@dataclass(frozen=True)
class Verdict:
    """What is said of a row by itself.

    Attributes:
        key: what makes it the same as another: canonical SMILES, empty if it is no molecule.
        reason: why it fails: ``"invalid"``, ``"broken"`` (it does not keep its constraint),
            ``"known"``, or another word for a new molecule that will not do; empty if it passes.
        log_odds: log-probability to meet what is asked for, where a guide was asked, else 0.
        classifier_forwards: of the guide.
    """

    key: str
    reason: str = ""
    log_odds: float = 0.0
    classifier_forwards: int = 0


Judge = Callable[[Ids, Ids], Sequence[Verdict]]
"""From tokens with shape (rows, longest), and the index that each row has in its call, to a verdict
a row, each on its own."""
Keeps = Callable[[int, str], bool]
"""Whether a row, by its index in the call, keeps its constraint as this molecule."""


@dataclass(frozen=True)
class MoleculeJudge:
    """Parses rows and looks them up.

    Attributes:
        tokenizer: of the model.
        known: what counts as known; None to let known molecules pass.
        keeps: whether rows keep their constraints; None where there are none.
        odds: what a guide says of rows that pass otherwise; None if nobody asks.
        least: probability that a row must have by it.
    """

    tokenizer: Tokenizer
    known: KnownMolecules | None = None
    keeps: Keeps | None = None
    odds: Odds | None = None
    least: float = 0.5

    def __call__(self, tokens: Ids, rows: Ids) -> list[Verdict]:
        """Return a verdict a row; see `Judge`."""
        texts = [self.tokenizer.decode(row) for row in tokens]
        smiles = [m.smiles for m in interpret_all([self.tokenizer.smiles(text) for text in texts])]
        known = np.zeros(len(smiles), bool) if self.known is None else self.known.contains(smiles)
        verdicts = [
            Verdict(text, self._reason(int(row), text, bool(old)))
            for row, text, old in zip(rows, smiles, known, strict=True)
        ]
        passing = [i for i, verdict in enumerate(verdicts) if not verdict.reason]
        if self.odds is None or not passing:
            return verdicts
        for i, log_odds in zip(passing, self.odds(tokens[passing]).tolist(), strict=True):
            reason = "" if log_odds >= math.log(self.least) else UNLIKELY
            verdicts[i] = Verdict(smiles[i], reason, log_odds, 1)
        return verdicts

    def _reason(self, row: int, smiles: str, known: bool) -> str:
        if not smiles:
            return INVALID
        if self.keeps is not None and not self.keeps(row, smiles):
            return BROKEN
        return KNOWN if known else ""


@dataclass(frozen=True)
class Failed:
    """Rows that are to be tried again.

    Attributes:
        open: tokens that may go back, shape (rows, longest): not padding, nor fixed.
        trust: how probable each token is to be right, same shape; ones where nobody knows.
        reason: why each row failed, one a row.
        tries: how often each has failed since it was last drawn as a whole, shape (rows,).
    """

    open: Mask
    trust: Floats
    reason: Sequence[str]
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
        invalid = np.array([reason == INVALID for reason in failed.reason], dtype=bool)
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
