from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import AutoConfig, AutoModel, AutoModelForMaskedLM

from molgen.nn.denoiser import DenoiserConfig, MoleculeDenoiser
from molgen.training.trainer import new_model
from small_data import dataset, shape

DATA = dataset()


def network(time_input: bool = False) -> MoleculeDenoiser:
    """A network whose parameters are all random, so that its output depends on every input."""
    model = new_model(shape(DATA, time_input=time_input), 0)
    generator = torch.Generator().manual_seed(1)
    for p in model.parameters():
        p.data = torch.randn(p.shape, generator=generator) * p.shape[-1] ** -0.5
    return model.eval()


def rows(count: int = 6, length: int = 7) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    tokens = torch.randint(len(DATA.vocab) - 2, (count, length), generator=generator)
    return torch.where(torch.rand(tokens.shape, generator=generator) < 0.4, DATA.mask_id, tokens)


def test_logits_have_their_shape_and_exclude_special_tokens() -> None:
    logits = network().logits(rows())
    assert logits.shape == (6, 7, len(DATA.vocab))
    assert logits.dtype == torch.float32
    assert (logits[..., -2:] == -math.inf).all()
    assert logits[..., :-2].isfinite().all()


def test_for_a_new_network_every_token_is_equally_likely() -> None:
    logits = new_model(shape(DATA), 0).logits(rows())
    assert logits[..., :-2].abs().max() == 0


def test_a_new_network_is_a_function_of_its_seed_and_not_of_the_global_one() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    a, b, c = (new_model(shape(DATA), seed) for seed in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(a.token.weight, b.token.weight)
    assert not torch.equal(a.token.weight, c.token.weight)


def test_padding_changes_nothing() -> None:
    model, tokens = network(), rows()
    padded = torch.full((6, 10), DATA.pad_id)
    padded[:, :7] = tokens
    padded[0, 3:] = DATA.pad_id  # one row is shorter than the others
    alone, together = model.logits(tokens), model.logits(padded)
    torch.testing.assert_close(together[1:, :7], alone[1:], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(
        together[0, :3], model.logits(tokens[:1, :3])[0], atol=1e-5, rtol=1e-5
    )


def test_predictions_depend_on_the_length() -> None:
    model = network()
    masks = torch.full((1, 7), DATA.mask_id)
    assert not torch.allclose(model.logits(masks)[:, :5], model.logits(masks[:, :5]), atol=1e-3)


def test_a_row_that_is_too_long_is_an_error() -> None:
    with pytest.raises(ValueError, match="row has 17 tokens, expected at most 16"):
        network().logits(rows(1, 17))


def test_conditions_are_independent_and_nan_is_absent() -> None:
    model, tokens = network(), rows()
    nan = torch.full((6, 2), math.nan)
    first, both = nan.clone(), torch.full((6, 2), 2.0)
    first[:, 0] = 2.0
    found = [model.logits(tokens, c)[..., :-2] for c in (None, nan, first, both)]
    assert torch.equal(found[0], found[1])
    for a, b in ((1, 2), (2, 3), (1, 3)):
        assert not torch.allclose(found[a], found[b], atol=1e-4)


def test_a_time_input_is_required_and_has_an_effect() -> None:
    model, tokens = network(time_input=True), rows()
    with pytest.raises(ValueError, match="alpha is None"):
        model.logits(tokens)
    early, late = (model.logits(tokens, alpha=torch.full((6,), a)) for a in (0.1, 0.9))
    assert not torch.allclose(early[..., :-2], late[..., :-2], atol=1e-4)


def test_every_parameter_learns() -> None:
    model = network(time_input=True)
    values = torch.tensor([[1.0, math.nan], [math.nan, 2.0]] * 3)
    logits = model.logits(rows(), values, torch.rand(6))
    logits.log_softmax(-1)[..., 0].sum().backward()
    for name, p in model.named_parameters():
        assert p.grad is not None, name
        assert p.grad.abs().sum() > 0, name


def test_save_and_load_keep_every_bit(tmp_path: Path) -> None:
    model, values = network(), torch.tensor([[3.0, math.nan]] * 6)
    model.save_pretrained(tmp_path)
    again = MoleculeDenoiser.from_pretrained(tmp_path).eval()
    assert torch.equal(model.logits(rows(), values), again.logits(rows(), values))
    assert {p.name for p in tmp_path.iterdir()} >= {"config.json", "model.safetensors"}


def test_zeros_of_a_new_network_do_not_replace_loaded_weights(tmp_path: Path) -> None:
    network().save_pretrained(tmp_path)
    again = MoleculeDenoiser.from_pretrained(tmp_path)
    for p in again.parameters():
        assert p.detach().abs().sum() > 0


def test_bfloat16_weights_stay_close(tmp_path: Path) -> None:
    model = network()
    network().bfloat16().save_pretrained(tmp_path)
    again = MoleculeDenoiser.from_pretrained(tmp_path, dtype=torch.float32).eval()
    p, q = (m.logits(rows()).softmax(-1) for m in (model, again))
    assert (p - q).abs().max() < 0.02


def test_auto_classes_of_transformers_work(tmp_path: Path) -> None:
    model = network()
    model.save_pretrained(tmp_path)
    assert isinstance(AutoConfig.from_pretrained(tmp_path), DenoiserConfig)
    for auto in (AutoModel, AutoModelForMaskedLM):
        again = auto.from_pretrained(tmp_path).eval()
        assert torch.equal(again(rows()).logits, model.logits(rows()))
