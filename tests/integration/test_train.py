from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from molgen.data.prior import Prior
from molgen.data.tokenizer import Tokenizer
from molgen.model import Model
from molgen.molecules.training_index import TrainingIndex
from molgen.nn.denoiser import DenoiserConfig, MoleculeDenoiser
from molgen.training import state as training_state
from molgen.training.log import COLUMNS
from molgen.training.recipe import TrainConfig
from molgen.training.trainer import Trainer, new_model, train
from molgen.utils.threads import Workers
from small_data import SMILES, dataset, recipe, shape

DATA = dataset()
TOTAL = 12  # steps of a run with the test's recipe


class Killed(BaseException):
    """What a test raises in place of a kill."""


def kill_at(step: int) -> Callable[[Trainer], None]:
    def check(trainer: Trainer) -> None:
        if trainer.step == step:
            raise Killed

    return check


def run(folder: Path, config: TrainConfig | None = None, **options: object) -> Trainer:
    return train(DATA, folder, shape(DATA), config or recipe(), progress=False, **options)  # type: ignore[arg-type]


def state(folder: Path) -> bytes:
    return (folder / "state" / "state.safetensors").read_bytes()


def log(folder: Path) -> list[list[str]]:
    """The log without its column of speeds, which no two runs share."""
    with (folder / "training_log.csv").open(newline="") as file:
        return [row[:4] + row[5:] for row in csv.reader(file)]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    assert run(folder).step == TOTAL
    return folder


@pytest.mark.parametrize("step", [4, 8, TOTAL])
def test_a_resumed_run_equals_an_uninterrupted_one(
    uninterrupted: Path, tmp_path: Path, step: int
) -> None:
    with pytest.raises(Killed):
        run(tmp_path, on_checkpoint=kill_at(step))
    run(tmp_path)
    assert state(tmp_path) == state(uninterrupted)
    assert log(tmp_path) == log(uninterrupted)


def test_steps_beyond_the_checkpoint_are_taken_again(uninterrupted: Path, tmp_path: Path) -> None:
    config = recipe(checkpoint_every=3, evaluate_every=4)  # the kill falls between the two
    with pytest.raises(Killed):
        run(tmp_path, config, on_checkpoint=kill_at(6))
    with (tmp_path / "training_log.csv").open("a") as file:
        file.write("8,2,1.0,0.1,1,1.0\r\n12,3,")  # a later line, and one cut short
    run(tmp_path, config)
    assert state(tmp_path) == state(uninterrupted)
    assert [row[0] for row in log(tmp_path)] == ["step", "4", "8", "12"]


@pytest.mark.parametrize("place", ["rmtree 1", "rename 1", "rename 2", "rmtree 2", "rmtree 3"])
@pytest.mark.parametrize("done", [False, True])
def test_a_kill_while_saving_leaves_a_whole_checkpoint(
    uninterrupted: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    done: bool,
) -> None:
    """Killed twice at the same place of a save, the second time with what the first one left."""
    name, number = place.split()
    target = shutil if name == "rmtree" else Path
    real, calls = getattr(target, name), 0

    def deadly(*args: object, **options: object) -> object:
        nonlocal calls
        calls += 1
        if calls != int(number):
            return real(*args, **options)
        if done:
            real(*args, **options)
        elif name == "rmtree":  # half done
            for file in sorted(Path(str(args[0])).glob("*"))[:1]:
                file.unlink()
        raise Killed

    with pytest.raises(Killed):
        run(tmp_path, on_checkpoint=kill_at(4))
    for _ in range(2):
        calls = 0
        with monkeypatch.context() as patched:
            patched.setattr(target, name, deadly)
            with pytest.raises(Killed):
                run(tmp_path)
        assert training_state.find(tmp_path) is not None
    run(tmp_path)
    assert state(tmp_path) == state(uninterrupted)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["state", "training_log.csv"]


def test_threads_do_not_change_a_bit(uninterrupted: Path, tmp_path: Path) -> None:
    run(tmp_path, recipe(workers=2))
    assert state(tmp_path) == state(uninterrupted)


def test_half_precision_resumes_exactly_too(tmp_path: Path) -> None:
    config = recipe(dtype="bf16", epochs=2)
    run(tmp_path / "a", config)
    with pytest.raises(Killed):
        run(tmp_path / "b", config, on_checkpoint=kill_at(4))
    run(tmp_path / "b", config)
    assert state(tmp_path / "a") == state(tmp_path / "b")


def test_a_longer_run_goes_on_from_the_plateau(uninterrupted: Path, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        run(tmp_path, recipe(epochs=50), on_checkpoint=kill_at(4))
    assert run(tmp_path, recipe(epochs=2)).step == 8


def test_a_state_that_says_only_step_and_seed_is_read(uninterrupted: Path, tmp_path: Path) -> None:
    shutil.copytree(uninterrupted / "state", tmp_path / "state")
    (tmp_path / "state/state.json").write_text(json.dumps({"step": TOTAL, "seed": 0}))
    assert run(tmp_path).step == TOTAL


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, "a run with seed 0, expected 1"),
        ({"batch_size": 4}, "a run with batch_size 8, expected 4"),
        ({"muon": False}, "a run with muon True, expected False"),
    ],
)
def test_another_recipe_is_rejected(
    uninterrupted: Path, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    shutil.copytree(uninterrupted / "state", tmp_path / "state")
    with pytest.raises(ValueError, match=message):
        run(tmp_path, recipe(**change))
    training_state.remove(tmp_path)  # unless it starts again
    run(tmp_path, recipe(**change, epochs=1))


def test_other_data_and_other_shapes_are_rejected(uninterrupted: Path, tmp_path: Path) -> None:
    shutil.copytree(uninterrupted / "state", tmp_path / "state")
    other = replace(DATA, values=DATA.values + 1)
    with pytest.raises(ValueError, match="on other data"):
        train(other, tmp_path, shape(other), recipe(), progress=False)
    with pytest.raises(ValueError, match="another shape"):
        train(DATA, tmp_path, shape(DATA, width=32), recipe(), progress=False)
    path = tmp_path / "state/state.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match="damaged"):
        run(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vocab_size": 5}, "vocabulary size: got 5"),
        ({"properties": ["qed"]}, "properties: got"),
        ({"noise": "uniform"}, "time_input is False, expected True"),
        ({"max_position_embeddings": 4}, "has 9 positions, expected at most the network.s 4"),
    ],
)
def test_a_network_that_does_not_fit_the_data_is_rejected(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    wrong = DenoiserConfig(**{**shape(DATA).to_dict(), **change})
    with pytest.raises(ValueError, match=message):
        train(DATA, tmp_path, wrong, recipe(), progress=False)


@pytest.mark.parametrize("name", ["epochs", "batch_size", "peak_rate", "seed", "checkpoint_every"])
def test_a_number_out_of_range_is_named(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is -1"):
        recipe(**{name: -1})


def test_a_loss_that_is_no_number_ends_the_run(tmp_path: Path) -> None:
    def spoil(trainer: Trainer) -> None:
        with torch.no_grad():
            trainer.model.head.bias.fill_(torch.nan)

    with pytest.raises(FloatingPointError, match="loss became nan"):
        run(tmp_path, on_checkpoint=spoil)
    place = training_state.find(tmp_path)
    assert place is not None
    assert training_state.read_meta(place)["step"] == 4
    assert all(v.isfinite().all() for v in load_file(place / "state.safetensors").values())


def test_micro_batches_sum_to_the_whole_batch() -> None:
    models = [new_model(shape(DATA), 0) for _ in range(2)]
    rows = np.flatnonzero(~DATA.held_out)[:8]
    for model, size in zip(models, (3, 8), strict=True):
        pool = Workers("cpu", 1)
        Trainer(DATA, model, recipe(shard=size), pool).train_step(rows)
        pool.close()
    for p, q in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(p, q, atol=1e-5, rtol=1e-3)


def test_what_the_log_and_the_screen_say(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(DATA, tmp_path, shape(DATA), recipe(epochs=2))
    rows = list(csv.DictReader((tmp_path / "training_log.csv").open()))
    assert list(rows[0]) == COLUMNS
    assert [row["step"] for row in rows] == ["4", "8"]
    assert [float(row["epoch"]) for row in rows] == [1, 2]
    assert 0 < float(rows[-1]["held_out_nats"]) < 40
    lines = capsys.readouterr().err.strip().splitlines()  # a captured stream is no terminal
    assert len(lines) == 2
    assert lines[1].startswith("step 8/8, epoch 2.00: loss ")
    assert "held out" in lines[1]
    assert lines[1].endswith("molecules/s")


def test_without_held_out_molecules_and_properties(tmp_path: Path) -> None:
    data = dataset(properties=0, held_out=0.0)
    trainer = train(data, tmp_path, shape(data), recipe(epochs=1), progress=False)
    assert np.isnan(trainer.evaluate())
    assert log(tmp_path)[-1][-1] == ""


def test_a_network_with_a_time_input_learns(tmp_path: Path) -> None:
    trainer = train(DATA, tmp_path, shape(DATA, time_input=True), recipe(epochs=8), progress=False)
    losses = [float(row[2]) for row in log(tmp_path)[1:]]
    assert losses[-1] < losses[0]
    assert trainer.model.time_input


def overfit(data_smiles: tuple[str, ...], folder: Path) -> tuple[MoleculeDenoiser, float]:
    data = dataset(data_smiles, properties=0, held_out=0.0)
    config = recipe(
        epochs=400, batch_size=32, shard=32, peak_rate=5e-3, ema_decay=0.9, evaluate_every=50,
        checkpoint_every=1000,
    )  # fmt: skip
    trainer = train(data, folder, shape(data, width=64), config, progress=False)
    with trainer.average.applied(trainer.model):
        model = MoleculeDenoiser(trainer.model.config)
        model.load_state_dict(trainer.model.state_dict())
    return model.eval(), float(log(folder)[-1][2])


def test_a_small_network_learns_32_molecules_by_heart(tmp_path: Path) -> None:
    molecules = SMILES[8:]
    denoiser, loss = overfit(molecules, tmp_path)
    # 32 molecules take log 32 = 3.5 nats, a good part of which is paid by the length
    assert loss < 3.0
    data = dataset(molecules, properties=0, held_out=0.0)
    tokenizer = Tokenizer(list(data.vocab))
    prior = Prior.from_training(data.lengths, data.values, data.properties)
    known = TrainingIndex.from_smiles(molecules)
    model = Model("by heart", denoiser, tokenizer, prior, known, {"sampling": {"steps": 64}})
    table = model.sample(256, seed=1).table
    wrote = table["raw"].isin(molecules)
    assert wrote.mean() > 0.85
    assert table.loc[wrote, "raw"].nunique() >= 28
    assert not table.loc[wrote, "novel"].any()
