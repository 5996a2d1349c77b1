from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

import molgen
import tiny
from molgen.guidance.context_contrast import Context
from molgen.guidance.kernels import ClassifierFree, classifier_free
from molgen.guidance.predictor import NetworkPredictor
from molgen.sampling import words
from molgen.utils.threads import workers
from tiny import fp32

PAD, MASK = len(tiny.CHARACTERS), len(tiny.CHARACTERS) + 1
RNG = np.random.default_rng(0)
TOKENS = np.where(RNG.random((40, 8)) < 0.5, MASK, RNG.integers(0, PAD, (40, 8)))
CONDITION = RNG.random((40, 3)).astype(np.float32)
ALPHA = RNG.random(40)
CONTEXT = Context(0.4, 2.5)


def test_a_share_of_the_placed_tokens_is_hidden() -> None:
    tokens = torch.from_numpy(TOKENS)
    less = CONTEXT.hide(tokens, MASK)
    placed, left = (tokens != MASK).sum(1), (less != MASK).sum(1)
    assert (placed - left == torch.ceil(0.4 * placed - 1e-9)).all()
    assert ((less == tokens) | (less == MASK)).all()
    assert torch.equal(CONTEXT.hide(tokens[7:8], MASK), less[7:8])  # whatever the batch
    everything = torch.full((1, 8), 1)
    hidden = [
        (CONTEXT.hide(torch.cat([everything[:, :-1], torch.tensor([[i]])], 1), MASK) == MASK)
        for i in range(6)
    ]
    assert len({tuple(h.flatten().tolist()) for h in hidden}) > 1  # another row, other tokens
    ten = torch.ones((1, 10), dtype=torch.int64)
    assert (Context(0.3).hide(ten, MASK) == MASK).sum() == 3


@pytest.mark.parametrize("gamma", [None, 3.0])
def test_the_prediction_is_the_contrast_of_two(gamma: float | None) -> None:
    """Against the same mixture computed twice by hand, over whole rows."""
    network, guidance = tiny.network(), None if gamma is None else ClassifierFree(gamma)
    wanted = TOKENS == MASK
    less = CONTEXT.hide(torch.from_numpy(TOKENS), MASK).numpy()
    with workers(count=1) as pool:
        plain = NetworkPredictor(fp32(network), pool, guidance)
        guided = NetworkPredictor(fp32(network), pool, guidance, context=CONTEXT)
        found = guided(TOKENS, wanted, CONDITION, ALPHA).p
        seen = torch.from_numpy(plain(TOKENS, wanted, CONDITION, ALPHA).p).log()
        fewer = torch.from_numpy(plain(less, wanted, CONDITION, ALPHA).p).log()
    assert guided.forwards == 2 * plain.forwards
    expected = classifier_free(seen[None], fewer[None], 2.5)[0].exp()
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)
    assert np.abs(found - seen.exp().numpy()).max() > 0.01


def test_at_strength_one_nothing_changes(tiny_model: Path) -> None:
    model = molgen.load(tiny_model)
    drawn = [
        model.draw(12, {"qed": "max"}, 3, settings=model.settings(context=context, gamma=2.0))
        for context in (None, Context(strength=1.0))
    ]
    assert np.array_equal(drawn[0].tokens, drawn[1].tokens)
    assert np.array_equal(2 * drawn[0].nfe, drawn[1].nfe)  # and its forwards are counted


def test_words_and_refusals(tiny_model: Path) -> None:
    assert words.context("none") is None
    assert words.context("hide:share=.4,strength=2.5") == CONTEXT
    with pytest.raises(ValueError, match="context is 'hid'"):
        words.context("hid")
    with pytest.raises(ValueError, match=r"share is 0\.0, expected more than 0"):
        Context(0.0)
    with pytest.raises(ValueError, match="strength is nan"):
        Context(0.5, math.nan)
    model = molgen.load(tiny_model)
    settings = model.settings(
        context=CONTEXT, guidance=words.guidance("cfg:mix=posterior"), gamma=2.0
    )
    with pytest.raises(ValueError, match="context is hide, expected none"):
        model.draw(2, {"qed": "max"}, 0, settings=settings)
