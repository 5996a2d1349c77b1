"""Candidates are predicted a few positions at a time on a CPU, with the same numbers."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

import tiny_classifier
from property_models.classifiers import network


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_row_has_the_numbers_it_has_alone(dtype: torch.dtype) -> None:
    classifier = tiny_classifier.classifier().to(dtype)  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(0)
    rows, length = 5, network.AT_ONCE // 2 + 3  # parts end within rows
    width = network.CANDIDATE_WIDTH * classifier.config.hidden_size
    context = torch.randn(rows, length, width, generator=generator).to(dtype)
    with torch.inference_mode():
        found = classifier.candidate_bins(context, [1, 0])
        alone = [classifier.candidate_bins(row[None], [1, 0]) for row in context]
    assert torch.equal(found, torch.cat(alone))
    assert found.exp().sum(-1).allclose(torch.ones(()), atol=1e-5)
    hidden = F.relu(context[:, :, None] + classifier.value.weight).square()
    whole = classifier._log_bins(classifier.candidate(hidden))[..., [1, 0], :]
    tolerance = 1e-5 if dtype == torch.float32 else 0.1
    assert (found - whole).nan_to_num().abs().max() < tolerance


def test_gradients_pass_through_the_candidates() -> None:
    classifier = tiny_classifier.classifier()
    width = network.CANDIDATE_WIDTH * classifier.config.hidden_size
    context = torch.randn(1, 3, width, generator=torch.Generator().manual_seed(1))
    context.requires_grad_()
    found = classifier.candidate_bins(context, [0])
    found[found.isfinite()].sum().backward()
    assert context.grad is not None
    assert context.grad.abs().sum() > 0
