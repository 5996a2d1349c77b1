"""Atomic writing of files.

    content -> temporary file in the same folder -> one rename

A rename within a folder is atomic: if the disk is full or the run is interrupted, the old file (or
none) remains. Also checks of output paths, to be made before long work.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
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
