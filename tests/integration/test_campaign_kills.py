"""Campaigns whose process is killed: nothing that was stored is lost or repeated."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

import campaign_kills


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_campaign_ends_as_if_it_had_not_been(tmp_path: Path, workers: int) -> None:
    campaign_kills.prepare(tmp_path, pause=0.05)
    found = campaign_kills.killed(tmp_path, workers, 40, 3, random.Random(workers), workers)
    assert found.kills > 0
    assert found.good, found
