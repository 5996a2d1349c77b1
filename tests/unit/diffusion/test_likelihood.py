"""The bound of the exact denoiser is the likelihood itself: tested on an alphabet of two tokens."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor

from molgen.data.dataset import TokenDataset
from molgen.diffusion.likelihood import CHUNK, held_out_bound, row_bounds, spread
from molgen.diffusion.losses import alpha_given_counts
from molgen.training.trainer import new_model
from molgen.utils.threads import Workers
from small_data import dataset, shape

PAD, MASK = 2, 3
TARGET = {
    2: torch.tensor([0.5, 0.1, 0.15, 0.25], dtype=torch.float64),
    3: torch.tensor([0.30, 0.02, 0.05, 0.13, 0.01, 0.19, 0.22, 0.08], dtype=torch.float64),
}
"""For each length a distribution over the strings of zeros and ones, in order."""


class Exact:
    """The exact denoiser: ``p(x_0 token | x_t)``, summed over all strings of the row's length."""

    vocab_size, pad_id, mask_id, max_length, time_input = 4, PAD, MASK, 3, False

    def logits(
        self, tokens: Tensor, condition: Tensor | None = None, alpha: Tensor | None = None
    ) -> Tensor:
        out = torch.full((*tokens.shape, 4), -math.inf, dtype=torch.float64)
        for row, result in zip(tokens, out, strict=True):
            length = int((row != PAD).sum())
            clean = torch.tensor(list(product(range(2), repeat=length)))
            seen = row[:length]
            joint = TARGET[length] * ((seen == MASK) | (seen == clean)).all(1)
            for v in range(2):
                result[:length, v] = torch.log(joint @ (clean == v).double() / joint.sum())
            result[length:, 0] = 0.0
        return out


def strings(length: int) -> Tensor:
    rows = torch.full((2**length, 3), PAD)
    rows[:, :length] = torch.tensor(list(product(range(2), repeat=length)))
    return rows


@pytest.mark.parametrize("length", [2, 3])
@pytest.mark.parametrize("every_count", [True, False])
def test_the_exact_denoisers_bound_is_the_likelihood(length: int, every_count: bool) -> None:
    rows = strings(length)[:, :length]
    draws = torch.stack([row_bounds(Exact(), rows, every_count, seed) for seed in range(400)])
    error = draws.std(0) / math.sqrt(len(draws))
    truth = -TARGET[length].log()
    assert ((draws.mean(0) - truth).abs() <= 4.5 * error + 1e-9).all()


def test_rows_of_two_lengths_each_count_up_to_their_own() -> None:
    rows = torch.cat([strings(2), strings(3)])
    truth = -torch.cat([TARGET[2], TARGET[3]]).log()
    found = row_bounds(Exact(), rows, True, 0, draws=400)
    assert (found - truth).abs().max() < 0.1


def test_where_masks_do_not_matter_one_draw_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    p = torch.tensor([0.4, 0.05, 0.05, 0.1, 0.05, 0.1, 0.1, 0.15], dtype=torch.float64)
    monkeypatch.setitem(TARGET, 3, p)  # symmetric in the positions: 000 and 111 look alike anywhere
    found = row_bounds(Exact(), strings(3), True, seed=5)
    assert found[0].item() == pytest.approx(-math.log(0.4), abs=1e-12)
    assert found[7].item() == pytest.approx(-math.log(0.15), abs=1e-12)


def test_every_count_varies_far_less() -> None:
    rows = strings(3)
    spreads = [
        torch.stack([row_bounds(Exact(), rows, every, seed) for seed in range(60)]).std(0).mean()
        for every in (True, False)
    ]
    assert spreads[0] < 0.6 * spreads[1]


def binary_dataset(held_out: Tensor) -> TokenDataset:
    rows = torch.cat([strings(2), strings(3)])
    encoded = [[int(t) for t in row if t != PAD] for row in rows]
    data = TokenDataset.build(encoded, {}, ["a", "b", "[PAD]", "[MASK]"])
    return replace(data, held_out=held_out.numpy())


def test_the_held_out_bound_adds_the_cost_of_the_length() -> None:
    held_out = torch.zeros(12, dtype=torch.bool)
    held_out[[0, 4, 11]] = True  # 00, 000 and 111
    data = binary_dataset(held_out)
    bound = held_out_bound(Exact(), data, seed=3)
    # 3 of length 2 and 6 of length 3 are left to train on; one more of each of 1, 2, 3 (Laplace)
    length = -np.log([4 / 12, 7 / 12, 7 / 12]).mean()
    assert bound.length_nats == pytest.approx(length)
    assert bound.molecules == 3
    assert bound.tokens == pytest.approx(8 / 3)
    assert bound.perplexity == pytest.approx(math.exp(bound.nats / bound.tokens))
    many = np.mean([held_out_bound(Exact(), data, seed=s).nats for s in range(300)])
    truth = -np.log([0.5, 0.30, 0.08]).mean() + length
    assert many == pytest.approx(truth, abs=0.05)


def test_without_held_out_molecules_there_is_no_bound() -> None:
    bound = held_out_bound(Exact(), binary_dataset(torch.zeros(12, dtype=torch.bool)))
    assert bound.molecules == 0
    assert math.isnan(bound.nats)


def test_threads_change_nothing() -> None:
    encoded = [[i % 3] * (1 + i % 7) for i in range(3 * CHUNK)]
    vocab = ["C", "N", "O", "[PAD]", "[MASK]"]
    big = TokenDataset.build(encoded, {}, vocab, held_out_fraction=0.9)
    model = new_model(shape(big), 0)
    pool = Workers("cpu", 2)
    alone, shared = held_out_bound(model, big), held_out_bound(model, big, pool=pool)
    pool.close()
    assert alone == shared


def test_a_limit_takes_rows_from_the_whole_range() -> None:
    rows = np.arange(100)
    assert spread(rows, None) is rows
    assert spread(rows, 4).tolist() == [0, 25, 50, 75]
    assert spread(rows, 200) is rows


def test_time_goes_with_the_count() -> None:
    real = torch.ones(20_000, 5, dtype=torch.bool)
    real[:, 4] = False  # length 4: t is Beta(n, 5 - n) with mean n / 5
    for n in (1, 2, 4):
        counts = torch.full((20_000,), n)
        alpha = alpha_given_counts(real, counts, torch.Generator().manual_seed(n))
        assert alpha.mean().item() == pytest.approx(1 - n / 5, abs=0.005)
        assert ((alpha >= 0) & (alpha <= 1)).all()


def test_a_network_with_a_time_input_has_a_bound() -> None:
    data = dataset()
    bound = held_out_bound(new_model(shape(data, time_input=True), 0), data)
    guess = math.log(len(data.vocab) - 2) * bound.tokens  # a new network is near uniform
    assert bound.nats - bound.length_nats == pytest.approx(guess, rel=1e-5)
