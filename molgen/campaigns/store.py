"""The file of a campaign: its request, the blocks of rows that were drawn, and paid scores.

One SQLite file (:mod:`molgen.utils.database`), written by one process. What is written at once is
one transaction, so after a kill or on a full disk the file has all of it or nothing.

Row ``i`` of a seed is a function of the request, so blocks of rows are drawn in any order; they are
*walked* in the order of rows, which decides the only thing that depends on several rows: whether a
molecule was drawn before. A row's fate is therefore the same whoever drew it, and when:

    own fate, or duplicate   ->   waiting for scores   ->   ok, or the goal that is missed

Nothing is kept in memory for each row: which molecules have been drawn is an index of the file.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from molgen.molecules.fate import Fate, counted
from molgen.utils.database import connect, reported, transaction
from molgen.utils.journal_file import JournalFile, Score

APPLICATION = int.from_bytes(b"mlgc", "big")
SCHEMA = (
    """
    CREATE TABLE request (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE draws (number INTEGER PRIMARY KEY, rows INTEGER NOT NULL,
                        forwards INTEGER NOT NULL, classifier_forwards INTEGER NOT NULL,
                        seconds REAL NOT NULL, worker TEXT NOT NULL);
    CREATE TABLE rows (row INTEGER PRIMARY KEY, block INTEGER NOT NULL, smiles TEXT NOT NULL,
                       identity BLOB NOT NULL, own TEXT NOT NULL, fate TEXT, score REAL,
                       cells TEXT NOT NULL);
    CREATE INDEX accepted ON rows (row) WHERE fate = 'ok';
    CREATE INDEX best ON rows (score) WHERE fate = 'ok';
    CREATE INDEX unwalked ON rows (block) WHERE fate IS NULL;
    CREATE INDEX waiting ON rows (row) WHERE fate = '';
    CREATE TABLE identities (identity BLOB PRIMARY KEY, row INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE scores (property TEXT NOT NULL, molecule TEXT NOT NULL, value REAL, message TEXT,
                         PRIMARY KEY (property, molecule)) WITHOUT ROWID;
    CREATE TABLE scorings (id INTEGER PRIMARY KEY, property TEXT NOT NULL,
                           molecules INTEGER NOT NULL, seconds REAL NOT NULL, worker TEXT NOT NULL)
    """,
    """
    CREATE TABLE calls (id INTEGER PRIMARY KEY, digest BLOB NOT NULL, number INTEGER NOT NULL,
                        UNIQUE (digest, number));
    CREATE TABLE blocks (id INTEGER PRIMARY KEY, call INTEGER NOT NULL REFERENCES calls,
                         rows INTEGER NOT NULL, checksum INTEGER NOT NULL, arrays BLOB NOT NULL);
    CREATE INDEX blocks_of_a_call ON blocks (call)
    """,
)
"""Statements of each version of the schema; the second one adds the journal of a search.

``own`` is the fate of a row as far as it depends on the row alone, empty if it is accepted;
``fate`` is null before the row is walked and empty while it waits for scores."""
OK = str(Fate.ACCEPTED)
CACHE_KIB = 16384  # of pages: the index of molecules is written at random places
CHUNK = 5000  # rows in memory at once


@dataclass(frozen=True)
class Row:
    """A row as it was drawn.

    Attributes:
        row: its sample index.
        smiles: canonical; empty for no molecule.
        identity: what two rows of one molecule have in common; empty for no molecule.
        own: the reason why it is rejected unless it is a duplicate; empty for none.
        score: by the goals whose properties are computed with it; None for none.
        cells: the other columns of the table, as a JSON list.
    """

    row: int
    smiles: str
    identity: str
    own: str
    score: float | None
    cells: str


@dataclass(frozen=True)
class Block:
    """A block of rows that was drawn.

    Attributes:
        number: of the block.
        rows: in order.
        forwards: of the network, in all.
        classifier_forwards: of a noisy classifier.
        seconds: that it took.
        worker: that drew it.
    """

    number: int
    rows: Sequence[Row]
    forwards: int
    classifier_forwards: int
    seconds: float
    worker: str


def is_campaign(path: str | Path) -> bool:
    """Return whether a file is that of a campaign, by its header."""
    try:
        with open(path, "rb") as file:
            header = file.read(72)
    except (OSError, ValueError):
        return False
    return header.startswith(b"SQLite format 3\0") and header[68:] == APPLICATION.to_bytes(4, "big")


class Store:
    """An open file, locked for this process.

    Args:
        path: of the file, created if there is none.

    Attributes:
        walked: number of blocks walked: all with a smaller number than this.
        fates: counts of the rows walked, without those that wait.
        staged: whether accepted rows wait for scores.
    """

    def __init__(self, path: str | Path) -> None:
        """Open or create the file.

        Raises:
            MolgenError: if it is damaged, of another program or a later version, or in use.
        """
        self.path = Path(path)
        self._connection = connect(self.path, APPLICATION, SCHEMA)
        self._connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        self._own = JournalFile(self.path, self._connection)
        self.staged = False
        with reported(self.path):
            self.walked = self._one(
                "SELECT count(*) FROM draws WHERE number < ifnull("
                "(SELECT min(block) FROM rows WHERE fate IS NULL), 1 << 62)"
            )
            found = self._connection.execute(
                "SELECT fate, count(*) FROM rows WHERE fate != '' GROUP BY fate"
            )
            self.fates = Counter[str]()
            for fate, count in found:
                self.fates[counted(fate)] += count

    def close(self) -> None:
        """Close the file."""
        with reported(self.path):
            self._connection.close()

    def identify(self, request: Mapping[str, Any]) -> None:
        """Store parts of the request, or compare them with the stored ones.

        Raises:
            MolgenError: naming the parts that differ.
        """
        self._own.identify(request)

    def journal(self) -> JournalFile:
        """Return the file as that of a journal, for runs that draw from their own results."""
        return _Kept(self.path, self._connection)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Write all of a block or nothing of it.

        Raises:
            MolgenError: if it cannot be written.
        """
        with reported(self.path), transaction(self._connection):
            yield

    def request(self) -> dict[str, Any]:
        """Return the stored request by the names of its parts."""
        return self._values("request")

    def facts(self) -> dict[str, Any]:
        """Return what is stored beside the request."""
        return self._values("facts")

    def set_facts(self, **facts: Any) -> None:
        """Store facts, of types that JSON has."""
        with reported(self.path):
            self._connection.executemany(
                "INSERT OR REPLACE INTO facts VALUES (?, ?)",
                [(name, json.dumps(value)) for name, value in facts.items()],
            )

    def add_block(self, block: Block) -> list[tuple[int, str]]:
        """Store a block, and walk it and those behind it as far as there is no gap.

        Returns:
            Row and molecule of each row that waits for scores from now on.
        """
        facts = block.number, len(block.rows), block.forwards, block.classifier_forwards
        self._connection.execute(
            "INSERT INTO draws VALUES (?, ?, ?, ?, ?, ?)", (*facts, block.seconds, block.worker)
        )
        waiting: list[tuple[int, str]] = []
        rows = [(r.row, r.smiles, _packed(r.identity), r.own) for r in block.rows]
        follows = block.number == self.walked
        fates = self._walk(rows, waiting) if follows else [None] * len(rows)
        self._connection.executemany(
            "INSERT INTO rows (row, smiles, identity, own, block, fate, score, cells) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (*row, block.number, fate, drawn.score, drawn.cells)
                for row, fate, drawn in zip(rows, fates, block.rows, strict=True)
            ],
        )
        if follows:
            self.walked += 1
            while self._has(self.walked):
                self._walk_stored(waiting)
        return waiting

    def _walk_stored(self, waiting: list[tuple[int, str]]) -> None:
        """Walk the next block, which was drawn before its turn."""
        found = self._connection.execute(
            "SELECT row, smiles, identity, own FROM rows WHERE fate IS NULL AND block = ? "
            "ORDER BY row",
            (self.walked,),
        ).fetchall()
        fates = self._walk(found, waiting)
        self._connection.executemany(
            "UPDATE rows SET fate = ? WHERE row = ?",
            [(fate, row[0]) for fate, row in zip(fates, found, strict=True)],
        )
        self.walked += 1

    def _has(self, number: int) -> bool:
        return bool(self._one("SELECT EXISTS (SELECT 1 FROM draws WHERE number = ?)", number))

    def _walk(
        self, rows: Iterable[tuple[int, str, bytes, str]], waiting: list[tuple[int, str]]
    ) -> list[str | None]:
        """Return the fate of rows that follow those walked so far."""
        run, fates = self._connection.execute, list[str | None]()
        for row, smiles, identity, own in rows:
            fate = own
            if identity:
                insert = "INSERT OR IGNORE INTO identities VALUES (?, ?)"
                if not run(insert, (identity, row)).rowcount:
                    fate = str(Fate.DUPLICATE)
            if not fate and self.staged:
                waiting.append((row, smiles))
            else:
                fate = fate or OK
                self.fates[counted(fate)] += 1
            fates.append(fate)
        return fates

    def clear_rows(self) -> None:
        """Delete all rows: another run of a search replaces them."""
        for table in ("rows", "draws", "identities"):
            self._connection.execute(f"DELETE FROM {table}")
        self.walked, self.fates = 0, Counter()

    def decide(self, row: int, fate: str, gain: float) -> None:
        """Set the fate of a row that has waited, and add a gain to its score."""
        self._connection.execute(
            "UPDATE rows SET fate = ?, score = score + ? WHERE row = ?", (fate, gain, row)
        )
        self.fates[counted(fate)] += 1

    def waiting(self) -> list[tuple[int, str]]:
        """Return row and molecule of each row that waits for scores."""
        return self._all("SELECT row, smiles FROM rows WHERE fate = '' ORDER BY row")

    def score(self, name: str, molecule: str) -> Score | None:
        """Return a stored value or message; None if there is neither."""
        found = self._all(
            "SELECT value, message FROM scores WHERE property = ? AND molecule = ?", name, molecule
        )
        return (found[0][1] if found[0][0] is None else found[0][0]) if found else None

    def add_scores(
        self, name: str, scores: Mapping[str, Score], seconds: float, worker: str
    ) -> None:
        """Store the scores of molecules by one property."""
        self._connection.executemany(
            "INSERT OR IGNORE INTO scores VALUES (?, ?, ?, ?)",
            [
                (name, m, *((None, x) if isinstance(x, str) else (x, None)))
                for m, x in scores.items()
            ],
        )
        self._connection.execute(
            "INSERT INTO scorings (property, molecules, seconds, worker) VALUES (?, ?, ?, ?)",
            (name, len(scores), seconds, worker),
        )

    def forget_failures(self, name: str) -> None:
        """Delete the failures of a property, for which rows then wait again."""
        failed = Fate.SCORER_FAILED.of(name)
        start, run = f"{failed} (", self._connection.execute
        run("DELETE FROM scores WHERE property = ? AND message IS NOT NULL", (name,))
        run("UPDATE rows SET fate = '' WHERE substr(fate, 1, ?) = ?", (len(start), start))
        del self.fates[failed]

    def accepted(self, first: int, end: int) -> int:
        """Return the number of accepted rows from one to before another."""
        where = "SELECT count(*) FROM rows WHERE fate = 'ok' AND row >= ? AND row < ?"
        return self._one(where, first, end)

    def last(self, n: int) -> int | None:
        """Return the ``n``-th accepted row; None if there are fewer."""
        found = self._all(
            "SELECT row FROM rows WHERE fate = 'ok' ORDER BY row LIMIT 1 OFFSET ?", n - 1
        )
        return int(found[0][0]) if found else None

    def best(self) -> tuple[str, float] | None:
        """Return the accepted molecule with the highest score; None if there is none."""
        found = self._all(
            "SELECT smiles, score FROM rows WHERE fate = 'ok' AND score IS NOT NULL "
            "ORDER BY score DESC LIMIT 1"
        )
        return found[0] if found else None

    def counts(self, end: int) -> tuple[Counter[str], int, int]:
        """Return the fates of rows before one, and the forwards of their blocks."""
        fates = Counter[str]()
        where = "SELECT fate, count(*) FROM rows WHERE fate != '' AND row < ? GROUP BY fate"
        for fate, count in self._all(where, end):
            fates[counted(fate)] += count
        (costs,) = self._all(
            "SELECT total(forwards), total(classifier_forwards) FROM draws WHERE number <= "
            "(SELECT max(block) FROM rows WHERE row < ?)",
            end,
        )
        return fates, int(costs[0]), int(costs[1])

    def rows(self, end: int, every: bool = False) -> Iterator[list[tuple[Any, ...]]]:
        """Yield rows in order, some at a time.

        Args:
            end: rows before this one.
            every: whether rejected rows are included.

        Yields:
            Row, canonical SMILES, fate, score and cells.
        """
        fate = "fate != ''" if every else "fate = 'ok'"
        first = -1
        while True:
            found = self._all(
                f"SELECT row, smiles, fate, score, cells FROM rows WHERE {fate} AND row > ? "
                "AND row < ? ORDER BY row LIMIT ?",
                *(first, end, CHUNK),
            )
            if not found:
                return
            yield found
            first = found[-1][0]

    def scored(self) -> dict[str, int]:
        """Return the number of molecules with a score, by property."""
        return dict(self._all("SELECT property, count(*) FROM scores GROUP BY property"))

    def timings(self) -> tuple[list[tuple[int, float]], dict[str, list[tuple[int, float]]]]:
        """Return rows and seconds of each block, and molecules and seconds of scorings by name."""
        scorings: dict[str, list[tuple[int, float]]] = {}
        for name, count, seconds in self._all("SELECT property, molecules, seconds FROM scorings"):
            scorings.setdefault(name, []).append((count, seconds))
        return self._all("SELECT rows, seconds FROM draws ORDER BY number"), scorings

    @property
    def drawn(self) -> set[int]:
        """The numbers of blocks from the first one that is not walked on."""
        found = self._all("SELECT number FROM draws WHERE number >= ?", self.walked)
        return {number for (number,) in found}

    def _values(self, table: str) -> dict[str, Any]:
        return {n: json.loads(x) for n, x in self._all(f"SELECT name, value FROM {table}")}

    def _all(self, statement: str, *values: Any) -> list[Any]:
        with reported(self.path):
            return self._connection.execute(statement, values).fetchall()

    def _one(self, statement: str, *values: Any) -> int:
        return int(self._connection.execute(statement, values).fetchone()[0])


class _Kept(JournalFile):
    """The journal in a campaign's file, which outlives the run."""

    def close(self, delete: bool = False) -> None:
        """Leave the file open."""


def _packed(identity: str) -> bytes:
    """Return a short digest of what identifies a molecule; empty for none."""
    return blake2b(identity.encode(), digest_size=16).digest() if identity else b""
