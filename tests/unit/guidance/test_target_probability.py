"""Target probability: of rows, and as a requirement of adaptive sampling."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import molgen
from molgen.data.tokenizer import padded
from molgen.model import Model
from molgen.sampling import words
from molgen.sampling.recipe import resolve
from molgen.targets import read_targets
from property_models.classifiers.network import log_meets


def test_rows_are_scored_with_their_masks(qm9: Model) -> None:
    wanted = read_targets({"ring_count": "2..", "qed": "..0.5"})
    texts = ["C1CC1C1CC1", "CCCO", "C1CC2CC12", "O=CN"]
    rows = [qm9.tokenizer.encode(text) for text in texts]
    rows[2][3] = rows[3][0] = qm9.denoiser.mask_id
    tokens = padded(rows, qm9.denoiser.pad_id, 12)
    found = resolve(qm9, qm9.settings(dtype="fp32"), wanted).target_probability()(tokens)
    classifier = qm9.classifier_for(wanted)
    for row, value in zip(rows, found, strict=True):
        with torch.no_grad():
            bins = classifier.log_prob(torch.tensor([row]))[0]
        expected = sum(
            float(log_meets(bins[classifier.index(name)], classifier.wanted(name, target)))
            for name, target in wanted.items()
        )
        assert value == pytest.approx(expected, abs=1e-4)
    assert found[0] > np.log(0.5) > found[1]


@pytest.mark.slow
@pytest.mark.usefixtures("small_shards")
def test_rows_are_retried_until_they_are_likely(qm9: Model) -> None:
    order = words.order("entropy-bounded:gamma=.5")
    how: dict[str, Any] = {"gamma": 0.0, "dtype": "fp32", "order": order}
    targets = {"ring_count": "1"}
    plain = qm9.sample(8, targets, 0, **how).table
    adapt = words.adapt("restart:until=valid+likely,budget=48")
    found = qm9.sample(8, targets, 0, **how, adapt=adapt).table
    assert (plain["ring_count"] == 1).mean() < 0.5
    assert (found["ring_count"] == 1).mean() >= 0.75
    assert (found["nfe"] >= plain["nfe"]).all()
    assert (found["classifier_nfe"] >= 1).mean() > 0.9


def test_the_classifier_is_confident_on_finished_rows(qm9: Model) -> None:
    rows = [qm9.tokenizer.encode(text) for text in ("CCCO", "C1CC1C1CC1", "OCC1CC1")]
    tokens = padded(rows, qm9.denoiser.pad_id, 12)
    probability = resolve(qm9, qm9.settings(), {"ring_count": 2.0}).target_probability()(tokens)
    assert probability[1] > np.log(0.9)
    assert max(probability[0], probability[2]) < np.log(0.1)


def test_unknown_properties_of_the_classifier_are_refused(qm9: Model) -> None:
    settings = qm9.settings(adapt=words.adapt("restart:until=valid+likely"))
    with pytest.raises(ValueError, match=r"until is .*likely, expected no 'likely'"):
        qm9.draw(2, {}, settings=settings)
    prefixes = molgen.load("qm9-ar")
    with pytest.raises(ValueError, match="trained on prefixes"):
        prefixes.sample(2, {"qed": "max"}, adapt=settings.adapt)
