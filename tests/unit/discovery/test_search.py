"""Searches: results, counts and budgets of all methods, and the moves of Metropolis."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import chains
import tiny
from asking import request
from molgen.diffusion import plan
from molgen.discovery.best_of import BestOf
from molgen.discovery.counts import SearchCounts
from molgen.discovery.metropolis import Metropolis, accepted
from molgen.discovery.moves import masked, resized
from molgen.discovery.objectives import WeightedSum, read_objectives
from molgen.discovery.search import search
from molgen.discovery.search_state import Method, Search
from molgen.discovery.smc import SequentialMonteCarlo
from molgen.guidance.predictor import Prediction
from molgen.model import Model
from molgen.molecules.filters import Filters
from molgen.molecules.training_index import TrainingIndex
from molgen.sampling.event_sampler import Sampler
from molgen.sampling.result import Result
from molgen.sampling.sampler import Given, Job
from molgen.utils import randomness
from molgen.utils.pareto import nondominated
from property_models import compute

METHODS: dict[str, Method] = {
    "best of n": BestOf(),
    "metropolis": Metropolis(),
    "warm": Metropolis(beta=0.5, resize=0.0),
    "exchange": Metropolis(exchange=True),
    "fragments": Metropolis(fragments=0.7),
    "smc": SequentialMonteCarlo(particles=4, every=2),
    "twisted": SequentialMonteCarlo(particles=4, every=2, twist=1.0, draws=2),
}
COLUMNS = [
    *("index", "raw", "smiles", "status", "unique", "novel", "novel_inchikey"),
    *("nfe", "classifier_nfe"),
]
TARGETS = {"qed": "max", "logp": "min"}


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Model:
    return Model.load(str(tiny_model))


def run(model: Model, method: Method, n: int = 4, **options: Any) -> Result[SearchCounts]:
    settings = model.settings(gamma=2.0, batch_size=options.pop("batch_size", 64))
    words: dict[str, Any] = {"targets": TARGETS, "nfe": 60, "settings": settings, **options}
    own = {name: words.pop(name) for name in ("pareto", "on_round") if name in words}
    return search(model, request(words.pop("targets"), n, **words), method, **own)


@pytest.mark.parametrize("name", METHODS)
def test_results_and_costs(model: Model, name: str) -> None:
    rounds: list[int] = []
    found = run(model, METHODS[name], on_round=lambda s: rounds.append(s.counts.forwards))
    table, counts = found.table, found.counts
    assert list(table) == [*COLUMNS, "qed", "logp"]
    assert len(table) == found.asked == counts.delivered == 4
    assert (table["status"] == "ok").all()
    assert table["unique"].all()
    assert table["novel"].all()
    truth = compute(["qed", "logp"], table["smiles"].tolist())
    for property_, values in truth.items():
        np.testing.assert_array_equal(table[property_], values)
    objectives = read_objectives(TARGETS, model.prior)
    scores = sum(o.gain(truth[o.name]) for o in objectives)
    assert (np.diff(scores) <= 1e-12).all()
    assert 0.6 * 240 < counts.forwards <= 240
    assert rounds == sorted(rounds)
    assert rounds[-1] == counts.forwards
    assert counts.drawn == counts.oracle_calls + sum(counts.rejected.values())
    assert found.reason == "the budget of 240 forwards ended"
    assert f"{counts.forwards / 4:.1f} forwards" in str(counts)
    assert (table["nfe"] > 0).all()
    assert (table["nfe"] <= counts.forwards).all()


@pytest.mark.parametrize("name", ["best of n", "warm", "exchange", "fragments", "twisted"])
def test_results_depend_on_the_seed_and_not_on_the_batch(model: Model, name: str) -> None:
    first = run(model, METHODS[name], seed=3, nfe=40)
    again = run(model, METHODS[name], seed=3, nfe=40, batch_size=2)
    other = run(model, METHODS[name], seed=4, nfe=40)
    assert first.table.equals(again.table)
    assert first.counts == again.counts
    assert not first.table["smiles"].equals(other.table["smiles"])


@pytest.mark.parametrize("name", METHODS)
def test_oracle_calls_are_a_budget(model: Model, name: str) -> None:
    found = run(model, METHODS[name], n=6, nfe=40, oracle_calls=5)
    assert found.counts.oracle_calls == 5
    assert len(found.table) == 5
    assert found.reason == "the budget of 5 oracle calls ended"


def test_best_of_n_delivers_the_best_of_all_rows(model: Model) -> None:
    found = run(model, BestOf(), n=6, nfe=120)
    rows = model.sample(
        found.counts.drawn, TARGETS, properties=["qed"], gamma=2.0, steps=12, batch_size=64
    )
    assert rows["nfe"].sum() == found.counts.forwards
    rows = rows[rows["novel"]]
    gains = [o.gain(rows[o.name].to_numpy()) for o in read_objectives(TARGETS, model.prior)]
    order = np.argsort(-WeightedSum((1.0, 1.0))(np.stack(gains, axis=1)), kind="stable")
    assert found.table["smiles"].tolist() == rows["smiles"].iloc[order[:6]].tolist()
    assert found.counts.oracle_calls == len(rows)


def test_moves_beat_independent_draws(model: Model) -> None:
    drawn, moved = (
        run(model, method, targets={"qed": "max"}, n=8, nfe=100).table["qed"].mean()
        for method in (BestOf(), Metropolis())
    )
    assert moved > drawn


def test_a_front_is_delivered_whole(model: Model) -> None:
    scored: dict[str, NDArray[np.float64]] = {}

    def note(now: Search) -> None:
        scored.update(zip(now.oracle._scored, now.oracle([*now.oracle._scored]), strict=True))

    found = run(model, Metropolis(exchange=True), n=60, nfe=40, pareto=True, on_round=note)
    gains = np.array(list(scored.values()))
    front = {text for text, best in zip(scored, nondominated(gains), strict=True) if best}
    assert 2 < len(front) < 60
    assert front == set(found.table["smiles"][: len(front)])


def test_an_interrupt_delivers_accepted_molecules(model: Model) -> None:
    def stop(now: Search) -> None:
        if now.counts.oracle_calls > 3:
            raise KeyboardInterrupt

    found = run(model, Metropolis(), on_round=stop, nfe=10_000)
    assert found.reason == "interrupted"
    assert 0 < len(found.table) <= 4
    assert found.counts.oracle_calls > 3


def test_a_budget_without_a_row_gives_an_empty_table(model: Model) -> None:
    found = run(model, BestOf(), nfe=1, n=1)
    assert list(found.table) == [*COLUMNS, "qed", "logp"]
    assert (len(found.table), found.counts.forwards) == (0, 0)


def test_training_molecules_are_delivered_if_allowed(model: Model) -> None:
    found = run(model, BestOf(), targets={"mw": "min"}, guided_by={}, allow_training_molecules=True)
    assert set(found.table["smiles"]) & set(tiny.KNOWN)
    assert not found.table["novel"].all()


def test_a_search_may_require_new_inchikeys(model: Model) -> None:
    strict = run(model, BestOf(), n=50, nfe=20)
    assert strict.table["novel_inchikey"].all(), "few atoms: no tautomers"
    # a training set of tautomers of half of what was found
    forms = strict.table["smiles"].tolist()[::2]
    index = model.training_index
    assert index is not None
    assert index.inchi_keys is not None
    keys = np.union1d(index.inchi_keys, TrainingIndex.from_smiles(forms).inchi_keys)  # type: ignore[arg-type]
    known = replace(model, training_index=replace(index, inchi_keys=keys))
    again = run(known, BestOf(), n=50, nfe=20)
    assert again.table["smiles"].tolist() == strict.table["smiles"].tolist()
    assert again.table["novel_inchikey"].tolist() == [
        text not in forms for text in again.table["smiles"]
    ]
    other = run(known, BestOf(), n=50, nfe=20, novelty="inchikey")
    assert not set(other.table["smiles"]) & set(forms)
    assert other.table["novel_inchikey"].all()
    assert other.counts.fates["in training set"] > strict.counts.fates["in training set"]


def test_targets_may_be_scored_without_guidance(model: Model) -> None:
    plain = run(model, BestOf(), guided_by={})
    assert plain.counts.drawn > 1.5 * run(model, BestOf()).counts.drawn  # one forward, not two
    other = run(model, BestOf(), targets={"rotatable_bonds": "max"})  # not a condition
    assert other.table["rotatable_bonds"].iloc[0] >= 1


def test_filtered_molecules_are_counted_and_never_scored(model: Model) -> None:
    found = run(model, BestOf(), filters=Filters.read(["smarts:O"]))
    assert not found.table["smiles"].str.contains("O").any()
    assert found.counts.fates["filter failed: smarts:O"] > 0
    assert found.counts.oracle_calls < run(model, BestOf()).counts.oracle_calls


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 0}, "n is 0, expected at least 1"),
        ({"nfe": 0}, "nfe is 0, expected at least 1"),
        ({"oracle_calls": 0}, "oracle_calls is 0, expected at least 1"),
        ({"targets": {}}, "targets is empty"),
        ({"weights": {"sa": 1.0}}, "weight of sa"),
    ],
)
def test_bad_input(model: Model, options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run(model, BestOf(), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (Metropolis, {"beta": -1.0}, "beta is -1.0"),
        (Metropolis, {"low": 0.6}, "low and high are 0.6 and 0.5"),
        (Metropolis, {"resize": 2.0}, "resize is 2.0"),
        (Metropolis, {"steps": 0}, "steps is 0"),
        (SequentialMonteCarlo, {"particles": 0}, "particles is 0"),
        (SequentialMonteCarlo, {"twist": -1.0}, "twist is -1.0"),
    ],
)
def test_bad_methods(kind: type, options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind(**options)


def test_parts_are_masked_at_random() -> None:
    rows, longest, mask, pad = 4000, 10, 8, 9
    tokens = np.tile(np.where(np.arange(longest) < 7, 3, pad), (rows, 1))
    order = randomness.uniform(0, 0, np.arange(rows)[:, None], np.arange(longest))
    for part, count in ((0.01, 1), (0.43, 3), (1.0, 7)):
        found = masked(tokens, np.full(rows, part), order, mask, pad)
        taken = found == mask
        assert (taken.sum(1) == count).all()
        assert (found[~taken] == tokens[~taken]).all()
        share = taken[:, :7].mean(0)
        np.testing.assert_allclose(share, count / 7, atol=4 * 0.5 / rows**0.5)


def test_lengths_change_by_one_mask() -> None:
    m, p = 8, 9
    tokens = np.array([[1, m, 2, m, p, p]] * 4 + [[1, m, p, p, p, p], [1, 2, 3, 4, 5, m]])
    change = np.array([1, -1, 0, -1, -1, 1])
    place = np.array([0.0, 0.0, 0.5, 0.99, 0.5, 0.5])
    assert resized(tokens, change, place, 6, m, p).tolist() == [
        [1, m, m, 2, m, p],
        [1, 2, m, p, p, p],
        [1, m, 2, m, p, p],
        [1, m, 2, p, p, p],
        [1, m, p, p, p, p],  # the last mask is kept
        [1, 2, 3, 4, 5, m],  # no room
    ]


def test_acceptance_by_hand() -> None:
    now = np.array([0.0, 0.0, 1.0, 1.0, -np.inf, 0.0])
    then = np.array([0.0, 2.0, 0.5, 0.5, 0.0, -np.inf])
    u = np.array([0.99, 0.99, 0.36, 0.37, 0.99, 0.0])
    assert accepted(now, then, 0.0, u).tolist() == [True, True, False, False, True, False]
    assert accepted(now, then, 0.5, u).tolist() == [True, True, True, False, True, False]


class Exact:
    """The exact denoiser of the 27 states as a predictor."""

    forwards, mask_id, pad_id, max_length = 1, chains.MASK, 3, chains.LENGTH

    def __call__(
        self,
        tokens: NDArray[np.int64],
        wanted: NDArray[np.bool_],
        condition: NDArray[np.float32] | None,
        alpha_t: NDArray[np.float64],
        rows: NDArray[np.int64] | None = None,
    ) -> Prediction:
        p = np.asarray(chains.denoise(chains.TARGET)[tokens @ [9, 3, 1]][wanted])
        return Prediction(p, np.zeros(len(tokens), dtype=np.int64))


def test_moves_and_acceptance_leave_the_tempered_distribution() -> None:
    """From any start, rows converge to p(x) exp(r(x) / beta)."""
    rows, rounds, beta = 6000, 25, 0.8
    reward = np.array([0.0, 2.0, 1.0, -1.0, 1.5, 0.5, -0.5, 0.3])
    sampler = Sampler(Exact(), plan.Ancestral().plan(60), batch_size=rows)
    tokens = np.zeros((rows, 3), dtype=np.int64)
    row = np.arange(rows)
    for round in range(rounds):
        order = randomness.uniform(1, 3, round, row[:, None], np.arange(3))
        part = randomness.uniform(1, 3, round, row, 9)
        given = Given(masked(tokens, part, order, chains.MASK, 3))
        job = Job(np.full(rows, 3), seed=2, rows=round * 2**32 + row, given=given)
        then = sampler.run(job).tokens
        now, later = (reward[state @ [4, 2, 1]] for state in (tokens, then))
        u = randomness.uniform(1, 3, round, row, 10)
        tokens = np.where(accepted(now, later, beta, u)[:, None], then, tokens)
    wanted = np.asarray(chains.TARGET) * np.exp(reward / beta)
    wanted = wanted / wanted.sum() * rows
    counts = np.bincount(tokens @ [4, 2, 1], minlength=8)
    assert ((counts - wanted) ** 2 / wanted).sum() < 40.5  # chi-square, 7 degrees of freedom: 1e-6
    plain = np.asarray(chains.TARGET) * rows
    assert ((counts - plain) ** 2 / plain).sum() > 1000
