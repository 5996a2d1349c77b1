"""Tuning: the candidates, the score of a run, the rows drawn, and the winner."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import molgen
import tiny
from molgen.frontiers.halving import Rung
from molgen.frontiers.objective import Objective
from molgen.frontiers.plan import guided_targets, objective_for, settings_at
from molgen.frontiers.store import Record, Run, Store
from molgen.frontiers.sweep import draw
from molgen.frontiers.tune import (
    Progress,
    RunScore,
    Standing,
    Tune,
    leaderboard,
    preset,
    run_score,
    tune,
)
from molgen.frontiers.tune_draws import Draws
from molgen.frontiers.tune_space import FAMILIES, Candidate, candidates, families, retries
from molgen.guidance.kernels import Linear
from molgen.model import Model
from molgen.nn.denoiser import with_quality_head
from molgen.sampling.preset_file import check_sampling, read_preset, write_preset
from molgen.sampling.words import gamma

NOVELTY = {"strict": 2, "paper": 5}


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Model:
    return molgen.load(tiny_model)


@pytest.fixture(scope="module")
def with_quality(model: Model) -> Model:
    return dataclasses.replace(model, denoiser=with_quality_head(tiny.network()).eval())


def own(model: Model) -> Candidate:
    return Candidate.from_words(model.name, model.preset())


def request(model: Model, **changes: Any) -> Tune:
    objective = objective_for(model, "logp", "min", 18)
    given = Tune(objective, tuple(candidates(model, own(model), 6)), 5, (0, 1), budget=20.0)
    return dataclasses.replace(given, **changes)


@dataclasses.dataclass(frozen=True)
class Done:
    """A finished tune."""

    request: Tune
    folder: Path
    standings: list[Standing]
    calls: list[tuple[int, int, int]]


@pytest.fixture(scope="module")
def done(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Done:
    asked, folder = request(model), tmp_path_factory.mktemp("rungs")
    calls: list[tuple[int, int, int]] = []
    progress = Progress(rung=lambda rung, count, rows: calls.append((rung.number, count, rows)))
    return Done(asked, folder, tune(asked, model, folder, progress), calls)


def test_candidates_are_distinct_and_fewer_are_a_prefix_of_more(model: Model) -> None:
    many = candidates(model, own(model), 10_000)
    assert many[0] == own(model)
    assert len({c.method.label for c in many}) == len(set(many)) == len(many)
    assert len({str(c) for c in many}) == len(many)
    sizes = [math.prod(map(len, axes.values())) for axes in families(model).values()]
    assert len(many) == sum(sizes) + 1
    for count in (1, 2, 24):
        assert candidates(model, own(model), count) == many[:count]
    other = candidates(model, own(model), 24, seed=1)
    assert len(set(other) & set(many[:24])) < 12
    with pytest.raises(ValueError, match="candidates is 0, expected at least 1"):
        candidates(model, own(model), 0)


def test_families_take_turns(model: Model) -> None:
    assert list(families(model)) == list(FAMILIES)
    found = candidates(model, own(model), 1 + 5 * len(FAMILIES))[1:]
    methods = [candidate.method for candidate in found]
    names = ["order" if m.order != "none" else m.remask.partition(":")[0] for m in methods]
    assert pd.Series(names).value_counts().to_dict() == dict.fromkeys(FAMILIES, 5)


def test_rows_are_retried_only_on_request(model: Model) -> None:
    plain = candidates(model, own(model), 100)
    assert {c.method.adapt for c in plain} == {"none"}
    words = retries(20.0)
    assert {"restart:budget=20", "restart:budget=40"} < set(words)
    adaptive = candidates(model, own(model), 100, adapt=words)
    assert adaptive[0] == own(model)
    assert {c.method.adapt for c in adaptive[1:]} == set(words)
    for retry in words:
        candidate = next(c for c in adaptive if c.method.adapt == retry)
        adapt = candidate.settings(model, {}).adapt
        assert adapt is not None
        assert adapt.budget in (20, 40)


def test_every_candidate_can_be_drawn_and_written(model: Model, with_quality: Model) -> None:
    for network in (model, with_quality):
        for candidate in candidates(network, own(network), 10_000)[::9]:
            settings = candidate.settings(network, {})
            assert settings.steps == candidate.steps
            assert settings.shaping.temperature == candidate.temperature
            assert settings.gamma == gamma(str(candidate.gamma))
            check_sampling(candidate.words)
            assert Candidate.from_words(network.name, candidate.words) == candidate


def test_the_recommendation_of_the_model_is_a_candidate_once(tmp_path: Path) -> None:
    words = {"remask": "rescale:eta=0.1", "gamma": 2.0, "steps": 64, "weights": "uniform"}
    model = molgen.load(tiny.save(tmp_path / "m", sampling=words))
    many = candidates(model, own(model), 10_000)
    assert many.count(own(model)) == 1
    assert {key: own(model).words[key] for key in words} == words


def test_only_a_network_with_a_quality_head_uses_it(model: Model, with_quality: Model) -> None:
    def words(network: Model) -> set[str]:
        methods = [c.method for c in candidates(network, own(network), 10_000)]
        return {m.weights.partition(":")[0] for m in methods} | {m.corrector for m in methods}

    further = words(with_quality) - words(model)
    assert further == {"quality", "property", "likeliest:every=8,rounds=1"}
    every = candidates(with_quality, own(with_quality), 10_000)
    guided = [c for c in every if "gamma" in c.method.weights]
    assert guided
    assert all(c.gamma != 1.0 for c in guided)
    for candidate in {c.method.weights: c for c in guided}.values():  # the sampler accepts them
        settings = candidate.settings(with_quality, {})
        assert len(with_quality.draw(2, {"qed": "max"}, settings=settings).tokens) == 2


@pytest.mark.parametrize(("kind", "steps", "lines"), [("ar", 1, False), ("uniform", 3, True)])
def test_baselines_have_fewer_candidates(
    kind: str, steps: int, lines: bool, tmp_path: Path
) -> None:
    words: dict[str, object] = {"steps": 32}
    folder = "qm9-ar" if kind == "ar" else tiny.save(tmp_path / "m", sampling=words, noise=kind)
    baseline = molgen.load(folder)
    assert list(families(baseline)) == ["ancestral"]
    tried = candidates(baseline, own(baseline), 10_000)
    assert {c.method.remask for c in tried} == {"ancestral"}
    assert len({c.steps for c in tried}) == steps
    assert any(isinstance(c.gamma, str) for c in tried) == lines
    settings = dataclasses.replace(tried[1].settings(baseline, {}), steps=4)
    assert len(baseline.draw(1, {"qed": "max"}, settings=settings).tokens) == 1
    adaptive = candidates(baseline, own(baseline), 10_000, adapt=retries(8))[1:]
    assert {c.method.adapt for c in adaptive} == {"restart:budget=8", "restart:budget=16"}


def record(mean: float | None, nfe: float, n: int = 10, sign: int = 1) -> Record:
    conventions = {
        name: {"valid": 0.75, "unique": 0.5, "novel": novel, "property_mean": mean}
        for name, novel in NOVELTY.items()
    }
    figures = {"nfe": nfe - 4, "classifier_nfe": 4.0, "conventions": conventions}
    run = Run({"label": "a"}, 1.0, 8, 0)
    return Record(Objective("qed", "max", n, 0.5, sign), run, {}, figures)


@pytest.mark.parametrize(
    ("mean", "nfe", "sign", "convention", "area", "score"),
    [
        (0.75, 20, 1, "strict", 0.05, 0.05),
        (0.75, 20, 1, "paper", 0.125, 0.125),
        (0.75, 100, 1, "strict", 0.05, 0.05),
        (0.75, 400, 1, "strict", 0.05, 0.0125),
        (0.25, 20, 1, "strict", 0.0, 0.0),
        (0.25, 200, -1, "strict", 0.05, 0.025),
        (None, 20, 1, "strict", 0.0, 0.0),
    ],
)
def test_the_score_of_a_run(
    mean: float | None, nfe: float, sign: int, convention: str, area: float, score: float
) -> None:
    found = run_score(record(mean, nfe, sign=sign), convention, 100.0)
    assert found.area == pytest.approx(area)
    assert found.score == pytest.approx(score)
    assert (found.valid, found.novel, found.nfe) == (0.75, NOVELTY[convention] / 10, nfe)
    assert found.mean == pytest.approx(math.nan if mean is None else mean, nan_ok=True)


def test_a_rung_draws_only_the_rows_that_are_missing(model: Model, tmp_path: Path) -> None:
    objective = objective_for(model, "qed", "max", 30)
    drawn: list[int] = []
    draws = Draws(model, objective, tmp_path, {}, drawn.append)
    line = Candidate.from_words(model.name, {"gamma": "0..3", "steps": 9, "temperature": 0.9})
    for candidate in (own(model), line, candidates(model, own(model), 4)[2]):
        drawn.clear()
        assert draws.missing(candidate, 30, 5) == 30
        draws.record(candidate, 8, 5)
        assert draws.missing(candidate, 30, 5) == 22
        parts = draws.record(candidate, 30, 5)
        assert sum(drawn) == 30
        assert draws.missing(candidate, 30, 5) == 0
        settings = candidate.settings(model, {})
        samples = model.draw(30, guided_targets(objective, candidate.method), 5, settings=settings)
        table = draws.store(30).molecules(parts)
        whole = model.table(samples, ["qed"])
        shared = [name for name in whole if name in table]
        pd.testing.assert_frame_equal(table[shared], whole[shared], check_dtype=False)
        if isinstance(candidate.gamma, float):  # the same run in a sweep
            run = draws.planned(candidate, 30, 5)
            warm = {"temperature": candidate.temperature}
            settings = settings_at(model, candidate.method, run.run, **warm)
            alone, _ = draw(run, model, settings, lambda _: None)
            figures = {**alone.figures, "seconds_per_molecule": 0}
            assert figures == {**parts.figures, "seconds_per_molecule": 0}


def test_retried_rows_are_drawn_from_the_first(model: Model, tmp_path: Path) -> None:
    """They depend on the rows before them."""
    objective = objective_for(model, "logp", "min", 20)
    words = {"steps": 8, "adapt": "restart:budget=12"}
    candidate = Candidate.from_words(model.name, words)
    draws = Draws(model, objective, tmp_path, {})
    draws.record(candidate, 10, 0)
    assert draws.missing(candidate, 10, 0) == 0
    assert draws.missing(candidate, 20, 0) == 20
    found = draws.store(20).molecules(draws.record(candidate, 20, 0))
    settings = candidate.settings(model, {})
    whole = model.table(model.draw(20, {"logp": "min"}, 0, settings=settings), ["logp"])
    assert found["raw"].tolist() == whole["raw"].tolist()
    assert found["novel"].tolist() == whole["novel"].tolist()


def test_a_linear_strength_is_a_run_of_its_own(model: Model, tmp_path: Path) -> None:
    draws = Draws(model, objective_for(model, "qed", "max", 5), tmp_path, {})
    line, level = (Candidate.from_words("m", {"gamma": g, "steps": 8}) for g in ("1..3", 2.0))
    assert line.settings(model, {}).gamma == Linear(1, 3)
    a, b = (draws.planned(candidate, 5, 0) for candidate in (line, level))
    assert (a.run.gamma, a.origin["gamma"]) == (2.0, "1..3")
    assert "gamma" not in b.origin
    assert a.name != b.name
    draws.record(line, 5, 0)
    assert draws.missing(line, 5, 0) == 0
    assert draws.missing(level, 5, 0) == 5


def test_the_winner_is_at_least_as_good_as_the_recommendation(model: Model, done: Done) -> None:
    standings, present = done.standings, done.request.candidates[0]
    assert len(standings) == 6
    assert {s.candidate for s in standings} == set(done.request.candidates)
    finals = [s for s in standings if s.rung.final]
    assert present in [s.candidate for s in finals]
    assert {(s.rung, s.seeds) for s in finals} == {(Rung(2, 2, 18, True), (0, 1))}
    assert len(finals) in (2, 3)
    assert standings[0].score == max(s.score for s in finals) > 0
    for standing in finals:  # recomputed from the network
        settings = standing.candidate.settings(model, {})
        scores = []
        for seed in (0, 1):
            table = model.table(model.draw(18, {"logp": "min"}, seed, settings=settings), ["logp"])
            novel = table[table["novel"]]
            gain = model.prior.mean["logp"] - novel["logp"].mean()
            scores.append(len(novel) / 18 * max(0, gain) * min(1, 20 / table["nfe"].mean()))
        assert standing.scores == pytest.approx(scores)
        assert standing.score == pytest.approx(np.mean(scores))


def test_each_rung_is_a_folder_of_a_sweep(done: Done) -> None:
    final = len([s for s in done.standings if s.rung.final])
    assert done.calls == [(1, 6, 6 * 5), (2, final, final * (18 - 5 + 18))]
    assert sorted(path.name for path in done.folder.iterdir()) == ["18", "5"]
    assert len(Store(done.folder / "5").records()) == 6
    assert len(Store(done.folder / "18").records()) == final * 2


def test_a_tune_continues_after_an_interruption(model: Model, done: Done, tmp_path: Path) -> None:
    seen: list[object] = []

    def interrupted(standings: object) -> None:
        seen.append(standings)
        if len(seen) == 7:  # in the last rung
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(done.request, model, tmp_path, Progress(standings=interrupted))
    finished = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.json")}
    assert len(finished) == 6 + 2
    rows: list[int] = []
    assert tune(done.request, model, tmp_path, Progress(rows=rows.append)) == done.standings
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in finished.items())
    final = len([s for s in done.standings if s.rung.final])
    assert sum(rows) == (final - 1) * (18 - 5 + 18)
    rows.clear()
    assert tune(done.request, model, tmp_path, Progress(rows=rows.append)) == done.standings
    assert not rows, "a finished tune draws nothing"
    more = dataclasses.replace(
        done.request, objective=dataclasses.replace(done.request.objective, n=20)
    )
    tune(more, model, tmp_path, Progress(rows=rows.append))
    assert sum(rows) == final * 2 * 2, "rows of a shorter run are used, too"


def test_the_leaderboard_and_the_preset(model: Model, done: Done, tmp_path: Path) -> None:
    board = leaderboard(done.request, done.standings)
    assert board["candidate"].tolist() == [s.candidate.method.label for s in done.standings]
    assert board["own"].sum() == 1
    assert board["score_sd"].notna().tolist() == [s.rung.final for s in done.standings]
    mixed = leaderboard(
        done.request, sorted(done.standings, key=lambda s: s.candidate.method.label)
    )
    assert mixed["score"].tolist() == board["score"].tolist()
    found = preset(done.request, model, done.standings)
    write_preset(tmp_path / "p.json", found)
    assert read_preset(tmp_path / "p.json") == found
    assert (found["model"], found["target"]) == (model.name, "logp=min")
    top = board.iloc[0]
    measured = {"n": 18, "seeds": "0,1", "convention": "strict", "budget": 20.0}
    measured |= {name: top[name] for name in ("valid", "novel", "mean", "nfe", "score")}
    measured |= {"sd": top["score_sd"], "own_score": board.loc[board["own"], "score"].item()}
    assert found["measured"] == pytest.approx(measured)
    alone = [
        dataclasses.replace(s, seeds=s.seeds[:1], run_scores=s.run_scores[:1])
        for s in done.standings
    ]
    assert "sd" not in preset(done.request, model, alone)["measured"]


def test_a_preset_says_how_it_was_drawn(model: Model, done: Done, tmp_path: Path) -> None:
    """Its words put on top of any recommendation give the very rows it was measured on."""
    words = preset(done.request, model, done.standings)["sampling"]
    other = {"remask": "cap:eta=0.3", "weights": "confidence", "gamma": 5.0, "steps": 7}
    info = {**model.info, "sampling": {**other, **words}}
    elsewhere = dataclasses.replace(model, info=info)
    found = [elsewhere.sample(18, {"logp": "min"}, seed).table for seed in (0, 1)]
    best = done.standings[0]
    assert np.mean([t["novel"].mean() for t in found]) == pytest.approx(best.mean("novel"))
    assert np.mean([t["nfe"].mean() for t in found]) == pytest.approx(best.mean("nfe"))
    means = [t.loc[t["novel"], "logp"].mean() for t in found]
    assert np.mean(means) == pytest.approx(best.mean("mean"))


def test_a_mean_leaves_seeds_without_novel_molecules_out(model: Model) -> None:
    asked = request(model)
    rung = asked.rungs[-1]
    run_scores = tuple(RunScore(1.0, 0.0, mean, 1.0, 0.0, 0.0) for mean in (math.nan, 0.5, 0.7))
    standing = Standing(own(model), rung, (0, 1, 2), run_scores)
    assert standing.mean("mean") == pytest.approx(0.6)
    nothing = Standing(own(model), rung, (0,), run_scores[:1])
    assert math.isnan(nothing.mean("mean"))
    assert "mean" not in preset(asked, model, [nothing])["measured"]


def test_requests_refused_before_drawing(model: Model, tmp_path: Path) -> None:
    for changes, message in (
        ({"budget": 0.0}, "budget is 0.0, expected forwards above 0"),
        ({"budget": math.nan}, "budget is nan"),
        ({"budget": math.inf}, "budget is inf"),
        ({"convention": "loose"}, "convention is 'loose', expected strict or paper"),
        ({"seeds": ()}, "candidates or seeds are empty"),
    ):
        with pytest.raises(ValueError, match=message):
            request(model, **changes)  # type: ignore[arg-type]
    bare = dataclasses.replace(model, training_index=None)
    with pytest.raises(ValueError, match="no training-set index"):
        tune(request(model), bare, tmp_path / "out")
    short = Candidate.from_words(model.name, {"remask": "loop", "steps": 2})
    with pytest.raises(ValueError, match="loop needs at least 3 steps"):
        tune(request(model, candidates=(own(model), short)), model, tmp_path / "out")
    assert not list(tmp_path.iterdir())
