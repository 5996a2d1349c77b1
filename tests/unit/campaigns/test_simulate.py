"""The simulator of campaigns, against what can be computed by hand."""

from __future__ import annotations

import pytest

from molgen.campaigns.scheduler import Line
from molgen.campaigns.simulate import Measured, simulate
from molgen.errors import MolgenError

PLAIN = Measured(64, [2.0], [], 0.0, 0.25)


def test_blocks_of_one_length() -> None:
    # 1,600 molecules are 100 blocks of 16 accepted rows: 100, 10 and 1 rounds of 2 s
    for found, seconds in zip(simulate(PLAIN, 1600, [1, 10, 100]), (200, 20, 2), strict=True):
        assert found.seconds == pytest.approx(seconds)
        assert found.redrawn == 0
        assert found.drawn == 6400
        assert not found.limited


def test_scores_share_the_workers() -> None:
    measured = Measured(64, [2.0], [(4, 4.0)], 0.5, 0.25)
    (one, four) = simulate(measured, 160, [1, 4])
    # 640 rows in 10 blocks of 2 s, and 320 scores of 1 s each
    assert one.seconds == pytest.approx(340, rel=0.02)
    assert four.seconds == pytest.approx(340 / 4, rel=0.05)


def test_the_single_writer_is_the_limit_of_many_workers() -> None:
    measured = Measured(64, [2.0], [], 0.0, 0.25, write_item=0.001)
    found = simulate(measured, 16_000, [1, 10, 1000])
    assert [one.limited for one in found] == [False, False, True]
    assert found[-1].seconds == pytest.approx(64_000 * 0.001, rel=0.1)


def test_lost_workers_are_replaced_and_their_rows_drawn_again() -> None:
    measured = Measured(64, [360.0], [], 0.0, 0.25, start=36.0)
    (calm, lost) = (simulate(measured, 32_000, [100], rate)[0] for rate in (0.0, 200.0))
    assert calm.redrawn == 0
    # two losses an hour each worker: a block of a tenth of an hour is lost with 1 - exp(-0.2)
    assert lost.redrawn / lost.drawn == pytest.approx(0.18, abs=0.03)
    assert lost.seconds > calm.seconds
    assert lost.drawn - lost.redrawn == pytest.approx(calm.drawn, rel=0.06)


def test_a_line_through_transactions() -> None:
    line = Line()
    for items in (1, 64, 128, 500):
        line.add(items, 0.005 + 2e-5 * items)
    assert line.fitted == pytest.approx((0.005, 2e-5))
    assert Line().fitted == (0.0, 0.0)


def test_bad_numbers() -> None:
    for molecules, workers, rate in ((0, 1, 0.0), (1, 0, 0.0), (1, 1, -1.0)):
        with pytest.raises(MolgenError, match="at least"):
            simulate(PLAIN, molecules, [workers], rate)
