"""Campaigns of many rows: time and memory do not grow with them."""

from __future__ import annotations

import re
import subprocess
import sys
import tracemalloc
from contextlib import closing
from pathlib import Path

import pytest

from molgen.campaigns.store import Block, Row, Store
from paths import ROOT

SCRIPT = ROOT / "benchmarks" / "campaign_store.py"
SIZE = 50


def test_the_client_keeps_nothing_for_each_row(tmp_path: Path) -> None:
    peaks = []
    with closing(Store(tmp_path / "a.campaign")) as store:
        tracemalloc.start()
        for start, end in ((0, 20), (20, 40), (40, 240)):  # the first ones fill caches
            tracemalloc.reset_peak()
            for number in range(start, end):
                texts = [f"C{number}N{i}" for i in range(SIZE)]
                rows = [Row(SIZE * number + i, t, t, "", 0.0, "[]") for i, t in enumerate(texts)]
                with store.transaction():
                    store.add_block(Block(number, rows, 1, 0, 0.1, "here:1"))
            peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert store.last(SIZE * 240) == SIZE * 240 - 1
    assert peaks[2] <= 1.2 * peaks[1]


@pytest.mark.slow
def test_time_and_memory_of_many_rows() -> None:
    words = [sys.executable, str(SCRIPT), "--rows", "20000"]
    out = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    each = re.search(r"store: ([\d.]+) microseconds", out)
    assert each is not None
    assert float(each[1]) <= 50
    ratios = [float(text) for text in re.findall(r"memory of the \w+: ([\d.]+)", out)]
    assert len(ratios) == 2
    assert max(ratios) <= 1.2
