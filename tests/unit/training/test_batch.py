from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from molgen.training.batch import Batch, draw_batch, drop_properties
from molgen.training.objective import Masked, Objective, objective_for
from small_data import dataset

DATA = dataset()
MASKED = Masked(DATA.mask_id)


def of(noise: str) -> Objective:
    """The objective of a noise, on this data."""
    return objective_for(noise, DATA.pad_id, DATA.mask_id, noise == "uniform")


@pytest.mark.parametrize("noise", ["masked", "uniform"])
def test_a_batch_is_a_function_of_seed_and_step(noise: str) -> None:
    rows = np.arange(8)

    def drawn(step: int, seed: int) -> Batch:
        return draw_batch(DATA, rows, step, seed, 0.3, of(noise))

    first, again, later, other = drawn(5, 0), drawn(5, 0), drawn(6, 0), drawn(5, 1)
    assert torch.equal(first.x_t, again.x_t)
    assert first.values.equal(again.values) or first.values.isnan().any()
    assert not torch.equal(first.x_t, later.x_t)
    assert not torch.equal(first.x_t, other.x_t)


@pytest.mark.parametrize(("noise", "alpha"), [("masked", 0), ("uniform", 1), ("none", 0)])
def test_micro_batches_are_the_batch_in_order(noise: str, alpha: int) -> None:
    batch = draw_batch(DATA, np.arange(10), 0, 0, 0.3, of(noise))
    micro_batches = batch.micro_batches(4)
    assert [len(part) for part in micro_batches] == [4, 4, 2]
    assert torch.equal(torch.cat([part.x_0 for part in micro_batches]), batch.x_0)
    assert torch.equal(torch.cat([part.x_t for part in micro_batches]), batch.x_t)
    assert all((part.alpha is not None) == bool(alpha) for part in micro_batches)


def test_a_time_input_does_not_change_the_masks() -> None:
    without, with_time = (
        draw_batch(DATA, np.arange(9), 1, 0, 0.3, Masked(DATA.mask_id, t)) for t in (False, True)
    )
    assert torch.equal(without.x_t, with_time.x_t)
    assert without.alpha is None
    assert with_time.alpha is not None


def test_properties_are_dropped_all_or_independently() -> None:
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


def test_labels_are_never_dropped() -> None:
    class Labels(Masked):
        drops_values = False

    batch = draw_batch(DATA, np.arange(20), 0, 0, 1.0, Labels(DATA.mask_id))
    assert torch.equal(batch.values, torch.from_numpy(DATA.values[:20]))
    assert draw_batch(DATA, np.arange(20), 0, 0, 1.0, MASKED).values.isnan().all()
