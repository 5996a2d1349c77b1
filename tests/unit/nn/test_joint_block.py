from __future__ import annotations

import pytest
import torch
from torch import Tensor

import tiny
import tiny_joint
from molgen.nn.denoiser import MoleculeDenoiser
from molgen.nn.joint_block import JointBlock, Sweep, shape_for
from molgen.training.few_step import previous

ROWS, LENGTH = 6, 9


@pytest.fixture(scope="module")
def denoiser() -> MoleculeDenoiser:
    return tiny.network()


def masked_rows(denoiser: MoleculeDenoiser) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Clean rows, masked tokens, tokens to draw, and conditions."""
    generator = torch.Generator().manual_seed(3)
    x_0 = torch.randint(0, denoiser.pad_id, (ROWS, LENGTH), generator=generator)
    masked = torch.rand((ROWS, LENGTH), generator=generator) < 0.7
    place = masked & (torch.rand((ROWS, LENGTH), generator=generator) < 0.6)
    condition = torch.full((ROWS, len(tiny.PROPERTIES)), float("nan"))
    condition[::2, 1] = 0.5
    return x_0, masked, place, condition


@torch.no_grad()
def logits(
    block: JointBlock, denoiser: MoleculeDenoiser, x_t: Tensor, x_s: Tensor, *given: Tensor
) -> Tensor:
    place, condition = given
    read = denoiser.read(x_t, condition)
    own = denoiser.heads(read).logits
    return block.logits(own, read, previous(x_s, denoiser.mask_id), place, condition)


def test_an_untrained_block_is_the_product(denoiser: MoleculeDenoiser) -> None:
    x_0, masked, place, condition = masked_rows(denoiser)
    x_t = torch.where(masked, denoiser.mask_id, x_0)
    x_s = torch.where(masked & ~place, denoiser.mask_id, x_0)
    found = logits(JointBlock(shape_for(denoiser.config)), denoiser, x_t, x_s, place, condition)
    torch.testing.assert_close(found, denoiser.logits(x_t, condition))


def test_a_token_depends_on_drawn_tokens_to_its_left_alone(denoiser: MoleculeDenoiser) -> None:
    block = tiny_joint.block(denoiser)
    x_0, masked, place, condition = masked_rows(denoiser)
    x_t = torch.where(masked, denoiser.mask_id, x_0)
    x_s = torch.where(masked & ~place, denoiser.mask_id, x_0)
    before = logits(block, denoiser, x_t, x_s, place, condition)
    at = 4
    changed = x_s.clone()
    changed[:, at] = (x_0[:, at] + 1) % denoiser.pad_id
    after = logits(block, denoiser, x_t, changed, place, condition)
    torch.testing.assert_close(after[:, : at + 1], before[:, : at + 1])
    assert not torch.allclose(after[:, at + 1 :], before[:, at + 1 :])


@torch.no_grad()
def test_a_sweep_reads_what_the_block_computes_at_once(denoiser: MoleculeDenoiser) -> None:
    block = tiny_joint.block(denoiser)
    x_0, masked, place, condition = masked_rows(denoiser)
    x_t = torch.where(masked, denoiser.mask_id, x_0)
    x_s = torch.where(masked & ~place, denoiser.mask_id, x_0)
    read = denoiser.read(x_t, condition)
    want = block.logits(torch.zeros(1), read, previous(x_s, denoiser.mask_id), place, condition)
    sweep, rows = Sweep(block, x_t, read, place, condition), torch.arange(ROWS)
    order = torch.argsort((~place).int(), dim=1, stable=True)
    for i in range(int(place.sum(1).max())):
        at, use = order[:, i], i < place.sum(1)
        torch.testing.assert_close(sweep.read(at)[use], want[rows, at][use], rtol=0, atol=1e-4)
        sweep.put(at, x_0[rows, at], use)
    assert torch.equal(sweep.tokens, x_s)
