from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from molgen.batch import Batch, draw_batch, drop_properties, masked_nll, row_losses
from molgen.train import new_model
from small_data import dataset, shape

DATA = dataset()


def test_a_batch_is_a_function_of_seed_and_step() -> None:
    rows = np.arange(8)

    def drawn(step: int, seed: int) -> Batch:
        return draw_batch(DATA, rows, step, seed, 0.3)

    first, again, later, other = drawn(5, 0), drawn(5, 0), drawn(6, 0), drawn(5, 1)
    assert torch.equal(first.masked, again.masked)
    assert first.values.equal(again.values) or first.values.isnan().any()
    assert not torch.equal(first.masked, later.masked)
    assert not torch.equal(first.masked, other.masked)


def test_exactly_as_many_real_tokens_are_masked_as_counted() -> None:
    batch = draw_batch(DATA, np.arange(20), 0, 0, 0.3)
    real = batch.x_0 != DATA.pad_id
    assert torch.equal(batch.masked.sum(1), batch.counts)
    assert not (batch.masked & ~real).any()
    assert (batch.counts >= 1).all()
    assert (batch.counts <= real.sum(1)).all()


@pytest.mark.parametrize("time_input", [False, True])
def test_shards_are_the_batch_in_order(time_input: bool) -> None:
    batch = draw_batch(DATA, np.arange(10), 0, 0, 0.3, time_input)
    shards = batch.shards(4)
    assert [len(shard) for shard in shards] == [4, 4, 2]
    assert torch.equal(torch.cat([shard.x_0 for shard in shards]), batch.x_0)
    assert all((shard.alpha is not None) == time_input for shard in shards)


def test_a_time_input_leaves_everything_else_as_it_is() -> None:
    without, with_time = (draw_batch(DATA, np.arange(9), 1, 0, 0.3, t) for t in (False, True))
    assert torch.equal(without.masked, with_time.masked)
    assert torch.equal(without.values.isnan(), with_time.values.isnan())


def test_properties_are_left_out_all_or_one_by_one() -> None:
    values = torch.arange(60_000.0).reshape(20_000, 3)
    dropped = drop_properties(values, 0.4, torch.Generator().manual_seed(0))
    kept = ~dropped.isnan()
    assert torch.equal(dropped[kept], values[kept])
    count = torch.bincount(kept.sum(1), minlength=4) / len(values)
    # with a keep rate uniform in [0, 1], every number of kept properties is equally likely
    expected = torch.tensor([0.4 + 0.15, 0.15, 0.15, 0.15])
    torch.testing.assert_close(count, expected, atol=0.012, rtol=0)
    torch.testing.assert_close(kept.float().mean(0), torch.full((3,), 0.3), atol=0.012, rtol=0)


def test_an_unknown_value_stays_unknown() -> None:
    values = torch.full((100, 1), math.nan)
    assert drop_properties(values, 0.0, torch.Generator().manual_seed(0)).isnan().all()


def test_a_new_network_pays_the_logarithm_of_the_vocabulary_for_every_token() -> None:
    model = new_model(shape(DATA), 0)
    batch = draw_batch(DATA, np.arange(20), 0, 0, 0.3)
    each = math.log(len(DATA.vocab) - 2)
    lengths = torch.from_numpy(DATA.lengths[:20])
    torch.testing.assert_close(row_losses(model, batch), lengths * each)
    nll = masked_nll(model, batch.x_0, batch.masked)
    torch.testing.assert_close(nll, batch.masked * each)
