"""Goals of unequal weight: the mixture and its cost; equal weights change nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tiny
from molgen.guidance.kernels import ClassifierFree, classifier_free
from molgen.guidance.next_token import ClassifierFreeModel
from molgen.guidance.predictor import NetworkPredictor
from molgen.guidance.spec import ClassifierBased
from molgen.guidance.weighted_conditions import GoalWeights, scaled
from molgen.model import Model
from molgen.nn.kv_cache import CachedDenoiser
from molgen.utils.threads import Workers, workers
from tiny import fp32
from tiny_classifier import classifier

NAMES = ("qed", "logp", "rings")
TOKENS = torch.tensor([[0, tiny.network().mask_id, 1], [tiny.network().mask_id] * 3])
CONDITION = torch.tensor([[0.4, 1.0, torch.nan], [0.5, -1.0, torch.nan]])
ALPHA = torch.tensor([0.5, 0.1])


@pytest.fixture(scope="module")
def pool() -> Iterator[Workers]:
    with workers(count=2) as pool:
        yield pool


def test_only_proportions_count_and_equal_weights_are_none() -> None:
    assert GoalWeights.of(NAMES, ["qed", "logp"], {"qed": 3.0, "logp": 3.0}) is None
    assert GoalWeights.of(NAMES, ["qed"], {"qed": 3.0}) is None
    assert GoalWeights.of(NAMES, ["qed", "sa"], {"sa": 3.0}) is None, (
        "not a condition of the network"
    )
    found = GoalWeights.of(NAMES, ["qed", "logp", "rings"], {"qed": 4.0, "rings": 2.0})
    assert found == GoalWeights.of(NAMES, ["logp", "rings", "qed"], {"logp": 0.25, "rings": 0.5})
    assert found is not None
    assert found.conditioned == ((True, True, True), (True, False, True), (True, False, False))
    assert found.share == (0.25, 0.25, 0.5)


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan"), float("inf")])
def test_a_weight_is_a_number_above_0(weight: float) -> None:
    with pytest.raises(ValueError, match=r"weight of qed is"):
        GoalWeights.of(NAMES, ["qed", "logp"], {"qed": weight})


def test_every_part_is_conditioned_on_properties_that_are_not_goals() -> None:
    found = GoalWeights.of(["qed", "logp", "sa"], ["qed", "logp"], {"qed": 2.0})
    assert found is not None
    assert found.conditioned == ((True, True, True), (True, False, True))


def test_independent_goals_get_their_own_exponents() -> None:
    rng = torch.Generator().manual_seed(0)
    x = torch.rand(7, generator=rng, dtype=torch.float64)
    x[3] = 0
    chance = {name: torch.rand(7, generator=rng, dtype=torch.float64) for name in NAMES}
    weights = {"qed": 4.0, "logp": 1.0, "rings": 2.0}
    goal_weights = GoalWeights.of(NAMES, NAMES, weights)
    assert goal_weights is not None
    parts: list[torch.Tensor] = []
    for included in goal_weights.conditioned:
        p = x.clone()
        for name, yes in zip(NAMES, included, strict=True):
            p = p * chance[name] if yes else p
        parts.append((p / p.sum()).log())
    expected = x.clone()
    for name, w in scaled(NAMES, weights).items():
        expected *= chance[name] ** w
    torch.testing.assert_close(goal_weights.combine(parts).exp(), expected / expected.sum())


def by_hand(goal_weights: GoalWeights, gamma: float | None) -> torch.Tensor:
    network, parts = tiny.network(), []
    for part in goal_weights.conditioned:
        condition = torch.where(torch.tensor(part), CONDITION, torch.nan)
        parts.append(network.logits(TOKENS, condition, ALPHA).log_softmax(-1).double())
    mixed = goal_weights.combine(parts)
    if gamma is not None:
        free = network.logits(TOKENS, None, ALPHA).log_softmax(-1).double()
        mixed = classifier_free(mixed, free, gamma)
    return mixed.exp()[network.mask_id == TOKENS].detach()


@pytest.mark.parametrize("gamma", [None, 2.5])
def test_a_predictor_computes_and_counts_each_part(pool: Workers, gamma: float | None) -> None:
    goal_weights = GoalWeights.of(tiny.network().config.properties, ["qed", "logp"], {"qed": 2.0})
    assert goal_weights is not None
    guidance = None if gamma is None else ClassifierFree(gamma)
    predictor = NetworkPredictor(
        fp32(tiny.network(), goal_weights=goal_weights),
        pool,
        guidance,
    )
    assert predictor.forwards == (2 if gamma is None else 3)
    tokens = TOKENS.numpy()
    masked = tokens == predictor.mask_id
    found = predictor(tokens, masked, CONDITION.numpy(), ALPHA.double().numpy())
    np.testing.assert_allclose(found.p, by_hand(goal_weights, gamma), atol=2e-6)


def test_an_autoregressive_network_does_the_same() -> None:
    model = CachedDenoiser(tiny.network(noise="none"), dtype="fp32")
    goal_weights = GoalWeights.of(NAMES, ["qed", "logp"], {"qed": 4.0})
    assert goal_weights is not None
    guided = ClassifierFreeModel(model, 2.0, goal_weights)
    assert guided.forwards == 3
    words = torch.tensor([[model.mask_id, 1, 2], [model.mask_id, 0, 1]])
    whole = guided.begin(2, CONDITION)
    parts = [
        model.begin(2, torch.where(torch.tensor(p), CONDITION, torch.nan))
        for p in goal_weights.conditioned
    ]
    free = model.begin(2, torch.full_like(CONDITION, torch.nan))
    for token in words.T:
        mixed = goal_weights.combine([part.append(token) for part in parts])
        expected = classifier_free(mixed[:, None], free.append(token)[:, None], 2.0)[:, 0]
        torch.testing.assert_close(whole.append(token).exp(), expected.exp(), atol=1e-6, rtol=0)
    whole.keep(torch.tensor([1]))
    for prefixes in (*parts, free):
        prefixes.keep(torch.tensor([1]))
    token = torch.tensor([2])
    mixed = goal_weights.combine([part.append(token) for part in parts])
    expected = classifier_free(mixed[:, None], free.append(token)[:, None], 2.0)[:, 0]
    torch.testing.assert_close(whole.append(token).exp(), expected.exp(), atol=1e-6, rtol=0)


def test_weights_act_on_the_draws_and_equal_ones_do_not(model: Model) -> None:
    few: dict[str, Any] = {"steps": 6, "gamma": 2.0}
    targets = {"qed": "max", "logp": "max"}
    plain = model.sample(30, targets, 1, **few).table
    same = model.sample(30, targets, 1, **few, goal_weights={"qed": 5.0, "logp": 5.0}).table
    assert plain.equals(same)
    more = model.sample(30, targets, 1, **few, goal_weights={"logp": 5.0}).table
    assert not more["raw"].equals(plain["raw"])
    assert (more["nfe"] % 3 == 0).all()
    assert more["nfe"].sum() / 3 == pytest.approx(plain["nfe"].sum() / 2, rel=0.2)


def test_a_classifier_weights_its_goals(model: Model, tmp_path: Path) -> None:
    classifier().save_pretrained(tmp_path)
    targets: dict[str, Any] = {"qed": "0.36..", "ring_count": 0.0}
    how: dict[str, Any] = {
        "steps": 6,
        "gamma": 2.0,
        "guidance": ClassifierBased(classifier=str(tmp_path)),
    }
    plain = model.sample(30, targets, 1, **how).table
    same = model.sample(30, targets, 1, **how, goal_weights={"qed": 2.0, "ring_count": 2.0}).table
    more = model.sample(30, targets, 1, **how, goal_weights={"qed": 9.0}).table
    assert plain.equals(same)
    assert not more["raw"].equals(plain["raw"])
    assert more["classifier_nfe"].sum() > 0
