"""One run in a folder at a time, by a lock of the operating system.

The system releases the lock when its process ends, however it ends, so that none is ever stale. It
is advisory and local to the folder: two machines exclude each other where the file system does so.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from molgen.errors import MolgenError

NAME = ".molgen.lock"
NO_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)  # of network file systems, mostly


@contextmanager
def locked(folder: str | Path) -> Iterator[None]:
    """Keep other processes and threads out of a folder for the length of a block.

    Blocks within each other are one. On a file system without locks there is a warning only.

    Args:
        folder: created if it is missing, and removed if it is empty at the end.

    Raises:
        MolgenError: if another run is in the folder.
        OSError: if it cannot be written.
    """
    from filelock import FileLock, Timeout

    path = Path(folder).resolve()
    made = [place for place in (path, *path.parents) if not place.exists()]
    path.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path / NAME, timeout=0, is_singleton=True, fallback_to_soft=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise MolgenError(
            f"another run writes to {str(folder)!r}: wait for its end, or choose another folder"
        ) from error
    except (NotImplementedError, OSError) as error:
        if isinstance(error, OSError) and error.errno not in NO_LOCKS:
            raise
        text = f"warning: {folder} is on a file system without locks: start no other run in it"
        print(text, file=sys.stderr)
    try:
        yield
    finally:
        if lock.lock_counter <= 1:
            (path / NAME).unlink(missing_ok=True)
        lock.release()
        with suppress(OSError):  # it is not empty
            for place in made:
                place.rmdir()
