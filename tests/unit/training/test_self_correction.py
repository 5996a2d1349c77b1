"""Self-correcting training: its inputs, its loss and its effect."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from molgen.nn.denoiser import MoleculeDenoiser, with_quality_head
from molgen.training.batch import Batch, draw_batch
from molgen.training.objective import Masked, objective_for
from molgen.training.recipe import TrainConfig
from molgen.training.self_correction import SelfCorrecting, inverse_cdf
from molgen.training.trainer import new_model, train
from small_data import dataset, shape

DATA = dataset()


def batch(rows: int = 40) -> Batch:
    return draw_batch(DATA, np.arange(rows), 0, 0, 0.3, SelfCorrecting(DATA.mask_id))


def network(seed: int = 3) -> MoleculeDenoiser:
    model = with_quality_head(new_model(shape(DATA), 0)).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return model


def test_some_masks_are_filled_and_often_all() -> None:
    drawn = batch()
    assert drawn.x_s is not None
    before, after = drawn.x_t == DATA.mask_id, drawn.x_s == DATA.mask_id
    assert not (after & ~before).any()
    assert ((before & ~after).sum(1) >= 1).all()
    whole = ~after.any(1) & (before.sum(1) > 1)
    part = after.any(1)
    assert whole.sum() > 5
    assert part.sum() > 5
    assert torch.equal(drawn.x_s[~after], drawn.x_0[~after])


def test_without_correction_and_quality_it_is_the_loss_of_masked_diffusion() -> None:
    model, drawn = network(), batch()
    plain = Masked(DATA.mask_id).losses(model, drawn)
    alone = SelfCorrecting(DATA.mask_id, correction=0.0, quality=0.0).losses(model, drawn)
    torch.testing.assert_close(alone, plain)
    for changes in ({"correction": 1.0, "quality": 0.0}, {"correction": 0.0, "quality": 1.0}):
        assert (SelfCorrecting(DATA.mask_id, **changes).losses(model, drawn) > plain).all()


def test_the_loss_of_a_row_does_not_depend_on_padding_and_batch() -> None:
    model, drawn = network(), batch()
    objective = SelfCorrecting(DATA.mask_id)
    parts = [objective.losses(model, part) for part in drawn.micro_batches(7)]
    torch.testing.assert_close(torch.cat(parts), objective.losses(model, drawn))


def test_inverse_cdf_draws_from_the_distribution() -> None:
    p = torch.tensor([0.2, 0.0, 0.5, 0.3, 0.0])
    u = (torch.arange(1000) + 0.5) / 1000
    token = inverse_cdf(p.log().expand(1, 1000, 5), u[None])[0]
    counts = torch.bincount(token, minlength=5)
    assert counts.tolist() == [200, 0, 500, 300, 0]
    last = inverse_cdf(p.log().expand(1, 1, 5), torch.ones(1, 1))
    assert int(last) == 3


def test_a_head_is_added_without_changing_the_rest() -> None:
    model = new_model(shape(DATA), 0)
    found = with_quality_head(model)
    assert model.quality_head is None
    assert with_quality_head(found) is found
    tokens = batch().x_t
    assert torch.equal(found.logits(tokens), model.logits(tokens))
    quality = found.answer(tokens).quality
    assert quality is not None
    assert quality.shape == tokens.shape


def test_other_noise_is_rejected() -> None:
    for noise in ("uniform", "none"):
        with pytest.raises(ValueError, match=f"noise is '{noise}'"):
            objective_for(noise, 5, 6, noise == "uniform", self_correct=True)


def test_training_learns_to_detect_wrong_tokens(tmp_path: Path) -> None:
    config = TrainConfig(
        epochs=300, batch_size=40, peak_rate=1e-2, ema_decay=0.95, self_correct=True,
        evaluate_every=10_000, checkpoint_every=10_000,
    )  # fmt: skip
    model = with_quality_head(new_model(shape(DATA), 0))
    trainer = train(DATA, tmp_path, model, config, progress=False)
    assert trainer.config.self_correct
    rows = np.flatnonzero(~DATA.held_out)[:60]
    x_0 = torch.from_numpy(DATA.tokens[rows].astype(np.int64))
    real = x_0 != DATA.pad_id
    generator = torch.Generator().manual_seed(0)
    at = torch.multinomial(real.float(), 1, generator=generator)
    old = x_0.gather(1, at)
    wrong = x_0.scatter(1, at, (old + 1) % DATA.pad_id)
    with torch.no_grad(), trainer.average.applied(trainer.model):
        assert isinstance(trainer.model, MoleculeDenoiser)
        found = trainer.model.eval().answer(wrong)
    assert found.quality is not None
    there = found.quality.gather(1, at).squeeze(1)
    elsewhere = found.quality.masked_fill(~real, torch.nan).scatter(1, at, torch.nan)
    assert (there < elsewhere.nanmean(1)).float().mean() > 0.8  # lower quality
