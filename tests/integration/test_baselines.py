"""The baselines, end to end: a small network of each noise learns 32 molecules and writes them."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from molgen.checkpoints.files import CLASSIFIER
from molgen.checkpoints.folder import save_network
from molgen.frontiers.method import Method
from molgen.frontiers.plan import settings_for
from molgen.guidance.spec import ClassifierBased, ClassifierFree
from molgen.model import Model
from molgen.molecules.training_index import TrainingIndex
from molgen.training.classifier import train_classifier
from molgen.training.pipeline import PreparedDataset, fit
from small_data import SMILES, dataset, recipe, shape

MOLECULES = SMILES[8:]
DATA = replace(dataset(MOLECULES, held_out=0.0), properties=("letters", "count:O"))
SMALL = {"hidden_size": 32, "num_layers": 2, "num_heads": 2, "condition_size": 8}


EPOCHS = {"uniform": 500, "none": 300}


@pytest.fixture(scope="module", params=list(EPOCHS))
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = tmp_path_factory.mktemp(request.param)
    TrainingIndex.from_smiles(MOLECULES).save(folder / "training_index.safetensors")
    config = recipe(
        epochs=EPOCHS[request.param], batch_size=32, shard=32, peak_rate=5e-3, ema_decay=0.9,
        evaluate_every=100, checkpoint_every=1000,
    )  # fmt: skip
    network = shape(DATA, width=64, noise=request.param)
    fit(PreparedDataset(DATA), [folder], network, config, report=lambda text: None)
    classifier = train_classifier(
        DATA, folder / "trained", request.param,
        config=recipe(epochs=250, batch_size=32, shard=32, checkpoint_every=1000),
        progress=False, sizes=SMALL,
    )  # fmt: skip
    save_network(classifier, folder / CLASSIFIER)
    return Model.load(folder)


def test_it_samples_the_training_distribution(model: Model) -> None:
    table = model.sample(256, seed=1, steps=64).table
    wrote = table["raw"].isin(MOLECULES)
    assert wrote.mean() > 0.7
    assert table.loc[wrote, "raw"].nunique() >= 26
    assert not table.loc[wrote, "novel"].any()


def test_forwards_are_counted(model: Model) -> None:
    free = model.sample(64, seed=2, steps=32).table
    guided = model.sample(64, {"count:O": 2}, seed=2, steps=32, gamma=2.0).table
    uniform = model.info["network"]["noise"] == "uniform"
    if uniform:  # steps without any change are skipped, but not with guidance
        assert (free["nfe"] <= 32).all()
        assert (guided["nfe"] == 64).all()
    else:  # one for each token and one for the end
        lengths = [len(model.tokenizer.encode(raw)) for raw in free["raw"]]
        assert free["nfe"].tolist() == [n + 1 for n in lengths]
        assert (guided["nfe"] % 2 == 0).all()
    assert not free["classifier_nfe"].any()


@pytest.mark.parametrize("guidance", ["cfg", "classifier"])
def test_both_kinds_of_guidance_shift_the_property(model: Model, guidance: str) -> None:
    def share(gamma: float) -> float:
        how = ClassifierBased() if guidance == "classifier" else ClassifierFree()
        targets = {"count:O": 2} if gamma else None
        table = model.sample(192, targets, seed=3, steps=48, gamma=gamma or 1.0, guidance=how).table
        if gamma and guidance == "classifier":
            assert (table["classifier_nfe"] > 0).all()
        return float((table["raw"].str.count("O") == 2).mean())

    assert share(1.0) > 2 * share(0.0)


def test_its_card_describes_it(model: Model) -> None:
    assert model.folder is not None
    text = (model.folder / "README.md").read_text(encoding="utf-8")
    noise = json.loads((model.folder / "molgen.json").read_text())["network"]["noise"]
    assert ("UDLM" if noise == "uniform" else "autoregressive") in text


def test_unsupported_settings_of_a_baseline_are_errors(model: Model) -> None:
    method = Method("remasked", "baseline", "rescale:eta=.1", "uniform", "none")
    with pytest.raises(ValueError, match="ancestral"):
        model.draw(1, settings=settings_for(model, method, 1.0, 8))
