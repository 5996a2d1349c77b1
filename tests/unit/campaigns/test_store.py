"""The file of a campaign: what it decides in the order of rows, and what it survives."""

from __future__ import annotations

import itertools
import random
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import pytest

from molgen.campaigns.store import APPLICATION, OK, SCHEMA, Block, Row, Store
from molgen.errors import MolgenError
from molgen.molecules.fate import Fate
from molgen.utils.database import InUse, connect

SIZE = 4


def block(number: int, molecules: str) -> Block:
    """A block of rows; a letter is a molecule, a dot none."""
    rows = [
        Row(
            number * SIZE + i,
            letter.strip("."),
            letter.strip("."),
            str(Fate.INVALID) if letter == "." else "",
            float(ord(letter)),
            "[]",
        )
        for i, letter in enumerate(molecules)
    ]
    return Block(number, rows, 8, 0, 0.5, "here:1")


BLOCKS = [block(0, "ab.a"), block(1, "cbdd"), block(2, "e.af"), block(3, "ccgg")]
FATES = [
    *("ok", "ok", "invalid", "duplicate"),
    *("ok", "duplicate", "ok", "duplicate"),
    *("ok", "invalid", "duplicate", "ok"),
    *("duplicate", "duplicate", "ok", "duplicate"),
]


def fates(store: Store) -> list[str]:
    return [fate for part in store.rows(9999, every=True) for _, _, fate, *_ in part]


@pytest.mark.parametrize("order", itertools.permutations(range(4)))
def test_fates_do_not_depend_on_the_order_of_blocks(tmp_path: Path, order: list[int]) -> None:
    store = Store(tmp_path / "a.campaign")
    for number in order[:2]:
        with store.transaction():
            store.add_block(BLOCKS[number])
    store.close()  # and is opened again
    store = Store(tmp_path / "a.campaign")
    for number in order[2:]:
        with store.transaction():
            store.add_block(BLOCKS[number])
    assert fates(store) == FATES
    assert store.fates == {name: FATES.count(name) for name in set(FATES)}
    assert store.walked == 4
    assert store.last(3) == 4
    assert store.accepted(0, 7) == 4
    store.close()


def test_blocks_behind_a_gap_are_not_decided(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "a.campaign")) as store:
        with store.transaction():
            store.add_block(BLOCKS[2])
            store.add_block(BLOCKS[0])
        assert (store.walked, store.drawn) == (1, {2})
        assert fates(store) == FATES[:4]
    with closing(Store(tmp_path / "a.campaign")) as store:
        assert (store.walked, store.drawn) == (1, {2})


def test_rows_wait_for_scores(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "a.campaign")) as store:
        store.staged = True
        with store.transaction():
            waiting = store.add_block(BLOCKS[0])
            assert waiting == store.waiting() == [(0, "a"), (1, "b")]
            store.add_scores("p", {"a": 1.5, "b": "no license"}, 0.1, "here:1")
            store.add_scores("p", {"a": 9.0}, 0.1, "here:2")
            store.decide(0, OK, 2.0)
            store.decide(1, Fate.failed("p", "no license"), 0.0)
        assert store.score("p", "a") == 1.5  # the first one counts
        assert store.score("p", "b") == "no license"
        assert store.score("q", "a") is None
        assert store.best() == ("a", ord("a") + 2.0)
        assert store.counts(2)[0] == {OK: 1, "scorer failed: p": 1}
        with store.transaction():
            store.forget_failures("p")
        assert store.waiting() == [(1, "b")]
        assert store.score("p", "b") is None
        assert store.score("p", "a") == 1.5


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.campaign"
    with closing(Store(path)), pytest.raises(InUse, match="in use"):
        Store(path)
    Store(path).close()


def test_an_older_file_is_migrated_and_a_newer_one_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.campaign"
    connect(path, APPLICATION, SCHEMA[:1]).close()
    with closing(Store(path)) as store, store.transaction():
        store.add_block(BLOCKS[0])
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("PRAGMA user_version").fetchone() == (len(SCHEMA),)
        assert file.execute("SELECT count(*) FROM calls").fetchone() == (0,)
        file.execute(f"PRAGMA user_version = {len(SCHEMA) + 1}")
    before = path.read_bytes()
    with pytest.raises(MolgenError, match="later version"):
        Store(path)
    assert path.read_bytes() == before


def test_a_full_disk_loses_nothing_that_was_stored(tmp_path: Path) -> None:
    path, rng = tmp_path / "a.campaign", random.Random(0)
    texts = [f"C{rng.randrange(900)}" * 9 for _ in range(2000)]
    rows = [Row(i, text, text, "", 0.0, "[]") for i, text in enumerate(texts)]
    blocks = [Block(i, rows[50 * i : 50 * i + 50], 8, 0, 0.5, "here:1") for i in range(40)]
    store, stored = Store(path), 0
    (pages,) = store._connection.execute("PRAGMA page_count").fetchone()
    store._connection.execute(f"PRAGMA max_page_count = {pages + 20}")
    with suppress(MolgenError):
        for one in blocks:
            with store.transaction():
                store.add_block(one)
            stored += 1
    with pytest.raises(MolgenError, match="full"), store.transaction():
        store.add_block(blocks[stored])
    store.close()
    assert 0 < stored < len(blocks)
    with closing(Store(path)) as store:
        assert store.walked == stored
        for one in blocks[stored:]:
            with store.transaction():
                store.add_block(one)
        found = fates(store)
    with closing(Store(tmp_path / "whole.campaign")) as store:
        for one in blocks:
            with store.transaction():
                store.add_block(one)
        assert found == fates(store)
