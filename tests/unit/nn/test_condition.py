from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from molgen.nn.condition import REACH, PropertyEmbedding, sinusoid
from molgen.nn.denoiser import DenoiserConfig


def embedding(time_input: bool = False, properties: int = 2) -> PropertyEmbedding:
    config = DenoiserConfig(
        condition_size=8,
        properties=["a", "b"][:properties],
        property_mean=[10.0, -1.0][:properties],
        property_std=[2.0, 0.5][:properties],
        time_input=time_input,
    )
    torch.manual_seed(0)
    return PropertyEmbedding(config)


def embed(module: PropertyEmbedding, values: Tensor | None, batch: int = 1) -> Tensor:
    return module(values, None, batch).detach()


def test_without_properties_all_rows_have_one_vector() -> None:
    module = embedding()
    none, nan = embed(module, None, 3), embed(module, torch.full((3, 2), math.nan), 3)
    assert none.shape == (3, 8)
    assert torch.equal(none, nan)
    assert torch.equal(none[0], none[1])


def test_near_values_have_near_embeddings_and_far_ones_are_clamped() -> None:
    module = embedding()

    def at(value: float) -> Tensor:
        return embed(module, torch.tensor([[value, math.nan]]))

    near, middle = (at(10.0) - at(10.02)).norm(), (at(10.0) - at(11.0)).norm()
    assert near < 0.1 * middle
    assert torch.equal(at(10 + 2 * REACH), at(1e6))
    assert torch.equal(at(-math.inf), at(10 - 2 * REACH))


def test_each_property_has_its_own_embedding() -> None:
    module = embedding()
    nan = math.nan
    values = torch.tensor([[nan, nan], [10.0, nan], [nan, -1.0], [10.0, -1.0]])
    rows = embed(module, values, 4)
    for i in range(4):
        for j in range(i):
            assert not torch.allclose(rows[i], rows[j], atol=1e-4)


def test_no_properties_and_no_gradient_of_absent_ones() -> None:
    assert embed(embedding(properties=0), None, 2).shape == (2, 8)
    module = embedding()
    module(torch.tensor([[math.nan, 1.0]]), None, 1).sum().backward()
    bumps, absent = module.bumps.grad, module.absent.grad
    assert bumps is not None
    assert absent is not None
    assert bumps.isfinite().all()
    assert bumps[0].abs().sum() == 0 < bumps[1].abs().sum()
    assert absent[1].abs().sum() == 0 < absent[0].abs().sum()


def test_wrong_shapes_are_errors() -> None:
    with pytest.raises(ValueError, match=r"shape \(3, 1\), expected \(3, 2\)"):
        embed(embedding(), torch.zeros(3, 1), 3)
    with pytest.raises(ValueError, match="alpha is None"):
        embed(embedding(time_input=True), None)


def test_times_have_different_features() -> None:
    features = sinusoid(torch.tensor([0.0, 0.5, 0.501, 1.0]))
    assert features.shape == (4, 32)
    assert len({tuple(row.tolist()) for row in features}) == 4
