"""The bundled models: their sizes, their cards and their samples."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import molgen
from molgen.checkpoints.card import card
from molgen.checkpoints.files import INDEX
from molgen.checkpoints.folder import read_info
from molgen.checkpoints.hub import BUNDLED
from molgen.constraints import draw
from molgen.diffusion import plan
from molgen.molecules.inchi import inchikey
from molgen.molecules.training_index import TrainingIndex
from molgen.sampling.recipe import resolve
from molgen.targets import read_targets

MIB = 2**20
LINEZOLID = "CC(=O)NC[C@H]1CN(c2ccc(N3CCOCC3)c(F)c2)C(=O)O1"


def test_bundled_models_are_small_and_have_cards() -> None:
    assert set(molgen.models()) >= {"qm9", "qm9-ar", "zinc250k"}
    for name in molgen.models():
        weights = BUNDLED / name / "model.safetensors"
        assert weights.stat().st_size <= 12 * MIB, name
        text = (BUNDLED / name / "README.md").read_text(encoding="utf-8")
        assert text == card(name, read_info(BUNDLED / name))
        assert text.splitlines()[4] == f"# {name}"
    files = [path for path in BUNDLED.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 48 * MIB


@pytest.mark.parametrize("name", ["qm9", "zinc250k"])
def test_bundled_indices_have_inchikeys(name: str) -> None:
    index = TrainingIndex.load(BUNDLED / name / INDEX)
    assert index.inchi_keys is not None
    assert 0.96 * len(index) < len(index.inchi_keys) < len(index), "few tautomers are joined"
    # some molecules of the training set
    assert index.contains([inchikey(text) for text in index.probes], "inchi_keys").all()


@pytest.mark.parametrize("dtype", [pytest.param("fp32", marks=pytest.mark.slow), "bf16"])
def test_the_bundled_model_draws_the_same_molecules_in_any_batch(dtype: str) -> None:
    model = molgen.load("qm9")
    remask = plan.Rescale(0.1)  # given, so that no preset applies
    given: dict[str, Any] = {"dtype": dtype, "steps": 10, "gamma": 2.0, "seed": 1}
    whole = model.sample(10, {"qed": "max"}, remask=remask, **given).table
    for size, n in ((1, 2), (4, 10)):
        part = model.sample(n, {"qed": "max"}, batch_size=size, remask=remask, **given).table
        assert part["raw"].tolist() == whole["raw"].tolist()[:n]


@pytest.mark.usefixtures("small_shards")
def test_the_bundled_model_samples_valid_molecules() -> None:
    table = molgen.load("qm9").sample(64, steps=64).table
    assert (table["status"] == "ok").mean() > 0.8
    assert table["unique"].mean() > 0.75


def test_the_drug_like_model_samples_drug_like_molecules() -> None:
    model = molgen.load("zinc250k")
    assert {"qed", "sa", "hbd", "hba", "rotatable_bonds", "fsp3"} <= set(model.properties)
    table = model.sample(12, seed=1, properties=["mw"]).table
    ok = table[table["status"] == "ok"]
    assert len(ok) >= 6
    assert 200 < ok["mw"].mean() < 450
    assert ok["novel"].all()


def test_the_drug_like_classifier_predicts_properties_of_clean_molecules() -> None:
    model = molgen.load("zinc250k")
    row = model.tokenizer.encode(LINEZOLID)  # 3 rings, one N-H, weight 337
    tokens = np.array([row])
    for name, right, wrong in (
        ("ring_count", "3", "2"),
        ("hbd", "1", "2"),
        ("mw", "..350", "370.."),
    ):
        probability = [
            resolve(model, model.settings(), read_targets({name: target})).target_probability()(
                tokens
            )[0]
            for target in (right, wrong)
        ]
        assert probability[0] > np.log(0.5) > probability[1], name


def test_the_drug_like_model_keeps_a_scaffold_and_its_stereo() -> None:
    model = molgen.load("zinc250k")
    assert model.tokenizer.encode(LINEZOLID)
    table = draw.draw(model, "*N1C[C@H](CNC(C)=O)OC1=O", 8, seed=2)
    kept = table[table["constraint"] == "ok"]
    assert len(kept) >= 2
    assert kept["smiles"].str.contains("@").all()
