"""Muon against torch's, and what it promises of singular values."""

from __future__ import annotations

import pytest
import torch

from molgen.training.optim import Muon, orthogonalised


@pytest.mark.parametrize("shape", [(24, 64), (64, 24), (32, 32)])
def test_it_takes_the_steps_of_torch(shape: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(shape, generator=generator)
    ours, theirs = (torch.nn.Parameter(start.clone()) for _ in range(2))
    own = Muon([ours], lr=0.02, weight_decay=0.1)
    reference = torch.optim.Muon(
        [theirs], lr=0.02, weight_decay=0.1, momentum=0.95, adjust_lr_fn="match_rms_adamw"
    )
    for _ in range(4):
        ours.grad = torch.randn(shape, generator=generator)
        theirs.grad = ours.grad.clone()
        own.step()
        reference.step()
    assert torch.equal(ours, theirs)
    assert not torch.equal(ours, start)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_singular_values_are_about_one(dtype: torch.dtype) -> None:
    matrix = torch.randn((40, 90), generator=torch.Generator().manual_seed(1))
    values = torch.linalg.svdvals(orthogonalised(matrix, dtype))
    assert values.min() > 0.5
    assert values.max() < 1.3


def test_the_singular_vectors_are_unchanged() -> None:
    u, _, vh = torch.linalg.svd(torch.randn(6, 9, generator=torch.Generator().manual_seed(2)))
    matrix = u @ torch.diag(torch.arange(1.0, 7.0)) @ vh[:6]
    core = u.T @ orthogonalised(matrix, torch.float32) @ vh[:6].T
    assert (core - torch.diag(core.diag())).abs().max() < 1e-4


def test_a_vector_is_rejected() -> None:
    with pytest.raises(ValueError, match="expected matrices"):
        Muon([torch.nn.Parameter(torch.zeros(3))])
