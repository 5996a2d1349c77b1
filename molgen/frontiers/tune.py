"""Tuning: which way of sampling gives most for a target, by successive halving.

    area  = novel fraction x max(0, gain of the mean over exactly the novel rows)
    score = area x min(1, budget / NFE)

The area is the hypervolume of a frontier of one point, from (0 novel, data mean); see
:mod:`molgen.frontiers.frontier`. Forwards up to the budget are free, and beyond it the area is
counted per forward: NFE is the mean over rows, those of classifiers included.

Candidates (:mod:`molgen.frontiers.tune_space`) climb the rungs of :mod:`molgen.frontiers.halving`,
the model's present recommendation all of them, so what wins is at least as good as that *on the
rows it was chosen by*. Those rows flatter the winner a little: it was picked because it did well on
them.

All that is drawn is kept (:mod:`molgen.frontiers.tune_draws`), so a tune that was interrupted goes
on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from molgen.frontiers.frontier import spread
from molgen.frontiers.halving import Rung, ladder, successive
from molgen.frontiers.plan import guided_targets
from molgen.frontiers.store import Record
from molgen.frontiers.task import Task
from molgen.frontiers.tune_draws import Draws
from molgen.frontiers.tune_space import Candidate
from molgen.molecules.conventions import PAPER, STRICT

if TYPE_CHECKING:
    import pandas as pd

    from molgen.model import Model


@dataclass(frozen=True)
class Tune:
    """What is asked.

    Attributes:
        task: property, target, rows at the last rung.
        candidates: to choose from; the first one takes part in every rung.
        start: rows of each at the first rung.
        seeds: of the draws; the last rung has all of them, the others the first.
        budget: forwards a row that are free.
        convention: what counts as novel, ``strict`` or ``paper``.
        speed: settings that change nothing but speed, and the number format.
    """

    task: Task
    candidates: tuple[Candidate, ...]
    start: int = 64
    seeds: tuple[int, ...] = (0,)
    budget: float = 128.0
    convention: str = "strict"
    speed: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check what no later object checks.

        Raises:
            ValueError: naming what is out of range.
        """
        if not 0 < self.budget < math.inf:
            raise ValueError(f"budget is {self.budget}, expected forwards above 0")
        if self.convention not in (STRICT.name, PAPER.name):
            raise ValueError(f"convention is {self.convention!r}, expected strict or paper")
        if not self.candidates or not self.seeds:
            raise ValueError("candidates or seeds are empty, expected at least one of each")

    @property
    def rungs(self) -> list[Rung]:
        """From the first to the last."""
        return ladder(len(self.candidates), self.start, self.task.n)


@dataclass(frozen=True)
class Merit:
    """What a draw is worth: fractions of its rows, the mean over the novel ones, and the score."""

    valid: float
    novel: float
    mean: float
    nfe: float
    area: float
    score: float


@dataclass(frozen=True)
class Standing:
    """How a candidate did at the highest rung it reached, one merit for each seed."""

    candidate: Candidate
    rung: Rung
    seeds: tuple[int, ...]
    merits: tuple[Merit, ...]

    def mean(self, name: str) -> float:
        """Return the mean of a figure over seeds; NaN where no seed has one."""
        values = [value for merit in self.merits if (value := getattr(merit, name)) == value]
        return float(np.mean(values)) if values else math.nan

    @property
    def score(self) -> float:
        """Mean over seeds."""
        return self.mean("score")

    @property
    def scores(self) -> list[float]:
        """One for each seed."""
        return [merit.score for merit in self.merits]


@dataclass(frozen=True)
class Progress:
    """What a tune tells while it works; every part may be left out."""

    rung: Callable[[Rung, int, int], None] = lambda rung, candidates, rows: None
    """Called at each rung with the number of its candidates and the rows that are to be drawn."""
    rows: Callable[[int], None] = lambda count: None
    """Called with the number of rows that have just ended."""
    standings: Callable[[Sequence[Standing]], None] = lambda standings: None
    """Called after each candidate with all standings so far, in no order."""


def merit(record: Record, convention: str, budget: float) -> Merit:
    """Return what the figures of a point are worth."""
    figures, task = record.figures, record.task
    counted = figures["conventions"][convention]
    mean = counted["property_mean"]
    novel, gain = counted["novel"] / task.n, task.gain(mean)
    nfe = figures["nfe"] + figures["classifier_nfe"]
    area = novel * gain if gain > 0 else 0.0  # nothing novel: no gain, which is NaN
    score = area * min(1.0, budget / nfe) if nfe else area
    return Merit(counted["valid"], novel, math.nan if mean is None else mean, nfe, area, score)


def tune(
    asked: Tune, model: Model, folder: str | Path, progress: Progress | None = None
) -> list[Standing]:
    """Return every candidate's standing, the best first.

    Args:
        asked: what to look for.
        model: the candidates'.
        folder: of what is drawn; made if it is missing.
        progress: told as the work goes on.

    Raises:
        ValueError: if a candidate does not go with the model or the target; nothing has been drawn
            then.
        OSError: if a point cannot be stored.
    """
    progress = progress or Progress()
    check(asked, model)
    draws = Draws(model, asked.task, Path(folder), asked.speed, progress.rows)
    standings: dict[Candidate, Standing] = {}

    def scores(chosen: Sequence[Candidate], rung: Rung) -> list[float]:
        seeds = asked.seeds if rung.final else asked.seeds[:1]
        points = [(candidate, rung.rows, seed) for candidate in chosen for seed in seeds]
        progress.rung(rung, len(chosen), sum(draws.missing(*point) for point in points))
        for candidate in chosen:
            records = [draws.record(candidate, rung.rows, seed) for seed in seeds]
            merits = tuple(merit(record, asked.convention, asked.budget) for record in records)
            standings[candidate] = Standing(candidate, rung, seeds, merits)
            progress.standings(list(standings.values()))
        return [standings[candidate].score for candidate in chosen]

    order = successive(asked.candidates, asked.rungs, scores, always=1)
    return [standings[candidate] for candidate in order]


def check(asked: Tune, model: Model) -> None:
    """Check all candidates before anything is drawn.

    Raises:
        ValueError: naming the first that does not go with the model or the target.
    """
    if model.training_index is None:
        raise ValueError(
            f"model {model.name} has no index of known molecules, so nothing can be called novel"
        )
    for candidate in asked.candidates:
        settings = candidate.settings(model, asked.speed)
        model.check(guided_targets(asked.task, candidate.arm), settings)


def leaderboard(asked: Tune, standings: Sequence[Standing]) -> pd.DataFrame:
    """Return standings as a table, the best first.

    Returns:
        Columns ``candidate`` (its label), ``own`` (what the model recommends now), ``rung``,
        ``n``, ``seeds``; ``score`` and ``score_sd`` over seeds; ``area``, ``valid``, ``novel``
        (fractions of rows), ``mean`` (of the property over the novel rows) and ``nfe``, means
        over seeds; then the words of a preset.
    """
    import pandas as pd

    ranked = sorted(standings, key=lambda s: (-s.rung.number, -s.score))
    rows = []
    for standing in ranked:
        candidate = standing.candidate
        row: dict[str, Any] = {
            "candidate": candidate.arm.label,
            "own": candidate == asked.candidates[0],
            "rung": standing.rung.number,
            "n": standing.rung.rows,
            "seeds": len(standing.seeds),
            "score": standing.score,
            "score_sd": spread(standing.scores),
        }
        row |= {name: standing.mean(name) for name in ("area", "valid", "novel", "mean", "nfe")}
        rows.append({**row, **candidate.words})
    return pd.DataFrame(rows)


def preset(asked: Tune, model: Model, standings: Sequence[Standing]) -> dict[str, Any]:
    """Return the best candidate as a preset; see :mod:`molgen.sampling.preset_file`.

    Args:
        asked: what was looked for.
        model: the candidates'.
        standings: of :func:`tune`.
    """
    from molgen.version import __version__

    best = standings[0]
    own = next(s for s in standings if s.candidate == asked.candidates[0])
    measured: dict[str, Any] = {
        "n": best.rung.rows,
        "seeds": ",".join(map(str, best.seeds)),
        "convention": asked.convention,
        **{name: best.mean(name) for name in ("valid", "novel", "mean", "nfe", "score")},
        "sd": spread(best.scores),
        "own_score": own.score,
        "budget": asked.budget,
    }
    return {
        "format": 1,
        "model": model.name,
        "target": f"{asked.task.property}={asked.task.target}",
        "sampling": best.candidate.words,
        "measured": {k: v for k, v in measured.items() if v == v},  # one seed has no spread
        "molgen": __version__,
    }
