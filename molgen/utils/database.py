"""An SQLite file of our own: one process at a time, never half written, with a schema version.

    connection = connect(path, APPLICATION, SCHEMA)

A file of another program, of a later version or with damage is rejected and left as it is. The file
is locked for this connection alone until it is closed or the process ends, in whatever way; with
the exclusive lock, write-ahead logging needs no shared memory and works on network file systems.
``SCHEMA`` lists the statements that lead from each version to the next one, so a file of an earlier
version is migrated when it is opened.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from molgen.errors import MolgenError

COMPANIONS = ("-wal", "-shm", "-journal")
"""Ends of the names of the files that SQLite keeps beside an open one."""


class InUse(MolgenError):
    """Another process has the file open."""


def connect(path: str | Path, application: int, schema: Sequence[str]) -> sqlite3.Connection:
    """Open or create a file, locked for this connection.

    Args:
        path: of the file.
        application: number in the file's header that marks it as ours.
        schema: statements of each migration; a new file takes all of them.

    Returns:
        A connection without implicit transactions, for use by several threads in turn.

    Raises:
        MolgenError: if the file is damaged, of another program or a later version, in use, or
            cannot be opened; a file that was created is deleted again.
    """
    created = not os.path.lexists(path)
    with reported(path):
        connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    try:
        with reported(path):
            _lock(connection, path, application)
            _migrate(connection, path, application, schema)
    except BaseException as error:
        connection.close()
        if created and not isinstance(error, InUse):  # then it is the other process's
            remove(path)
        raise
    return connection


@contextmanager
def reported(path: str | Path) -> Iterator[None]:
    """Raise errors of SQLite within the block as one line that names the file.

    Raises:
        MolgenError: then.
    """
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", None) or 0
        primary = code & 0xFF
        if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise InUse(f"{path} is in use by another process") from error
        if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise MolgenError(f"{path} is damaged or of another program: {error}") from error
        raise MolgenError(f"{path} cannot be read or written: {error}") from error


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Write all of a block or, after an error, nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def remove(path: str | Path) -> None:
    """Remove a closed file with its companions."""
    for end in ("", *COMPANIONS):
        Path(f"{path}{end}").unlink(missing_ok=True)


def _lock(connection: sqlite3.Connection, path: str | Path, application: int) -> None:
    """Take the lock, after a check that the file is ours or empty."""
    (found,) = connection.execute("PRAGMA application_id").fetchone()
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if tables and found != application:
        raise MolgenError(f"{path} is a database of another program")
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")  # a power cut loses no committed transaction
    with transaction(connection):  # takes the lock
        if found != application:
            connection.execute(f"PRAGMA application_id = {application}")


def _migrate(
    connection: sqlite3.Connection, path: str | Path, application: int, schema: Sequence[str]
) -> None:
    """Bring the file to the current version."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if not 0 <= version <= len(schema):
        raise MolgenError(
            f"{path} has schema version {version}, expected at most {len(schema)}: it was written "
            "by a later version of molgen"
        )
    (problem,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if problem != "ok":
        raise MolgenError(f"{path} is damaged: {' '.join(problem.split())}")
    for statements in schema[version:]:
        version += 1
        with transaction(connection):
            for statement in statements.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {version}")
