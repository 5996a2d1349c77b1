"""What fine-tuning measures, when it stops, and that a killed run ends as an uninterrupted one."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

import tiny
from molgen.checkpoints import card
from molgen.data.dataset import TokenDataset
from molgen.data.tokenizer import Tokenizer
from molgen.model import Model
from molgen.molecules.training_index import TrainingIndex
from molgen.nn.denoiser import MoleculeDenoiser
from molgen.training import early_stopping, fine_tuning
from molgen.training.early_stopping import CHECKS, EarlyStopping
from molgen.training.ingest import Options, further_numbers, series_held_out
from molgen.training.pipeline import PreparedDataset, fit
from molgen.training.recipe import TrainConfig, for_series
from molgen.training.trainer import new_model
from molgen.utils.threads import Workers, workers
from small_data import dataset, recipe, shape

CPU = {"device": "cpu", "dtype": "fp32"}
DATA = dataset(held_out=0.3)
# a rate so high that the held-out loss soon increases
QUICK = recipe(epochs=30, peak_rate=3e-2, muon=False, ema_decay=0.5)


@pytest.fixture(scope="module", autouse=True)
def _coarse() -> Iterator[None]:
    """Evaluate checkpoints on every held-out molecule once, for speed."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(early_stopping, "NOISED", 12)
        yield


@pytest.fixture
def pool() -> Iterator[Workers]:
    with workers("cpu", 1) as found:
        yield found


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return Model.load(tiny.save(tmp_path_factory.mktemp("models") / "original"))


def tuned(folder: Path, config: TrainConfig = QUICK) -> dict[str, object]:
    network = new_model(shape(DATA), 0)
    return fit(
        PreparedDataset(DATA), [folder], network, config, report=lambda _: None, stopping=True
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    tuned(folder)
    return folder


@pytest.mark.parametrize(
    ("training", "batch", "epochs"),
    [(16, 8, 40), (50, 8, 40), (270, 33, 40), (1500, 64, 20), (4750, 64, 6.3), (10_000, 64, 4)],
)
def test_the_recipe_of_a_series(training: int, batch: int, epochs: float) -> None:
    found = for_series(training)
    assert found["batch_size"] == batch
    assert found["epochs"] == pytest.approx(epochs, abs=0.1)
    assert 2 * found["shard"] in (batch, batch - 1)  # two micro-batches for two cores
    assert found["checkpoint_every"] == pytest.approx(training / batch, abs=0.5)
    TrainConfig(**found)


def test_a_batch_is_never_larger_than_the_series() -> None:
    for training in range(1, 40):
        assert for_series(training)["batch_size"] <= training


@pytest.mark.parametrize(
    ("count", "held_out"), [(20, 4), (50, 10), (100, 10), (300, 30), (5000, 250), (10_000, 500)]
)
def test_a_series_has_enough_held_out(count: int, held_out: int) -> None:
    assert round(series_held_out(count) * count) == held_out


def test_columns_of_numbers_are_detected(tmp_path: Path) -> None:
    path = tmp_path / "series.csv"
    path.write_text("SMILES,name,pIC50,logp,half\nC,a,1,1,\nCC,b,,1,\nCCC,c,3,1,2\n")
    assert further_numbers(path, Options(properties=("logp",))) == ["pIC50"]
    assert further_numbers(path, Options(properties=())) == ["pIC50", "logp"]
    plain = tmp_path / "series.smi"
    plain.write_text("C a\n")
    assert further_numbers(plain, Options()) == []


def test_a_run_stops_when_it_gets_worse_and_keeps_its_best_weights(whole: Path) -> None:
    info = json.loads((whole / "molgen.json").read_text())
    stopping = info["stopping"]
    record = {int(step): nats for step, nats in stopping["held_out_nats"].items()}
    best = min(record, key=lambda step: record[step])
    assert stopping["best_step"] == best
    assert max(record) == info["steps"] < stopping["planned_steps"] == 120
    assert sum(step > best for step in record) == CHECKS
    kept = load_file(whole / "best.safetensors")
    shipped = load_file(whole / "model.safetensors")
    last = load_file(whole / "state" / "state.safetensors")
    for name, weights in kept.items():
        torch.testing.assert_close(shipped[name], weights.bfloat16())
    assert any(not torch.equal(kept[name], last[f"average.{name}"]) for name in kept)
    assert "the weights are those of step" in (whole / "README.md").read_text()


class Killed(BaseException):
    """What a test raises in place of a kill."""


@pytest.mark.parametrize("at", [1, 3])
def test_a_killed_run_stops_where_an_uninterrupted_one_does(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """Interrupted between a checkpoint and its evaluation; and run again after its end."""
    real, calls = EarlyStopping._record, 0

    def deadly(*arguments: object) -> None:
        nonlocal calls
        calls += 1
        if calls == at:
            raise Killed
        real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(EarlyStopping, "_record", deadly)
    with pytest.raises(Killed):
        tuned(tmp_path)
    for _ in range(2):
        tuned(tmp_path)
        for name in ("model.safetensors", "stopping.json", "best.safetensors"):
            assert (tmp_path / name).read_bytes() == (whole / name).read_bytes(), name


def test_a_damaged_record_is_rejected(tmp_path: Path) -> None:
    quick = replace(QUICK, epochs=1)
    tuned(tmp_path, quick)
    whole = (tmp_path / "stopping.json").read_text()
    for text in ('{"4": ', "[]", '{"4": "low"}', '{"four": 4}', "[" * 100_000):
        (tmp_path / "stopping.json").write_text(text)
        with pytest.raises(ValueError, match=r"stopping.json is damaged.* start again"):
            tuned(tmp_path, quick)
    (tmp_path / "stopping.json").write_text(whole)
    save_file({"head.bias": torch.zeros(2)}, tmp_path / "best.safetensors")
    with pytest.raises(ValueError, match=r"best.safetensors does not fit"):
        tuned(tmp_path, quick)


def test_a_damaged_state_is_rejected(tmp_path: Path) -> None:
    quick = replace(QUICK, epochs=1)
    tuned(tmp_path, quick)
    place = tmp_path / "state"
    meta, tensors = (place / "state.json").read_text(), load_file(place / "state.safetensors")
    for key, value in (("step", "4"), ("seed", None), ("recipe", [1]), ("data", 3)):
        (place / "state.json").write_text(json.dumps({**json.loads(meta), key: value}))
        with pytest.raises(ValueError, match=rf"state.json is damaged: .*{key}"):
            tuned(tmp_path, quick)
    (place / "state.json").write_text(meta)
    for kind in ("model", "average", "optimizer"):
        name = next(k for k, v in tensors.items() if k.startswith(kind) and v.ndim == 2)
        save_file({**tensors, name: torch.zeros(3)}, place / "state.safetensors")
        with pytest.raises(ValueError, match="another shape"):
            tuned(tmp_path, quick)


def test_the_bound_of_an_untrained_network_is_exact(pool: Workers) -> None:
    """A new network finds every token equally likely: log(tokens) nats for each."""
    data = dataset()
    network = new_model(shape(data), 0)
    model = Model("new", network, Tokenizer(list(data.vocab)), None, None, {})  # type: ignore[arg-type]
    rows = fine_tuning.ids(data, np.ones(len(data), dtype=bool))
    expected = data.lengths * math.log(len(data.vocab) - 2)
    found = fine_tuning.nats(model, rows, pool, CPU)
    np.testing.assert_allclose(found, expected, rtol=1e-6)  # single precision


def test_a_model_has_not_changed_against_itself(original: Model, pool: Workers) -> None:
    """The noise is the same before and after, so nothing is left of it in the difference."""
    rows = [original.tokenizer.encode(text) for text in ("CCO", "C", "NCC=O")] * 30
    found = fine_tuning.change({"before": original, "after": original}, rows, pool, CPU)
    assert (found["change"], found["error"], found["count"]) == (0, 0, 90)
    assert found["before"] > 0


def test_draws_are_counted_against_both_sets() -> None:
    table = pd.DataFrame(
        {
            "smiles": ["CCO", "CCO", "", "CC", "CCN", "CCC"],
            "status": ["ok", "ok", "parse", "ok", "ok", "ok"],
            "unique": [True, False, False, True, True, True],
            "nfe": [2, 4, 6, 2, 4, 6],
        }
    )
    parts = {
        "training": TrainingIndex.from_smiles(["CCO"]),
        "held_out": TrainingIndex.from_smiles(["CCN"]),
    }
    series = parts["training"].union(parts["held_out"])
    before = TrainingIndex.from_smiles(["CC", "CCO"])
    found = fine_tuning.counts(table, before, parts, series, np.array(["CCO", "CCN"]))
    near = found.pop("nearest_similarity")
    assert near is not None
    assert 0.5 < near < 1  # two of four are in the series
    expected = {"valid": 5, "unique": 4, "novel": 1, "in_training": 2, "in_held_out": 1}
    expected |= {"in_original": 3}
    assert found == {**{name: n / 6 for name, n in expected.items()}, "nfe": 4}
    nothing = table.assign(smiles="", status="parse", unique=False)
    found = fine_tuning.counts(nothing, None, parts, series, np.array(["CCO", "CCN"]))
    assert (found["valid"], found["nearest_similarity"]) == (0, None)


def test_reference_molecules_are_data_or_else_draws(original: Model, tmp_path: Path) -> None:
    drawn = original.sample(32, batch_size=32).table
    source, rows = fine_tuning.reference_molecules(original, drawn)
    valid = drawn[drawn["unique"]]["raw"].tolist()
    assert source == card.DRAWN
    assert [original.tokenizer.decode(row) for row in rows] == valid
    smiles = ["C", "CC", "CCC", "CCCC", "CCO"]
    encoded = [original.tokenizer.encode(text) for text in smiles]
    data = TokenDataset.build(encoded, {}, original.tokenizer.vocab, held_out_fraction=0.4)
    data.save(tmp_path / "dataset.npz")
    source, rows = fine_tuning.reference_molecules(replace(original, folder=tmp_path), drawn)
    assert source == card.DATA
    assert rows == [encoded[i] for i in np.flatnonzero(data.held_out)]


def test_a_model_is_compared_with_its_original(original: Model, pool: Workers) -> None:
    """Against itself, what was drawn and every number are the same before and after."""
    smiles = ["CCO", "CCN", "CCC", "NCO", "CC=O", "OCC=O"]
    encoded = [original.tokenizer.encode(text) for text in smiles]
    values = {name: np.arange(6.0) for name in tiny.PROPERTIES}
    values["qed"][2] = math.nan
    data = TokenDataset.build(encoded, values, original.tokenizer.vocab, held_out_fraction=0.4)
    found = fine_tuning.compare(original, original, data, pool, CPU)
    assert (found["training"], found["held_out"], found["known_before"]) == (4, 2, 3)
    assert found["draws"]["before"] == found["draws"]["after"]
    assert [row["change"] for row in found["likelihood"]] == [0, 0, 0]
    assert [row["series"] for row in found["properties"]] == [pytest.approx(2.6), 2.5, 2.5]
    assert all(row["before"] == row["after"] for row in found["properties"])
    text = card.fine_tuning(json.loads(json.dumps(found)))
    assert "| series, held out | 2 |" in text
    assert "| +0.00 ± 0.00 |" in text
    assert "The data of the original are not available" in text
    assert "also said when to stop" not in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in rows[-5:]}) == 1


def test_a_measured_property_has_no_mean_over_draws() -> None:
    data = replace(DATA, properties=("no_such_property", "ring_count"))
    table = pd.DataFrame({"smiles": ["C1CC1", "C"], "unique": [True, True]})
    measured, computed = fine_tuning.means(data, {"before": table})
    assert set(measured) == {"property", "series"}
    assert computed["before"] == 0.5


def test_a_network_keeps_its_device_when_it_is_measured(original: Model, pool: Workers) -> None:
    assert isinstance(original.denoiser, MoleculeDenoiser)
    before = [p.clone() for p in original.denoiser.parameters()]
    fine_tuning.nats(original, [[0, 1, 2]], pool, CPU)
    assert all(
        torch.equal(p, q) for p, q in zip(before, original.denoiser.parameters(), strict=True)
    )
