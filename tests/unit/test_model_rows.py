"""Rows of a loaded model: batch invariance, and the effect of settings."""

from __future__ import annotations

from typing import Any

import pytest

from molgen.diffusion import plan, token_weights
from molgen.model import Model
from molgen.sampling.recipe import resolve
from molgen.sampling.settings import Settings

BUSY: dict[str, Any] = {"remask": plan.Rescale(0.4), "steps": 10}


def raws(model: Model, n: int, first: int = 0, **settings: Any) -> list[tuple[str, int]]:
    targets: dict[str, Any] = {"qed": 0.6, "ring_count": "0..1"} if "gamma" in settings else {}
    table = model.sample(n, targets, seed=5, first=first, **{**BUSY, **settings}).table
    assert table["index"].tolist() == list(range(first, first + n))
    return list(zip(table["raw"], table["nfe"], strict=True))


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
@pytest.mark.parametrize("gamma", [0, 2.5])
def test_rows_are_batch_invariant_and_call_invariant(
    model: Model, dtype: str, gamma: float
) -> None:
    given: dict[str, Any] = {"dtype": dtype, **({"gamma": gamma} if gamma else {})}
    whole = raws(model, 40, **given, batch_size=256)
    assert len({len(raw) for raw, _ in whole}) > 4, "of many lengths"
    for batch_size in (1, 7):
        assert raws(model, 40, **given, batch_size=batch_size) == whole
    assert raws(model, 13, **given) == whole[:13]
    assert raws(model, 27, first=13, **given, batch_size=5) == whole[13:]
    assert all(nfe % (2 if gamma else 1) == 0 for _, nfe in whole)


def test_rows_are_batch_invariant_under_weights_too(model: Model) -> None:
    weights = token_weights.Sharpened()
    whole = raws(model, 20, remask_weights=weights)
    assert raws(model, 20, remask_weights=weights, batch_size=3) == whole
    assert raws(model, 20) != whole


def test_gamma_one_is_the_conditional_prediction_in_one_forward(model: Model) -> None:
    one, near = (
        model.sample(30, {"qed": 0.8}, gamma=gamma, dtype="fp32", **BUSY).table
        for gamma in (1.0, 1.0 + 1e-9)
    )
    assert one["raw"].tolist() == near["raw"].tolist()
    assert (2 * one["nfe"] == near["nfe"]).all()
    unguided = model.sample(30, gamma=3.0, dtype="fp32", **BUSY).table
    assert unguided["nfe"].sum() < near["nfe"].sum(), "without targets there is nothing to mix"


def test_the_condition_matters(model: Model) -> None:
    low, high = (model.draw(40, {"qed": v}, settings=Settings(**BUSY)).tokens for v in (0.1, 0.9))
    assert low.shape != high.shape or (low != high).any()


def test_a_profile_conditions_rows_without_targets(model: Model) -> None:
    plain, profiled = (
        model.draw(16, None, 3, settings=model.settings(conditions=word))
        for word in ("asked", "profile")
    )
    assert (plain.nfe == profiled.nfe).all()
    assert (plain.tokens != profiled.tokens).any()
    rows = resolve(model, model.settings(conditions="profile"), {}).draw_prior(16, 3)
    assert rows.condition is not None
    assert rows.condition.shape == (16, len(model.properties))
