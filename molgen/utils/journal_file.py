"""The file of a journal: a request, calls with blocks of arrays, and scores, in SQLite.

Every write is one transaction. Blocks are safetensors with a checksum, so that nothing is unpickled
and a damaged block is recognised.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from molgen.errors import MolgenError
from molgen.utils.database import connect, remove, reported, transaction

APPLICATION = int.from_bytes(b"mlgn", "big")
SCHEMA = (
    """
    CREATE TABLE request (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE calls (id INTEGER PRIMARY KEY, digest BLOB NOT NULL, number INTEGER NOT NULL,
                        UNIQUE (digest, number));
    CREATE TABLE blocks (id INTEGER PRIMARY KEY, call INTEGER NOT NULL REFERENCES calls,
                         rows INTEGER NOT NULL, checksum INTEGER NOT NULL, arrays BLOB NOT NULL);
    CREATE INDEX blocks_of_a_call ON blocks (call);
    CREATE TABLE scores (property TEXT NOT NULL, molecule TEXT NOT NULL, value REAL, message TEXT,
                         PRIMARY KEY (property, molecule)) WITHOUT ROWID
    """,
)
"""Statements of each version of the schema. A score has either a value or a message."""
LONGEST = 60  # characters of a value in an error

Arrays = dict[str, NDArray[Any]]
Score = float | str
"""A value, or the message of a failure."""
CallKey = tuple[bytes, int]
"""Digest of a call's input, and the number of earlier calls with this digest."""
ScoreKey = tuple[str, str]
"""Names of the property and of the molecule."""


class JournalFile:
    """An open file, locked for this process.

    Attributes:
        path: of the file.
    """

    def __init__(self, path: str | Path, connection: sqlite3.Connection | None = None) -> None:
        """Open or create the file.

        Args:
            path: of the file.
            connection: to it, if it is open and has the tables of a journal beside others.

        Raises:
            MolgenError: if it is damaged, of another program, in use, or cannot be opened.
        """
        self.path = Path(path)
        self._connection = connection or connect(self.path, APPLICATION, SCHEMA)

    def identify(self, request: Mapping[str, Any]) -> None:
        """Store parts of the request, or compare them with the stored ones.

        Args:
            request: values by name, of types that JSON has.

        Raises:
            MolgenError: naming the parts that differ.
        """
        texts = {_text(name): json.dumps(value, sort_keys=True) for name, value in request.items()}
        with reported(self.path):
            stored = dict(self._connection.execute("SELECT name, value FROM request").fetchall())
            different = [
                f"{name} was {_short(stored[name])} and is {_short(text)}"
                for name, text in texts.items()
                if stored.get(name, text) != text
            ]
            if different:
                raise MolgenError(
                    f"{self.path} is of another request: {'; '.join(different)}; repeat that "
                    "request, or delete the file"
                )
            with transaction(self._connection):
                insert = "INSERT OR IGNORE INTO request VALUES (?, ?)"
                self._connection.executemany(insert, texts.items())

    def calls(self) -> dict[CallKey, int]:
        """Return the numbers of all calls in the file."""
        with reported(self.path):
            rows = self._connection.execute("SELECT digest, number, id FROM calls").fetchall()
        return {(digest, number): id for digest, number, id in rows}

    def scores(self) -> dict[ScoreKey, Score]:
        """Return all scores in the file."""
        with reported(self.path):
            rows = self._connection.execute(
                "SELECT property, molecule, value, message FROM scores"
            ).fetchall()
        return {(name, text): value if why is None else why for name, text, value, why in rows}

    def blocks(self, call: int) -> list[Arrays]:
        """Return the blocks of a call, in the order in which they were written.

        Raises:
            MolgenError: if one is damaged.
        """
        with reported(self.path):
            rows = self._connection.execute(
                "SELECT checksum, arrays FROM blocks WHERE call = ? ORDER BY id", (call,)
            ).fetchall()
        try:
            if any(zlib.crc32(packed) != checksum for checksum, packed in rows):
                raise MolgenError(f"{self.path} is damaged: a checksum does not match")
            return [load(packed) for _, packed in rows]
        except (SafetensorError, TypeError) as error:
            raise MolgenError(f"{self.path} is damaged: {error}") from error

    def write(
        self, blocks: Iterable[tuple[CallKey, Arrays]], scores: Mapping[ScoreKey, Score]
    ) -> None:
        """Write blocks and scores, all or nothing.

        Raises:
            MolgenError: if they cannot be written.
        """
        with reported(self.path), transaction(self._connection):
            for key, arrays in blocks:
                packed = save(arrays)
                self._connection.execute(
                    "INSERT OR IGNORE INTO calls (digest, number) VALUES (?, ?)", key
                )
                self._connection.execute(
                    "INSERT INTO blocks (call, rows, checksum, arrays) "
                    "SELECT id, ?, ?, ? FROM calls WHERE digest = ? AND number = ?",
                    (len(next(iter(arrays.values()))), zlib.crc32(packed), packed, *key),
                )
            self._connection.executemany(
                "INSERT OR REPLACE INTO scores (property, molecule, value, message) "
                "VALUES (?, ?, ?, ?)",
                [
                    (*map(_text, key), *((None, _text(x)) if isinstance(x, str) else (x, None)))
                    for key, x in scores.items()
                ],
            )

    def forget_failures(self, name: str) -> None:
        """Delete the failures of a property."""
        with reported(self.path), transaction(self._connection):
            delete = "DELETE FROM scores WHERE property = ? AND message IS NOT NULL"
            self._connection.execute(delete, (name,))

    @property
    def empty(self) -> bool:
        """Whether there is neither a block nor a score."""
        with reported(self.path):
            some = "SELECT EXISTS (SELECT 1 FROM blocks) OR EXISTS (SELECT 1 FROM scores)"
            return not self._connection.execute(some).fetchone()[0]

    def close(self, delete: bool = False) -> None:
        """Close the file, and delete it if requested."""
        with reported(self.path):
            self._connection.close()
        if delete:
            remove(self.path)


def _text(text: str) -> str:
    """Return a text that is written as it is, but for bytes of file names that are no text."""
    return text.encode("utf-8", "backslashreplace").decode()


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
