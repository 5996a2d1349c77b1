"""Writing of files: whole or not at all, whatever happens meanwhile.

    content -> temporary file in the same folder -> fsync -> one rename -> fsync of the folder

A rename within a folder is atomic, and what it names is on disk by then: if the disk is full, the
run is interrupted or the power fails, the old file (or none) remains. The file that a symbolic link
leads to is replaced, not the link; a file keeps its permissions, and a new one follows the umask.
Pipes and devices (``/dev/stdout``) are written to. Every file of molgen is written here, so that an
error always names it. Also checks of output paths, to be made before long work.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from molgen.errors import MolgenError
from molgen.utils.interrupts import uninterrupted

SHOWN = 40  # characters of a name in that of its temporary file: at most 255 bytes with the rest
WRITE_BITS = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH
_SYSTEM_ERROR = re.compile(r"(?:.*rror[^:]*: )?(.*?) \(os error (\d+)\)")


def check_writable(path: str | Path, source: str | Path | None = None) -> None:
    """Check that a file can be written; call it before any long work.

    Args:
        path: of the file.
        source: that is read, and must not be replaced; what is no file is ignored.

    Raises:
        MolgenError: if its folder does not exist or may not be written to, if it is a folder, a
            disk or the source, or if it exists and is read-only (for the superuser, too).
        OSError: if the system allows no such name.
    """
    present = _status(path)
    if present is not None and stat.S_ISDIR(present.st_mode):
        raise MolgenError(f"cannot write {str(path)!r}: it is a folder, expected a file")
    if present is not None and stat.S_ISBLK(present.st_mode):
        raise MolgenError(f"cannot write {str(path)!r}: it is a disk, expected a file")
    read_only = present is not None and not present.st_mode & WRITE_BITS
    if read_only or (present is not None and not os.access(path, os.W_OK)):
        raise MolgenError(f"cannot write {str(path)!r}: it is read-only")
    if is_stream(path):
        return
    if present is not None and source is not None and _is_file(source, present):
        raise MolgenError(f"cannot write {str(path)!r}: it is the file that is read")
    folder = (_target(path) if os.path.islink(path) else Path(path)).parent
    if not folder.is_dir():
        raise MolgenError(f"cannot write {str(path)!r}: there is no folder {str(folder)!r}")
    _check_permission(path, folder)


def check_folder(path: str | Path) -> Path:
    """Check that a folder exists or can be created, and can be written to; return its path.

    Raises:
        MolgenError: if not.
        OSError: if the system allows no such name.
    """
    folder = Path(path)
    _status(folder)  # raises for a name that is too long
    found = next(place for place in (folder, *folder.absolute().parents) if os.path.lexists(place))
    if not found.is_dir():
        kind = "a file" if found.exists() else "a link that leads nowhere"
        raise MolgenError(f"cannot write to {str(path)!r}: {str(found)!r} is {kind}, not a folder")
    _check_permission(path, found)
    return folder


def is_stream(path: str | Path) -> bool:
    """Return whether a path is a pipe, a device or this process's output, written to only once."""
    present = _status(path)
    if present is None or stat.S_ISDIR(present.st_mode):
        return False
    return not stat.S_ISREG(present.st_mode) or _own_output(present) is not None


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

    Raises:
        OSError: naming ``path``, if it cannot be written.
    """
    if is_stream(path):
        with tempfile.TemporaryDirectory() as folder, naming(path):
            temporary = Path(folder, Path(path).name)
            yield temporary
            _pour(temporary, path)
        return
    target = _target(path)
    name = f".{target.name[:SHOWN]}.{os.getpid()}-{secrets.token_hex(3)}.part"
    temporary = target.with_name(name)
    with naming(path, temporary), uninterrupted():
        try:
            mode = _create(temporary)
            yield temporary
            _take_over(temporary, _status(target), mode)
            sync(temporary)
            os.replace(temporary, target)
            sync(target.parent)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def staged(folder: str | Path, last: str = "") -> Iterator[Path]:
    """Yield a temporary folder, whose files are moved to ``folder`` at the end of the block.

    Args:
        folder: created if it is missing.
        last: name of the file to move last, without which the others are not used.

    Raises:
        OSError: if a file cannot be written; then nothing is moved.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=folder) as name:
        aside = Path(name)
        with naming(folder, aside):
            yield aside
        with uninterrupted():
            for file in sorted(aside.iterdir(), key=lambda file: (file.name == last, file.name)):
                with replacing(folder / file.name) as part:
                    os.replace(file, part)


@contextmanager
def naming(path: str | Path, temporary: Path | None = None) -> Iterator[None]:
    """Name a file in the errors of writing it, of the system and of safetensors.

    Args:
        path: of the file.
        temporary: the file or folder that is written in its place.

    Raises:
        OSError: with ``path`` as its file name.
    """
    try:
        yield
    except OSError as error:
        unnamed = error.filename is None and not isinstance(error, BrokenPipeError)
        other = temporary is not None and Path(str(error.filename)).is_relative_to(temporary)
        if not (unnamed or other):
            raise
        raise OSError(error.errno or 0, error.strerror or str(error), str(path)) from error
    except Exception as error:
        from safetensors import SafetensorError  # not at the top: --help imports this module

        if not isinstance(error, SafetensorError):
            raise
        found = _SYSTEM_ERROR.match(str(error))
        code, reason = (int(found[2]), found[1]) if found else (0, str(error))
        raise OSError(code, reason, str(path)) from error


def sync(path: str | Path) -> None:
    """Wait until a file or the names in a folder are on disk.

    Raises:
        OSError: if a file cannot be written; a system that cannot do so for folders is no error.
    """
    folder = os.path.isdir(path)
    with suppress(OSError) if folder else naming(path):
        descriptor = os.open(path, os.O_RDONLY if folder else os.O_RDWR)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _status(path: str | Path) -> os.stat_result | None:
    """Return the status of what a path leads to, None if there is nothing."""
    try:
        return os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError as error:  # a NUL character
        raise MolgenError(f"path is {str(path)!r}: {error}") from error


def _is_file(path: str | Path, present: os.stat_result) -> bool:
    """Return whether a path leads to this file; it may be no path at all, but a molecule."""
    try:
        return os.path.samestat(os.stat(path), present)
    except (OSError, ValueError):
        return False


def _target(path: str | Path) -> Path:
    """Return the file that is replaced: the one that a symbolic link leads to."""
    return Path(os.path.realpath(path))


def _check_permission(path: str | Path, folder: Path) -> None:
    if not os.access(folder, os.W_OK | os.X_OK):
        raise MolgenError(f"cannot write {str(path)!r}: no permission for {str(folder)!r}")


def _create(path: Path) -> int:
    """Create a file; return its permissions, those that the umask leaves."""
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    try:
        return stat.S_IMODE(os.fstat(descriptor).st_mode)
    finally:
        os.close(descriptor)


def _take_over(path: Path, before: os.stat_result | None, mode: int) -> None:
    """Give a file the owner and the permissions of the one that it replaces, as far as allowed."""
    if before is not None:
        mode = stat.S_IMODE(before.st_mode)
        with suppress(PermissionError, AttributeError):  # another's file; no Unix
            os.chown(path, before.st_uid, before.st_gid)
    os.chmod(path, mode)  # safetensors writes files that only their owner can read


def _own_output(present: os.stat_result) -> int | None:
    """Return the standard output or error that is this file, None if neither is."""
    for descriptor in (1, 2):
        with suppress(OSError):  # it is closed
            if os.path.samestat(os.fstat(descriptor), present):
                return descriptor
    return None


def _pour(source: Path, path: str | Path) -> None:
    """Write a file to a pipe or a device, after what has been printed so far."""
    import sys

    own = _own_output(os.stat(path))
    if own == 1 and sys.stdout is not None:
        sys.stdout.flush()
    descriptor = os.open(path, os.O_WRONLY) if own is None else os.dup(own)
    with source.open("rb") as content, os.fdopen(descriptor, "wb") as stream:
        shutil.copyfileobj(content, stream)
