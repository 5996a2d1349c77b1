"""Distilling a property predictor into a noisy classifier, without its test molecules."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import molgen as package
from commands import Run
from molgen.checkpoints.folder import load_classifier
from molgen.model import Model
from molgen.training import distil
from molgen.training.classifier import new_classifier
from predictors import measured, write
from property_models.learned.fit import fit_predictor
from property_models.learned.splits import scaffold
from small_data import SMILES, dataset

pytest.importorskip("sklearn", reason="needs the extra 'learn'")

DRAWN = ["CCO", "CCO", "", "CCCN", "CC1CC1", "OC1CCC1", "CCCCCCN", "CCS", "CNO", "C=O"]


@pytest.mark.parametrize("kind", ["scaffold", "random"])
def test_test_molecules_of_the_predictor_get_no_label(
    tiny_model: Path, tmp_path: Path, kind: str
) -> None:
    table = measured()
    predictor, tested = fit_predictor(table, "rule", split=kind, seed=2, also=False)  # type: ignore[arg-type]
    predictor.save(tmp_path / "predictor")
    model, name = Model.load(tiny_model), f"model:{tmp_path / 'predictor'}"
    test = [table.smiles[i] for i in tested.split.test]
    drawn = [*DRAWN, *test]
    found = distil.label(model, name, table, tested.split, kind, drawn)  # type: ignore[arg-type]
    texts = [model.tokenizer.decode(row) for row in found.data.tokens]
    assert not set(texts) & set(test)
    if kind == "scaffold":
        assert not {scaffold(text) for text in texts} & {scaffold(text) for text in test}
    # measured molecules have their value, the others the predicted one
    assert found.data.properties == (name,)
    values = dict(zip(texts, found.data.values[:, 0], strict=True))
    at = dict(zip(table.smiles, table.values, strict=True))
    fitted = [table.smiles[i] for i in (*tested.split.train, *tested.split.calibration)]
    for text in set(fitted) & set(texts):
        assert values[text] == pytest.approx(at[text], abs=1e-5)
    assert values["CNO"] == pytest.approx(predictor.as_property()(["CNO"])[0], abs=1e-5)
    # the tiny network has only the tokens ( = C N O: no rings, no sulfur
    assert all(set(text) <= set("(=)CNO") for text in texts)
    counts = found.counts
    assert counts["molecules"] == len(texts) == len(set(texts))
    assert (counts["drawn"], counts["measured"]) == (len(drawn), len(fitted))
    assert counts["withheld"] >= len(test)


def test_the_command_trains_a_classifier(molgen: Run, tiny_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ran = molgen(
        "fit-property", write(tmp_path / "t.csv"), "--column", "y", "--out", out,
        "--classifier", tiny_model, "--classifier-molecules", 40, "--classifier-epochs", 1,
    )  # fmt: skip
    assert ran.status == 0, ran.err
    assert f"a noisy classifier of model:{out}" in ran.out
    model = package.load(tiny_model)
    classifier = load_classifier(out / "classifier", model.denoiser.vocab_size)
    assert (classifier.noise, classifier.properties) == ("masked", (f"model:{out}",))
    record = json.loads((out / "classifier" / "classifier.json").read_text())
    assert record["labels"]["drawn"] == 40
    assert not (out / "classifier" / "state").exists()


def test_agreement_is_one_for_an_exact_classifier(monkeypatch: pytest.MonkeyPatch) -> None:
    data = dataset(SMILES, properties=1)
    sizes = {"hidden_size": 16, "num_layers": 1, "num_heads": 2, "condition_size": 8}
    classifier = new_classifier(data, sizes=sizes)
    bins = classifier.bins[0].index(data.values[:, 0])

    def log_prob(tokens: torch.Tensor, alpha: torch.Tensor | None = None) -> torch.Tensor:
        rows = [np.flatnonzero((data.tokens == t.numpy()).all(1))[0] for t in tokens]
        one = torch.full((len(tokens), 1, len(classifier.bins[0])), -torch.inf)
        one[torch.arange(len(tokens)), 0, torch.from_numpy(bins[rows])] = 0.0
        return one

    monkeypatch.setattr(classifier, "log_prob", log_prob)
    found = distil.agreement(classifier, data)
    assert found["molecules"] == data.held_out.sum()
    assert found["spearman"] == pytest.approx(1.0)
