from __future__ import annotations

import pytest
import torch

import small_data
import tiny
import tiny_joint
from molgen.errors import MolgenError
from molgen.training.batch import Batch
from molgen.training.few_step import JointDraws, check_denoiser, previous

ROWS, LENGTH = 400, 9


def noised(prefixes: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, int]:
    """Real tokens, masked ones, those to place, and the mask."""
    denoiser = tiny.network()
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(1, LENGTH + 1, (ROWS,), generator=generator)
    real = torch.arange(LENGTH) < lengths[:, None]
    x_0 = torch.where(real, 1, denoiser.pad_id)
    found = JointDraws(denoiser, prefixes).corrupt(x_0, real, generator)
    assert found.x_s is not None
    masked, left = found.x_t == denoiser.mask_id, found.x_s == denoiser.mask_id
    assert torch.equal(found.x_t[~masked], x_0[~masked])
    assert torch.equal(found.x_s[~left], x_0[~left])
    return real, masked, masked & ~left, denoiser.mask_id


@pytest.mark.parametrize("prefixes", [0.0, 0.5, 1.0])
def test_every_step_places_some_masked_tokens(prefixes: float) -> None:
    real, masked, placed, _ = noised(prefixes)
    assert bool((masked <= real).all())
    assert bool((placed <= masked).all())
    assert bool(placed.any(1).all())
    assert placed.sum(1).float().mean() < masked.sum(1).float().mean()


def test_from_left_to_right_the_next_tokens_are_placed() -> None:
    real, masked, placed, _ = noised(1.0)
    lengths, count, step = real.sum(1), masked.sum(1), placed.sum(1)
    at, begin = torch.arange(LENGTH), (lengths - count)[:, None]
    assert torch.equal(masked, real & (at >= begin))
    assert torch.equal(placed, (at >= begin) & (at < begin + step[:, None]))


def test_the_loss_is_the_sum_over_placed_tokens_given_those_to_the_left() -> None:
    denoiser = tiny.network()
    block, objective = tiny_joint.block(denoiser), JointDraws(denoiser)
    x_0 = torch.tensor([[2, 3, 4, 2, 3]])
    x_t = torch.tensor([[2, denoiser.mask_id, denoiser.mask_id, denoiser.mask_id, 3]])
    x_s = torch.tensor([[2, 3, denoiser.mask_id, 2, 3]])
    values = torch.full((1, len(tiny.PROPERTIES)), float("nan"))
    place = torch.tensor([[False, True, False, True, False]])
    with torch.no_grad():
        read = denoiser.read(x_t)
        own = denoiser.heads(read).logits
        log_p = block.logits(own, read, previous(x_s, denoiser.mask_id), place).log_softmax(-1)
        joint, product, count = objective.nats(block, Batch(x_0, x_t, values, x_s=x_s))
    assert joint.item() == pytest.approx(-float(log_p[0, 1, 3] + log_p[0, 3, 2]), rel=1e-5)
    plain = own.log_softmax(-1)
    assert product.item() == pytest.approx(-float(plain[0, 1, 3] + plain[0, 3, 2]), rel=1e-5)
    assert count.item() == 2


@pytest.mark.parametrize("noise", ["uniform", "none"])
def test_only_masked_noise_has_joint_draws(noise: str) -> None:
    with pytest.raises(MolgenError, match=f"noise is '{noise}'"):
        check_denoiser(tiny.network(time_input=noise == "uniform", noise=noise))


def test_the_objective_needs_the_rows_after_the_step() -> None:
    denoiser, data = tiny.network(), small_data.dataset()
    x = torch.from_numpy(data.tokens[:1].astype("int64"))
    with pytest.raises(MolgenError, match="x_s is None"):
        JointDraws(denoiser).nats(tiny_joint.block(denoiser), Batch(x, x, x))
