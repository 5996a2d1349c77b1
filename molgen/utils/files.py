"""Atomic writing of files.

    content -> temporary file in the same folder -> one rename

A rename within a folder is atomic: if the disk is full or the run is interrupted, the old file (or
none) remains. Also checks of output paths, to be made before long work.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from molgen.errors import MolgenError


def check_writable(path: str | Path) -> None:
    """Check that a file can be written; call it before any long work.

    Raises:
        MolgenError: if its folder does not exist or may not be written to, or if it is a folder.
    """
    path = Path(path)
    if path.is_dir():
        raise MolgenError(f"cannot write {str(path)!r}: it is a folder, expected a file")
    if not path.parent.is_dir():
        raise MolgenError(f"cannot write {str(path)!r}: there is no folder {str(path.parent)!r}")
    if not os.access(path.parent, os.W_OK):
        raise MolgenError(f"cannot write {str(path)!r}: no permission for {str(path.parent)!r}")


def digest(paths: Iterable[Path]) -> str:
    """Return a digest of the names and the content of files.

    Raises:
        OSError: if one cannot be read.
    """
    total = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            total.update(path.name.encode("utf-8", "surrogateescape") + b"\0")
            total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()[:16]


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder, renamed to ``path`` at the end of the block.

    After an error or an interruption the temporary file is removed.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
