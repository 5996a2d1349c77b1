"""The journal's file: what is written is there, and what is not ours is left alone."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

from molgen.errors import MolgenError
from molgen.utils import journal as journals
from molgen.utils.journal import Journal, active, digest, journal, recorded
from molgen.utils.journal_file import Arrays, JournalFile

REQUEST = {"model": "qm9", "n": 50}
ARRAYS = {"rows": np.arange(3), "psi": np.array([[0.1, 1 / 3], [np.pi, 1e-300], [1.0, 0.0]])}


class Crash(Exception):
    """Ends a block as a crash of the program would."""


@contextmanager
def unfinished(path: Path, resume: bool = False) -> Iterator[Journal]:
    """A journal that is kept."""
    with journal(path, REQUEST, resume) as own:
        yield own
        own.keep()


def write(path: Path, resume: bool = False) -> None:
    """Leave a journal with a block and two scores."""
    with unfinished(path, resume) as own:
        with own.call(b"first") as call:
            call.add(ARRAYS)
        own.score("qed", "CCO", 1 / 3)
        own.score("qed", "CC", "ValueError: no")


def crash(path: Path, score: float | None = None) -> None:
    with journal(path, REQUEST) as own:
        if score is not None:
            own.score("qed", "C", score)
        raise Crash


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.csv.journal"


def test_everything_is_there_after_a_crash_and_nothing_after_success(path: Path) -> None:
    write(path)
    with journal(path, REQUEST, resume=True) as own:
        assert own.scores == {("qed", "CCO"): 1 / 3, ("qed", "CC"): "ValueError: no"}
        with own.call(b"first") as call:
            (block,) = call.stored
        for name, array in ARRAYS.items():
            assert block[name].dtype == array.dtype
            np.testing.assert_array_equal(block[name], array)
        with own.call(b"first") as again:
            assert not again.stored
    assert not list(path.parent.iterdir())


def test_results_are_on_disk_while_the_run_goes_on(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journals, "SECONDS", 0.02)
    copy = path.with_name("copy")

    def there() -> int:
        for end in ("", "-wal"):
            Path(f"{copy}{end}").write_bytes(Path(f"{path}{end}").read_bytes())
        file = JournalFile(copy)
        try:
            return sum(len(each["rows"]) for i in file.calls().values() for each in file.blocks(i))
        finally:
            file.close(delete=True)

    with journal(path, REQUEST) as own, own.call(b"rows") as call:
        for count in (3, 6, 9):
            call.add(ARRAYS)
            until = time.monotonic() + 10
            while there() < count:
                assert time.monotonic() < until
                time.sleep(0.02)
            assert there() == count


def test_added_arrays_are_joined_and_completed_in_a_block(path: Path) -> None:
    def twice(block: Arrays) -> Arrays:
        return {**block, "twice": 2 * block["rows"]}

    with unfinished(path) as own, own.call(b"a", twice) as call:
        for start in (0, 3):
            call.add({"rows": start + np.arange(3)})
    with journal(path, REQUEST, resume=True) as own, own.call(b"a") as call:
        (block,) = call.stored
    assert block["rows"].tolist() == list(range(6))
    assert block["twice"].tolist() == list(range(0, 12, 2))


@pytest.mark.parametrize(
    ("change", "named"),
    [({"n": 51}, "n was 50 and is 51"), ({"model": "zinc"}, 'model was "qm9" and is "zinc"')],
)
def test_another_request_is_refused_by_what_differs(
    path: Path, change: dict[str, object], named: str
) -> None:
    write(path)
    with pytest.raises(MolgenError, match=named), journal(path, REQUEST | change, resume=True):
        pass
    with journal(path, REQUEST, resume=True) as own:
        assert len(own.scores) == 2


def test_a_part_of_the_request_may_be_known_later(path: Path) -> None:
    with unfinished(path) as own:
        own.identify({"weights": "1f"})
        own.score("qed", "C", 1.0)
    with journal(path, REQUEST, resume=True) as own:
        with pytest.raises(MolgenError, match='weights was "1f" and is "2f"'):
            own.identify({"weights": "2f"})
        own.identify({"weights": "1f"})


def test_an_unfinished_run_is_not_overwritten(path: Path) -> None:
    write(path)
    before = path.read_bytes()
    with pytest.raises(MolgenError, match=r"resume it \(--resume\), or delete"):
        write(path)
    assert path.read_bytes() == before


def test_a_journal_without_results_is_not_kept(path: Path) -> None:
    with pytest.raises(Crash):
        crash(path)
    assert not list(path.parent.iterdir())
    with pytest.raises(Crash):
        crash(path, score=0.5)
    assert list(path.parent.iterdir()) == [path]


def test_one_process_at_a_time(path: Path) -> None:
    with journal(path, REQUEST) as own:
        own.score("qed", "C", 1.0)
        for resume in (False, True):
            with pytest.raises(MolgenError, match="in use by another process"):
                write(path, resume)
        own.score("qed", "CC", 1.0)
        own.write()


@pytest.mark.parametrize("content", [b"smiles\nCCO\n" * 99, b"SQLite format 3\0" + b"\x07" * 4080])
@pytest.mark.parametrize("resume", [False, True])
def test_a_file_of_another_kind_is_left_as_it_is(path: Path, content: bytes, resume: bool) -> None:
    path.write_bytes(content)
    with pytest.raises(MolgenError, match=path.name), journal(path, REQUEST, resume):
        pass
    assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]


def test_the_database_of_another_program_is_left_as_it_is(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("CREATE TABLE mine (x)")
    before = path.read_bytes()
    with pytest.raises(MolgenError, match="another program"), journal(path, REQUEST, True):
        pass
    assert path.read_bytes() == before


def test_a_later_version_is_refused(path: Path) -> None:
    write(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA user_version = 99")
    with pytest.raises(MolgenError, match="schema version 99"), journal(path, REQUEST, True):
        pass


def test_damage_is_one_line(path: Path) -> None:
    write(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        (packed,) = other.execute("SELECT arrays FROM blocks").fetchone()
        packed = packed[:-1] + bytes([packed[-1] ^ 1])
        other.execute("UPDATE blocks SET arrays = ?", (packed,))
    with journal(path, REQUEST, resume=True) as own:
        with pytest.raises(MolgenError, match="damaged: a checksum"), own.call(b"first"):
            pass
        own.keep()
    whole = path.read_bytes()
    for at in range(0, len(whole), 512):  # a sector of the disk is lost
        path.write_bytes(whole[:at] + bytes(512) + whole[at + 512 :])
        with suppress(MolgenError), unfinished(path, resume=True):
            pass  # any other error fails
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(MolgenError, match=path.name), journal(path, REQUEST, resume=True):
        pass


def test_a_full_disk_stops_the_run_and_keeps_what_was_written(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journals, "SECONDS", 0.01)

    def run() -> None:
        with journal(path, REQUEST) as own:
            own.score("qed", "C", 1.0)
            own.write()
            own._file._connection.execute("PRAGMA max_page_count = 1")
            until = time.monotonic() + 10
            while time.monotonic() < until:
                with own.call(b"rows") as call:
                    call.add({"rows": np.zeros(1 << 16)})
                time.sleep(0.01)

    with pytest.raises(MolgenError, match=r"cannot be read or written: .*full"):
        run()
    with journal(path, REQUEST, resume=True) as own:
        assert own.scores == {("qed", "C"): 1.0}


def test_failures_can_be_forgotten(path: Path) -> None:
    write(path)
    with unfinished(path, resume=True) as own:
        own.score("logp", "CC", "ValueError: no")
        own.forget_failures("qed")
    with journal(path, REQUEST, resume=True) as own:
        assert own.scores == {("qed", "CCO"): 1 / 3, ("logp", "CC"): "ValueError: no"}


def test_an_expensive_function_runs_once(path: Path) -> None:
    runs = []

    def compute() -> dict[str, np.ndarray]:
        runs.append(0)
        return {"x": np.arange(4.0)}

    assert active() is None
    recorded(["a", 1], compute)
    with unfinished(path):
        recorded(["a", 1], compute)
    assert len(runs) == 2
    with journal(path, REQUEST, resume=True):
        assert recorded(["a", 1], compute)["x"].tolist() == [0, 1, 2, 3]
        assert len(runs) == 2
        recorded(["a", 1], compute)  # the second of its kind
        assert len(runs) == 3


def test_names_that_are_no_text_are_written(path: Path) -> None:
    name = "caf\udce9.py:f"
    with journal(path, {name: [name]}) as own:
        own.score(name, "C", f"OSError: {name}")
        own.write()
        own.keep()
    with journal(path, {name: [name]}, resume=True) as own:
        assert list(own.scores) == [("caf\\udce9.py:f", "C")]


def test_a_digest_depends_on_every_part() -> None:
    rows = np.arange(6)
    different = [
        (rows, None), (rows.reshape(2, 3), None), (rows.astype(float), None), (rows[:5], None),
        (None, rows), (rows, 0), (rows, "0"), (rows,), (rows[::-1], None),
    ]  # fmt: skip
    assert len({digest(*parts) for parts in different}) == len(different)
    assert digest(rows[::2]) == digest(rows[::2].copy())
