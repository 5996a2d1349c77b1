"""Continuous time and blocks as settings: with guidance, grammar, retries and scaffolds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import molgen
import tiny
import tiny_classifier
from molgen.errors import MolgenError
from molgen.model import Model
from molgen.sampling.recipe import resolve

pytestmark = pytest.mark.usefixtures("small_shards")

AXES: dict[str, dict[str, Any]] = {
    "continuous": {"time": "continuous"},
    "blocks": {"blocks": 2},
    "both": {"time": "continuous", "blocks": 2},
}
FURTHER: dict[str, dict[str, Any]] = {
    "cfg": {"gamma": 2.0},
    "gamma over time": {"gamma": "1..3"},
    "cbg": {"guidance": "cbg", "gamma": 2.0},
    "grammar": {"grammar": "smiles"},
    "context": {"context": "hide:share=.3"},
    "weights": {"remask_weights": "sharpened"},
    "retries": {"adapt": "remask:share=.4,budget=40,by=psi"},
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    path: Path = tiny.save(tmp_path_factory.mktemp("models") / "tiny")
    tiny_classifier.classifier().save_pretrained(path / "classifier")
    return molgen.load(path)


@pytest.mark.parametrize(
    ("axes", "further"),
    [
        *((axes, further) for axes in ("continuous", "both") for further in FURTHER),
        *(("blocks", further) for further in ("grammar", "weights", "retries")),
    ],
)
def test_rows_end_and_fewer_are_a_prefix(model: Model, axes: str, further: str) -> None:
    words = {"remask": "rescale:eta=.2", "steps": 6, "dtype": "fp64", **AXES[axes]}
    settings = model.settings(**{**words, **FURTHER[further]})
    targets = {"qed": ".5.."}
    found = model.draw(9, targets, seed=3, settings=settings)
    assert (found.tokens != model.denoiser.mask_id).all()
    few = model.draw(4, targets, seed=3, settings=settings)
    width = min(few.tokens.shape[1], found.tokens.shape[1])
    if further != "retries":  # unique among rows before it
        np.testing.assert_array_equal(few.tokens[:, :width], found.tokens[:4, :width])
        np.testing.assert_array_equal(few.nfe, found.nfe[:4])
    assert (found.nfe > 0).all()


@pytest.mark.parametrize("axes", AXES)
def test_a_scaffold_is_kept(model: Model, axes: str) -> None:
    found = molgen.design(
        model, None, 4, scaffold="*C=O", allow_training_molecules=True, max_draws=60, steps=4,
        remask="rescale:eta=.2", **AXES[axes],
    )  # fmt: skip
    assert len(found.table)
    assert found.table["smiles"].str.contains("C=O|O=C", regex=True).all()


def test_trajectories_replay(model: Model) -> None:
    settings = model.settings(steps=6, time="continuous", remask="forward-backward", blocks=3)
    found = model.draw(5, seed=1, settings=settings, record=True)
    assert found.trajectory is not None
    for row in range(5):
        length = int((found.tokens[row] != model.denoiser.pad_id).sum())
        _, states = found.trajectory.states(row, length, model.denoiser.mask_id)
        np.testing.assert_array_equal(states[-1], found.tokens[row, :length])
        assert len(states) >= found.nfe[row]  # one event a state


def test_the_expected_forwards_of_a_row(model: Model) -> None:
    longest = model.denoiser.max_length
    for words, most in (
        ({"steps": 4}, longest),
        ({"steps": 4, "remask": "rescale"}, 4),
        ({"steps": 4, "remask": "rescale", "blocks": 5}, 4 * -(-longest // 5)),
        ({"time": "continuous", "remask": "forward-backward"}, 2 * longest),
    ):
        assert resolve(model, model.settings(**words), {}).max_predictions == most


def test_another_network_has_neither(tmp_path: Path) -> None:
    for noise in ("none", "uniform"):
        other = molgen.load(tiny.save(tmp_path / noise, noise=noise))
        for words in ({"time": "continuous"}, {"blocks": 2}):
            with pytest.raises(MolgenError, match=f"{next(iter(words))} is .*noise {noise}"):
                other.sample(2, progress=False, **words)
