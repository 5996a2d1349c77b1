"""Search with a surrogate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asking import request
from molgen.discovery.counts import SearchCounts
from molgen.discovery.methods import read_method
from molgen.discovery.search import search
from molgen.discovery.surrogate import Surrogate
from molgen.model import Model
from molgen.molecules.fate import Fate
from molgen.sampling.result import Result
from property_models import compute, get

HEAVY = "def heavy(mol):\n    return mol.GetNumHeavyAtoms()\n"


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Model:
    return Model.load(str(tiny_model))


def run(
    model: Model, method: Surrogate, goals: Any, n: int = 6, **options: Any
) -> Result[SearchCounts]:
    settings = model.settings(gamma=2.0, batch_size=options.pop("batch_size", 64))
    return search(model, request(goals, n, settings=settings, **options), method)


def test_the_calls_are_a_budget_and_every_row_is_counted(model: Model) -> None:
    found = run(model, Surrogate(batch=4, pool=24), {"qed": "max"}, oracle_calls=24, nfe=100)
    counts = found.counts
    assert found.reason == "the budget of 24 oracle calls ended"
    assert counts.oracle_calls == 24
    assert counts.fates[Fate.NOT_SELECTED] > 0
    assert counts.drawn == sum(counts.fates.values())
    assert counts.forwards <= 600
    truth = compute(["qed"], found.table["smiles"].tolist())["qed"]
    np.testing.assert_array_equal(found.table["qed"], truth)
    assert (np.diff(truth) <= 0).all()


def test_results_depend_on_the_seed_and_not_on_the_batch(model: Model) -> None:
    how: dict[str, Any] = {"oracle_calls": 16, "nfe": 60}
    method = Surrogate(batch=4, pool=16)
    first = run(model, method, {"qed": "max"}, seed=3, **how)
    again = run(model, method, {"qed": "max"}, seed=3, batch_size=2, **how)
    other = run(model, method, {"qed": "max"}, seed=4, **how)
    assert first.table.equals(again.table)
    assert first.counts == again.counts
    assert not first.table["smiles"].equals(other.table["smiles"])


def test_the_surrogate_beats_a_search_without_one(model: Model) -> None:
    # kappa 0 and the whole pool selected by chance against the prediction, three seeds
    goals, how = {"mw": "max"}, {"oracle_calls": 30, "nfe": 150}
    best = []
    for method in (Surrogate(batch=5, pool=40, moves=0.0), Surrogate(first=1.0, moves=0.0)):
        runs = [run(model, method, goals, n=5, seed=seed, **how) for seed in range(3)]
        best.append(np.mean([each.table["mw"].mean() for each in runs]))
    assert best[0] > best[1]


def test_descriptors_cost_no_call_and_a_molecule_that_misses_one_is_not_scored(
    model: Model, tmp_path: Path
) -> None:
    path = tmp_path / "own.py"
    path.write_text(HEAVY)
    goals = {f"{path}:heavy": "max", "tpsa": "..40"}
    found = run(model, Surrogate(batch=4, pool=24), goals, oracle_calls=12, nfe=100)
    assert 0 < found.counts.oracle_calls <= 12
    assert len(found.table)
    assert (get("tpsa")(found.table["smiles"].tolist()) <= 40).all()


def test_numbers_out_of_range_and_no_budget_are_refused(model: Model) -> None:
    with pytest.raises(ValueError, match="oracle-calls"):
        run(model, Surrogate(), {"qed": "max"})
    for words, name in (("first=2", "first"), ("batch=0", "batch"), ("kappa=-1", "kappa")):
        with pytest.raises(ValueError, match=f"{name} is"):
            read_method(f"surrogate:{words}")
    assert read_method("surrogate:batch=5,kappa=.5") == Surrogate(batch=5, kappa=0.5)
