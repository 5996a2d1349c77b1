"""The file of a campaign against bare SQLite, for the same rows."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import astuple
from pathlib import Path

from campaign_store import blocks_of, store_all

from bench_parts.part import Part, Seconds, scaled, timed
from molgen.campaigns.store import Block

ROWS = 40_000


def bare(blocks: list[Block], path: Path) -> None:
    """Write the same rows in one transaction, without an index."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("create table rows (number integer primary key, a, b, c, d, e)")
        for block in blocks:
            rows = [astuple(row) for row in block.rows]
            database.executemany("insert into rows values (?, ?, ?, ?, ?, ?)", rows)


def start(size: float) -> Callable[[int], Seconds]:
    """Return the measurement."""
    rows = scaled(ROWS, size)

    def run(seed: int) -> Seconds:
        blocks = blocks_of(rows, seed)
        with tempfile.TemporaryDirectory() as folder:
            return {
                "bare sqlite": timed(lambda: bare(blocks, Path(folder) / "bare.sqlite"), rows),
                "store": timed(lambda: store_all(blocks, Path(folder) / "a.campaign"), rows),
            }

    return run


PART = Part("store", "row", start, {"store against bare sqlite": ("bare sqlite", "store")})
