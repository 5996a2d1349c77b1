"""The prior: lengths and conditions of rows, drawn from what training molecules had."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from molgen.data.prior import NEAREST, TAIL, Prior
from molgen.targets import Range, Target, read_targets

ROWS = 40_000
RNG = np.random.default_rng(0)
LENGTHS = RNG.integers(3, 23, ROWS)
QED = RNG.normal(0.5, 0.1, ROWS)
RINGS = RNG.binomial(6, 0.3, ROWS).astype(float)
SPARSE = np.where(RNG.random(ROWS) < 0.2, LENGTHS / 10.0, np.nan)  # a longer row has more of it
NAMES = ("qed", "rings", "sparse", "empty")
VALUES = np.stack([QED, RINGS, SPARSE, np.full(ROWS, np.nan)], axis=1)
PRIOR = Prior.from_training(LENGTHS, VALUES, NAMES)


def column(targets: dict[str, object], name: str, count: int = 2000) -> np.ndarray:
    _, condition = PRIOR.draw(read_targets(targets), count, seed=1)  # type: ignore[arg-type]
    assert condition is not None
    for i, other in enumerate(NAMES):
        assert np.isnan(condition[:, i]).all() == (other not in targets)
    return condition[:, NAMES.index(name)].astype(float)


def test_the_table_is_a_fair_part_with_its_extremes_whole() -> None:
    assert len(PRIOR.lengths) < ROWS
    assert PRIOR.weight.sum() == pytest.approx(ROWS, rel=1e-6)
    assert PRIOR.mean["qed"] == pytest.approx(QED.mean(), abs=0.003)
    assert PRIOR.std["rings"] == pytest.approx(RINGS.std(), rel=0.02)
    assert PRIOR.mean["sparse"] == pytest.approx(np.nanmean(SPARSE), rel=0.02)
    assert math.isnan(PRIOR.mean["empty"])
    kept = PRIOR.values[:, 0]
    assert np.isin(np.sort(QED)[-300:], kept).all()
    assert np.isin(np.sort(QED)[:300], kept).all()


def test_without_targets_lengths_are_those_of_training() -> None:
    lengths, condition = PRIOR.draw({}, 50_000, seed=0)
    assert condition is None
    found = np.bincount(lengths, minlength=24) / 50_000
    truth = np.bincount(LENGTHS, minlength=24) / ROWS
    assert np.abs(found - truth).max() < 0.006


@pytest.mark.parametrize(
    "targets", [{}, {"qed": "max"}, {"qed": 0.4}, {"rings": Range(2, 3), "qed": "min"}]
)
def test_a_row_depends_on_seed_and_index_alone(targets: dict[str, object]) -> None:
    whole = PRIOR.draw(targets, 50, seed=6)  # type: ignore[arg-type]
    head = PRIOR.draw(targets, 20, seed=6)  # type: ignore[arg-type]
    tail = PRIOR.draw(targets, 30, seed=6, first=20)  # type: ignore[arg-type]
    np.testing.assert_array_equal(np.concatenate([head[0], tail[0]]), whole[0])
    other = PRIOR.draw(targets, 50, seed=7)  # type: ignore[arg-type]
    assert (other[0] != whole[0]).any()
    if targets:
        assert head[1] is not None
        assert tail[1] is not None
        np.testing.assert_array_equal(np.concatenate([head[1], tail[1]]), whole[1])


def test_a_number_is_asked_for_as_it_is_and_lends_its_lengths() -> None:
    assert (column({"qed": 0.61}, "qed") == np.float32(0.61)).all()
    assert (column({"qed": 7}, "qed") == 7).all(), "further out than any: still what was asked"
    lengths, _ = PRIOR.draw({"sparse": 2.2}, 500, seed=0)
    assert lengths.min() >= 21, "only rows near 2.2 are that long"


def test_an_open_range_draws_what_is_on_its_side() -> None:
    drawn = column({"qed": "0.6.."}, "qed")
    assert drawn.min() >= 0.6 - 1e-7
    assert drawn.mean() == pytest.approx(QED[QED >= 0.6].mean(), abs=0.004)
    assert column({"qed": "..0.3"}, "qed").max() <= 0.3 + 1e-7


def test_a_range_gives_values_inside_as_they_occur() -> None:
    inside = column({"qed": Range(0.55, 0.7)}, "qed")
    assert inside.min() >= 0.55 - 1e-7
    assert inside.max() <= 0.7 + 1e-7
    truth = QED[(QED >= 0.55) & (QED <= 0.7)]
    assert inside.mean() == pytest.approx(truth.mean(), abs=0.004)
    assert len(np.unique(inside)) > 500
    assert (column({"qed": Range(2, 3)}, "qed") == 2).all(), "beyond all rows: its nearest edge"
    assert column({"rings": Range(5, math.inf)}, "rings").min() == 5


def test_a_profile_is_that_of_the_row_which_lends_the_length() -> None:
    rows = {
        (int(n), *row) for n, row in zip(LENGTHS, VALUES[:, :2].astype(np.float32), strict=True)
    }
    lengths, condition = PRIOR.draw({}, 64, seed=1, profile=True)
    assert condition is not None
    assert {(int(n), *row) for n, row in zip(lengths, condition[:, :2], strict=True)} <= rows
    assert (lengths == PRIOR.draw({}, 64, seed=1)[0]).all()
    assert 0 < np.isnan(condition[:, 2]).sum() < 64, "what a row lacks it does not lend"
    wanted = {"qed": Range(0.55, 0.7)}
    asked, told = (PRIOR.draw(wanted, 64, seed=1, profile=whole)[1] for whole in (False, True))
    assert asked is not None
    assert told is not None
    assert np.isnan(asked[:, 1]).all()
    assert not np.isnan(told[:, 1]).any()
    assert (asked[:, 0] == told[:, 0]).all()


def test_max_and_min_draw_from_the_tails() -> None:
    order = np.sort(QED)
    n = round(TAIL * ROWS)
    high, low = column({"qed": "max"}, "qed"), column({"qed": "min"}, "qed")
    assert high.min() >= order[-n - 30]
    assert low.max() <= order[n + 30]
    assert high.mean() == pytest.approx(order[-n:].mean(), rel=0.01)
    assert len(np.unique(high)) > 100


def test_joint_targets_are_met_jointly() -> None:
    targets: dict[str, object] = {"qed": "max", "rings": Range(3, 4)}
    rings, qed = column(targets, "rings"), column(targets, "qed")
    assert set(rings) <= {3.0, 4.0}
    among = np.sort(QED[(RINGS == 3) | (RINGS == 4)])
    assert qed.mean() == pytest.approx(among[-round(TAIL * len(among)) :].mean(), abs=0.015)
    both = {"qed": 0.5, "rings": 2.0}
    assert (column(dict(both), "qed") == 0.5).all()
    assert (column(dict(both), "rings") == 2).all()


@pytest.mark.parametrize("target", ["max", "min", 1.0, Range(0.5, 2), Range(50, 60)])
def test_rows_that_lack_a_property_do_not_lend_it(target: object) -> None:
    assert not np.isnan(column({"sparse": target}, "sparse")).any()
    assert not np.isnan(column({"sparse": target, "qed": "max"}, "qed")).any()


def test_few_rows_with_a_property_are_all_there_is() -> None:
    values = np.full((300, 1), np.nan)
    values[:5, 0] = range(5)
    few = Prior.from_training(np.arange(300) % 9 + 1, values, ["x"])
    for target in ("max", 2.0, Range(1, 3)):
        lengths, condition = few.draw({"x": target}, 400, seed=0)  # type: ignore[dict-item]
        assert condition is not None
        assert not np.isnan(condition).any()
        assert set(lengths) <= {1, 2, 3, 4, 5}
    assert len(few.lengths) < 2 * NEAREST + 300


def test_what_cannot_be_drawn_is_named() -> None:
    with pytest.raises(ValueError, match=r"target qet: .* qed, rings, sparse"):
        PRIOR.draw({"qet": "max"}, 3, 0)
    with pytest.raises(ValueError, match="no training molecule has empty"):
        PRIOR.draw({"empty": "max"}, 3, 0)
    bare = Prior.from_training(np.array([4, 5]), np.empty((2, 0)), [])
    assert bare.draw({}, 3, 0)[1] is None
    with pytest.raises(ValueError, match=r"target qed: .* it knows none"):
        bare.draw({"qed": 1.0}, 3, 0)


def test_a_file_gives_back_the_table(tmp_path: Path) -> None:
    PRIOR.save(tmp_path / "prior.safetensors")
    again = Prior.load(tmp_path / "prior.safetensors")
    assert again.properties == NAMES
    np.testing.assert_array_equal(again.lengths, PRIOR.lengths)
    np.testing.assert_allclose(again.values, PRIOR.values, rtol=1e-3, equal_nan=True)
    np.testing.assert_allclose(again.weight, PRIOR.weight, rtol=1e-6)
    assert (again.values[:, 1] == PRIOR.values[:, 1]).all(), "whole numbers stay whole"


def test_large_values_survive_a_file(tmp_path: Path) -> None:
    values = np.array([[1e6, np.nan], [2.5, 3.0]])
    Prior.from_training(np.array([4, 5]), values, ["big", "small"]).save(tmp_path / "p")
    np.testing.assert_array_equal(Prior.load(tmp_path / "p").values, values)


@pytest.mark.parametrize(
    ("name", "target", "warned"),
    [
        ("qed", 5.0, True),
        ("qed", Range(2.0, 3.0), True),
        ("qed", Range(-1.0, 5.0), False),
        ("qed", "max", False),
        ("another", 1e9, False),
    ],
)
def test_targets_outside_the_training_data_are_named(
    name: str, target: Target, warned: bool
) -> None:
    lines = PRIOR.outside({name: target})
    assert len(lines) == warned
    assert all(line.startswith("target qed=") and ".." in line for line in lines)
