from __future__ import annotations

import math

import pytest
import torch

import tiny_masked
from molgen.nn.masked_lm import MODEL_TYPES, MaskedLM, longest_row
from molgen.nn.micro_batches import prepared

SIZE = len(tiny_masked.SPECIAL) + len(tiny_masked.LETTERS)


def denoiser(kind: str = "bert") -> MaskedLM:
    return MaskedLM(tiny_masked.network(kind), pad_id=0, mask_id=4, max_length=12, never=(1, 2, 3))


def test_logits_are_those_of_the_network_without_special_tokens() -> None:
    model = denoiser()
    tokens = torch.tensor([[2, 5, 4, 6, 3, 0], [2, 4, 4, 7, 8, 3]])
    logits = model.logits(tokens)
    assert (logits[..., :5] == -math.inf).all()
    plain = model.model(input_ids=tokens[1:]).logits
    torch.testing.assert_close(logits[1:, :, 5:], plain[..., 5:])
    alone = model.logits(tokens[:1, :5])  # padding has no effect
    torch.testing.assert_close(logits[:1, :5], alone, atol=1e-5, rtol=1e-5)


def test_a_condition_is_an_error_unless_it_is_empty() -> None:
    model, tokens = denoiser(), torch.tensor([[2, 4, 3]])
    assert torch.equal(model.logits(tokens), model.logits(tokens, torch.full((1, 1), math.nan)))
    with pytest.raises(ValueError, match="condition is given, expected None"):
        model.logits(tokens, torch.ones(1, 1))


def test_a_draw_has_a_network_of_its_own_in_double_precision() -> None:
    model = denoiser()
    double = prepared(model, torch.device("cpu"), torch.float64)
    assert double.logits(torch.tensor([[2, 4, 3]])).dtype == torch.float64
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


@pytest.mark.parametrize("kind", MODEL_TYPES)
def test_every_position_of_the_longest_row_exists(kind: str) -> None:
    network = tiny_masked.network(kind)
    longest = longest_row(network)
    tokens = torch.full((1, longest), 5)
    assert network(input_ids=tokens).logits.shape == (1, longest, SIZE)
    assert tiny_masked.LONGEST + 6 <= longest <= tiny_masked.LONGEST + 8
