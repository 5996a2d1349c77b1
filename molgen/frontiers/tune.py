"""Tuning: the best method and settings for a target, by successive halving.

    area  = novel fraction x max(0, gain of the mean over exactly the novel rows)
    score = area x min(1, budget / NFE)

The area is the hypervolume of a frontier of one point, from (0 novel, data mean); see
:mod:`molgen.frontiers.frontier`. Forwards up to the budget are free, and beyond it the area is
counted per forward: NFE is the mean over rows, those of classifiers included.

Candidates (:mod:`molgen.frontiers.tune_space`) are compared in the rungs of
:mod:`molgen.frontiers.halving`. The model's present recommendation takes part in all rungs, so the
winner is at least as good *on the rows it was selected by*. Its score on those rows is biased
upwards by the selection.

All draws are stored (:mod:`molgen.frontiers.tune_draws`), so an interrupted tune can be continued.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from molgen.errors import MolgenError
from molgen.frontiers.frontier import spread
from molgen.frontiers.halving import Rung, ladder, successive
from molgen.frontiers.objective import Objective
from molgen.frontiers.plan import guided_targets
from molgen.frontiers.store import Record
from molgen.frontiers.tune_draws import Draws
from molgen.frontiers.tune_space import Candidate
from molgen.molecules.conventions import PAPER, STRICT
from molgen.utils.locks import locked

if TYPE_CHECKING:
    import pandas as pd

    from molgen.model import Model


@dataclass(frozen=True)
class Tune:
    """A request to tune.

    Attributes:
        objective: property, target, rows at the last rung.
        candidates: to select from; the first one takes part in every rung.
        start: rows of each at the first rung.
        seeds: of the draws; the last rung has all of them, the others the first.
        budget: forwards a row that are free.
        convention: of novelty, ``strict`` or ``paper``.
        speed: settings that change nothing but speed, and the number format.
    """

    objective: Objective
    candidates: tuple[Candidate, ...]
    start: int = 64
    seeds: tuple[int, ...] = (0,)
    budget: float = 128.0
    convention: str = "strict"
    speed: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check budget, convention and axes.

        Raises:
            MolgenError: naming the value out of range.
        """
        if not 0 < self.budget < math.inf:
            raise MolgenError(f"budget is {self.budget}, expected forwards above 0")
        if self.convention not in (STRICT.name, PAPER.name):
            raise MolgenError(f"convention is {self.convention!r}, expected strict or paper")
        if not self.candidates or not self.seeds:
            raise MolgenError("candidates or seeds are empty, expected at least one of each")

    @property
    def rungs(self) -> list[Rung]:
        """From the first to the last."""
        return ladder(len(self.candidates), self.start, self.objective.n)


@dataclass(frozen=True)
class RunScore:
    """The score of a run, with its parts: fractions of rows, and the mean over the novel ones."""

    valid: float
    novel: float
    mean: float
    nfe: float
    area: float
    score: float


@dataclass(frozen=True)
class Standing:
    """A candidate's scores at the highest rung it reached, one for each seed."""

    candidate: Candidate
    rung: Rung
    seeds: tuple[int, ...]
    run_scores: tuple[RunScore, ...]

    def mean(self, name: str) -> float:
        """Return the mean of a figure over seeds; NaN where no seed has one."""
        values = [value for run in self.run_scores if (value := getattr(run, name)) == value]
        return float(np.mean(values)) if values else math.nan

    @property
    def score(self) -> float:
        """Mean over seeds."""
        return self.mean("score")

    @property
    def scores(self) -> list[float]:
        """One for each seed."""
        return [run.score for run in self.run_scores]


@dataclass(frozen=True)
class Progress:
    """Callbacks during a tune; each is optional."""

    rung: Callable[[Rung, int, int], None] = lambda rung, candidates, rows: None
    """Called at each rung with the number of its candidates and of rows to draw."""
    rows: Callable[[int], None] = lambda count: None
    """Called with the number of rows that have just ended."""
    standings: Callable[[Sequence[Standing]], None] = lambda standings: None
    """Called after each candidate with all standings so far, unordered."""


def run_score(record: Record, convention: str, budget: float) -> RunScore:
    """Return the score of a run."""
    figures, objective = record.figures, record.objective
    counted = figures["conventions"][convention]
    mean = counted["property_mean"]
    novel, gain = counted["novel"] / objective.n, objective.gain(mean)
    nfe = figures["nfe"] + figures["classifier_nfe"]
    area = novel * gain if gain > 0 else 0.0  # nothing novel: no gain, which is NaN
    score = area * min(1.0, budget / nfe) if nfe else area
    return RunScore(counted["valid"], novel, math.nan if mean is None else mean, nfe, area, score)


def tune(
    request: Tune, model: Model, folder: str | Path, progress: Progress | None = None
) -> list[Standing]:
    """Return every candidate's standing, the best first.

    Args:
        request: objective, candidates, rows and budget.
        model: of the candidates.
        folder: of the draws; made if it is missing.
        progress: callbacks.

    Raises:
        MolgenError: if a candidate does not fit the model or the target; nothing has been drawn
            then. Also if another run writes to the folder.
        OSError: if a run cannot be stored.
    """
    progress = progress or Progress()
    check(request, model)
    with locked(folder):
        return _tune(request, model, Path(folder), progress)


def _tune(request: Tune, model: Model, folder: Path, progress: Progress) -> list[Standing]:
    """Return every candidate's standing, the best first."""
    draws = Draws(model, request.objective, folder, request.speed, progress.rows)
    standings: dict[Candidate, Standing] = {}

    def scores(chosen: Sequence[Candidate], rung: Rung) -> list[float]:
        seeds = request.seeds if rung.final else request.seeds[:1]
        runs = [(candidate, rung.rows, seed) for candidate in chosen for seed in seeds]
        progress.rung(rung, len(chosen), sum(draws.missing(*run) for run in runs))
        for candidate in chosen:
            records = [draws.record(candidate, rung.rows, seed) for seed in seeds]
            scored = tuple(run_score(r, request.convention, request.budget) for r in records)
            standings[candidate] = Standing(candidate, rung, seeds, scored)
            progress.standings(list(standings.values()))
        return [standings[candidate].score for candidate in chosen]

    order = successive(request.candidates, request.rungs, scores, always=1)
    return [standings[candidate] for candidate in order]


def check(request: Tune, model: Model) -> None:
    """Check all candidates before anything is drawn.

    Raises:
        MolgenError: naming the first that does not fit the model or the target.
    """
    if model.training_index is None:
        raise MolgenError(f"model {model.name} has no training-set index, which novelty needs")
    for candidate in request.candidates:
        settings = candidate.settings(model, request.speed)
        model.check(guided_targets(request.objective, candidate.method), settings)


def leaderboard(request: Tune, standings: Sequence[Standing]) -> pd.DataFrame:
    """Return standings as a table, the best first.

    Returns:
        Columns ``candidate`` (its label), ``own`` (whether it is the model's present
        recommendation), ``rung``, ``n``, ``seeds``; ``score`` and ``score_sd`` over seeds;
        ``area``, ``valid``, ``novel`` (fractions of rows), ``mean`` (of the property over the novel
        rows) and ``nfe``, means over seeds; then the words of a preset.
    """
    import pandas as pd

    ranked = sorted(standings, key=lambda s: (-s.rung.number, -s.score))
    rows = []
    for standing in ranked:
        candidate = standing.candidate
        row: dict[str, Any] = {
            "candidate": candidate.method.label,
            "own": candidate == request.candidates[0],
            "rung": standing.rung.number,
            "n": standing.rung.rows,
            "seeds": len(standing.seeds),
            "score": standing.score,
            "score_sd": spread(standing.scores),
        }
        row |= {name: standing.mean(name) for name in ("area", "valid", "novel", "mean", "nfe")}
        rows.append({**row, **candidate.words})
    return pd.DataFrame(rows)


def preset(request: Tune, model: Model, standings: Sequence[Standing]) -> dict[str, Any]:
    """Return the best candidate as a preset; see :mod:`molgen.sampling.preset_file`.

    Args:
        request: of the tune.
        model: of the candidates.
        standings: of :func:`tune`.
    """
    from molgen.version import __version__

    best = standings[0]
    own = next(s for s in standings if s.candidate == request.candidates[0])
    measured: dict[str, Any] = {
        "n": best.rung.rows,
        "seeds": ",".join(map(str, best.seeds)),
        "convention": request.convention,
        **{name: best.mean(name) for name in ("valid", "novel", "mean", "nfe", "score")},
        "sd": spread(best.scores),
        "own_score": own.score,
        "budget": request.budget,
    }
    return {
        "format": 1,
        "model": model.name,
        "target": f"{request.objective.property}={request.objective.target}",
        "sampling": best.candidate.words,
        "measured": {k: v for k, v in measured.items() if v == v},  # a single seed has no spread
        "molgen": __version__,
    }
