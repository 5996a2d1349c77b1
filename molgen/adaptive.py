"""Adaptive compute: a row that failed goes on, up to a budget of forwards.

    draw -> judge -> it passes, or its budget is spent: done
     ^        |
     +--------+  it fails: tokens go back to the mask (`molgen.retry`)

A row fails if it is no molecule, does not keep its constraint, is a known one, or one that another
row is already; it may be parsed and looked up, but no property is computed. It also fails, where
that is asked for, if the model's guide, which has learned properties from data, finds it unlikely
to meet its targets (:mod:`molgen.guidance.target_probability`). All rows that failed
are tried again together, in rounds of one call of a sampler each. Every forward of every try
counts, and no row is dropped: one whose budget ends as a failure stays, in the best state it was
in (:mod:`molgen.adaptive_rows`).

A try depends on the seed, the round and the row, so a row is the same in any company - but for the
demand to be *unique*, which makes rows depend on each other by its nature. Of two rows that are the
same molecule the one of lower index keeps it, whichever came first, and the other goes on. A row
thus depends on the rows before it and on none behind: fewer rows are a prefix of more.

Each `Retry` is a way to spend the budget; `Restart` is the control.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, cast

import numpy as np

from molgen.adaptive_rows import AdaptiveRows, AdaptiveSamples, Condition, Redraw
from molgen.guidance.target_probability import odds
from molgen.retry import Judge, Keeps, MoleculeJudge, Restart, Retry
from molgen.rows import Given, OnDone, RowSampler
from molgen.utils import randomness
from molgen.utils.arrays import Ids

if TYPE_CHECKING:
    from molgen.model import Model
    from molgen.samplers import AnySampler
    from molgen.settings import Settings
    from molgen.targets import Target

DEMANDS = ("valid", "unique", "novel")
LIKELY = "likely"


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
        odds: probability, in (0, 1), that makes a row likely.
    """

    until: tuple[str, ...] = DEMANDS
    budget: int = 128
    retry: Retry = field(default_factory=Restart)
    odds: float = 0.5

    def __post_init__(self) -> None:
        """Check the numbers and words.

        Raises:
            ValueError: if a demand is not known, the budget no whole number of at least 1, or the
                odds no probability.
        """
        known = *DEMANDS, LIKELY
        if not self.until or not set(self.until) <= set(known):
            raise ValueError(f"until is {self.until}, expected some of {', '.join(known)}")
        if not 0 < self.odds < 1:
            raise ValueError(f"odds is {self.odds}, expected a number between 0 and 1")
        if not isinstance(self.budget, int) or self.budget < 1:
            raise ValueError(f"budget is {self.budget!r}, expected a whole number of at least 1")


def adaptive_sampler(
    model: Model,
    inner: AnySampler,
    settings: Settings,
    targets: Mapping[str, Target],
    redraw: Redraw | None = None,
    keeps: Keeps | None = None,
) -> AdaptiveSampler:
    """Return a sampler of a model's molecules; see `AdaptiveSampler`.

    Args:
        model: the model.
        inner: draws the tries.
        settings: how rows go on, which must be said there, and where a guide runs.
        targets: what rows are to be likely to meet.
        redraw: lengths and conditions of a restart.
        keeps: says whether rows keep their constraints; one that does not fails.

    Raises:
        ValueError: if rows are to be novel and the model does not tell what is known, or likely
            and there is nothing to meet, or no guide that tells it.
    """
    adapt = settings.adapt
    if adapt is None:
        raise ValueError("adapt is None, expected how rows go on")
    asked = "+".join(adapt.until)
    known = model.known if "novel" in adapt.until else None
    if "novel" in adapt.until and known is None:
        raise ValueError(
            f"until is {asked}, but model {model.name!r} has no index of known "
            "molecules, so novelty is unknown"
        )
    says = None
    if LIKELY in adapt.until:
        if not targets:
            raise ValueError(f"until is {asked}, but no target is given that a row may be to meet")
        says = odds(model, settings, targets)
    judge = MoleculeJudge(model.tokenizer, known, keeps, says, adapt.odds)
    denoiser = model.denoiser
    ids = denoiser.mask_id, denoiser.pad_id, denoiser.max_length
    return AdaptiveSampler(inner, adapt, judge, *ids, redraw)


@dataclass(frozen=True)
class AdaptiveSampler:
    """Wraps a sampler; the first draw of every row is that sampler's own.

    Attributes:
        inner: draws the tries. One that takes no rows given in part (autoregressive, or of uniform
            noise) can only start again; a row then depends on how many before it failed.
        settings: how rows go on.
        judge: says what is wrong with rows.
        mask_id: of the network.
        pad_id: of the network.
        max_length: of the network.
        redraw: lengths and conditions of a restart; None to keep those of the first draw. An
            unlucky length is part of an unlucky draw.
    """

    inner: AnySampler
    settings: Adaptive
    judge: Judge
    mask_id: int
    pad_id: int
    max_length: int
    redraw: Redraw | None = None

    def __post_init__(self) -> None:
        """Check that the inner sampler can do what the retry asks for.

        Raises:
            ValueError: if it cannot.
        """
        if not self.takes_parts and not isinstance(self.settings.retry, Restart):
            raise ValueError(
                "the sampler takes no rows given in part (the network writes from left to right, "
                "or nothing is masked under its noise): expected a restart"
            )

    def around(self, inner: AnySampler, keeps: Keeps) -> AdaptiveSampler:
        """Return the same around another sampler, for rows under other constraints."""
        judge = replace(cast(MoleculeJudge, self.judge), keeps=keeps)
        return replace(self, inner=inner, judge=judge)

    @property
    def takes_parts(self) -> bool:
        """Whether rows may be given to the inner sampler in part."""
        return isinstance(self.inner, RowSampler) and self.inner.plan_masks

    def run(
        self,
        lengths: Ids,
        condition: Condition = None,
        seed: int = 0,
        first: int = 0,
        record: bool = False,
        on_done: OnDone | None = None,
        given: Given | None = None,
    ) -> AdaptiveSamples:
        """Draw one row for each length; see :meth:`molgen.rows.RowSampler.run`.

        Args:
            lengths: tokens of each row in its first draw, shape (molecules,).
            condition: property values with shape (molecules, properties), NaN where left out.
            seed: of the draw.
            first: index of the first row, to go on from an earlier call; rows are unique within a
                call.
            record: refused.
            on_done: told of rows once nothing can change them any more.
            given: what rows start from, and start again from, at the same lengths.

        Raises:
            ValueError: if events are to be recorded, or the inner sampler refuses.
        """
        if record:
            raise ValueError("record is True, but rows that are drawn again keep no trajectory")
        own = None if condition is None else condition.copy()
        run = AdaptiveRows(self, lengths.copy(), own, seed, first, given)
        going, round = np.arange(len(lengths)), 0
        while len(going):
            run.take(going, run.first_draw() if round == 0 else run.again(going, fork(seed, round)))
            if on_done:
                run.tell(on_done)
            going, round = run.going(), round + 1
        return run.samples(np.arange(len(lengths)), run.longest())


def fork(seed: int, round: int) -> int:
    """Return the seed of a round: another for each, which no other use of the seed shares."""
    return int(randomness.uniform(seed, randomness.SHUFFLE, round) * 2**53)
