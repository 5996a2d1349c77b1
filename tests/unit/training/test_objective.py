from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from molgen.diffusion.likelihood import row_bounds
from molgen.diffusion.losses import masked_nll, next_token_nats
from molgen.nn.denoiser import MoleculeDenoiser
from molgen.training.batch import Batch, draw_batch
from molgen.training.objective import Masked, NextToken, Objective, Uniform, objective_for
from molgen.training.trainer import new_model
from small_data import dataset, shape

DATA = dataset()
NOISES = ("masked", "uniform", "none")


def of(noise: str) -> Objective:
    return objective_for(noise, DATA.pad_id, DATA.mask_id, noise == "uniform")


def drawn(noise: str, rows: int = 20) -> Batch:
    return draw_batch(DATA, np.arange(rows), 0, 0, 0.3, of(noise))


def alive(noise: str, seed: int = 3) -> MoleculeDenoiser:
    """A network whose every weight does something."""
    model = new_model(shape(DATA, noise=noise), 0).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return model


def test_between_one_and_all_real_tokens_are_masked() -> None:
    batch = drawn("masked")
    real = batch.x_0 != DATA.pad_id
    masked = batch.x_t == DATA.mask_id
    assert not (masked & ~real).any()
    assert torch.equal(batch.x_t[~masked], batch.x_0[~masked])
    assert (masked.sum(1) >= 1).all()
    assert (masked.sum(1) <= real.sum(1)).all()


def test_uniform_noise_keeps_padding_and_makes_no_special_token() -> None:
    x_0 = torch.zeros(4000, 6, dtype=torch.long)
    x_0[:, 4:] = DATA.pad_id
    real = x_0 != DATA.pad_id
    noised = Uniform(DATA.pad_id).corrupt(x_0, real, torch.Generator().manual_seed(0))
    assert noised.alpha is not None
    assert (noised.x_t[~real] == DATA.pad_id).all()
    assert (noised.x_t[real] < DATA.pad_id).all()
    # each row's times are its stratum's, so their mean is a half to 1 / rows
    assert noised.alpha.mean() == pytest.approx(0.5, abs=1e-3)
    kept = (noised.x_t == x_0)[:, :4].float().mean(1)
    expected = noised.alpha + (1 - noised.alpha) / DATA.pad_id
    assert (kept - expected).mean().abs() < 4 * 0.5 / math.sqrt(kept.numel() * 4)


def test_the_next_token_is_predicted_from_the_beginning() -> None:
    batch = drawn("none")
    assert (batch.x_t[:, 0] == DATA.mask_id).all()
    assert torch.equal(batch.x_t[:, 1:], batch.x_0)


@pytest.mark.parametrize("noise", NOISES)
def test_for_a_new_network_every_token_has_the_same_loss(noise: str) -> None:
    model = new_model(shape(DATA, noise=noise), 0)
    lengths = torch.from_numpy(DATA.lengths[:20])
    losses = of(noise).losses(model, drawn(noise))
    if noise == "masked":
        torch.testing.assert_close(losses, lengths * math.log(DATA.pad_id))
    elif noise == "none":  # the end is one token more
        torch.testing.assert_close(losses, (lengths + 1) * math.log(DATA.pad_id + 1))
    else:  # the bound of an untrained network is the entropy of noise, here to 5 %
        rows = torch.from_numpy(DATA.tokens[:20].astype(np.int64))
        bound = row_bounds(model, rows, every_count=True, seed=0, draws=40)
        assert bound.mean() == pytest.approx(
            float(lengths.double().mean()) * math.log(DATA.pad_id), rel=0.05
        )


def test_only_masked_tokens_have_a_loss() -> None:
    batch = drawn("masked")
    masked = batch.x_t == DATA.mask_id
    nll = masked_nll(alive("masked"), batch.x_0, masked)
    assert torch.equal(nll > 0, masked)


@torch.no_grad()
def test_an_autoregressive_network_is_a_distribution_over_strings() -> None:
    model = alive("none")
    longest = 2
    words = [w for n in range(longest + 1) for w in itertools.product(range(DATA.pad_id), repeat=n)]
    x = torch.full((len(words), longest), DATA.pad_id)
    for row, word in zip(x, words, strict=True):
        row[: len(word)] = torch.tensor(word, dtype=torch.long)
    p = (-next_token_nats(model, x).double()).exp()
    ended = torch.tensor([len(word) < longest for word in words])
    # strings of full length have the remaining probability
    begun = _not_ended(model, x[~ended])
    assert float(p[ended].sum() + begun.sum()) == pytest.approx(1.0, abs=1e-5)


def _not_ended(model: MoleculeDenoiser, x: Tensor) -> Tensor:
    """Probability that a string begins with the whole of x."""
    rows = torch.cat([torch.full((len(x), 1), model.mask_id), x], dim=1)
    log_p = model.logits(rows).log_softmax(-1)[:, :-1]
    return log_p.gather(-1, x[..., None]).squeeze(-1).sum(1).double().exp()


def test_a_causal_network_does_not_depend_on_later_tokens() -> None:
    model = alive("none")
    x = torch.from_numpy(DATA.tokens[:8].astype(np.int64))
    full = model.logits(x)
    for cut in (1, 3, 5):
        torch.testing.assert_close(model.logits(x[:, :cut]), full[:, :cut])


def test_every_noise_has_its_objective() -> None:
    assert of("masked") == Masked(DATA.mask_id)
    assert of("uniform") == Uniform(DATA.pad_id)
    assert of("none") == NextToken(DATA.mask_id)
    with pytest.raises(ValueError, match="time_input is False"):
        objective_for("uniform", 3, 4, time_input=False)
    with pytest.raises(ValueError, match="noise is 'pink'"):
        objective_for("pink", 3, 4, time_input=False)
