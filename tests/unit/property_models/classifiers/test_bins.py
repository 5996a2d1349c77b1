from __future__ import annotations

import numpy as np
import pytest

from molgen.data.prior import TAIL
from molgen.targets import Range
from property_models.classifiers.bins import Bins

RINGS = Bins.of(np.array([0.0] * 30 + [1] * 30 + [2] * 25 + [4] * 9 + [5] * 6))
SMOOTH = Bins.of(np.linspace(-1, 3, 4001))


def test_few_whole_numbers_have_a_bin_each_even_the_ones_between() -> None:
    assert RINGS.edges.tolist() == [-0.5, 0.5, 1.5, 2.5, 3.5, 4.5, 5.5]
    np.testing.assert_allclose(RINGS.mass, [0.3, 0.3, 0.25, 0, 0.09, 0.06])


def test_other_values_are_cut_at_quantiles() -> None:
    assert len(SMOOTH) == 16
    np.testing.assert_allclose(SMOOTH.mass.sum(), 1)
    np.testing.assert_allclose(SMOOTH.edges[[0, -1]], [-1, 3])
    np.testing.assert_allclose(SMOOTH.mass[[0, 8, -1]], [0.01, 0.1, 0.01], atol=1e-3)


def test_a_value_counts_to_the_bin_it_lies_in_or_is_nearest_to() -> None:
    values = np.array([np.nan, -7, -0.2, 0.7, 3, 5.4, 99])
    assert RINGS.index(values).tolist() == [-1, 0, 0, 1, 3, 5, 5]
    drawn = np.random.default_rng(0).uniform(-1, 3, 500)
    inside = SMOOTH.index(drawn)
    assert (SMOOTH.edges[inside] <= drawn).all()
    assert (drawn <= SMOOTH.edges[inside + 1]).all()


def test_a_range_covers_bins_whole_and_in_part() -> None:
    assert RINGS.share(Range(1.2, 4)).tolist() == [0, 0, 1, 1, 1, 0]
    assert RINGS.share(Range(4, np.inf)).tolist() == [0, 0, 0, 0, 1, 1]
    share = SMOOTH.share(Range(-1, 1))
    assert (share * SMOOTH.mass).sum() == pytest.approx(0.5, abs=1e-3)
    assert SMOOTH.share(Range(50, 60)).sum() == 0


def test_a_number_is_its_bin_and_no_bin_if_it_is_out_of_range() -> None:
    assert RINGS.share(5).tolist() == [0, 0, 0, 0, 0, 1]
    assert SMOOTH.share(1.01).sum() == 1
    assert RINGS.share(11).sum() == 0


@pytest.mark.parametrize("bins", [RINGS, SMOOTH])
def test_max_and_min_are_the_same_tail_as_for_conditions(bins: Bins) -> None:
    for word, end in (("max", -1), ("min", 0)):
        share = bins.share(word)  # type: ignore[arg-type]
        assert (share * bins.mass).sum() == pytest.approx(TAIL)
        assert share[end] > 0
    assert RINGS.share("max")[-1] == pytest.approx(TAIL / 0.06)


def test_one_value_is_one_bin_and_none_is_an_error() -> None:
    assert len(Bins.of(np.full(7, 2.5))) == 1
    assert Bins.of(np.full(7, 2.5)).mass.tolist() == [1]
    with pytest.raises(ValueError, match="has no number"):
        Bins.of(np.full(3, np.nan))
    with pytest.raises(ValueError, match="edges must increase"):
        Bins([0, 2, 1], [0.5, 0.5])
